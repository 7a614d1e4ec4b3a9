"""``python -m distill teach``: tiny trainings of each task on the real path, killed ones, refused ones."""

import json

import pytest
import torch
from killed import killed_in
from safetensors.torch import load_file

from agents.abr import scores
from agents.policy import PolicyError, load_policy
from agents.rollout import EpisodeSpec, play
from agents.training.card import read
from distill.__main__ import main
from distill.commands import teach
from distill.recipes.abr import training

SETTINGS = {
    "abr": ["warm_up=1", "traces=2", "sessions=8", "validation=4", "known=1"],
    "cjs": [
        "workload=synthetic",
        "sizes=4x2,6x2",
        "episodes=2",
        "validation=2",
        "warm_up=3",
        "improve=1",
        "judged=1",
        "samples=2",
    ],
    "vp": ["dataset=synthetic(videos=8,users=12)", "step=20"],
}
PLAYED = {
    "abr": ("netenvs/ABR-v0", {}),
    "cjs": ("netenvs/CJS-v0", {"num_jobs": 3, "num_executors": 4}),
    "vp": ("netenvs/VP-v0", {"dataset": "synthetic"}),
}
TASKS = list(SETTINGS)


def command(task, folder, *more, backbone=None, settings=None):
    words = ["teach", "--task", task, "--out", str(folder), "--iterations", "1", "--steps", "2", "--batch", "4"]
    for setting in SETTINGS[task] if settings is None else settings:
        words += ["--set", setting]
    if backbone is not None:
        words += ["--backbone", str(backbone), "--lora-rank", "4"]
    return [*words, *more]


def weights(folder):
    return load_file(folder / "model.safetensors")


def same(one, other):
    one, other = weights(one), weights(other)
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("task", TASKS)
def test_each_task_is_taught_on_a_model_from_disk_and_plays(task, tiny_llama, tmp_path):
    folder = tmp_path / "run"
    assert main(command(task, folder, "--no-score", backbone=tiny_llama)) == 0
    config = json.loads((folder / "config.json").read_text())
    assert (config["policy"], config["task"]) == ("netllm", task)
    stored = weights(folder)
    assert any("lora_" in name for name in stored)
    assert not any("mlp.gate_proj.weight" in name for name in stored)  # frozen ones are looked up
    policy = load_policy(str(folder), task)
    env_id, options = PLAYED[task]
    specs = [EpisodeSpec(seed) for seed in range(3)]
    together = play(policy, env_id, specs, options, num_envs=3)
    alone = play(policy, env_id, specs, options, num_envs=1)
    for one, other in zip(together, alone, strict=True):
        assert one.total_reward == pytest.approx(other.total_reward, rel=1e-3)


@pytest.mark.parametrize("task", TASKS)
def test_a_killed_training_ends_in_the_same_bits(task, tiny_llama, tmp_path):
    more = ["--no-score", "--iterations", "2"]
    assert main(command(task, tmp_path / "straight", *more, backbone=tiny_llama)) == 0
    with killed_in(1):
        assert main(command(task, tmp_path / "killed", *more, backbone=tiny_llama)) == 130
    assert main(command(task, tmp_path / "killed", *more, backbone=tiny_llama)) == 0
    assert same(tmp_path / "straight", tmp_path / "killed")


@pytest.mark.parametrize("task", TASKS)
def test_the_papers_recipe_imitates_a_pool(task, request, tiny_llama, tmp_path):
    pool = request.getfixturevalue(f"{task}_pool")
    words = command(task, tmp_path, "--recipe", "netllm", "--pool", str(pool.folder), "--no-score", backbone=tiny_llama)
    assert main(words) == 0
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["net"]["tokenisation"] == "netllm"
    assert ("target" in config["settings"]) == (task != "vp")
    policy = load_policy(str(tmp_path), task)
    env_id, options = PLAYED[task]
    if task == "cjs":
        options = {"num_jobs": 3, "num_executors": 4, "max_jobs": 3}
    assert len(play(policy, env_id, [EpisodeSpec(0)], options)) == 1


