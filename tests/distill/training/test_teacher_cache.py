"""Outputs of teachers that are kept beside pools: read again, by nobody else, and never when damaged."""

import shlex
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from toy_sequence import GRUBackbone

from agents.netllm.backbone import HFBackbone
from agents.netllm.load import ScratchBackbone
from agents.policy import load_policy
from agents.ragged import Ragged
from agents.rollout import EpisodeSpec
from agents.sequence.model import SequenceModel
from agents.sequence.nets.abr import ABRNet
from agents.sequence.nets.cjs import CJSNet
from agents.sequence.nets.vp import VPNet
from distill.__main__ import main
from distill.pools.collect import collect
from distill.pools.pool import Pool
from distill.recipes.vp import training as viewports
from distill.training import behaviour_cloning, teacher_cache
from distill.training.labelled_sequences import Labelled
from distill.training.teacher_cache import kept_beside, outputs_by_pool
from distill.training.teacher_source import teacher_outputs
from netenvs.spec import parse_spec

NETS = {"abr": ABRNet, "cjs": CJSNet, "vp": VPNet}
TEACH = shlex.split("teach --task abr --iterations 1 --steps 1 --batch 4 --no-score --set warm_up=0 --set improve=0")
DISTILL = shlex.split("distill --task abr --recipe paper --iterations 2 --steps 2 --batch 4 --no-score --init random")
SMALL = shlex.split("--set sessions=8 --set traces=2 --set validation=4")


class GRU(GRUBackbone):
    """Says what it is."""

    def config(self):
        return {"kind": "gru", "d_model": self.d_model}


def teacher_of(task, context=20, seed=7):
    torch.manual_seed(seed)
    return SequenceModel(NETS[task](16), GRU(), 0, context).eval()


def steps_of(pools, teacher, scale=(0.0, 1.0)):
    source = behaviour_cloning.Cloning(pools, teacher.task, scale, teacher.context, lambda policy: {"valid": 0.0})
    return source.gather(behaviour_cloning.phases(pools)[0], 0, None)


def ask(pools, teacher, keep=True, data=None):
    return outputs_by_pool(teacher, data or steps_of(pools, teacher), pools, "somebody", keep)


@pytest.fixture
def asked(monkeypatch):
    """How many sequences the teacher has been asked about, a number for each time."""
    counts = []

    def counted(teacher, data):
        counts.append(len(data))
        return teacher_outputs(teacher, data)

    monkeypatch.setattr(teacher_cache, "teacher_outputs", counted)
    return counts


def copy_of(pool, folder):
    shutil.copytree(pool.folder, folder)
    return Pool(folder)


def files(pool):
    return sorted((pool.folder / "teachers").glob("*"))


def assert_same(one, other):
    assert one.keys() == other.keys() and one
    for name, column in one.items():
        assert isinstance(other[name], type(column))
        for part in ("values", "offsets") if isinstance(column, Ragged) else (None,):
            mine, theirs = (getattr(found, part) if part else found for found in (column, other[name]))
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs)


def test_what_was_said_is_read_again(any_pool, asked, tmp_path):
    pool = copy_of(any_pool, tmp_path / "pool")
    teacher = teacher_of(pool.task)
    data = steps_of([pool], teacher)
    expected = teacher_outputs(teacher, data)
    assert_same(ask([pool], teacher, data=data), expected)
    assert_same(ask([pool], teacher, data=data), expected)
    assert asked == [len(data)]
    (path,) = files(pool)
    assert kept_beside(pool) == [f"teachers/{path.name}: outputs of somebody, {path.stat().st_size} bytes"]


def test_every_pool_has_a_file_of_its_own(abr_pool, asked, tmp_path):
    pools = [copy_of(abr_pool, tmp_path / "first")]
    episodes = [EpisodeSpec(seed, options={"trace": seed}) for seed in (7, 8, 9)]
    pools.append(collect(tmp_path / "second", "netenvs/ABR-v0", [load_policy("bba")], episodes))
    teacher = teacher_of("abr")
    together = ask(pools, teacher)
    assert_same(ask(pools, teacher, keep=False), together)  # the option changes no bit
    assert [len(files(pool)) for pool in pools] == [1, 1]
    del asked[:]
    first = pools[0].num_steps
    rows = np.r_[first : first + pools[1].num_steps, :first]
    assert_same(ask(pools[::-1], teacher), {name: column.take(rows) for name, column in together.items()})
    assert asked == []


