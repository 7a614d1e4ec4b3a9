"""Genet's curriculum and its training: what is mixed, what the search finds, that it learns and resumes."""

import json
import shutil
from dataclasses import asdict

import numpy as np
import pytest
import torch
import tyro
from safetensors.torch import load_file

from agents.abr import curriculum, genet, ppo
from agents.abr.card import record
from agents.abr.curriculum import (
    TRIAL_TRACES,
    TRIALS,
    Found,
    Mixture,
    Searched,
    rule_lead,
    space_traces,
    traces_of,
    widest_gap,
)
from agents.abr.genet import UDR, Args, Genet, Validation, paired_table
from agents.abr.pensieve_net import PensieveNet
from agents.abr.scores import score
from agents.policy import PolicyError, load_policy
from agents.rollout import EpisodeSpec, play
from agents.scoring import Score
from agents.statistics import bounds, mean
from agents.testing import check_policy
from agents.training import CURVE
from agents.training.card import Training, read
from netenvs.abr.generators import GENET_SPACES, GenetConfig
from netenvs.abr.workload import load_traces

TINY = {"pool": 100, "rounds": 2, "rows": 32, "batches": 4, "epochs": 4}
SLOW = GenetConfig(min_bw_mbps=0.5, max_bw_mbps=1.0, change_interval=3.0, rtt_ms=80.0, buffer_cap_s=20.0)


@pytest.fixture
def no_data(tmp_path, monkeypatch):
    """Scores of trained weights on installed splits take time and are tested elsewhere."""
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path / "no-data"))


@pytest.fixture
def small_search(monkeypatch):
    monkeypatch.setattr(genet, "HELD_OUT", "genet(space={space},seed={seed},count=6)")
    monkeypatch.setattr(curriculum, "TRIALS", 4)
    monkeypatch.setattr(curriculum, "FIRST_TRIALS", 3)


def train(folder, **options):
    genet.main(Args(out=folder, **{**TINY, **options}))
    return load_file(folder / "model.safetensors")


# --- what is played ---


def test_every_trace_of_the_space_has_a_configuration_of_its_own_inside_it():
    traces = space_traces("udr2", 60, seed=3)
    ranges = GENET_SPACES["udr2"]
    assert len(np.unique(traces.rtt_ms)) == len(np.unique(traces.buffer_cap_s)) == 60
    for values, name in ((traces.rtt_ms, "rtt_ms"), (traces.buffer_cap_s, "buffer_cap_s")):
        low, high = ranges[name]
        assert low <= values.min() < low + (high - low) / 5 and high - (high - low) / 5 < values.max() <= high
    again, other = space_traces("udr2", 60, seed=3), space_traces("udr2", 60, seed=4)
    assert np.array_equal(again.bandwidth_mbps, traces.bandwidth_mbps)
    assert not np.isin(other.rtt_ms, traces.rtt_ms).any()
    held_out = [load_traces(f"genet(space=udr2,count=60,seed={seed})") for seed in range(4)]
    assert not any(np.isin(one.rtt_ms, traces.rtt_ms).any() for one in held_out)


def test_traces_of_a_configuration_keep_to_it():
    traces = traces_of("slow", [SLOW] * 3, [[i, 5] for i in range(3)])
    assert traces.bandwidth_mbps.min() >= 0.5 and traces.bandwidth_mbps.max() <= 1.0
    assert traces.rtt_ms.tolist() == [80.0] * 3 and traces.buffer_cap_s.tolist() == [20.0] * 3
    assert not np.array_equal(traces.trace(0)[1][:50], traces.trace(1)[1][:50])


def searched(real=None, share=0.25):
    return Searched(lambda net, traces: 0.0, Mixture(pool=50, real_share=share), groups=200, seed=1, real=real)


def test_each_configuration_that_joins_leaves_the_others_seven_tenths_of_their_weight():
    mixed = searched()
    assert mixed.weights().tolist() == [1.0]
    for _ in range(3):
        mixed._add(Found(SLOW, 0.1))
    assert mixed.weights() == pytest.approx([0.7**3, 0.3 * 0.7**2, 0.3 * 0.7, 0.3])
    assert mixed.weights().sum() == pytest.approx(1.0)


