"""Scores are means of played episodes."""

import numpy as np
import pytest

from agents.abr import scores
from agents.abr.bba import BBA
from agents.abr.random_and_constant import Constant
from agents.rollout import EpisodeSpec, play
from netenvs.abr.task import TASK as ABR


def test_a_score_is_the_mean_reward_of_each_trace():
    found = scores.score(BBA(), "synthetic(count=5)", preset="pensieve", video="synthetic(seed=3)")
    specs = [EpisodeSpec(trace, options={"trace": trace}) for trace in range(5)]
    options = {"traces": "synthetic(count=5)", "preset": "pensieve", "video": "synthetic(seed=3)"}
    played = play(BBA(), ABR.env_id, specs, options)
    assert found.dtype == np.float64
    assert found.tolist() == [episode.total_reward / 47 for episode in played]


def test_more_episodes_than_traces_are_averaged_by_trace():
    specs = [EpisodeSpec(number, options={"trace": number % 3}) for number in range(7)]
    played = play(BBA(), ABR.env_id, specs, {"traces": "synthetic(count=3)", "start": "random"})
    value = [episode.rewards.mean() for episode in played]
    expected = [np.mean(value[0::3]), np.mean(value[1::3]), np.mean(value[2::3])]
    assert scores.score(BBA(), "synthetic(count=3)", episodes=7, start="random") == pytest.approx(expected, abs=1e-12)
    assert len(scores.score(BBA(), "synthetic(count=3)", episodes=2)) == 2
    with pytest.raises(ValueError, match="episodes must be 1 or more, not 0"):
        scores.score(BBA(), "synthetic(count=3)", episodes=0)


def test_published_figure_of_bba(netllm_abr):
    settings = {"fcc-test": scores.SETTINGS["fcc-test"]}
    assert scores.score_all(BBA(), settings)["fcc-test"].mean == pytest.approx(0.764151, abs=1e-6)


def test_settings_without_their_data_are_left_out(monkeypatch, tmp_path):
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path))
    assert list(scores.available()) == ["synthetic"]
    found = scores.score_all(Constant(), {"few": {"traces": "synthetic(count=2)"}})
    assert list(found) == ["few"] and len(found["few"].values) == 2
