"""``python -m distill distill``: tiny students of each task on the real path."""

import json

import pytest
import torch
from killed import killed_in
from safetensors.torch import load_file

from agents.pretrained import CHECKPOINTS, WEIGHTS
from agents.sequence.checkpoint import load_policy_model
from distill.__main__ import main

SETTINGS = {
    "abr": ["sessions=8", "traces=2", "validation=4", "known=1"],
    "cjs": ["workload=synthetic", "sizes=4x2", "episodes=2", "validation=2", "judged=2", "samples=2"],
    "vp": ["dataset=synthetic(videos=8,users=12)", "step=20"],
}
OF_TEACHERS = {"abr": ["warm_up=0", "improve=0"], "cjs": ["warm_up=0", "improve=0"], "vp": []}


def words(kind, task, folder, *more):
    found = [
        kind,
        "--task",
        task,
        "--out",
        str(folder),
        "--iterations",
        "1",
        "--steps",
        "1",
        "--batch",
        "4",
        "--no-score",
    ]
    for setting in [*SETTINGS[task], *(OF_TEACHERS[task] if kind == "teach" else [])]:
        found += ["--set", setting]
    return [*found, *more]


def teach(task, folder, backbone):
    """Make a teacher that has hardly learned anything."""
    assert main(words("teach", task, folder, "--backbone", str(backbone))) == 0


@pytest.fixture(scope="module", params=SETTINGS)
def taught(request, tiny_llama, tmp_path_factory):
    """A task, and the folder of its teacher."""
    folder = tmp_path_factory.mktemp("teacher") / "run"
    teach(request.param, folder, tiny_llama)
    return request.param, folder


def test_a_student_follows_a_teacher_from_its_weights(taught, tmp_path):
    task, teacher = taught
    assert main(words("distill", task, tmp_path / "cwr", "--teacher", str(teacher))) == 0
    assert main(words("distill", task, tmp_path / "random", "--teacher", str(teacher), "--init", "random")) == 0
    config = json.loads((tmp_path / "cwr" / "config.json").read_text())
    assert (config["policy"], config["task"], config["backbone"]["kind"]) == ("mamba4net", task, "hybrid")
    model, _, size = load_policy_model(tmp_path / "cwr", "mamba4net")
    assert sum(value.numel() for value in model.parameters()) < 2_000_000
    assert size < (CHECKPOINTS / f"{task}-netllm" / WEIGHTS).stat().st_size / 2
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("cwr", "random"))
    assert any(not torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.slow
def test_the_papers_student_learns_on_a_processor(tiny_llama, tmp_path):
    teach("abr", tmp_path / "teacher", tiny_llama)
    more = ["--teacher", str(tmp_path / "teacher"), "--size", "paper", "--no-improve"]
    found = words("distill", "abr", tmp_path / "student", *more)
    found[found.index("--steps") + 1] = "20"
    assert main(found) == 0
    model, _, _ = load_policy_model(tmp_path / "student", "mamba4net")
    assert sum(value.numel() for value in model.backbone.parameters()) == 22_860_416


@pytest.mark.parametrize(
    ("task", "init"), [("vp", "random"), ("abr", "cwr"), pytest.param("cjs", "cwr", marks=pytest.mark.slow)]
)
def test_a_killed_distillation_ends_in_the_same_bits(task, init, tiny_llama, tmp_path):
    teach(task, tmp_path / "teacher", tiny_llama)
    more = ["--teacher", str(tmp_path / "teacher"), "--iterations", "2", "--init", init]
    assert main(words("distill", task, tmp_path / "straight", *more)) == 0
    with killed_in(1):
        assert main(words("distill", task, tmp_path / "killed", *more)) == 130
    assert main(words("distill", task, tmp_path / "killed", *more)) == 0
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("straight", "killed"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_papers_recipe_needs_a_pool(taught, tmp_path, capsys):
    task, teacher = taught
    assert main(words("distill", task, tmp_path, "--teacher", str(teacher), "--recipe", "paper")) != 0
    assert "recipe paper learns from pools" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--teacher", "static"], "static"),
        (["--teacher", "nowhere/to/be/found"], "there is no file or checkpoint folder"),
        (["--alpha", "-1"], "alpha and beta must be 0 or more"),
        (["--set", "warm_up=3"], "--set warm_up: says how a teacher is trained"),
        (["--beta", "1"], "--beta: counts while the student learns from returns"),
        (["--no-improve"], "--no-improve: vp has no such phase"),
        (["--temperature", "2"], "--temperature: is of choices"),
        (["--recipe", "paper", "--alpha", "0", "--cache-teacher"], "cache-teacher: with alpha 0"),
    ],
)
def test_impossible_arguments_are_one_line(more, message, tmp_path, capsys):
    assert main(words("distill", "vp", tmp_path / "run", *more)) != 0
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]
