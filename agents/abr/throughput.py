"""Rate-based adaptation: the highest bitrate that the recent throughput carries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.policy import BatchPolicy, grow_rows


class ThroughputWindow:
    """The last few measured throughputs of every row, oldest first, zeros where there are none yet."""

    def __init__(self, window: int):
        if not isinstance(window, int) or window < 1:
            raise ValueError(f"the number of past chunks must be a whole number from 1 up, not {window!r}")
        self.values = np.zeros((0, window))

    def clear(self, rows: np.ndarray) -> None:
        self.values = grow_rows(self.values, rows)
        self.values[rows] = 0.0

    def push(self, rows: np.ndarray, throughput: np.ndarray) -> np.ndarray:
        """Append one measurement (k,) to ``rows`` and return their windows (k, window)."""
        values = np.concatenate([self.values[rows, 1:], throughput[:, None]], axis=1)
        self.values[rows] = values
        return values


def harmonic_mean(windows: np.ndarray) -> np.ndarray:
    """Harmonic mean of the nonzero entries of each row: (k,) from (k, window)."""
    known = windows > 0
    inverse = np.divide(1.0, windows, out=np.zeros_like(windows), where=known)
    return known.sum(axis=1) / inverse.sum(axis=1)


class Throughput(BatchPolicy):
    """Rate-based: the highest level whose bitrate is at most the harmonic mean of the last five throughputs.

    The "RB" baseline of Pensieve (SIGCOMM 2017, section 5.1). Throughput is bytes over download time, round
    trip included, as a player measures it.
    """

    def __init__(self, past_chunks: int = 5, safety: float = 1.0):
        if not safety > 0:
            raise ValueError("safety must be positive: the share of the estimate that is spent")
        self.safety = float(safety)
        self._window = ThroughputWindow(past_chunks)

    def reset_rows(self, rows: np.ndarray, seeds: Sequence[int | None]) -> None:
        self._window.clear(rows)

    def act_batch(self, observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
        windows = self._window.push(infos["row"], infos["throughput_mbps"])
        estimate_kbps = harmonic_mean(windows) * 1000.0 * self.safety
        levels = np.searchsorted(infos["video"].bitrates_kbps, estimate_kbps, side="right") - 1
        return np.maximum(levels, 0)
