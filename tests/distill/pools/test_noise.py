"""Random actions: as often as asked for, possible ones only, and the same whatever is played beside them."""

import gymnasium as gym
import numpy as np
import pytest

from distill.pools.noise import ActionNoise, nth_possible

SIX = gym.spaces.Discrete(6)


def rows(episodes, steps):
    return np.repeat(np.arange(episodes), steps), np.tile(np.arange(steps), episodes)


def test_the_share_of_random_actions():
    at = rows(100, 200)
    intended = np.full(20_000, 2)
    actions, disturbed = ActionNoise(0.2, SIX, 0, "bba").disturb(intended, None, *at)
    assert abs(disturbed.mean() - 0.2) < 5 * np.sqrt(0.2 * 0.8 / 20_000)
    assert (actions[~disturbed] == 2).all() and (intended == 2).all()
    counts = np.bincount(actions[disturbed], minlength=6)
    assert (np.abs(counts - counts.sum() / 6) < 5 * np.sqrt(counts.sum() / 6)).all()


@pytest.mark.parametrize(("probability", "share"), [(0.0, 0.0), (1.0, 1.0)])
def test_never_and_always(probability, share):
    _, disturbed = ActionNoise(probability, SIX, 0, "bba").disturb(np.zeros(50, dtype=int), None, *rows(5, 10))
    assert disturbed.mean() == share


def test_draws_depend_on_seed_policy_episode_and_step_alone():
    episodes, steps = rows(4, 30)
    intended = np.zeros(120, dtype=int)
    noise = ActionNoise(0.5, SIX, 7, "bba")
    together = noise.disturb(intended, None, episodes, steps)[0]
    order = np.random.default_rng(0).permutation(120)
    alone = [noise.disturb(intended[:1], None, episodes[[i]], steps[[i]])[0][0] for i in order]
    assert np.array_equal(together[order], alone)
    for other in (ActionNoise(0.5, SIX, 8, "bba"), ActionNoise(0.5, SIX, 7, "bola")):
        assert not np.array_equal(together, other.disturb(intended, None, episodes, steps)[0])
    assert not np.array_equal(together[:30], together[30:60])


def test_random_actions_are_possible_and_uniform_over_the_possible():
    space = gym.spaces.MultiDiscrete([3, 4])
    at = rows(100, 30)
    mask = np.array([[0, 1, 1, 1, 0, 1, 1]])
    intended = np.tile([1, 0], (3000, 1))
    actions, disturbed = ActionNoise(1.0, space, 0, "fair").disturb(intended, mask.repeat(3000, axis=0), *at)
    assert disturbed.all()
    pairs = np.unique(actions, axis=0, return_counts=True)
    assert pairs[0].tolist() == [[a, b] for a in (1, 2) for b in (0, 2, 3)]
    assert (np.abs(pairs[1] - 500) < 5 * np.sqrt(500)).all()


def test_nth_possible_reaches_every_possible_value_and_no_other():
    possible = np.array([[False, True, False, True, True]]).repeat(5, axis=0)
    drawn = np.array([0.0, 0.32, 0.34, 0.7, np.nextafter(1.0, 0.0)])
    assert nth_possible(possible, drawn).tolist() == [1, 1, 3, 4, 4]


def test_spaces_start_anywhere():
    actions, _ = ActionNoise(1.0, gym.spaces.Discrete(2, start=5), 0, "x").disturb(np.full(40, 5), None, *rows(4, 10))
    assert set(actions.tolist()) == {5, 6}


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_wrong_probabilities(wrong):
    with pytest.raises(ValueError, match="from 0 to 1"):
        ActionNoise(wrong, SIX, 0, "bba")


def test_random_paths_are_refused():
    with pytest.raises(ValueError, match="discrete choices"):
        ActionNoise(0.1, gym.spaces.Box(-1, 1), 0, "static")
