"""What the scripts beside it print: versions, and returns of what was trained and of random actions."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import gymnasium as gym
import numpy as np

EPISODES = 100
BEGIN = time.perf_counter()


def returns(env: gym.Env, act: Callable[[Any], Any]) -> np.ndarray:
    """Of the episodes with seeds 0, 1, ..."""
    found = np.zeros(EPISODES)
    for seed in range(EPISODES):
        observation, _ = env.reset(seed=seed)
        over = False
        while not over:
            observation, reward, terminated, truncated, _ = env.step(act(observation))
            found[seed] += reward
            over = terminated or truncated
    return found


def report(libraries: list[str], steps: int, env: gym.Env, act: Callable[[Any], Any]) -> None:
    """Print what was trained in how many steps and seconds, and mean returns with standard errors."""
    assert env.spec is not None
    print(", ".join(f"{name} {version(name)}" for name in [*libraries, "gymnasium", "torch", "numpy"]))
    print(f"{env.spec.id}: {steps:,} steps in {time.perf_counter() - BEGIN:.0f} s")
    env.action_space.seed(0)
    for name, choose in (("random actions", lambda observation: env.action_space.sample()), ("trained", act)):
        found = returns(env, choose)
        print(f"{name}: {found.mean():.1f} +- {found.std(ddof=1) / EPISODES**0.5:.1f}")
