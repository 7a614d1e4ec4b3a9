"""Whole episodes of ``netenvs/CJS-v0`` and simple ways to decide, for its tests."""

import numpy as np

SMALL = "netenvs/CJS-small-v0"


def play(env, decide, seed=0):
    """Every step of one episode: (observation, reward, info)."""
    observation, info = env.reset(seed=seed)
    seen = [(observation, 0.0, info)]
    over = False
    while not over:
        observation, reward, terminated, truncated, info = env.step(decide(info))
        seen.append((observation, reward, info))
        over = terminated or truncated
    return seen


def first_stage(info):
    """All executors on offer to the first schedulable stage."""
    return np.array([info["view"].schedulable[0].row, info["committable"] - 1])


def any_action(env, seed=0):
    """Anything in the space, possible or not."""
    env.action_space.seed(seed)
    return lambda info: env.action_space.sample()
