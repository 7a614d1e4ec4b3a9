"""Zones and pairs around the viewport of any predictor: what reinforcement learning of rates builds on."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete, MultiDiscrete

from agents.vp_streaming.tiled import chunk_paths, load_predictor
from netenvs.spec import unknown_name
from netenvs.vp_streaming import kernel
from netenvs.vp_streaming.env import VPStreamingEnv
from netenvs.vp_streaming.simulator import ZONES
from netenvs.vp_streaming.tiles import viewport_rings

MODES = {"zones": kernel.ZONES, "pair": kernel.PAIR}


class PredictedViewport(gym.Wrapper[dict[str, np.ndarray], Any, dict[str, np.ndarray], Any]):
    """``netenvs/VPStreaming-v0`` with actions ``zones`` or ``pair`` around the viewport that ``predictor`` predicts.

    ::

        env = PredictedViewport(gym.make("netenvs/VPStreaming-v0"), "neighbours")
        model = PPO("MultiInputPolicy", env)

    The environment must have ``action_mode="tiles"``. Action spaces are those of the environment's own modes, which
    know standing still and a straight line alone; ``viewport`` of the observation is that of the predictor.
    """

    def __init__(self, env: gym.Env, predictor: str = "static", action_mode: str = "zones"):
        super().__init__(env)
        if action_mode not in MODES:
            raise ValueError(unknown_name("action_mode", str(action_mode), MODES))
        inner = env.unwrapped
        if not isinstance(inner, VPStreamingEnv) or inner.simulator.action_mode != "tiles":
            raise ValueError("PredictedViewport needs netenvs/VPStreaming-v0 with action_mode='tiles'")
        self.predictor = load_predictor(predictor)
        self._simulator = inner.simulator
        self._mode = MODES[action_mode]
        world = inner.simulator.world
        sizes = np.full(ZONES, len(world.rates_mbps) + 1)
        self.action_space = MultiDiscrete(sizes) if action_mode == "zones" else Discrete(len(world.pairs))
        self._ring = np.zeros(inner.grid.tiles, dtype=np.int64)

    def reset(self, **arguments: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """As the environment's."""
        observation, info = self.env.reset(**arguments)
        self.predictor.reset(arguments.get("seed"))
        return self._predict(observation, info), {**info, "action_mask": self.action_masks()}

    def step(self, action: Any) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Fetch one chunk. Raises ``ValueError`` for an action outside the space."""
        if action not in self.action_space:
            raise ValueError(f"action {action!r} is not in {self.action_space}")
        levels = np.empty(len(self._ring), dtype=np.int64)
        world = self._simulator.world
        chosen = np.atleast_1d(np.asarray(action, dtype=np.int64))
        kernel.choose_levels(self._mode, chosen, world.pairs, world.rates_mbps, self._ring, levels)
        observation, reward, terminated, truncated, info = self.env.step(levels)
        info = {**info, "action_mask": self.action_masks()}
        return self._predict(observation, info), float(reward), terminated, truncated, info

    def action_masks(self) -> np.ndarray:
        """bool (sum of the components' sizes,): all True."""
        space = self.action_space
        count = int(space.n) if isinstance(space, Discrete) else int(space.nvec.sum())  # type: ignore[attr-defined]
        return np.ones(count, dtype=np.bool_)

    def _predict(self, observation: dict[str, np.ndarray], info: dict[str, Any]) -> dict[str, np.ndarray]:
        batch = {name: values[None] for name, values in observation.items()}
        row = {name: np.array([info[name]]) for name in ("video", "user", "lead", "time_s", "chunk")}
        shared = {"horizon": info["horizon"], "previous_viewers": info["previous_viewers"], "row": np.zeros(1, int)}
        path = chunk_paths(self.predictor, batch, {**row, **shared})
        self._ring = viewport_rings(self._simulator.grid, path, self._simulator.fov_deg)[0]
        return {**observation, "viewport": (self._ring == 0).astype(np.float32)}
