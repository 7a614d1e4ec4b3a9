"""The command, run in process on a few synthetic episodes."""

import functools
import importlib.util
import json
import re
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from agents.rollout import EpisodeSpec, play
from benchmarks.compare import command as compare
from benchmarks.compare import evaluate
from netenvs import datasets, tasks
from netenvs.files import only_one

WORDS = ["--task", "abr", "--policies", "bba", "--episodes", "1"]
OWN_POLICIES = '''
from agents.policy import Policy

class Careful(Policy):
    """Low until there is a buffer."""

    def act(self, observation, info):
        return 0 if info["buffer_s"] < 10 else 2

class Level(Policy):
    def __init__(self, level=0, boost=0):
        self.level = level + boost

    def act(self, observation, info):
        return self.level

class Raises(Policy):
    name = "<b>raises</b>"

    def act(self, observation, info):
        if info["chunk"] == 4:
            raise RuntimeError("lost\\nthe thread")
        return 0

class Garbage(Policy):
    def act(self, observation, info):
        return "high"

class Quits(Policy):
    def act(self, observation, info):
        raise SystemExit("enough")

class Interrupts(Policy):
    def act(self, observation, info):
        raise KeyboardInterrupt

class Greedy(Policy):
    observation_options = {"qoe": "log"}

    def act(self, observation, info):
        return 0
'''


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(OWN_POLICIES)
    return str(path)


@pytest.fixture
def run(command):
    """``command`` with the task."""
    return functools.partial(command, "abr")


def row_of(results, policy):
    return next(row for row in results["rows"] if row["policy"] == policy)


def test_results_have_the_agreed_schema(run, tmp_path):
    status, results, out, err = run(
        "--policies", "constant,bba,random", "--episodes", "4", "--json", str(tmp_path / "deep" / "copy.json")
    )
    assert status == 0
    assert err == ""
    assert list(results) == ["schema", "task", "dataset", "settings", "versions", "metric", "rows"]
    assert (results["schema"], results["task"], results["dataset"]) == (1, "abr", "synthetic")
    assert results["metric"] == {"name": "qoe_lin_per_chunk", "unit": "QoE", "better": "higher"}
    assert results["settings"]["threads"] >= 1
    assert results["settings"]["command"].startswith("python -m benchmarks.compare --task abr --policies")
    assert {"python", "netenvs", "numpy", "gymnasium", "numba", "torch", "git"} <= set(results["versions"])
    row = row_of(results, "bba")
    assert list(row) == [
        *(
            "policy",
            "assumption",
            "mean",
            "ci95",
            "iqm",
            "episodes",
            "normalised",
            "skill",
            "per_episode",
            "terms",
            "paired",
        ),
        *("decision_ms", "parameters", "bytes", "error"),
    ]
    assert list(row["terms"]) == ["bitrate_mbps", "rebuffer_s_per_chunk", "switch_mbps"]
    assert row["episodes"] == len(row["per_episode"]) == 4
    assert row["mean"] == pytest.approx(np.mean(row["per_episode"]), abs=1e-15)
    assert row["ci95"][0] <= row["mean"] <= row["ci95"][1]
    assert set(row["decision_ms"]) == {"p50", "p99"}
    assert row["parameters"] is row["bytes"] is row["error"] is row["skill"] is row["normalised"] is None
    means = [row["mean"] for row in results["rows"]]
    assert means == sorted(means, reverse=True)
    assert (tmp_path / "deep" / "copy.json").read_text() == (tmp_path / "out" / "results.json").read_text()
    assert all(len(line) <= 100 for line in out.splitlines()[:-4])
    assert not [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("cdf.csv", "cdf.png", "example.csv", "example.png", "mean.csv", "mean.png", "report.html"),
        *("results.json", "terms.csv", "terms.png"),
    ]


