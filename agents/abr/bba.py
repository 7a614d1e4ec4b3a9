"""BBA: the buffer alone chooses the level."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.policy import BatchPolicy


class BBA(BatchPolicy):
    """Buffer-based adaptation: lowest level under the reservoir, highest over the cushion, linear between.

    Huang et al., *A Buffer-Based Approach to Rate Adaptation*, SIGCOMM 2014, in the form that Pensieve, Genet
    and NetLLM compare with: reservoir 5 s, cushion 10 s, and the map is over levels, not bitrates.
    """

    def __init__(self, reservoir_s: float = 5.0, cushion_s: float = 10.0):
        if not (reservoir_s >= 0 and cushion_s > 0):
            raise ValueError("reservoir_s must be 0 or more and cushion_s positive")
        self.reservoir_s, self.cushion_s = float(reservoir_s), float(cushion_s)

    def act_batch(self, observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
        highest = infos["video"].num_levels - 1
        level = highest * (infos["buffer_s"] - self.reservoir_s) / self.cushion_s
        return np.clip(level, 0, highest).astype(np.int64)
