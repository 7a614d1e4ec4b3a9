"""Teacher against student: both ways to decide agree, and every figure is what it says. No timing is judged here."""

import itertools
import json
import math
import time

import numpy as np
import pytest
import torch

from agents.mamba4net.hybrid import PRESETS, HybridBackbone
from agents.mamba4net.layers import HybridConfig
from agents.netllm.load import ScratchBackbone
from agents.netllm.memory import SHAPES
from agents.policy import load_policy
from agents.sequence.checkpoint import save_policy
from agents.sequence.model import SequenceModel
from agents.sequence.nets.abr import ABRNet
from agents.sequence.nets.cjs import CJSNet
from agents.sequence.nets.vp import VPNet
from agents.sequence.policy import SequencePolicy
from benchmarks.speed import command as speed
from benchmarks.speed.policy import backbones, play
from benchmarks.speed.policy import command as speed_policy
from benchmarks.speed.registry import policy_speed

TINY = HybridConfig(32, "MM*-", 8, 8, 4, 1, 4, 2, 2, 16, 64)
NETS = {
    "abr": lambda d, **how: ABRNet(d, width=16, **how),
    "cjs": lambda d, **how: CJSNet(d, width=8, hidden=16, **how),
    "vp": lambda d, tokenisation, returns: VPNet(d, tokenisation, hidden=16, width=8),
}


@pytest.fixture(autouse=True)
def no_data(monkeypatch, tmp_path):
    """Generated data, wherever the tests run."""
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path / "no data"))


def random_policy(task, tokenisation="fused", returns=False, context=0, timesteps=0, seed=0):
    """A small hybrid of weights that are large enough for the past to count."""
    torch.manual_seed(seed)
    model = SequenceModel(
        NETS[task](TINY.d_model, tokenisation=tokenisation, returns=returns), HybridBackbone(TINY), timesteps, context
    )
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return SequencePolicy(model, target=2.0 if returns else None, scale=(0.0, 5.0))


def layout(task):
    return backbones.layout_of(policy_speed(task))


def tiny_teacher():
    torch.manual_seed(0)
    return ScratchBackbone(SHAPES["tiny"]).eval()


def tiny_student():
    torch.manual_seed(0)
    return HybridBackbone(TINY).eval()


@pytest.fixture
def folders(tmp_path):
    """Options that name untrained policies of a task, whose folders are named by it."""

    def make(task):
        words = []
        for side, backbone, name in (("teacher", tiny_teacher(), "netllm"), ("student", tiny_student(), "mamba4net")):
            net = NETS[task](backbone.d_model, tokenisation="fused", returns=False)
            model = SequenceModel(net, backbone, context=1 if task == "vp" else 0)
            save_policy(model, tmp_path / f"{side}-{task}", name, {}, "bfloat16")
            words += [f"--{side}", str(tmp_path / f"{side}-{{task}}")]
        return words

    return make


def run(words, path):
    assert speed.main(["--policy", *words, "--json", str(path)]) == 0
    return json.loads(path.read_text())


QUICK = ["--runs", "2", "--seconds", "0.001", "--context", "16", "40"]


