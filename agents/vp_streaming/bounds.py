"""Bounds and yardsticks: random levels, the whole sphere at one rate, and the viewport known beforehand."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from agents.policy import Policy
from agents.vp_streaming.rates import RateBased
from agents.vp_streaming.tiled import TiledPolicy
from netenvs.vp_streaming.tiles import viewport_rings


class RandomTiles(Policy):
    """A level drawn uniformly for every tile."""

    def reset(self, seed: int | None = None) -> None:
        self._rng = np.random.default_rng(seed)

    def act(self, observation: Any, info: dict[str, Any]) -> np.ndarray:
        return self._rng.integers(len(info["rates_mbps"]) + 1, size=info["grid"].tiles)


class WholeSphere(TiledPolicy):
    """All tiles at one rate, the highest that the throughput carries: streaming without any prediction."""

    def __init__(self, safety: float = 1.0):
        self.rates = RateBased(safety)

    def options(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        levels = np.arange(1, len(infos["rates_mbps"]) + 1)[:, None]
        rows, tiles = observations["tile_mbyte"].shape
        return np.broadcast_to(levels, (rows, len(levels), tiles))


class OracleViewport(TiledPolicy):
    """The tiles that will be in sight at the highest rate that the throughput carries, and nothing else.

    It knows where the viewer is going to look, but not the bandwidth: what a perfect prediction is worth to the rule
    that the others have.
    """

    privileged = True

    def __init__(self, safety: float = 1.0):
        self.rates = RateBased(safety)

    def bind(self, env: gym.Env) -> None:
        self._watched: np.ndarray = env.unwrapped.watched()  # type: ignore[attr-defined]

    def options(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        path = self._watched[infos["chunk"]]
        seen = viewport_rings(infos["grid"], path, infos["fov_deg"])[:, None] == 0
        return np.where(seen, np.arange(1, len(infos["rates_mbps"]) + 1)[:, None], 0)