def test_the_objective_is_set_and_said(run, tmp_path, monkeypatch):
    """A file of utilities by chunk and both penalties; always one level, so that changes are those of the table."""
    monkeypatch.chdir(tmp_path)
    table = np.random.default_rng(0).uniform(0, 100, (48, 6))
    (tmp_path / "my_vmaf.json").write_text(json.dumps(table.tolist()))
    settings = {"rebuffer_penalty": "35", "switch_penalty": "0.5", "qoe": "my_vmaf.json"}
    given = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    status, results, _, err = run("--policies", "constant(quality=1),robust-mpc", "--episodes", "2", *given)
    assert status == 0 and err == ""
    assert results["metric"]["name"] == "qoe_table_per_chunk"
    said = results["settings"]["details"]["objective"]
    assert said.startswith("table my_vmaf.json: utility of the chunk at its level - 35 x stall in s - 0.5 x change of")
    assert said in (tmp_path / "out" / "report.html").read_text()
    row = row_of(results, "constant(quality=1)")
    changes = abs(table[1, 1] - table[0, 0]) + np.abs(np.diff(table[1:, 1])).sum()
    worth = (table[1:, 1].sum() - 0.5 * changes) / 47
    assert row["mean"] == pytest.approx(worth - 35 * row["terms"]["rebuffer_s_per_chunk"])


def test_the_objective_of_the_presets_is_said_as_before(run):
    _, results, _, _ = run("--policies", "constant", "--episodes", "1")
    assert results["settings"]["details"]["objective"] == (
        "lin: utility of the level - 4.3 x stall in s - change of utility, mean over the chunks that are decided "
        "(the forced first chunk is left out)"
    )


def test_numbers_are_those_of_a_plain_loop(run):
    _, results, _, _ = run("--policies", "bba", "--episodes", "3")
    env = gym.make("netenvs/ABR-v0")
    (episodes,) = [play_bba(env, 3)]
    row = row_of(results, "bba")
    assert row["per_episode"] == pytest.approx([np.mean(rewards) for rewards, _, _ in episodes], abs=1e-14)
    bitrates = [np.array(bitrate) / 1000 for _, bitrate, _ in episodes]  # with the forced first chunk
    assert row["terms"] == pytest.approx(
        {
            "bitrate_mbps": np.mean([bitrate[1:].mean() for bitrate in bitrates]),
            "rebuffer_s_per_chunk": np.mean([np.mean(stalls) for _, _, stalls in episodes]),
            "switch_mbps": np.mean([np.abs(np.diff(bitrate)).mean() for bitrate in bitrates]),
        },
        abs=1e-14,
    )


def play_bba(env, count):
    episodes = []
    for trace in range(count):
        _, info = env.reset(seed=trace, options={"trace": trace})
        rewards, bitrates, stalls, over = [], [info["bitrate_kbps"]], [], False
        while not over:
            buffer_s = info["buffer_s"]
            action = 0 if buffer_s < 5 else 5 if buffer_s >= 15 else int(5 * (buffer_s - 5) / 10)
            _, reward, over, _, info = env.step(action)
            rewards.append(reward)
            bitrates.append(info["bitrate_kbps"])
            stalls.append(info["rebuffer_s"])
        episodes.append((rewards, bitrates, stalls))
    return episodes


def test_the_first_switch_starts_from_the_preset_s_first_level(run):
    """Pensieve and Genet force level 1 (750 kbit/s) first: a constant 300 kbit/s switches once, by 0.45."""
    options = ["--dataset", "synthetic", "--policies", "constant", "--episodes", "2"]
    _, results, _, _ = run(*options, "--set", "preset=pensieve", "--set", "history=6")
    assert row_of(results, "constant")["terms"]["switch_mbps"] == pytest.approx(0.45 / 47)
    _, results, _, _ = run(*options)
    assert row_of(results, "constant")["terms"]["switch_mbps"] == 0.0


def test_normalised_between_bba_and_oracle(run):
    _, results, out, _ = run("--policies", "oracle,bba,constant", "--episodes", "2")
    zero, one, other = (row_of(results, name) for name in ("bba", "oracle", "constant"))
    assert (zero["normalised"], one["normalised"]) == (0.0, 1.0)
    assert other["normalised"] == (other["mean"] - zero["mean"]) / (one["mean"] - zero["mean"])
    assert "oracle *" in out
    assert "* knows the future" in out
    assert zero["paired"] is None  # the best baseline: the oracle is none
    assert one["paired"]["to"] == other["paired"]["to"] == "bba"
    assert one["paired"]["percent"] is one["paired"]["percent_ci95"] is None  # of a QoE, which may be negative
    assert "minus best: difference to the best baseline, bba, over the same episodes;" in out
    differences = np.subtract(other["per_episode"], zero["per_episode"])
    assert other["paired"]["mean"] == pytest.approx(differences.mean())


