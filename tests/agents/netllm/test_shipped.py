"""The shipped teachers: small enough, legal, and as good as their cards say."""

import numpy as np
import pytest

from agents.abr.scores import score
from agents.cjs.clusters import Setting
from agents.cjs.scores import mean_jcts_s
from agents.policy import load_policy
from agents.pretrained import CHECKPOINTS
from agents.testing import check_policy
from agents.training.card import read
from agents.vp.scores import predict_windows
from netenvs.vp import sphere
from netenvs.vp.previous_viewers import PreviousViewers
from netenvs.vp.recordings import windows
from netenvs.vp.workload import load_recordings


def scores(task, setting, row="netllm"):
    own = read(CHECKPOINTS / f"{task}-netllm").training.scores[setting][row]
    return np.array(own.values), np.array(own.weights)


@pytest.mark.parametrize("task", ["abr", "cjs", "vp"])
def test_weights_are_small_enough_to_ship(task):
    policy = load_policy("netllm", task)
    assert policy.bytes < 16e6
    assert 6.4e6 < policy.parameters < 7e6
    assert policy.settings["scale"] == [0.0, 1.0]


def test_schedules_keep_the_contract():
    check_policy(load_policy("netllm", "cjs"), "cjs", episodes=3, env_options={"num_jobs": 2, "num_executors": 5})


def test_bitrates_are_those_of_the_card(netllm_abr):
    values, _ = scores("abr", "fcc-test")
    assert np.mean(values) > 1.08
    assert score(load_policy("netllm", "abr"), "fcc-test").mean() == pytest.approx(values.mean(), abs=0.005)


def test_schedules_are_those_of_the_card(netllm_tpch):
    values, _ = scores("cjs", "tpch, 10 executors, 20 jobs")
    rule, _ = scores("cjs", "tpch, 10 executors, 20 jobs", "capped-srpt")
    assert values.mean() < 1.05 * rule.mean()
    found = mean_jcts_s(load_policy("netllm", "cjs"), "tpch", Setting(10, 20), range(100, 106))
    assert found.mean() == pytest.approx(values[:6].mean(), rel=0.02)


@pytest.mark.parametrize(("viewers", "row", "must"), [(True, "netllm", 8.6), (False, "netllm(viewers=false)", 9.25)])
def test_viewports_are_those_of_the_card(jin2022, viewers, row, must):
    values, weights = scores("vp", "jin2022, test", row)
    recordings = load_recordings("jin2022")
    cut = windows(recordings, "test")
    policy = load_policy("netllm", "vp", viewers=viewers)
    errors = sphere.absolute_errors(predict_windows(policy, cut, PreviousViewers(recordings)), cut.future)
    assert errors.mean() == pytest.approx(np.average(values, weights=weights), abs=1e-3)
    assert errors.mean() < must
