"""Decisions of policies as work that is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from agents.policy import load_policy


def batched_decisions(name: str, task: str, env: Any) -> Callable[[], tuple[int]]:
    """Decide for all rows of a vector environment and step; rows that it resets are decided for, too.

    Arguments:
        name: of a policy that decides in batches.
        task: of the policy.
        env: a vector environment that resets its rows itself.
    """
    policy: Any = load_policy(name, task)
    rows = np.arange(env.num_envs)
    observation, infos = env.reset(seed=0)
    policy.reset_rows(rows, [None] * len(rows))

    def decisions() -> tuple[int]:
        nonlocal observation, infos
        for _ in range(8):
            actions = policy.act_batch(observation, {**infos, **env.unwrapped.shared_info, "row": rows})
            observation, _, _, _, infos = env.step(actions)
        return (8 * len(rows),)

    return decisions


def single_decisions(name: str, task: str, env: Any, options: Mapping[str, Any]) -> Callable[[], tuple[int]]:
    """Decide on the first observation of the episode that ``options`` of the reset choose, again and again."""
    policy = load_policy(name, task)
    observation, info = env.reset(seed=0, options=dict(options))
    policy.reset(seed=0)

    def decisions() -> tuple[int]:
        for _ in range(200):
            policy.act(observation, info)
        return (200,)

    return decisions