def test_other_objectives_name_their_metric(run):
    _, results, _, _ = run("--policies", "constant", "--episodes", "2", "--set", "qoe=log")
    assert results["metric"]["name"] == "qoe_log_per_chunk"
    assert results["settings"]["options"] == {"qoe": "log"}
    assert row_of(results, "constant")["mean"] == pytest.approx(np.log(300 / 4300))


def test_the_same_command_gives_the_same_numbers(run):
    words = ["--policies", "random,bba", "--episodes", "3", "--seed", "5", "--set", "delay_noise=true"]
    _, first, _, _ = run(*words, out="first")
    _, second, _, _ = run(*words, out="second")
    for one, other in zip(first["rows"], second["rows"], strict=True):
        assert {**one, "decision_ms": None} == {**other, "decision_ms": None}
    _, third, _, _ = run(*words, "--episodes", "2", out="third")
    assert row_of(third, "random")["per_episode"] == row_of(first, "random")["per_episode"][:2]


def test_a_policy_in_a_file_beside_a_built_in_one(run, own):
    status, results, out, _ = run(
        *(
            "--policies",
            "bba,constant(quality=1)",
            "--episodes",
            "4",
            "--dataset",
            "synthetic(count=5,seed=2)",
        ),
        *(
            "--policy",
            f"{own}:Careful",
            "--policy",
            f"{own}:Level(level=1, boost=1)",
            "--policy",
            f"{own}:Level",
        ),
    )
    assert status == 0
    assert {row["policy"] for row in results["rows"]} == {
        *("bba", "constant(quality=1)", "Careful", "Level(level=1,boost=1)", "Level")
    }
    assert results["dataset"] == "synthetic(count=5,seed=2)"
    assert "Careful" in out


def test_extra_policies_come_on_top_of_the_default_ones(run, own, monkeypatch):
    monkeypatch.setattr(evaluate, "default_policies", lambda task: ["constant"])
    _, results, _, _ = run("--episodes", "1", "--policy", f"{own}:Careful")
    assert {row["policy"] for row in results["rows"]} == {"constant", "Careful"}


def test_default_policies_need_no_extra_file():
    names = evaluate.default_policies(tasks.find("abr"))
    assert {"bba", "robust-mpc", "oracle"} <= set(names)
    assert "genet-released" not in names


def test_failing_policies_get_a_line_and_the_others_their_rows(run, own, tmp_path):
    status, results, out, err = run(
        *("--policies", "constant", "--episodes", "2", "--policy", f"{own}:Raises"),
        *("--policy", f"{own}:Garbage", "--policy", f"{own}:Quits"),
    )
    assert status == 1
    assert [row["policy"] for row in results["rows"]] == ["constant", "<b>raises</b>", "Garbage", "Quits"]
    assert row_of(results, "constant")["mean"] is not None
    failed = row_of(results, "<b>raises</b>")
    what, _, where = failed["error"].rpartition(" (")
    assert what == "<b>raises</b>: trace 0, seed 0, decision 3: RuntimeError: lost the thread"
    assert where.startswith("mine.py:")
    assert failed["mean"] is failed["ci95"] is failed["paired"] is failed["decision_ms"] is None
    assert (failed["episodes"], failed["per_episode"], failed["terms"]) == (0, [], {})
    assert "'high' is not in Discrete(6)" in row_of(results, "Garbage")["error"]
    assert row_of(results, "Quits")["error"] == "Quits: SystemExit: enough"
    assert err.splitlines() == [f"failed: {row['error']}" for row in results["rows"][1:]]
    assert out.count("failed: ") == 3
    page = (tmp_path / "out" / "report.html").read_text()
    assert "&lt;b&gt;raises&lt;/b&gt;" in page
    assert "<b>raises" not in page


def test_a_run_in_which_everything_fails_still_reports(run, own, tmp_path):
    status, results, _, _ = run("--policies", f"{own}:Garbage", "--episodes", "1")
    assert status == 1
    assert results["rows"][0]["error"]
    assert "nothing to draw" in (tmp_path / "out" / "report.html").read_text()