@pytest.mark.parametrize("task", ["abr", "vp"])
def test_policies(task, folders, tmp_path, capsys):
    written = run(["--task", task, *folders(task), "--batch", "2", "1", *QUICK], tmp_path / "figures.json")
    assert (written["schema"], written["threads"], written["dtype"]) == (1, 1, "float32")
    assert written["command"].startswith(f"python -m benchmarks.speed --policy --task {task} ")
    assert {"python", "torch", "transformers", "git"} <= written["versions"].keys()
    assert written["device"] and written["settings"]["batch"] == [2, 1]

    of_task = written["tasks"][task]
    assert of_task["data"] == "synthetic" and of_task["same_in_both_modes"] == {"teacher": 1.0, "student": 1.0}
    for side in ("teacher", "student"):
        policy, counted = load_policy(str(tmp_path / f"{side}-{task}"), task), of_task[side]
        assert (
            counted["parameters"] == policy.parameters == sum(counted[part] for part in ("encoder", "backbone", "head"))
        )
        assert counted["bytes"] == policy.bytes
        assert counted["backbone"] == sum(value.numel() for value in policy.model.backbone.state_dict().values())
        assert all(count > 0 for count in counted.values())
    assert of_task["percent"]["bytes"] == 100 * of_task["student"]["bytes"] / of_task["teacher"]["bytes"]

    assert list(of_task["modes"]) == ["A", "B"]
    for mode, rows in itertools.product("AB", "12"):
        figures = of_task["modes"][mode][rows]
        for side in ("teacher", "student"):
            assert set(figures[side]) == {*speed_policy.FIGURES, "acts"}
            for name, values in figures[side].items():
                assert len(values) == 2 and all(0 < value < math.inf for value in values), name
            inside = zip(figures[side]["core_p50_ms"], figures[side]["act_p50_ms"], strict=True)
            assert all(core < act for core, act in inside)
            tokens = np.divide(figures[side]["tokens_per_s"], figures[side]["decisions_per_s"])
            each = (20 if mode == "A" else 1) if task == "abr" else 2  # a path takes two tokens, of viewers and its own
            assert tokens == pytest.approx([each, each])
            assert figures["peak_bytes"][side] > 4 * of_task[side]["parameters"]
        assert figures["gain"]["act_p50_ms"] == [
            one / other
            for one, other in zip(*(figures[side]["act_p50_ms"] for side in ("teacher", "student")), strict=True)
        ]
        assert figures["gain"]["decisions_per_s"] == [
            one / other
            for one, other in zip(*(figures[side]["decisions_per_s"] for side in ("student", "teacher")), strict=True)
        ]
    bars = {bar["name"]: bar for bar in of_task["bars"]}
    assert len(bars) == 5, "none of batch 64, which was not measured"
    assert bars["bytes, % of the teacher's"]["met"] == (of_task["percent"]["bytes"] <= 5.48)
    gain = float(np.median(of_task["modes"]["B"]["1"]["gain"]["core_p50_ms"]))
    assert bars["backbone + head, p50, batch 1, cached, x"]["figure"] == gain
    assert [row["context"] for row in written["growth"][task]] == [16, 40]
    printed = capsys.readouterr().out
    assert f"{task}: teacher teacher-{task}, student student-{task}; observations of synthetic" in printed
    assert "A, window re-encoding, batch 2" in printed and "B, cached play, batch 1" in printed


@pytest.mark.parametrize(
    ("task", "how"),
    [
        ("abr", {"tokenisation": "netllm", "returns": True, "timesteps": 30}),
        ("cjs", {"context": 9}),
        ("cjs", {"tokenisation": "netllm", "returns": True}),
        ("vp", {"context": 1}),
    ],
)
def test_both_modes_decide_alike_while_the_window_holds_all(task, how):
    policy = random_policy(task, **how)
    recording = play.record(task, policy, 3, steps=24)
    decided = np.concatenate([actions.reshape(3, -1) for actions in recording.actions])
    assert len(np.unique(decided, axis=0)) > 1, "decisions would be alike whatever is seen"
    assert play.agreement(policy, recording) == 1.0
    assert play.Windowed(policy).window == (how.get("context") or play.WINDOW)


@pytest.mark.parametrize(("task", "tokenisation"), [("abr", "netllm"), ("cjs", "netllm"), ("cjs", "fused")])
def test_what_is_passed_over_counts_as_if_it_had_been_decided(task, tokenisation):
    policy = random_policy(task, tokenisation, returns=True)
    recording = play.record(task, policy, 2, steps=9)
    decides, passes = play.Windowed(policy, window=6), play.Windowed(policy, window=6)
    decides.begin(2)
    passes.begin(2)
    passed = []
    for observations, infos in zip(recording.observations, recording.infos, strict=True):
        actions = decides.decide(observations, infos)
        passed.append(passes.pass_over(observations, infos, actions))
        if not passed[-1]:
            np.testing.assert_array_equal(passes.decide(observations, infos), actions)
            one, other = (side._sequences()[0] for side in (decides, passes))
            for column in ("previous", "numbers", "returns", "lengths"):
                np.testing.assert_array_equal(getattr(one, column), getattr(other, column))
            assert one.lengths.tolist() == [6, 6]
    assert passed == [True] * 5 + [False] * 4


