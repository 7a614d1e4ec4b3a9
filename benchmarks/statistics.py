"""Statistics of a comparison: means with intervals, and differences paired episode by episode.

Bootstrap percentile intervals over episodes and the interquartile mean follow Agarwal et al., *Deep
Reinforcement Learning at the Edge of the Statistical Precipice*, NeurIPS 2021.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 9999
RANDOM_STATE = 0
"""Seed of every bootstrap: the same episodes give the same interval."""


@dataclass(frozen=True)
class Difference:
    """A policy's mean minus another's, over the episodes that both played."""

    to: str
    """Name of the other policy."""
    mean: float
    ci95: tuple[float, float] | None


def mean(values: Sequence[float] | np.ndarray) -> float:
    """Mean of at least one value, summed exactly, so that it does not depend on the order."""
    return math.fsum(values) / len(values)


def interval(values: Sequence[float] | np.ndarray) -> tuple[float, float] | None:
    """95 % bootstrap percentile interval of the mean of ``values`` (n,), None for fewer than two."""
    sample = np.asarray(values, dtype=np.float64)
    if len(sample) < 2:
        return None
    if np.all(sample == sample[0]):  # every resample is the same
        return float(sample[0]), float(sample[0])
    result = stats.bootstrap(
        (sample,),
        np.mean,
        confidence_level=CONFIDENCE,
        n_resamples=RESAMPLES,
        method="percentile",
        vectorized=True,
        batch=1000,
        random_state=np.random.default_rng(RANDOM_STATE),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def interquartile_mean(values: Sequence[float] | np.ndarray) -> float:
    """Mean of the middle half of ``values``: a quarter, rounded down, is dropped at either end."""
    return float(stats.trim_mean(np.asarray(values, dtype=np.float64), 0.25))


def difference(values: Sequence[float], others: Sequence[float], to: str) -> Difference:
    """``values`` minus ``others`` episode by episode; if one list is shorter, over its episodes."""
    shared = min(len(values), len(others))
    differences = np.asarray(values[:shared], dtype=np.float64) - np.asarray(others[:shared], dtype=np.float64)
    return Difference(to, mean(differences), interval(differences))


def normalise(value: float, zero: float, one: float) -> float | None:
    """``value`` on the scale where ``zero`` is 0 and ``one`` is 1; None if these two coincide."""
    return None if one == zero else (value - zero) / (one - zero)


def percentiles(values: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Median and 99th percentile, ``{"p50": ..., "p99": ...}``."""
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50": float(p50), "p99": float(p99)}