def test_others_do_not_read_it(abr_pool, asked, tmp_path):
    pool = copy_of(abr_pool, tmp_path / "pool")
    teacher = teacher_of("abr")
    ask([pool], teacher)
    other = teacher_of("abr")
    with torch.no_grad():  # the same sum of magnitudes
        other.norm.weight[0] *= -1
    for number, (model, data) in enumerate(
        (
            (other, None),
            (teacher_of("abr", context=10), None),
            (teacher, steps_of([pool], teacher).windows(7)),
            (teacher, _acted(steps_of([pool], teacher))),
        ),
        2,
    ):
        assert_same(ask([pool], model, data=data), teacher_outputs(model, data or steps_of([pool], model)))
        assert len(asked) == len(files(pool)) == number


def _acted(data):
    return Labelled(data.sequences, {**data.targets, "action": (data.targets["action"] + 1) % 6})


def test_the_same_weights_in_another_shape_are_another_teacher(abr_pool, asked, tmp_path):
    pool = copy_of(abr_pool, tmp_path / "pool")
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    models = []
    for heads in (2, 4):
        torch.manual_seed(7)
        backbone = ScratchBackbone({**sizes, "num_attention_heads": heads, "num_key_value_heads": heads})
        models.append(SequenceModel(ABRNet(16), backbone, 0, 20).eval())
    models[1].load_state_dict(models[0].state_dict())
    for model in models:
        assert_same(ask([pool], model), teacher_outputs(model, steps_of([pool], model)))
    assert len(asked) == len(files(pool)) == 2


def test_what_was_said_of_another_pool_is_not_read(asked, tmp_path):
    """The same actions elsewhere."""
    policy, teacher, pools = load_policy("constant(quality=1)"), teacher_of("abr"), []
    for trace in (0, 1):
        played = [EpisodeSpec(0, options={"trace": trace})]
        pools.append(collect(tmp_path / str(trace), "netenvs/ABR-v0", [policy], played))
    ask(pools[:1], teacher)
    shutil.copytree(pools[0].folder / "teachers", pools[1].folder / "teachers")
    assert_same(ask(pools[1:], teacher), teacher_outputs(teacher, steps_of(pools[1:], teacher)))
    assert len(asked) == 2


def test_returns_on_another_scale_are_another_question(abr_pool, asked, tmp_path):
    pool = copy_of(abr_pool, tmp_path / "pool")
    torch.manual_seed(0)
    teacher = SequenceModel(ABRNet(16, returns=True), GRU(), 0, 20).eval()
    for scale, times in (((0.0, 1.0), 1), ((0.0, 2.0), 2), ((0.0, 1.0), 2)):
        ask([pool], teacher, data=steps_of([pool], teacher, scale))
        assert len(asked) == times


def test_previous_viewers_are_part_of_the_question(vp_pool, asked, tmp_path, monkeypatch):
    pool = copy_of(vp_pool, tmp_path / "pool")
    teacher = teacher_of("vp")
    data = steps_of([pool], teacher)
    ask([pool], teacher, data=data)
    load = viewports.load_recordings
    monkeypatch.setattr(viewports, "load_recordings", lambda spec: load(f"{parse_spec(spec)[0]}(seed=5)"))
    ask([pool], teacher, data=data)
    assert len(asked) == 2


