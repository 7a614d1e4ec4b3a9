"""The weights that come with the project: their folder, and that they schedule well where they were trained and not."""

import json

import numpy as np
import pytest

from agents import pretrained
from agents.cjs.decima import SHIPPED, Decima
from agents.cjs.decima_card import compare, mean_jcts_s
from agents.cjs.decima_network import MODES
from agents.cjs.decima_rollout import Setting
from agents.policy import load_policy
from agents.testing import check_policy


def test_folder():
    policy = load_policy("decima", "cjs")
    training = json.loads((SHIPPED / pretrained.TRAINING).read_text())
    card = (SHIPPED / pretrained.CARD).read_text()
    assert policy.parameters == 20_802
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) < 4e6
    assert policy.mode == training["mode"] in MODES
    chosen = training["trainings"][training["chosen"]]
    assert chosen["valid"] == min(entry["valid"] for entry in training["trainings"])
    for entry in training["trainings"]:
        assert entry["command"] in card
        best = min(point[mode] for point in entry["curve"] for mode in MODES)
        assert entry["valid"] == best


@pytest.mark.parametrize("mode", MODES)
def test_contract(mode):
    check_policy(Decima(mode), "cjs", episodes=4, env_options={"num_executors": 8, "num_jobs": 10})


def test_modes_differ():
    setting = Setting(20, 10)
    found = {mode: mean_jcts_s(Decima(mode), "synthetic", setting, range(3)).tolist() for mode in MODES}
    assert len({tuple(values) for values in found.values()}) == len(MODES)


def test_better_than_fair_on_generated_jobs():
    """It has never seen them."""
    assert gain("synthetic", Setting(10, 20), range(10)) < -10


def test_better_than_fair_and_released(netllm_tpch):
    """What the released network gains on 10 executors is about a third, on 50 a seventh at best."""
    assert gain("tpch", Setting(10, 20), range(100, 110)) < -33
    assert gain("tpch", Setting(50, 50), range(100, 110)) < -12


def gain(workload, setting, seeds):
    """Percent of fair's mean completion time."""
    ours, fair = (mean_jcts_s(load_policy(name, "cjs"), workload, setting, seeds) for name in ("decima", "fair"))
    return compare(ours, fair)[0]


def test_comparison_of_means():
    ours, others = np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])
    assert compare(ours, others) == (-50.0, -50.0, -50.0)
    value, low, high = compare(np.array([1.0, 2.0, 9.0]), np.array([2.0, 2.0, 8.0]))
    assert value == 0.0 and low < -10 and high > 10