def test_parts_are_timed_with_any_clock_and_left_as_they_were():
    policy = random_policy("cjs", "netllm")
    recording = play.record("cjs", policy, 2, steps=3)
    ticks = itertools.count()
    parts = play.Parts(lambda: next(ticks))
    before = dict(vars(policy.model.task)), dict(vars(policy.model.backbone))
    cached = play.Cached(policy)
    with parts.of(policy.model):
        cached.begin(2)
        cached.decide(recording.observations[0], recording.infos[0])
    assert (parts.encoder, parts.core) == (3, 4), "observe, embed, follow; two steps and two heads"
    stages = recording.observations[0]["stages"][:, :, 6].sum()
    assert parts.tokens == 2 + stages + 2, "the action before and all that may be chosen, then what was"
    assert before == (dict(vars(policy.model.task)), dict(vars(policy.model.backbone)))


def test_memory_is_the_most_that_was_held_at_once():
    def work():
        for _ in range(3):
            kept = torch.zeros(1_000_000)
            also = torch.ones(250_000)
            del kept, also
        torch.zeros(1_200_000)

    assert 5_000_000 <= play.peak_of(work, "cpu") < 5_001_000


@pytest.mark.parametrize("make", [tiny_teacher, tiny_student])
@torch.inference_mode()
def test_caches_of_fixed_size_hold_the_same(make):
    backbone = make()
    ordinary, static = backbone.init_cache(2), backbones.static_cache(backbone, 2, 20)
    memory = {part.data_ptr() for part in backbones.tensors_of(static)}
    for n in (5, 1, 8, 1):
        tokens = torch.randn(2, n, backbone.d_model)
        expected = backbone.step(tokens, ordinary)
        torch.testing.assert_close(backbone.step(tokens, static), expected, atol=1e-5, rtol=1e-5)
    assert memory <= {part.data_ptr() for part in backbones.tensors_of(static)}, "a graph knows no other memory"


@pytest.mark.parametrize("static", [False, True])
@torch.inference_mode()
def test_rewound_caches_of_a_teacher_decide_the_same_again(static):
    backbone = tiny_teacher()
    way = backbones.cached(backbone, 2, backbones.Layout(7, (3, 1)), static=static)
    states = []
    for _ in range(2):
        way.prepare()
        states.append(way.decide())
    for one, other in zip(*states, strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)
    assert way.tokens == 8


def test_layouts_are_those_of_netllm():
    """20 steps: ABR of 8 tokens, CJS of 10 stages, action, return and the chosen stage; VP 10 seen, 20 predicted."""
    lengths = {task: layout(task).lengths for task in ("abr", "cjs", "vp")}
    assert lengths == {"abr": [160], "cjs": [259, 260], "vp": list(range(10, 31))}
    backbone = tiny_student()
    assert backbones.windowed(backbone, 2, layout("cjs")).tokens == 2 * (259 + 260)


@torch.inference_mode()
def test_growth_counts_the_bytes_in_use():
    sides = {"teacher": tiny_teacher(), "student": tiny_student()}
    rows = backbones.growth(sides, [600, 9], 2, time.process_time)
    assert [row["context"] for row in rows] == [9, 600]
    layers, hidden = SHAPES["tiny"]["num_hidden_layers"], SHAPES["tiny"]["hidden_size"]
    states = 4 * 2 * (3 * (32 + 2 * 8) + 32 * 8)  # two Mamba layers: three inputs of the convolution, the scan
    for row in rows:
        assert row["teacher"]["cache_bytes"] == 4 * 2 * layers * hidden * row["context"]
        assert row["student"]["cache_bytes"] == states + 4 * 2 * 32 * row["context"]
        for side in sides:
            assert len(row[side]["next_ms"]) == len(row[side]["pass_ms"]) == 2
            assert all(value > 0 for value in row[side]["next_ms"] + row[side]["pass_ms"])


def test_passes_that_take_too_long_are_left_out(monkeypatch, capsys):
    monkeypatch.setattr(backbones, "LONGEST_PASS_S", 1e-9)
    with torch.inference_mode():
        rows = backbones.growth({"teacher": tiny_student(), "student": tiny_student()}, [4, 8], 1, time.process_time)
    assert [row["teacher"]["pass_ms"] is None for row in rows] == [False, True]
    assert list(speed_policy.growth_lines(rows))[-1].endswith("too long")