def damaged(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def short(path):
    path.write_bytes(path.read_bytes()[:-100])


def empty(path):
    path.write_bytes(b"")


def of_a_pool(path):
    shutil.copyfile(next(path.parent.parent.glob("*.safetensors")), path)


def of_another_teacher(path):
    pool = Pool(path.parent.parent)
    path.rename(path.with_suffix(".own"))
    ask([pool], teacher_of("abr", seed=8))
    next(path.parent.glob("*.safetensors")).rename(path)


@pytest.mark.parametrize("harm", [damaged, short, empty, of_a_pool, of_another_teacher])
def test_a_wrong_file_is_one_line(harm, abr_pool, tmp_path):
    pool = copy_of(abr_pool, tmp_path / "pool")
    teacher = teacher_of("abr")
    expected = ask([pool], teacher)
    (path,) = files(pool)
    harm(path)
    with pytest.raises(ValueError, match="remove it, and the teacher is asked anew") as error:
        ask([pool], teacher)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    path.unlink()
    assert_same(ask([pool], teacher), expected)


def test_what_killed_trainings_left_goes(abr_pool, tmp_path):
    pool = copy_of(abr_pool, tmp_path / "pool")
    teacher = teacher_of("abr")
    ask([pool], teacher)
    (path,) = files(pool)
    path.rename(path.with_name(f".{path.name}.0123abcd.part"))
    ask([pool], teacher)
    assert files(pool) == [path]


def test_pools_go_on_working(abr_pool, tmp_path, capsys):
    pool = copy_of(abr_pool, tmp_path / "pool")
    ask([pool], teacher_of("abr"))
    words = ["collect", "--task", "abr", "--policies", "bola", "--episodes", "1", "--noise", "0.25", "--seed", "3"]
    assert main([*words, "--out", str(pool.folder)]) == 0
    assert main(["verify", str(pool.folder)]) == 0
    assert main(["merge", str(pool.folder), "--out", str(tmp_path / "both")]) == 0
    assert not (tmp_path / "both" / "teachers").exists()
    (path,) = files(pool)
    (pool.folder / "teachers" / "notes.safetensors").write_bytes(b"mine")
    capsys.readouterr()
    assert main(["info", str(pool.folder)]) == 0
    out = capsys.readouterr().out
    size = path.stat().st_size
    assert f"teachers/{path.name}: outputs of somebody, {size} bytes; of other episodes than are in the pool now" in out
    assert "teachers/notes.safetensors: damaged, or no outputs of a teacher; remove it\n" in out
    assert "not part of it" not in out
    asked_again = Pool(pool.folder)
    ask([asked_again], teacher_of("abr"))
    assert len([one for one in kept_beside(asked_again) if "of other episodes" in one]) == 1


@pytest.fixture
def passes(monkeypatch):
    """Calls of language models: shapes of their embeddings."""
    seen = []

    def counting(method):
        def counted(self, embeddings, *more):
            seen.append(tuple(embeddings.shape))
            return method(self, embeddings, *more)

        return counted

    for name in ("forward", "step"):
        monkeypatch.setattr(HFBackbone, name, counting(getattr(HFBackbone, name)))
    return seen


def test_a_second_student_does_without_the_teacher(tiny_llama, tmp_path, passes, capsys):
    collected = ["collect", "--task", "abr", "--policies", "bba", "--episodes", "3", "--out", str(tmp_path / "pool")]
    assert main(collected) == 0
    assert main([*TEACH, *SMALL, "--backbone", str(tiny_llama), "--out", str(tmp_path / "teacher")]) == 0
    common = [*DISTILL, *SMALL, "--teacher", str(tmp_path / "teacher"), "--pool", str(tmp_path / "pool")]

    def run(name, *more):
        del passes[:]
        assert main([*common, "--out", str(tmp_path / name), *more]) == 0
        return len(passes)

    assert run("plain") > 0 and not (tmp_path / "pool" / "teachers").exists()
    assert run("first", "--cache-teacher") > 0
    assert run("second", "--cache-teacher") == 0
    assert run("another", "--cache-teacher", "--seed", "1") == 0
    plain, *others = (
        load_file(tmp_path / name / "model.safetensors") for name in ("plain", "first", "second", "another")
    )
    for other, same in zip(others, (True, True, False), strict=True):
        assert all(torch.equal(value, other[name]) for name, value in plain.items()) == same
    (path,) = (tmp_path / "pool" / "teachers").glob("*")
    damaged(path)
    capsys.readouterr()
    assert main([*common, "--out", str(tmp_path / "third"), "--cache-teacher"]) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith(f"error: {path}: ") and "\n" not in said


def test_only_pools_are_cached(tmp_path, capsys):
    words = [word for word in DISTILL if word not in ("--recipe", "paper")]
    assert main([*words, *SMALL, "--out", str(tmp_path / "run"), "--cache-teacher"]) == 2
    assert "--recipe paper" in capsys.readouterr().err and not (tmp_path / "run").exists()
