"""Reinforcement learning in worlds: rewards are regrets, sessions of unequal length, resuming to the bit."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from small_worlds import make_small

from agents.abr import imitation, worlds_ppo
from agents.abr.ppo import Settings
from agents.abr.relative import LEVEL, SESSION
from agents.abr.training_worlds import TrainingWorlds, environment
from agents.abr.value_table import ValueTable
from agents.abr.worlds_ppo import CHUNKS, WORLDS, WorldSessions, WorldsLearner

ROWS = 2 * WORLDS


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path))
    make_small(monkeypatch)
    for name, value in {"WORLDS": 1, "SESSIONS": 4, "STEPS": 2, "BATCH": 16}.items():
        monkeypatch.setattr(imitation, name, value)


def settings(**known):
    return Settings(**{"steps": 3 * ROWS * CHUNKS, "rows": ROWS, "group": 2, "batches": 2, "epochs": 1, **known})


def test_rewards_are_minus_regrets_and_finished_sessions_wait():
    made = [TrainingWorlds().make([number], 2) for number in range(2)]
    sessions = WorldSessions(made, 8, 2, [7])
    seen = sessions.reset()
    assert seen.shape == (8, SESSION + 12 * LEVEL + 13)
    assert np.array_equal(seen[0], seen[1]), "rows of a group begin alike"
    longest = max(world.video.num_chunks for world in made)
    rewards = []
    for _ in range(longest):
        seen, reward, done, infos = sessions.step(np.zeros(8, dtype=np.int64))
        rewards.append(reward)
        assert not done.any() and len(infos) == 8
    rewards = np.array(rewards)
    for number, world in enumerate(made):
        rows = slice(4 * number, 4 * number + 4)
        assert (rewards[:, rows] <= 0).all() and not rewards[world.video.num_chunks - 1 :, rows].any()
    env = environment(made[0], 4)
    table = ValueTable(env, clock_step_s=worlds_ppo.CLOCK_STEP_S, buffers=worlds_ppo.BUFFERS)
    rng = np.random.default_rng([7])
    env.reset(seed=np.repeat(rng.integers(2**31, size=2), 2).tolist(), options={"trace": np.array([0, 0, 1, 1])})
    values, qoe = table.action_values(env), env.unwrapped.qoe
    expected = (values[:, 0] - values.max(axis=1)) / np.ptp(qoe.utilities(made[0].video.num_chunks))
    assert rewards[0, :4] == pytest.approx(np.maximum(expected, -worlds_ppo.MAX_REGRET), abs=1e-6)


def test_advantages_are_those_over_the_group_in_units_of_what_the_world_loses():
    space = gym.spaces.Box(0, 1, (1,)), gym.spaces.Discrete(2)
    buffer = worlds_ppo._WorldAdvantages(3, *space, gae_lambda=1.0, gamma=1.0, n_envs=ROWS, group=2)
    rewards = -np.random.default_rng(0).uniform(0, 1, (3, ROWS)) * np.repeat(10.0 ** -np.arange(WORLDS), 2)
    for step in rewards:
        buffer.add(*(np.zeros((ROWS, 1)) for _ in range(2)), step, np.zeros(ROWS), *(torch.zeros(ROWS),) * 2)
    buffer.compute_returns_and_advantage(torch.zeros(ROWS), np.ones(ROWS))
    ahead = np.cumsum(rewards[::-1], axis=0)[::-1].reshape(3, WORLDS, 2)
    lost = -rewards.reshape(3, WORLDS, 2).mean(axis=(0, 2))[:, None]
    expected = (ahead - ahead.mean(axis=2, keepdims=True)) / (lost + worlds_ppo.LEAST_REGRET)
    expected = expected / np.sqrt(np.mean(expected**2))
    np.testing.assert_allclose(buffer.advantages, expected.reshape(3, ROWS), rtol=1e-4, atol=1e-6)


def test_a_training_goes_on_to_the_same_bits():
    def learner():
        return WorldsLearner(settings(), seed=3, warm_up=1, size=8, width=16)

    whole = learner()
    for _ in range(3):
        whole.iterate()
    begun = learner()
    begun.iterate()
    again = learner()
    again.restore(begun.state())
    for _ in range(2):
        again.iterate()
    assert again.iteration == 3 and again.steps == 3 * ROWS * CHUNKS
    one, other = whole.net().state_dict(), again.net().state_dict()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_first_iteration_is_what_imitation_has_come_to():
    learner = WorldsLearner(settings(), seed=3, warm_up=1, size=8, width=16)
    torch.manual_seed(0)
    begun = learner.net()
    learner.iterate()
    imitated = learner.net()
    assert any(not torch.equal(*pair) for pair in zip(begun.parameters(), imitated.parameters(), strict=True))
    own = learner._policy.actor
    assert all(torch.equal(*pair) for pair in zip(own.parameters(), imitated.parameters(), strict=True))
    learner.iterate()
    assert any(not torch.equal(*pair) for pair in zip(own.parameters(), imitated.parameters(), strict=True))


def test_rows_are_shared_out_to_the_worlds():
    with pytest.raises(ValueError, match=f"rows must be a multiple of {2 * WORLDS}, {WORLDS} worlds and groups of 2"):
        WorldsLearner(settings(rows=2 * WORLDS + 2, batches=1), seed=0)
    with pytest.raises(ValueError, match="seed must be 0 or more, not -1"):
        WorldsLearner(settings(), seed=-1)
    with pytest.raises(ValueError, match="warm-up must be 0 or more, not -1"):
        WorldsLearner(settings(), seed=0, warm_up=-1)