def test_rows_play_real_traces_and_the_mixture_in_their_shares():
    real = load_traces("synthetic(count=7)")
    mixed = searched(real)
    for _ in range(2):
        mixed._add(Found(SLOW, 0.1))
    traces = mixed.traces()
    assert len(traces) == 7 + 50 + 5 + 5
    assert traces.rtt_ms[:7].tolist() == [80.0] * 7 and traces.rtt_ms[57:].tolist() == [80.0] * 10
    rng = np.random.default_rng(0)
    chosen = np.array([mixed.choose(rng) for _ in range(100)])
    assert chosen.shape == (100, 200)
    assert np.all((chosen < 7).sum(axis=1) == 50)  # a quarter of the groups
    shares = [np.mean((chosen[:, 50:] >= low) & (chosen[:, 50:] < high)) for low, high in ((7, 57), (57, 62), (62, 67))]
    assert shares == pytest.approx([0.49, 0.21, 0.3], abs=0.015)
    assert set(np.unique(chosen)) == set(range(67))


def test_real_traces_without_a_share_are_not_played():
    chosen = searched(load_traces("synthetic(count=7)"), share=0.0).choose(np.random.default_rng(0))
    assert chosen.min() >= 7 and len(chosen) == 200


def test_rounds_are_spread_over_what_follows_the_warm_up():
    rounds = Searched(lambda net, traces: 0.0, Mixture(pool=10, warm_up=0.25, rounds=3), 4, seed=0)
    assert rounds.starts(100) == [25, 50, 75]
    assert Searched(lambda net, traces: 0.0, Mixture(pool=10, warm_up=0, rounds=1), 4, seed=0).starts(9) == [1]


# --- the search ---


def test_the_search_finds_where_the_gap_is_widest():
    seen = []

    def gap(traces):
        seen.append(traces)
        return -abs(float(traces.rtt_ms[0]) - 600) / 100 - abs(float(traces.buffer_cap_s[0]) - 100) / 50

    found = widest_gap(gap, "udr3", seed=0, number=0)
    assert len(seen) == TRIALS and all(len(traces) == TRIAL_TRACES for traces in seen)
    values = [-abs(t.rtt_ms[0] - 600) / 100 - abs(t.buffer_cap_s[0] - 100) / 50 for t in seen]
    assert (
        found.gap
        == max(values)
        == pytest.approx(-abs(found.config.rtt_ms - 600) / 100 - abs(found.config.buffer_cap_s - 100) / 50)
    )
    assert max(values[10:]) > max(values[:10])  # the model's trials are better than the drawn ones
    again = widest_gap(gap, "udr3", seed=0, number=0)
    assert again == found and widest_gap(gap, "udr3", seed=0, number=1) != found


def test_the_lead_of_a_rule_is_its_qoe_over_that_of_the_network():
    net = PensieveNet(6)
    with torch.no_grad():
        net.head.weight.zero_()
        net.head.bias.copy_(torch.tensor([1.0, 0, 0, 0, 0, 0]))  # the lowest level, always
    fast = GenetConfig(min_bw_mbps=20, max_bw_mbps=20, change_interval=1, rtt_ms=20, buffer_cap_s=60)
    traces = traces_of("fast", [fast] * 2, [[0, 1], [1, 1]])
    lead = rule_lead(load_policy("constant(quality=5)", "abr"), Genet, "synthetic")(net, traces)
    assert lead == pytest.approx(4.3 - 4.0 / 47 - 0.3, abs=1e-9)  # one switch up, no stall


# --- training ---


def test_a_short_training_with_two_rounds_beats_its_beginning(tmp_path, no_data, small_search):
    train(tmp_path / "run", steps=24_000, validate_every=4)
    curve = [json.loads(line) for line in (tmp_path / "run" / CURVE).read_text().splitlines()]
    values = [point["valid_generated"] for point in curve]
    assert max(values) > values[0] + 0.3
    unit = mean(score(load_policy("robust-mpc", "abr"), "genet(space=udr3,seed=2,count=6)", "synthetic"))
    assert [p["valid"] for p in curve] == pytest.approx([v / unit for v in values], abs=1e-5)
    policy = load_policy(str(tmp_path / "run"), "abr")
    assert isinstance(policy, Genet)
    kept = mean(score(policy, "genet(space=udr3,seed=2,count=6)", "synthetic"))
    assert kept == pytest.approx(max(values), abs=1e-6)  # the best weights are the ones written
    (training,) = read(tmp_path / "run").trainings
    assert (
        list(training.scores) == ["synthetic", "udr3, held out"]
        and len(training.scores["udr3, held out"]["genet"].values) == 6
    )
    card = (tmp_path / "run" / "README.md").read_text()
    assert "Configurations found" in card and "| 2 | " in card and "Nothing on test splits" in card


