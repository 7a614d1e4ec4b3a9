"""Rollouts of Decima: decisions, returns, baselines."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from agents.cjs.clusters import Setting, start
from agents.cjs.decima import rollout as rollouts
from agents.cjs.decima.decisions import can_choose
from agents.cjs.decima.graph import collate
from agents.cjs.decima.network import DecimaNet
from agents.cjs.decima.rollout import advantages, backlog, decide, effect_log_prob, play, returns
from netenvs.cjs.rules import FAIR


def test_decisions_are_possible_and_follow_the_generator(network, engine, packed):
    decisions = packed()
    graph = collate(decisions)
    with torch.inference_mode():
        first, second = (decide(network, graph, torch.Generator().manual_seed(3)) for _ in range(2))
        best = decide(network, graph, torch.Generator(), "greedy")
        middle = decide(network, graph, torch.Generator(), "median")
    for found, again in zip(first, second, strict=True):
        np.testing.assert_array_equal(found, again)
    assert torch.equal(best[0], middle[0])
    for stages, executors, log_prob in (first, best, middle):
        choice = graph.choice_offset[:-1] + stages
        assert (choice < graph.choice_offset[1:]).all()
        assert (executors < graph.limits[graph.node_job[graph.choices[choice]]]).all()
        assert (log_prob <= 1e-6).all()
    assert can_choose(engine.observation._asdict()).all()


def fake_rollout(episode, time_s, reward, end_s):
    return SimpleNamespace(
        episode=np.array(episode), time_s=np.array(time_s), reward=np.array(reward), end_s=np.array(end_s)
    )


def test_returns_are_discounted_by_time():
    rollout = fake_rollout([0, 1, 0, 0], [0.0, 5.0, 10.0, 10.0], [-3.0, -7.0, 0.0, -4.0], [30.0, 9.0])
    assert returns(rollout, 0.0).tolist() == [-7.0, -7.0, -4.0, -4.0]
    later = np.exp(-0.1 * 10)
    assert returns(rollout, 0.1) == pytest.approx([-3 - 4 * later, -7, -4, -4])


def test_returns_with_the_rewards_of_the_environment():
    """Undiscounted they are minus the job-seconds left, so the first one is minus the sum of completion times."""
    engine = start(Setting(4, 8), "synthetic", [7, 8])
    rollout = play(DecimaNet(), [engine], [4], torch.Generator().manual_seed(0))
    values = returns(rollout, 0.0)
    first = [values[np.flatnonzero(rollout.episode == episode)[0]] for episode in range(2)]
    assert first == pytest.approx((-8 * rollout.mean_jct_s).tolist())
    assert (np.diff(rollout.time_s[rollout.episode == 0]) >= 0).all()


def test_baseline_is_the_mean_of_the_sequence_at_the_same_time():
    # two episodes of one sequence: returns -10, -4 at 0 and 6 s, over at 10 s; -20 at 0, over at 20 s
    rollout = fake_rollout([0, 1, 0], [0.0, 0.0, 6.0], [-6.0, -20.0, -4.0], [10.0, 20.0])
    values = returns(rollout, 0.0)
    assert values.tolist() == [-10.0, -20.0, -4.0]
    expected = np.array([-10 + 15, -20 + 15, -4 - (-4 - 14) / 2])
    assert advantages(rollout, values, 2) == pytest.approx(expected / expected.std())
    # an episode after its end returns nothing; every sequence has its own scale
    other = fake_rollout([0, 1, 0, 2, 3, 2], [0.0, 0.0, 6.0, 0.0, 0.0, 6.0], [0.0] * 6, [10.0, 20.0, 10.0, 20.0])
    twice = np.concatenate([values, 100 * values])
    assert advantages(other, twice, 2) == pytest.approx(np.tile(expected / expected.std(), 2))


def test_backlog_describes_the_state():
    engine = start(Setting(4, 8), "synthetic", [5])
    rollout = play(DecimaNet(), [engine], [4], torch.Generator().manual_seed(0))
    state = backlog(rollout.decisions)
    assert state.shape == (len(rollout.time_s), 4)
    number = len(state) // 2
    graph = collate(rollout.decisions, np.array([number]))
    work = torch.zeros(len(graph.jobs)).index_add(0, graph.node_job, graph.nodes[:, 4])
    expected = [len(graph.jobs), float(work.sum()), float(work.sqrt().sum()), float(graph.nodes[:, 3].sum())]
    assert state[number] == pytest.approx(expected, rel=1e-5)


def test_baseline_by_state_takes_off_what_the_backlog_explains(monkeypatch):
    """Returns that follow from the backlog alone are nobody's merit; each setting has a model of its own."""
    rng = np.random.default_rng(0)
    state = rng.normal(size=(40, 4))
    monkeypatch.setattr(rollouts, "backlog", lambda decisions: state)
    episode, time_s = np.repeat(np.arange(8), 5), np.tile(np.arange(5.0), 8)
    rollout = SimpleNamespace(episode=episode, time_s=time_s, end_s=np.full(8, 4.0), decisions=None)
    weights = np.where(episode[:, None] < 4, [3.0, -1.0, 0.5, 2.0], [-2.0, 0.0, 7.0, 1.0])
    values = (weights * state).sum(axis=1)
    assert np.abs(advantages(rollout, values, 2)).max() > 1
    assert np.abs(advantages(rollout, values, 2, by_state=2)).max() < 1e-9
    assert np.abs(advantages(rollout, values, 2, by_state=1)).max() > 0.1
    noise = rng.normal(size=40)
    left = advantages(rollout, values + 0.01 * noise, 2, by_state=2)
    assert np.corrcoef(left, advantages(rollout, noise, 2))[0, 1] > 0.5


def test_looking_ahead_fades_with_time():
    """Two episodes of one sequence; what is left after the baseline is the same with its sign changed."""
    rollout = fake_rollout([0, 1, 0, 1], [0.0, 0.0, 10.0, 10.0], [0.0] * 4, [20.0, 20.0])
    values = np.array([-10.0, -20.0, -2.0, -18.0])
    left = np.array([5.0, -5.0, 8.0, -8.0])
    assert advantages(rollout, values, 2) * left.std() == pytest.approx(left)
    fade, discount = np.exp(-10 / 4), np.exp(-0.03 * 10)
    first = 5 - 8 * discount + discount * fade * 8
    found = advantages(rollout, values, 2, beta=0.03, ahead_s=4.0)
    assert found * left.std() == pytest.approx([first, -first, 8, -8])
    assert advantages(rollout, values, 2, beta=0.03, ahead_s=1e9) == pytest.approx(advantages(rollout, values, 2))


def test_numbers_of_executors_with_one_effect_count_together():
    log_prob = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).log().repeat(4, 1)
    demand = torch.tensor([3, 3, 3, 9])
    chosen = torch.tensor([1, 2, 3, 3])  # 2, 3, 4 and 4 executors
    assert effect_log_prob(log_prob, chosen, demand).exp().tolist() == pytest.approx([0.2, 0.7, 0.7, 0.4])


def test_expert_decides_as_in_the_environment():
    engine = start(Setting(5, 6), "synthetic", [3])
    rollout = play(DecimaNet(), [engine], [5], torch.Generator().manual_seed(0), [FAIR])
    assert (rollout.expert[:, 0] >= 0).any()
    choices = [int((rollout.decisions.demand[a:b] > 0).sum()) for a, b in _pairs(rollout.decisions.node_offset)]
    assert (rollout.expert[:, 0] < choices).all()


def _pairs(offsets):
    return pairwise(offsets)
