"""RobustMPC, done properly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.abr.mpc import PAST_CHUNKS, robust_decisions, thousandths
from agents.policy import BatchPolicy, grow_rows


class RobustMPC(BatchPolicy):
    """RobustMPC: the best of all plans for five chunks at the harmonic-mean throughput over (1 + worst error).

    Yin et al., SIGCOMM 2015, section 5.3. Unlike the variants in published comparisons (see ``netllm-mpc``) it
    considers all levels^5 plans, plans with the sizes of the chunks that come next, and forgets its errors when
    an episode begins. It maximises the environment's own objective. ``robust=False`` is plain MPC.
    """

    def __init__(self, robust: bool = True):
        self.robust = robust
        self._throughput = np.zeros((0, PAST_CHUNKS))
        self._errors = np.zeros((0, PAST_CHUNKS))
        self._estimate = np.zeros(0)

    def reset_rows(self, rows: np.ndarray, seeds: Sequence[int | None]) -> None:
        self._throughput = grow_rows(self._throughput, rows)
        self._errors = grow_rows(self._errors, rows)
        self._estimate = grow_rows(self._estimate, rows)
        for state in (self._throughput, self._errors, self._estimate):
            state[rows] = 0.0

    def act_batch(self, observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
        if infos["row"].max() >= len(self._estimate):
            raise ValueError("these rows have not begun an episode: call reset_rows first")
        video, qoe = infos["video"], infos["qoe"]
        return robust_decisions(
            infos["row"],
            self._throughput,
            self._errors,
            self._estimate,
            infos["chunk_bytes"] / infos["delay_ms"] / 1000.0,
            infos["buffer_s"],
            infos["chunk"].astype(np.int64),
            infos["bitrate_kbps"],
            video.bitrates_kbps,
            video.chunk_sizes,
            video.num_chunks,
            *thousandths(qoe),
            qoe.rebuffer_penalty,
            video.chunk_duration_s,
            self.robust,
        )
