"""A task that does not say how it is compared is compared by the rewards of its episodes."""

import pytest

from benchmarks.tasks import registry
from benchmarks.tasks.default import default_comparison
from netenvs import tasks


def test_rewards_are_compared(command, monkeypatch, tmp_path):
    words = ["--policies", "constant,bba", "--episodes", "2"]
    _, own, _, _ = command("abr", *words, out="own")
    monkeypatch.setattr(registry, "task_comparison", lambda name: default_comparison(tasks.find(name)))
    status, results, out, err = command("abr", *words, "--dataset", "synthetic(count=2)")
    assert (status, err) == (0, "") and results["dataset"] == "synthetic(count=2)"
    assert results["metric"] == {"name": "reward_per_episode", "unit": "reward", "better": "higher"}
    for row in results["rows"]:
        of_chunks = next(other for other in own["rows"] if other["policy"] == row["policy"])["per_episode"]
        assert row["per_episode"] == pytest.approx([47 * reward for reward in of_chunks])
        assert row["terms"] == {} and row["skill"] is row["normalised"] is None
    assert "Adaptive bitrate streaming: synthetic(count=2), 2 episodes, reward per episode, higher is better" in out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert "mean.png" in names and not names & {"terms.png", "example.png"}
    _, results, _, _ = command("abr", "--policies", "constant", out="all")
    assert (results["dataset"], results["rows"][0]["episodes"]) == ("default", 100), "every trace once"
