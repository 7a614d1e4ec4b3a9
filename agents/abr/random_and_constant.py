"""Yardsticks that look at nothing: a random level and a constant one."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.policy import Policy


class Random(Policy):
    """A level drawn uniformly for every chunk."""

    def reset(self, seed: int | None = None) -> None:
        self._rng = np.random.default_rng(seed)

    def act(self, observation: np.ndarray, info: dict[str, Any]) -> int:
        return int(self._rng.integers(info["video"].num_levels))


class Constant(Policy):
    """The same level for every chunk (``quality``, 0 = lowest)."""

    def __init__(self, quality: int = 0):
        if not isinstance(quality, int) or quality < 0:
            raise ValueError(f"quality must be a level from 0 up, not {quality!r}")
        self.quality = quality

    def act(self, observation: np.ndarray, info: dict[str, Any]) -> int:
        return self.quality