def test_a_training_killed_between_rounds_resumes_to_the_same_bits(tmp_path, monkeypatch, no_data, small_search):
    options = {"steps": 32 * 47 * 8, "validate_every": 2, "real_traces": "synthetic(count=5)"}
    options |= {"real_valid": "synthetic(count=3,seed=1)", "actions": "jump"}
    expected = train(tmp_path / "whole", **options)

    iterate, calls = ppo.Learner.iterate, []

    def killed(self, chosen=None):
        calls.append(1)
        if len(calls) == 6:  # rounds begin with iterations 3 and 6, a checkpoint is written after 2, 4, 6
            raise KeyboardInterrupt
        return iterate(self, chosen)

    monkeypatch.setattr(ppo.Learner, "iterate", killed)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", **options)
    monkeypatch.setattr(ppo.Learner, "iterate", iterate)
    torch.manual_seed(99)
    searches, search = [], curriculum.widest_gap
    monkeypatch.setattr(curriculum, "widest_gap", lambda *given: (searches.append(given[-1]), search(*given))[1])
    resumed = train(tmp_path / "killed", **options)
    assert searches == [1]  # the first round is in the checkpoint
    assert all(torch.equal(resumed[name], value) for name, value in expected.items())
    for name in (CURVE, "README.md"):
        texts = [(tmp_path / folder / name).read_text().split("## Training")[0] for folder in ("whole", "killed")]
        assert texts[0] == texts[1]
    assert expected["head.weight"].shape[0] == 3
    with pytest.raises(ValueError, match="made with another method; remove it or write to another folder"):
        train(tmp_path / "killed", method="udr", **options)


def test_udr_never_searches_and_is_a_policy_of_its_own(tmp_path, monkeypatch, no_data, small_search):
    monkeypatch.setattr("agents.abr.curriculum.widest_gap", lambda *given: pytest.fail("a search"))
    train(tmp_path / "udr", method="udr", steps=32 * 47 * 2, validate_every=1)
    assert isinstance(load_policy(str(tmp_path / "udr"), "abr"), UDR)
    assert "Configurations" not in (tmp_path / "udr" / "README.md").read_text()
    with pytest.raises(ValueError, match="holds weights of 'udr', not of 'genet'"):
        Genet(str(tmp_path / "udr"))


def trained_folder(folder, seeds):
    """A folder whose training.json tells of trainings with these scores of "a" and "b" by seed."""
    common = {"command": "", "data": "", "settings": {}, "steps": 1, "unit": "steps", "cpu_s": 1.0, "wall_s": 1.0}
    common |= {"kept": 1, "curve": []}
    folder.mkdir()
    trainings = [
        Training(seed=seed, scores={"a": {"genet": Score.of(values)}, "b": {"genet": Score.of([1.0, 2.0])}}, **common)
        for seed, values in seeds.items()
    ]
    (folder / "training.json").write_text(json.dumps(asdict(record("genet", "", trainings))))
    return folder


def test_paired_table_is_the_difference_on_the_same_traces(tmp_path):
    first = trained_folder(tmp_path / "first", {0: [1.0, 2.0, 4.0], 1: [3.0, 2.0, 0.0]})
    second = trained_folder(tmp_path / "second", {0: [0.0, 2.0, 1.0], 1: [0.0, 2.0, 0.0]})
    table = paired_table((first, second))
    rows = [np.array([1.0, 0, 3]), np.array([3.0, 0, 0]), np.array([2.0, 0, 1.5])]
    intervals = [bounds(row) for row in rows]
    assert table[0] == "| seed | a | b |" and len(table) == 5
    for label, line, values, (low, high) in zip(("0", "1", "mean"), table[2:], rows, intervals, strict=True):
        assert line == f"| {label} | {mean(values):+.4f} [{low:+.3f}, {high:+.3f}] | +0.0000 [+0.000, +0.000] |"
    with pytest.raises(ValueError, match="give two folders to compare, not 1"):
        paired_table((first,))
    with pytest.raises(ValueError, match=r"no training\.json of a finished training"):
        paired_table((first, tmp_path / "none"))
    with pytest.raises(ValueError, match=r"has the seeds \[0, 1\], .* has \[2\]"):
        paired_table((first, trained_folder(tmp_path / "third", {2: [1.0, 2.0, 3.0]})))