def test_large_backbones_on_a_processor(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(PRESETS, "paper", TINY)
    words = ["--teacher-config", "tiny", "--task", "abr", "cjs", "--batch", "1", "2", *QUICK]
    written = run(words, tmp_path / "figures.json")
    assert list(written["tasks"]) == ["abr", "cjs"] and list(written["growth"]) == ["abr"]
    for of_task in written["tasks"].values():
        assert of_task["bars"] == [], "they are for a teacher of 7 billion weights"
        for mode, rows in itertools.product("AB", "12"):
            figures = of_task["modes"][mode][rows]
            names = {"A": ["A eager"], "B": ["B eager", "B static"]}[mode]
            assert set(figures["ways"]) == {f"{side}, {name}" for side in ("teacher", "student") for name in names}
            for side in ("teacher", "student"):
                best = figures["ways"][f"{side}, {figures['best'][side]}"]
                assert figures[side] == {name: runs for name, runs in best.items() if name != "peak_bytes"}
                fastest = min(np.median(figures["ways"][f"{side}, {name}"]["core_p50_ms"]) for name in names)
                assert np.median(figures[side]["core_p50_ms"]) == fastest
            for name in ("core_p50_ms", "core_p99_ms"):
                pairs = zip(figures["teacher"][name], figures["student"][name], strict=True)
                assert figures["gain"][name] == [one / other for one, other in pairs]
    assert "no CUDA graphs and no kernels of mamba-ssm on cpu: those ways are left out" in capsys.readouterr().out


def test_bars_of_a_large_teacher():
    gain = {"core_p50_ms": [9.0, 12.0, 11.0], "decisions_per_s": [40.0, 41.0, 60.0]}
    found = {"percent": {"bytes": 0.41}, "modes": {"B": {"1": {"gain": gain}, "64": {"gain": gain}}}}
    assert [bar["met"] for bar in speed_policy.large_bars(found)] == [False, True, False]
    assert [bar["figure"] for bar in speed_policy.large_bars(found)] == [0.41, 11.0, 41.0]


@pytest.mark.slow
@torch.inference_mode()
def test_twenty_decisions_of_the_paper_s_student_and_a_scaled_teacher():
    sides = backbones.large("small", "cpu")
    for task, side in itertools.product(("abr", "cjs", "vp"), sides.values()):
        for name, make in backbones.ways(side, 1, layout(task), "cpu").items():
            found = backbones.figures(make(), 1, 0.0, time.process_time, least=20)
            assert found["acts"] == 20, name
            assert all(0 < value < math.inf for value in found.values())


def test_wrong_options_are_one_line(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    wrong = {
        ("--task", "abx"): "--task: unknown task 'abx'; did you mean 'abr'? known: abr, cjs, vp",
        ("--batch", "0"): "--batch: '0' is not a whole number from 1 up",
        ("--context", "1.5"): "--context: '1.5' is not a whole number from 1 up",
        ("--teacher-config", "llama-3"): "--teacher-config: unknown shape 'llama-3'",
        ("--teacher-config", "tiny", "--student", "x"): "--teacher-config takes the place of --teacher and --student",
        ("--env", "abr"): "unknown option '--env'",
        ("--device", "meta"): "--device must be cpu or cuda, not 'meta'",
        ("--student", "mamba5net"): "unknown policy 'mamba5net'",
        ("--task", "abr", "--student", "bba"): "--student bba: no sequence policy; give one of",
        ("--student", str(tmp_path / "empty")): f"policy {str(tmp_path / 'empty')!r}: a checkpoint folder has",
        ("--json", str(tmp_path)): f"--json {tmp_path}: this is a folder; give a file",
    }
    if not torch.cuda.is_available():
        wrong["--device", "cuda"] = "--device cuda: "
    for words, message in wrong.items():
        assert speed.main(["--policy", *words]) == 2, words
        captured = capsys.readouterr()
        assert captured.err.startswith(f"error: {message}") and captured.err.count("\n") == 1, captured.err
        assert captured.out == ""
