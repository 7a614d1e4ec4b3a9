"""The command on tiled streaming: rows, terms, pairing, and what it refuses."""

import contextlib
import io
import re

import gymnasium as gym
import numpy as np
import pytest

from agents.policy import load_policy

ID = "netenvs/VPStreaming-v0"


@pytest.fixture
def run(command):
    return lambda *words, **keywords: command("vp-streaming", *words, **keywords)


def test_numbers_are_those_of_a_plain_loop(run, tmp_path):
    status, results, out, err = run("--policies", "static-rate,whole-sphere,oracle-viewport", "--episodes", "4")
    assert (status, err) == (0, "") and results["metric"]["name"] == "qoe_log_per_chunk"
    assert results["rows"][0]["policy"] == "oracle-viewport" and "* knows the future" in out
    row = next(row for row in results["rows"] if row["policy"] == "static-rate")
    env, scores, terms = gym.make(ID), [], []
    for number in range(4):
        policy = load_policy("static-rate", "vp-streaming")
        observation, info = env.reset(seed=number, options={"recording": number, "trace": number})
        policy.reset(seed=number)
        rewards, log, done = [], [], False
        while not done:
            observation, reward, done, _, info = env.step(policy.act(observation, info))
            rewards.append(reward)
            log.append(info)
        scores.append(np.mean(rewards))
        terms.append({name: np.mean([entry[name] for entry in log]) for name in row["terms"]})
        terms[-1]["wasted_mbyte"] = sum(entry["wasted_mbyte"] for entry in log)
    assert row["per_episode"] == pytest.approx(scores)
    assert row["terms"] == pytest.approx({name: np.mean([of[name] for of in terms]) for name in row["terms"]})
    parts = row["terms"]
    penalty = np.log(35) * (parts["stall_s"] + parts["viewport_stall_s"])
    assert row["mean"] == pytest.approx(
        parts["quality"] - penalty - parts["quality_change"] - parts["quality_spread"]
    ), "the terms are what QoE is made of"
    assert next(r for r in results["rows"] if r["policy"] == "whole-sphere")["paired"]["to"] == "static-rate"
    assert results["settings"]["groups"] == {"what": "viewer-video pair", "count": 4}
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"report.html", "results.json", "terms.png", "example.png", "mean.csv"} <= names


def test_all_recordings_and_traces_take_part(run):
    few = ["--set", "traces=synthetic(count=3)", "--policies", "whole-sphere"]
    _, results, _, _ = run(*few, "--dataset", "synthetic(videos=12,users=24,samples=40)", "--set", "qoe=lin")
    (row,) = results["rows"]
    pairs = results["settings"]["groups"]["count"]
    assert row["episodes"] == pairs > 3 and results["metric"]["name"] == "qoe_lin_per_chunk"
    assert results["dataset"] == "synthetic(videos=12,users=24,samples=40)"
    status, results, _, err = run(*few, "--episodes", "151", out="more")
    assert (status, results) == (2, None) and "synthetic has 150" in err, "50 recordings and 3 traces"


def test_wrong_words_stop_before_anything_runs(run, tmp_path):
    for words, message in [
        (["--set", "action_mode=zones"], "policies choose a level for each tile"),
        (["--set", "predictor=line"], "policies bring their own prediction"),
        (["--set", "tiles=8"], "tiles must be rows x columns"),
        (["--set", "dataset=jin2022"], "chosen with --dataset"),
        (["--set", "traces=fccc"], "unknown traces 'fccc'"),
        (["--policies", "static-rates"], "did you mean 'static-rate'?"),
        (["--policies", "bba"], "unknown policy 'bba'"),
    ]:
        status, results, out, err = run(*words)
        assert (status, results, out) == (2, None, ""), words
        assert err.startswith("error: ") and len(err.splitlines()) == 1 and message in err, (words, err)
    assert not (tmp_path / "out").exists()


def test_list_names_policies_and_what_they_need(capsys):
    from benchmarks.compare import command as compare

    assert compare.main(["--task", "vp-streaming", "--list"]) == 0
    out = capsys.readouterr().out
    assert "oracle-viewport *" in out and out.count("logged viewers") == 3 and "jin2022" in out


def test_example_of_the_documentation(artifacts):
    page = (artifacts.parents[1] / "docs" / "vp_streaming.md").read_text()
    example = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(example, {})
    assert f"prints `{printed.getvalue().strip()}`" in page
