"""The throughput estimate of dash.js: exponentially weighted means over time, the smaller of a fast and a slow one."""

from __future__ import annotations

import math

import numpy as np

from agents.policy import grow_rows

HALF_LIVES_S = (3.0, 8.0)  # dash.js, EWMA_THROUGHPUT_FAST/SLOW_HALF_LIFE_SECONDS; the same in UMass' Sabre


class EwmaThroughput:
    """Estimated throughput of every row, from its downloads so far.

    A download of s seconds moves a mean with half-life h by 1 - 2^(-s / h) of the way to its throughput; the weight
    that is missing in the beginning is divided out. The estimate is the smallest of the means.
    """

    def __init__(self, half_lives_s: tuple[float, ...] = HALF_LIVES_S):
        self._rate = math.log(2.0) / np.array(half_lives_s)
        self._mean = np.zeros((0, len(half_lives_s)))
        self._seconds = np.zeros(0)

    def clear(self, rows: np.ndarray) -> None:
        self._mean, self._seconds = grow_rows(self._mean, rows), grow_rows(self._seconds, rows)
        self._mean[rows], self._seconds[rows] = 0.0, 0.0

    def push(self, rows: np.ndarray, throughput_mbps: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """Note one download in each of ``rows``; the estimates in Mbit/s. All are float64 (k,)."""
        step = -np.expm1(-self._rate * np.asarray(seconds)[:, None])
        mean = self._mean[rows] + step * (np.asarray(throughput_mbps)[:, None] - self._mean[rows])
        total = self._seconds[rows] + seconds
        self._mean[rows], self._seconds[rows] = mean, total
        return (mean / -np.expm1(-self._rate * total[:, None])).min(axis=1)
