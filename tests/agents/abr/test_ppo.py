"""Proximal policy optimisation: what rows play, what an advantage is, that a network learns, is kept and resumes."""

import json

import gymnasium as gym
import numpy as np
import pytest
import torch
from killed import killed_at_call

from agents.abr import ppo
from agents.abr.genet import Genet
from agents.abr.ppo import Learner, Settings, fit
from agents.abr.scores import score
from agents.statistics import mean
from agents.training import CHECKPOINT, CURVE
from netenvs.abr.workload import load_traces

ITERATION = 32 * 47
"""Decisions."""
VALID = "synthetic(count=4,seed=1)"


def make(steps, seed=0, **known):
    settings = Settings(**{"steps": steps, "rows": 32, "batches": 4, "validate_every": 2, **known})
    return Learner(load_traces("synthetic(count=8)"), "synthetic", "quality", settings, seed)


def qoe(net):
    return mean(score(Genet.of(net), VALID, "synthetic", episodes=16, start="random"))


def train(folder, steps, **known):
    return fit(make(steps, **known), lambda net: {"valid": round(qoe(net), 6)}, folder, {"data": "these"})


def test_a_short_training_improves_and_returns_its_best(tmp_path):
    run, net, kept = train(tmp_path / "run", ITERATION * 16)
    curve = [json.loads(line) for line in (tmp_path / "run" / CURVE).read_text().splitlines()]
    assert curve == run.curve and [point["step"] for point in curve] == [ITERATION * i for i in range(2, 17, 2)]
    values = [point["valid"] for point in curve]
    assert curve[-1]["reward"] > curve[0]["reward"] + 3  # of drawn actions: fewer stalls
    assert max(values) >= 0.3  # of the best: the lowest level alone is worth 0.3
    assert kept == curve[int(np.argmax(values))]["step"] and qoe(net) == pytest.approx(max(values), abs=1e-6)


def test_the_last_iteration_is_validated_whatever_its_number(tmp_path):
    run, _, _ = train(tmp_path / "run", ITERATION * 3, epochs=1)
    assert [point["step"] for point in run.curve] == [2 * ITERATION, 3 * ITERATION]


def test_a_killed_training_resumes_to_the_same_bits(tmp_path):
    options = {"steps": ITERATION * 6, "epochs": 2}
    expected = train(tmp_path / "whole", **options)[1].state_dict()

    with pytest.raises(KeyboardInterrupt), killed_at_call(Learner, "iterate", 4):  # one iteration after a checkpoint
        train(tmp_path / "killed", **options)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002  (whatever else happened in the process)
    resumed = train(tmp_path / "killed", **options)[1].state_dict()
    assert all(torch.equal(resumed[name], value) for name, value in expected.items())
    curves = [(tmp_path / name / CURVE).read_text() for name in ("whole", "killed")]
    assert curves[0] == curves[1] and len(curves[0].splitlines()) == 3
    with pytest.raises(ValueError, match="made with another seed; remove it or write to another folder"):
        train(tmp_path / "killed", **options, seed=1)
    (tmp_path / "killed" / CHECKPOINT).write_bytes(b"damaged")
    with pytest.raises(ValueError, match="not a checkpoint of this training; remove it"):
        train(tmp_path / "killed", **options)


def test_rows_of_a_group_play_the_same_trace_from_the_same_place():
    settings = Settings(steps=1, rows=8, group=4, batches=2)
    learner = Learner(load_traces("synthetic(count=50)"), None, "quality", settings, seed=5)
    session = learner._env.env.unwrapped.simulator.batch.session
    starts = []
    reset = learner._env.reset

    def seen():
        result = reset()
        starts.append((session["trace"].copy(), session["start"].copy()))
        return result

    learner._env.reset = seen
    learner.iterate()
    learner.iterate(np.array([7, 9]))
    for traces, places in starts:
        assert len({*zip(traces[:4], places[:4], strict=True)}) == len({*zip(traces[4:], places[4:], strict=True)}) == 1
        assert places[0] != places[4]
    assert starts[1][0].tolist() == [7] * 4 + [9] * 4
    assert starts[0][1][0] != starts[1][1][0]


def test_advantages_are_those_over_the_group_in_units_of_its_spread():
    space = gym.spaces.Box(0, 1, (1,)), gym.spaces.Discrete(2)
    buffer = ppo._GroupedAdvantages(3, *space, gae_lambda=1.0, gamma=1.0, n_envs=4, group=2)
    rewards = np.array([[1, 3, 100, 100], [0, 0, 0, -100], [2, 2, 50, 50]]) * ppo.REWARD_SCALE
    for step in rewards:
        buffer.add(np.zeros((4, 1)), np.zeros((4, 1)), step, np.zeros(4), torch.zeros(4), torch.zeros(4))
    buffer.compute_returns_and_advantage(torch.zeros(4), np.ones(4))
    ahead = np.cumsum(rewards[::-1], axis=0)[::-1]
    left = ahead[:, :2] - ahead[:, :2].mean(axis=1, keepdims=True)
    right = ahead[:, 2:] - ahead[:, 2:].mean(axis=1, keepdims=True)
    expected = [part / (np.sqrt(np.mean(part**2)) + ppo.LEAST_SPREAD) for part in (left, right)]
    np.testing.assert_allclose(buffer.advantages, np.concatenate(expected, axis=1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be positive, not 0"),
        ({"learning_rate": 0.0}, "learning-rate must be positive, not 0.0"),
        ({"validate_every": -1}, "validate-every must be positive, not -1"),
        ({"group": 1}, "group must be 2 or more: a row is compared with the others of its group"),
        ({"group": 5}, "group must divide the 32 rows, 5 does not"),
        ({"batches": 7}, "batches must divide the 32 rows, 7 does not"),
        ({"entropy": 0.001}, "entropy must not be below last-entropy"),
        ({"gae_lambda": 1.5}, "gae-lambda must be from 0 to 1, not 1.5"),
        ({"seed": -1}, "seed must be 0 or more, not -1"),
    ],
)
def test_impossible_settings_are_one_line(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        make(**{"steps": 1, **options})
    assert "\n" not in str(caught.value)
