"""Padded observations of a cluster as columns: nothing is lost, and padding is not kept."""

import gymnasium as gym
import numpy as np

from agents.observations import from_columns, to_columns


def cluster_observations(steps):
    env = gym.make_vec("netenvs/CJS-v0", num_envs=3, num_jobs=4, num_executors=5, max_jobs=3)
    observations, _ = env.reset(seed=1)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        yield env, observations
        observations = env.step(rng.integers(0, env.single_action_space.nvec, (3, 2)))[0]


def test_a_cluster_survives_to_the_bit():
    sizes = set()
    for env, observations in cluster_observations(40):
        columns = to_columns(observations)
        back = from_columns(columns, env.single_observation_space)
        assert list(back) == list(env.single_observation_space.spaces)
        for name, values in observations.items():
            assert back[name].dtype == values.dtype and np.array_equal(back[name], values), name
        sizes.add(len(columns["obs/stages"].flat))
        assert columns["obs/stages"].lengths.tolist() == observations["stage_mask"].sum(axis=1).tolist()
    assert len(sizes) > 5