def test_the_report_needs_nothing_but_itself(run, tmp_path):
    run("--policies", "bba,oracle,random", "--episodes", "3")
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count('<img src="data:image/png;base64,') == page.count("<img") == 4
    assert page.count('alt="') == 4
    for outside in ("http:", "https:", "//", "<script", "<link", "@import", "url(", "href"):
        assert outside not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
    for section in (
        "What was compared",
        "Results",
        "Plots",
        "Terms",
        "Settings and versions",
        "How to read this",
    ):
        assert f"<h2>{section}" in page


def test_wrong_names_stop_before_anything_runs(run, own, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "play_contender", lambda *_: pytest.fail("something ran"))
    (tmp_path / "file").write_text("")
    for words, message in [
        (["--policies", "bba,bbb"], "error: unknown policy 'bbb'; did you mean 'bba'?"),
        (["--policies", "constant(q=1)"], "options: quality"),
        (["--policies", "bba(1"], "the closing bracket is missing"),
        (["--policies", "bba,bba"], "two policies are called 'bba'"),
        (["--policies", ","], "no policy is named; see --list, or give --policy FILE.py:CLASS"),
        (["--policy", f"{own}:Nobody"], "policies in it: Careful, Level, Raises"),
        (["--policy", "missing.py:X"], "there is no file or checkpoint folder missing.py"),
        (["--policies", f"{own}:Greedy"], "observation_options may not set qoe"),
        (["--dataset", "fcc-tset"], "did you mean 'fcc-test'?"),
        (["--dataset", "missing/folder"], "no such file or folder"),
        (["--set", "rtt=3"], "unknown option 'rtt'; did you mean 'rtt_ms'?"),
        (["--set", "rtt_ms=fast"], "rtt_ms must be a number"),
        (["--set", "rtt_ms"], "write KEY=VALUE"),
        (["--set", "rtt_ms=1", "--set", "rtt_ms=2"], "given twice"),
        (["--set", "delay_noise=maybe"], "must be true or false"),
        (["--set", "action_mode=jump"], "the action is always the level"),
        (["--set", "qeo=log"], "--set: unknown option 'qeo'; did you mean 'qoe'?"),
        (["--set", "traces=synthetic"], "chosen with --dataset"),
        (["--episodes", "101"], "synthetic has 100"),
        (["--episodes", "0"], "whole number from 1 up"),
        (["--seed", "-1"], "whole number from 0 up"),
        (["--out", str(tmp_path / "file")], "there is a file of that name"),
        (["--out", str(tmp_path / "file" / "deeper")], "cannot write there"),
        (["--json", str(tmp_path)], "this is a folder"),
        (["--jsn", "x"], "unknown option '--jsn' (did you mean '--json'?)"),
    ]:
        status, results, out, err = run(*words)
        assert (status, results, out) == (2, None, ""), words
        assert err.startswith("error: "), words
        assert len(err.splitlines()) == 1, words
        assert message in err, words
    assert not (tmp_path / "out").exists()


def test_an_unknown_task_and_a_missing_one(capsys):
    assert compare.main(["--task", "abc"]) == 2
    assert (
        capsys.readouterr().err == "error: unknown task 'abc'; did you mean 'abr'? known: abr, cjs, vp, vp-streaming\n"
    )
    assert compare.main([]) == 2
    assert "--task" in capsys.readouterr().err
    assert compare.main(["--help"]) == 0


def test_a_data_set_that_is_not_installed(run, tmp_path, monkeypatch):
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path / "empty"))
    status, _, _, err = run("--dataset", "fcc-test")
    assert status == 2
    assert "python -m netenvs.datasets install netllm-abr" in err


def test_an_interrupt_leaves_nothing_behind(run, own, tmp_path):
    status, results, _, err = run("--policies", f"constant,{own}:Interrupts", "--episodes", "1")
    assert (status, results) == (130, None)
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_list_shows_policies_and_data_sets(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path))
    assert compare.main(["--task", "abr", "--list"]) == 0
    out = capsys.readouterr().out
    for text in ("robust-mpc", "oracle *", "genet-weights (not installed)", "fcc-test-clean", "synthetic"):
        assert text in out
    assert re.search(r"genet-released +no ", out)
    assert re.search(r"bba +yes ", out)
    assert list(tmp_path.iterdir()) == []