def test_a_finished_training_has_scores_and_a_card(tiny_llama, tmp_path):
    assert main(command("vp", tmp_path, backbone=tiny_llama)) == 0
    found = read(tmp_path)
    assert found.task == "vp"
    assert set(next(iter(found.training.scores.values()))) >= {"netllm", "netllm(viewers=false)", "static"}
    text = (tmp_path / "README.md").read_text()
    assert "python -m distill teach --task vp" in text
    assert str(tmp_path) not in text


def test_the_best_of_several_seeds_is_shipped(tiny_llama, tmp_path):
    for seed in ("0", "1"):
        assert main(command("vp", tmp_path / seed, "--seed", seed, backbone=tiny_llama)) == 0
    shipped = tmp_path / "shipped"
    assert (
        main(["teach", "--task", "vp", "--ship", str(tmp_path / "0"), str(tmp_path / "1"), "--out", str(shipped)]) == 0
    )
    found = read(shipped)
    trainings = found.trainings
    best = max(trainings, key=lambda training: training.valid)
    assert found.training == best
    assert same(shipped, tmp_path / str(best.seed))
    assert "netllm, mean of 2" in (shipped / "README.md").read_text()
    again = ["--set", "alone=0.5", "--ship", str(tmp_path / "0"), str(tmp_path / "1")]  # data as they were trained on
    assert main(["teach", "--task", "vp", *again, "--out", str(tmp_path / "again")]) == 0
    assert "--task vp --set alone=0.5 --ship" in (tmp_path / "again" / "README.md").read_text()
    anew = [training.valid for training in read(tmp_path / "again").trainings]
    assert anew == pytest.approx([training.valid for training in trainings], abs=0.1)
    assert anew != [training.valid for training in trainings]  # of weights in half precision


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--recipe", "netllm"], "recipe netllm learns from pools"),
        (["--set", "nothing=1"], "unknown option 'nothing'"),
        (["--backbone", "nobody/nothing-7b"], "hf download nobody/nothing-7b"),
        (["--pool", "nowhere"], "nowhere: no pool"),
        (["--learning-rate", "-1"], "must be positive"),
        (["--iterations", "0"], "must be positive"),
        (["--accumulate", "8"], "batch 4 is too small for 8 parts"),
    ],
)
def test_impossible_arguments_are_one_line(words, message, tmp_path, capsys):
    assert main(command("vp", tmp_path / "run", *words, "--no-score")) != 0
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_a_checkpoint_of_other_arguments_is_refused(tiny_llama, tmp_path, capsys):
    assert main(command("vp", tmp_path, "--no-score", backbone=tiny_llama)) == 0
    assert main(command("vp", tmp_path, "--no-score", "--learning-rate", "1", backbone=tiny_llama)) == 1
    assert "made with another phases" in capsys.readouterr().err


def test_weights_of_another_task_are_refused(tiny_llama, tmp_path):
    assert main(command("vp", tmp_path, "--no-score", backbone=tiny_llama)) == 0
    with pytest.raises(PolicyError, match="vp"):
        load_policy(str(tmp_path), "abr")


def test_commands_of_cards_do_not_name_folders(monkeypatch):
    monkeypatch.setattr("sys.argv", ["distill", "teach", "--task", "vp", "--out", "/somewhere", "--seed", "3"])
    assert teach.Teach("vp")._command() == "python -m distill teach --task vp --seed 3"


def test_test_traces_choose_nothing(netllm_abr, tiny_llama, tmp_path, monkeypatch):
    loaded = []
    for module in (training, scores):
        original = module.load_traces
        monkeypatch.setattr(module, "load_traces", lambda spec, load=original: loaded.append(spec) or load(spec))
    assert main(command("abr", tmp_path, "--no-score", backbone=tiny_llama)) == 0
    assert {spec for spec in loaded if isinstance(spec, str)} == {"fcc-train-clean", "fcc-valid-clean"}
