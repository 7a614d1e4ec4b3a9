"""A netenvs vector environment as a stable-baselines3 ``VecEnv``.

::

    from stable_baselines3 import PPO
    from netenvs.wrappers.sb3 import make_sb3_env

    model = PPO("MlpPolicy", make_sb3_env("netenvs/ABR-v0", num_envs=64)).learn(100_000)

This is the one module of ``netenvs`` that imports torch (through stable-baselines3); nothing in ``netenvs``
imports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

import netenvs  # noqa: F401  (registers the environments)


def make_sb3_env(env_id: str, num_envs: int, **options: Any) -> SB3VecEnv:
    """``gym.make_vec(env_id, num_envs, **options)`` with same-step resets, for stable-baselines3."""
    return SB3VecEnv(gym.make_vec(env_id, num_envs=num_envs, autoreset_mode=AutoresetMode.SAME_STEP, **options))


class SB3VecEnv(VecEnv):
    """Adapter; ``env`` must reset in the same step (``autoreset_mode=AutoresetMode.SAME_STEP``).

    ``infos`` are empty but where an episode ends: ``terminal_observation`` and ``TimeLimit.truncated``, as
    stable-baselines3 expects; wrap it in ``VecMonitor`` for episode returns. ``action_masks`` is offered through
    ``env_method``, which is where sb3-contrib's MaskablePPO looks for it.
    """

    def __init__(self, env: VectorEnv):
        mode = env.metadata.get("autoreset_mode")
        if mode is not AutoresetMode.SAME_STEP:
            raise ValueError(
                f"stable-baselines3 needs autoreset_mode=AutoresetMode.SAME_STEP, this environment has {mode}"
            )
        self.env = env
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self._actions: np.ndarray | None = None

    def reset(self) -> VecEnvObs:
        """Begin episodes in all rows, with the seeds given to ``seed()`` and the options to ``set_options()``, if any.

        Options are whole numbers, such as ``{"trace": 3}``; a row without one gets -1, which means: drawn.
        """
        given = [seed for seed in self._seeds if seed is not None]
        names = {name for options in self._options for name in options}
        options = {name: np.array([row.get(name, -1) for row in self._options]) for name in sorted(names)}
        observations: VecEnvObs
        observations, _ = self.env.reset(
            seed=list(self._seeds) if given else None,  # type: ignore[arg-type]
            options=options or None,
        )
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, terminated, truncated, infos = self.env.step(self._actions)
        done = terminated | truncated
        rows: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for row in np.flatnonzero(done):
            rows[row]["terminal_observation"] = infos["final_obs"][row]
            rows[row]["TimeLimit.truncated"] = bool(truncated[row] and not terminated[row])
        return observations, rewards.astype(np.float32), done, rows

    def close(self) -> None:
        self.env.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        value = getattr(self.env.unwrapped, attr_name)
        return [value for _ in self._get_indices(indices)]

    def has_attr(self, attr_name: str) -> bool:
        return hasattr(self.env.unwrapped, attr_name)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        raise AttributeError(f"all rows share one simulator; make the environment with {attr_name}={value!r} instead")

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Call a method that returns one entry per row, such as ``action_masks``."""
        result = getattr(self.env.unwrapped, method_name)(*args, **kwargs)
        return [result[row] for row in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: VecEnvIndices = None) -> list[bool]:
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[np.ndarray | None]:
        return [None] * self.num_envs
