"""Clusters without an environment around them."""

import gymnasium as gym

from agents.cjs.clusters import Setting, start


def test_rows_are_environments_of_these_seeds():
    setting, seeds = Setting(5, 7), [3, 1]
    engine = start(setting, "synthetic", seeds)
    for row, seed in enumerate(seeds):
        env = gym.make("netenvs/CJS-v0", workload="synthetic", **setting._asdict())
        _, info = env.reset(seed=seed)
        assert engine.view(row) == info["view"]
        env.close()