def test_another_package_of_the_same_name_is_named(tmp_path, monkeypatch, capsys):
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "__init__.py").write_text("")
    other = importlib.util.spec_from_file_location(
        "agents", tmp_path / "agents" / "__init__.py", submodule_search_locations=[str(tmp_path / "agents")]
    )
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: other if name == "agents" else found(name))
    assert compare.main(["--task", "abr"]) == 2
    err = capsys.readouterr().err
    assert "another package named 'agents' shadows ours" in err
    assert str(tmp_path / "agents") in err


def test_decisions_are_timed_with_the_protocol_of_a_rollout(own):
    from agents.policy import load_policy

    calls = []

    class Recorder(type(load_policy("constant"))):
        privileged = True
        sequential = True

        def bind(self, env):
            calls.append("bind")

        def reset(self, seed=None):
            calls.append(("reset", seed))

        def finish(self, observation, info):
            calls.append("finish")

    specs = [EpisodeSpec(3, 7, {"trace": 0}), EpisodeSpec(4, 8, {"trace": 1})]
    times = evaluate.time_decisions(Recorder(), "netenvs/ABR-v0", specs, {})
    assert len(times) >= 200
    assert min(times) > 0
    timed = calls[:6]
    calls.clear()
    play(Recorder(), "netenvs/ABR-v0", specs)
    assert timed == calls == ["bind", ("reset", 7), "finish", "bind", ("reset", None), "finish"]


@pytest.mark.skipif(not datasets.installed("netllm-abr"), reason="the data set netllm-abr is not installed")
def test_bba_scores_what_the_published_code_scores(run):
    """NetLLM's own baseline, executed: fcc-test, video1, 100 traces."""
    _, results, _, _ = run("--dataset", "fcc-test", "--policies", "bba")
    row = row_of(results, "bba")
    assert row["mean"] == pytest.approx(0.7641513827696078, abs=1e-12)
    assert row["terms"] == pytest.approx(
        {"bitrate_mbps": 1.202, "rebuffer_s_per_chunk": 0.0075, "switch_mbps": 0.406}, abs=6e-4
    )


def test_a_full_disk_is_one_line_after_the_table(tmp_path, capsys, full_disk):
    with full_disk(2**10):
        assert compare.main([*WORDS, "--out", str(tmp_path / "out")]) == 1
    found = capsys.readouterr()
    assert "bba" in found.out
    assert found.err.startswith(f"error: {tmp_path / 'out' / 'results.json'}: File too large; raise the limit")
    assert found.err.count("\n") == 1 and not (tmp_path / "out").exists()


def test_two_comparisons_in_one_folder_are_refused(tmp_path, capsys):
    with only_one(tmp_path / compare.LOCK):
        assert compare.main([*WORDS, "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: --out {tmp_path}: another comparison is writing there; name another\n"
    assert not list(tmp_path.iterdir())


def test_codes_of_terminals_in_names_are_written_out(own, tmp_path, capsys):
    Path(own).write_text(Path(own).read_text().replace("<b>raises</b>", "\\x1b[31m[red]raises"))
    assert compare.main([*WORDS, "--policy", f"{own}:Raises", "--out", str(tmp_path / "\x1b[1mout")]) == 1
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert r"\x1b[31m[red]raises" in said.out and r"\x1b[1mout" in said.out


def test_rows_of_published_logs(run):
    for name in ("pensieve-logs", "pensieve", "netllm-abr"):
        if not datasets.installed(name):
            pytest.skip(f"{name} is not installed")
    names = [f"published:{name}" for name in ("ppo", "cmc", "mpc", "rl", "bb", "bola", "quetra", "genet")]
    words = ["--dataset", "pensieve-test", "--set", "preset=pensieve", "--policies", ",".join(names)]
    status, results, out, _ = run(*words)
    assert status == 0 and "left out: published:genet: its log does not replay" in out
    means = {row["policy"]: round(row["mean"], 3) for row in results["rows"]}
    assert means == {
        "published:ppo": 0.986,
        "published:cmc": 0.984,
        "published:mpc": 0.925,
        "published:rl": 0.925,
        "published:quetra": 0.850,
        "published:bola": 0.818,
        "published:bb": 0.639,
    }
    assert {row["decision_ms"] for row in results["rows"]} == {None}, "the policies themselves do not play"