# --- bad input ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"space": "udr4"}, "space 'udr4'"),
        ({"baseline": "oracle"}, "baseline 'oracle'"),
        ({"pool": 9}, "pool must be 10 traces or more, not 9"),
        ({"real_share": 1.0}, "real-share must be from 0 to below 1, not 1.0"),
        ({"warm_up": -0.1}, "warm-up must be from 0 to below 1, not -0.1"),
        ({"rounds": 0}, "rounds must be 1 or more, not 0"),
        ({"steps": 0}, "steps must be positive"),
        (
            {"steps": 32 * 47 * 3, "rounds": 3},
            "3 rounds need as many iterations after the warm-up, this training has 2",
        ),
        ({"real_traces": "synthetic(count=3)", "real_valid": "nowhere"}, "traces 'nowhere'"),
        ({"real_traces": "synthetic(count=3)", "real_share": 0.9}, "leaves none of 4 groups for generated traces"),
        ({"seed": -1}, "seed must be 0 or more, not -1"),
    ],
)
def test_wrong_arguments_are_one_line(tmp_path, no_data, small_search, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        train(tmp_path / "run", **options)
    assert "\n" not in str(caught.value)


def test_traces_that_the_rule_cannot_play_choose_no_weights():
    slow = GenetConfig(min_bw_mbps=0.05, max_bw_mbps=0.06, change_interval=1, rtt_ms=20, buffer_cap_s=20)
    traces = traces_of("slow", [slow], [[0, 1]])
    rule = load_policy("bba", "abr")
    with pytest.raises(ValueError, match="QoE on the generated validation traces: choose others"):
        Validation(Genet, rule, "synthetic", {"generated": (traces, 1)})


# --- what is shipped ---


def test_help_names_the_spaces(capsys):
    with pytest.raises(SystemExit):
        tyro.cli(Args, args=["--help"])
    text = capsys.readouterr().out
    assert all(space in text for space in GENET_SPACES)


@pytest.mark.parametrize("policy_class", [Genet, UDR])
def test_shipped_policies_keep_the_contract_and_beat_the_simple_rules(policy_class):
    check_policy(policy_class(), "abr")
    traces = "genet(space=udr3,seed=1,count=100)"
    assert mean(score(policy_class(), traces)) > mean(score(load_policy("bba", "abr"), traces))
    sampled = policy_class(mode="sampled")
    specs = [EpisodeSpec(seed, options={"trace": 0}) for seed in (1, 1, 2)]
    one, again, other = play(sampled, "netenvs/ABR-v0", specs)
    assert np.array_equal(one.actions, again.actions) and not np.array_equal(one.actions, other.actions)


def test_cards_of_both_tell_the_same_settings_and_seeds():
    first, second = read(Genet.shipped).trainings, read(UDR.shipped).trainings
    assert [one.seed for one in first] == [one.seed for one in second]
    for one, other in zip(first, second, strict=True):
        assert one.steps == other.steps
        assert {**one.settings, "method": ""} == {**other.settings, "method": ""}
        assert list(one.scores) == list(other.scores)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 100), "no safetensors file, train or"),
        (lambda folder: (folder / "model.safetensors").unlink(), "it has no model.safetensors"),
        (lambda folder: (folder / "config.json").write_text("[]"), "not a policy's config.json"),
        (
            lambda folder: shutil.copyfile(UDR.shipped / "config.json", folder / "config.json"),
            "holds weights of 'udr', not of 'genet'",
        ),
    ],
)
def test_damaged_and_foreign_folders_are_one_line(tmp_path, damage, message):
    folder = tmp_path / "weights"
    shutil.copytree(Genet.shipped, folder)
    damage(folder)
    with pytest.raises(PolicyError, match=message) as caught:
        load_policy("genet", "abr", folder=str(folder))
    assert "\n" not in str(caught.value)
