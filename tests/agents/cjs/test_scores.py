"""Scores of schedulers."""

import numpy as np

from agents.cjs import scores


def test_scores_are_differences_to_fair(monkeypatch):
    found = {"fair": [2.0, 4.0, 6.0], "half": [1.0, 2.0, 3.0]}
    monkeypatch.setattr(scores, "mean_jcts_s", lambda policy, *_: np.array(found[policy]))
    made = scores.score({"fair": "fair", "half": "half"}, "synthetic", 3)
    assert list(made)[:2] == ["synthetic: 10 executors, 20 jobs", "synthetic: 50 executors, 20 jobs"]
    for by in made.values():
        assert (by["fair"].mean, by["half"].mean) == (4.0, 2.0)
        assert by["half"].minus == {"fair": (-50.0, -50.0, -50.0)} and not by["fair"].minus
    assert scores.score({"fair": "fair"}, "synthetic", 0) == {}
