"""Infos that any library can store: numbers, as the vector environments give them, and the mask of actions."""

from __future__ import annotations

from typing import Any, TypeVar

import gymnasium as gym
import numpy as np

Observation = TypeVar("Observation")
Action = TypeVar("Action")


class ScalarInfo(gym.Wrapper[Observation, Action, Observation, Action], gym.utils.RecordConstructorArgs):
    """Leave out of ``info`` what is neither a number nor ``action_mask``: objects, and arrays whose shapes change.

    Libraries that keep infos in a buffer need it, such as Tianshou, and Gymnasium's ``SyncVectorEnv`` and
    ``AsyncVectorEnv`` where rows are at different steps of their episodes. Worker processes send less with it.
    """

    def __init__(self, env: gym.Env[Observation, Action]):
        gym.utils.RecordConstructorArgs.__init__(self)
        super().__init__(env)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """See the environment."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, _numbers(info)

    def step(self, action: Action) -> tuple[Observation, Any, bool, bool, dict[str, Any]]:
        """See the environment."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, _numbers(info)


def _numbers(info: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in info.items()
        if name == "action_mask" or isinstance(value, bool | int | float | np.number)
    }
