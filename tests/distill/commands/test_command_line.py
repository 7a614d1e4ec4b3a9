"""``python -m distill``: what it says, and its exit status."""

from dataclasses import replace

import numpy as np
import pytest

from distill.__main__ import COMMANDS, main
from distill.pools.pool import Pool
from distill.recipe import training_recipe


def collect(tmp_path, *words, name="pool", policies="bba,constant(quality=1)"):
    common = ["collect", "--task", "abr", "--policies", policies, "--out", str(tmp_path / name)]
    return main([*common, *words])


def test_collect_info_verify_merge(tmp_path, capsys):
    assert collect(tmp_path, "--episodes", "2", "--noise", "0.5", "--seed", "7", "--set", "qoe=log") == 0
    assert capsys.readouterr().out.endswith("pool: 4 episodes, 188 steps of bba, constant(quality=1)\n")
    pool = Pool(tmp_path / "pool")
    assert pool.env_options == {"qoe": "log"} and pool.episodes["seed"].tolist() == [7, 8, 7, 8]
    assert pool.episodes["reset/trace"].tolist() == [0, 1, 0, 1]
    assert collect(tmp_path, "--episodes", "2", "--noise", "0.5", "--seed", "7", "--set", "qoe=log") == 0
    assert "all of this was there already" in capsys.readouterr().out
    assert collect(tmp_path, "--episodes", "1", "--set", "qoe=log", name="other", policies="bola") == 0
    folders = [str(tmp_path / name) for name in ("pool", "other", "both")]
    assert main(["merge", *folders[:2], "--out", folders[2]]) == 0
    assert main(["verify", *folders]) == 0
    assert [line.endswith(": intact") for line in capsys.readouterr().out.splitlines()[-3:]] == [True] * 3
    assert main(["info", folders[2]]) == 0
    out = capsys.readouterr().out
    assert "5 episodes, 235 steps, 3 shards" in out and "bola" in out and "random actions" in out
    assert "info/delay_ms" in out and "qoe=log" in out


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(tmp_path, capsys, full_disk):
    with full_disk(2**13):
        assert collect(tmp_path, "--episodes", "2") == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert said.err.startswith(f"error: {tmp_path / 'pool'}/") and "File too large; raise the limit" in said.err
    assert not list((tmp_path / "pool").iterdir())
    assert collect(tmp_path, "--episodes", "2") == 0


def test_codes_of_terminals_in_names_are_written_out(tmp_path, capsys):
    assert collect(tmp_path, "--episodes", "1", name="\x1b[31m[red]pool") == 0
    assert main(["info", str(tmp_path / "\x1b[31m[red]pool")]) == 0
    assert main(["verify", str(tmp_path / "\x1b[31m[red]pool"), str(tmp_path / "\x1b[1mno")]) == 1
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err and said.out.count(r"\x1b[31m[red]pool") == 3


def test_clusters_are_those_of_comparisons(tmp_path):
    words = ["--set", "num_jobs=2", "--set", "max_jobs=2", "--episodes", "2", "--out", str(tmp_path / "pool")]
    assert main(["collect", "--task", "cjs", "--policies", "fair", *words]) == 0
    pool = Pool(tmp_path / "pool")
    assert pool.env_id == "netenvs/CJS-small-v0" and pool.task == "cjs" and pool.env_options["num_executors"] == 10
    assert pool.episodes["seed"].tolist() == [0, 1]


def test_viewports_are_those_of_the_training_split(tmp_path, capsys):
    common = ["collect", "--task", "vp", "--policies", "static", "--out"]
    assert main([*common, str(tmp_path / "pool"), "--episodes", "3"]) == 0
    pool = Pool(tmp_path / "pool")
    assert pool.env_options == {"split": "train"} and pool.episodes["reset/window"].tolist() == [0, 1, 2]
    assert pool.column("actual_path").shape == (3, 20, 3)
    capsys.readouterr()
    assert main([*common, str(tmp_path / "more"), "--episodes", "1000000"]) == 2
    assert "--episodes 1000000: with split=train there are 4000 different ones" in capsys.readouterr().err
    assert main([*common, str(tmp_path / "more"), "--noise", "0.1"]) == 2
    assert "--noise 0.1: random actions are for discrete choices" in capsys.readouterr().err
    assert not (tmp_path / "more").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--episodes", "0"], "--episodes must be from 1 up, not 0"),
        (["--seed", "-1"], "--seed must be from 0 up"),
        (["--noise", "2"], "noise must be a probability"),
        (["--set", "qoe"], "--set qoe: write KEY=VALUE"),
        (["--set", "qoe=log", "--set", "qoe=hd"], "--set qoe: given twice"),
        (
            ["--set", "traces=synthetic", "--dataset", "synthetic"],
            "--set traces: given twice; the trace split",
        ),
        (["--set", "traces=synthetic"], "--set traces: the trace split is chosen with --dataset"),
        (["--set", "quality=3"], "--set: unknown option 'quality'; known: "),
        (["--set", "qo=log"], "--set: unknown option 'qo'; did you mean 'qoe'?"),
        (["--task", "cj"], "unknown task 'cj'; did you mean 'cjs'?"),
        (
            ["--episods", "1"],
            "unknown option '--episods' (did you mean '--episodes'?); see python -m distill collect --help",
        ),
        (["--seed", "x"], "--seed: not a whole number: 'x'; see python -m distill collect"),
        (["--dataset", "nowhere"], "nowhere"),
        (["--policies", "bbba"], "did you mean 'bba'"),
        (["--policies", "bba,bba"], "two policies have the same name"),
    ],
)
def test_wrong_options_are_one_line(words, message, tmp_path, capsys):
    assert collect(tmp_path, *words) == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("error: ") and said.count("\n") == 1
    assert not (tmp_path / "pool").exists()


