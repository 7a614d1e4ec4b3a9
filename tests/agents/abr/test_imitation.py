"""Imitation of experts: what they label, and that networks come to decide as it does."""

import numpy as np
import pytest
import torch
from small_worlds import imitate

from agents.abr import imitation
from agents.abr.experts import CAREFUL, EAGER, Experts
from agents.abr.imitation import play, regrets, unlike
from agents.abr.level_actor import INPUTS, LevelActor
from agents.abr.stochastic_mpc import StochasticMPC
from agents.abr.training_worlds import TrainingWorlds
from netenvs.abr.qoe import make_qoe
from netenvs.abr.workload import load_video


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path))


@pytest.fixture
def small(monkeypatch):
    for name, value in {"WORLDS": 1, "SESSIONS": 4, "TRACES": 2, "KEEP": 2, "STEPS": 6, "BATCH": 64}.items():
        monkeypatch.setattr(imitation, name, value)


def actor(seed=0):
    torch.manual_seed(seed)
    return LevelActor(8, 16)


class Only(Experts):
    """One planner for all worlds."""

    def __init__(self, planner):
        self._one = planner

    def planner(self, world):
        return self._one


def logits_of(net):
    return lambda steps: net(*(steps[name] for name in INPUTS))


def test_regrets_are_in_ranges_of_the_utility_and_largest_where_no_level_is():
    video = load_video("synthetic")
    infos = {"video": video, "qoe": make_qoe("lin", video.bitrates_kbps, 4.3)}
    found = regrets(np.array([[4.0, 8.0, 0.0, -1000.0, 6.0, 8.0]]), infos, 8)
    assert found[0].tolist() == [
        1.0,
        0.0,
        2.0,
        imitation.MAX_REGRET,
        0.5,
        0.0,
        imitation.MAX_REGRET,
        imitation.MAX_REGRET,
    ]


def test_what_is_unlike_the_expert():
    logits, regret = torch.tensor([[0.0, 0.0], [9.0, 0.0]]), torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    found = unlike(logits, regret)
    assert found[0] == pytest.approx(np.log(2) + imitation.REGRET / 2)
    assert found[1] > 9


def test_sessions_are_labelled_by_what_the_planner_would_do(small):
    net, expert = actor(), Only(StochasticMPC())
    world = TrainingWorlds().make([3, 1], 2)
    found = play(world, logits_of(net), expert, np.random.default_rng(0))
    chunks, levels = world.video.num_chunks - 1, world.video.num_levels
    assert found.regret.shape == (4 * chunks, 12) and len(found.steps["session"]) == 4 * chunks
    assert (found.regret.min(axis=1) == 0).all() and (found.regret[:, levels:] == imitation.MAX_REGRET).all()
    again = play(world, logits_of(net), Only(StochasticMPC()), np.random.default_rng(0))
    assert np.array_equal(found.regret, again.regret)


def test_labels_are_those_of_the_planner_that_is_given_whatever_it_played_before(small):
    net, used = actor(), StochasticMPC(**EAGER)
    first, other = (TrainingWorlds().make([3, number], 2) for number in (1, 2))
    play(other, logits_of(net), Only(used), np.random.default_rng(1))
    found = [
        play(first, logits_of(net), Only(expert), np.random.default_rng(0)).regret
        for expert in (used, StochasticMPC(**EAGER), StochasticMPC(**CAREFUL))
    ]
    assert np.array_equal(found[0], found[1]) and not np.array_equal(found[0], found[2])


def test_a_seed_makes_the_same_network_and_another_makes_another(small):
    nets = [actor() for _ in range(3)]
    for net, seed in zip(nets, (1, 1, 2), strict=True):
        imitate(net, logits_of(net), seed, 2)
    first, same, other = ([value.clone() for value in net.parameters()] for net in nets)
    assert all(torch.equal(*pair) for pair in zip(first, same, strict=True))
    assert any(not torch.equal(*pair) for pair in zip(first, other, strict=True))


def test_it_comes_to_decide_as_the_planner_does(small, monkeypatch):
    monkeypatch.setattr(imitation, "STEPS", 30)
    net = actor()
    world = TrainingWorlds().make([77, 0], 2)

    def distance():
        found = play(world, logits_of(net), Only(StochasticMPC()), np.random.default_rng(1))
        steps = {name: torch.from_numpy(values) for name, values in found.steps.items()}
        with torch.no_grad():
            return float(unlike(logits_of(net)(steps), torch.from_numpy(found.regret)).mean())

    before = distance()
    imitate(net, logits_of(net), 0, 8)
    assert distance() < 0.8 * before