@pytest.mark.parametrize("command", ["teach", "distill"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--task vp-streaming", "vp-streaming has no recipe to learn from; tasks with one: abr, cjs, vp"),
        ("--task arb", "unknown task 'arb'; did you mean 'abr'? known: abr, cjs, vp, vp-streaming"),
        ("--task abr --set session=8", "--set: unknown option 'session'; did you mean 'sessions'?"),
        ("--task abr --sed 8", "unknown option '--sed' (did you mean '--seed'?); see python -m distill"),
    ],
)
def test_what_cannot_be_learned_is_one_line(command, words, message, capsys):
    assert main([command, *words.split()]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {message}") and said.count("\n") == 1


def test_tasks_without_students_are_one_line(monkeypatch, capsys):
    from distill.commands import training_command

    without = replace(training_recipe("cjs"), student=None)
    monkeypatch.setattr(training_command, "training_recipe", lambda task: without)
    assert main(["distill", "--task", "cjs"]) == 2
    assert capsys.readouterr().err == "error: cjs has no recipe for students\n"


def test_tasks_without_a_recipe_are_collected(tmp_path, capsys):
    common = ["collect", "--task", "vp-streaming", "--policies", "static-rate,crowd-rate", "--episodes", "2"]
    folders = [str(tmp_path / name) for name in ("pool", "more", "both")]
    assert main([*common, "--out", folders[0], "--noise", "0.25"]) == 0
    pool = Pool(folders[0])
    assert pool.task == "vp-streaming" and pool.policies == ["static-rate", "crowd-rate"] and len(pool) == 4
    assert pool.env_options == {"split": "train"}
    assert pool.episodes["reset/recording"].tolist() == pool.episodes["reset/trace"].tolist() == [0, 1] * 2
    units = {name: column["unit"] for name, column in pool.columns.items()}
    assert units["reward"] == "QoE" and units["obs/history"] == "degrees (roll, pitch, yaw)"
    assert units["info/wasted_mbyte"] == "Mbyte" and units["episode/final_obs/history"] == units["obs/history"]
    assert main([*common, "--out", folders[0], "--noise", "0.25"]) == 0
    assert "all of this was there already" in capsys.readouterr().out
    assert main([*common, "--out", folders[1], "--noise", "0.25", "--seed", "5"]) == 0
    assert main(["merge", *folders[:2], "--out", folders[2]]) == 0 and len(Pool(folders[2])) == 8
    assert main(["verify", *folders]) == 0 and main(["info", folders[2]]) == 0
    assert "crowd-rate" in capsys.readouterr().out
    assert main([*common, "--out", str(tmp_path / "none"), "--expert-values"]) == 2
    assert "--expert-values: there is no oracle of vp-streaming, only of abr" in capsys.readouterr().err


def test_policies_that_fail_are_no_wrong_arguments(tmp_path, capsys):
    (tmp_path / "own.py").write_text(
        "from agents.policy import Policy\nclass Own(Policy):\n    def act(self, *seen):\n        return 9\n"
    )
    assert collect(tmp_path, "--episodes", "1", policies=str(tmp_path / "own.py")) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: Own: trace 0, seed 0, decision 0: ") and said.count("\n") == 1


def test_folders_of_something_else_are_no_wrong_arguments(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert collect(tmp_path, "--episodes", "1", name=".") == 1
    assert "not empty (notes.txt)" in capsys.readouterr().err


def test_wrong_pools_are_one_line(tmp_path, capsys):
    for command in ("info", "verify"):
        assert main([command, str(tmp_path / "nowhere")]) == 1
    said = capsys.readouterr()
    assert (said.out + said.err).count("error: ") == 2 and (said.out + said.err).count("\n") == 2
    assert main(["verify"]) == 1 and main(["merge", "--out", str(tmp_path / "all")]) == 1
    assert capsys.readouterr().err == "error: verify needs at least one pool\nerror: merge needs at least one pool\n"


def test_commands_are_listed(capsys):
    assert main(["--help"]) == 0 and main([]) == 2
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)
    assert main(["colect"]) == 2
    assert "did you mean 'collect'" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    assert main([command, "--help"]) == 0
    assert f"python -m distill {command}" in capsys.readouterr().out


def test_leftovers_are_named(tmp_path, capsys):
    collect(tmp_path, "--episodes", "1")
    (tmp_path / "pool" / "left.safetensors").write_bytes(b"")
    assert main(["info", str(tmp_path / "pool")]) == 0
    assert "1 files are not part of it" in capsys.readouterr().out


def test_expert_values(tmp_path, capsys):
    words = ["collect", "--task", "abr", "--policies", "bba", "--dataset", "synthetic(count=2)", "--expert-values"]
    assert main([*words, "--out", str(tmp_path / "pool")]) == 0
    pool = Pool(tmp_path / "pool")
    values, rewards = pool.episode(0)["expert_values"], pool.episode(0)["returns_to_go"]
    assert values.shape == (47, 6) and pool.columns["expert_values"]["unit"] == "QoE to the end"
    assert np.all(values.max(axis=1) > rewards - 1) and values[0].max() > rewards[0]
    np.testing.assert_allclose(values[-1, pool.episode(0)["action"][-1]], rewards[-1], atol=1e-9)
    words = ["collect", "--task", "cjs", "--policies", "fair", "--out", str(tmp_path / "jobs"), "--expert-values"]
    assert main(words) == 2
    assert "--expert-values: there is no oracle of cjs, only of abr" in capsys.readouterr().err
