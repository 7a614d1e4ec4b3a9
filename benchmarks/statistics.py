"""Statistics of a comparison: means with intervals, and differences paired episode by episode.

Bootstrap percentile intervals over episodes and the interquartile mean follow Agarwal et al., *Deep
Reinforcement Learning at the Edge of the Statistical Precipice*, NeurIPS 2021.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    percent: float | None = None
    """The same, in percent of the other's mean; None where the metric has no zero that percent could refer to."""
    percent_ci95: tuple[float, float] | None = None


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


def difference(values: Sequence[float], others: Sequence[float], to: str, percent: bool = False) -> Difference:
    """``values`` minus ``others`` episode by episode; if one list is shorter, over its episodes.

    ``percent`` adds the ratio of the two means minus 1, in percent, with the interval of that ratio, if all of
    ``others`` are above 0.
    """
    shared = min(len(values), len(others))
    ours, theirs = (np.asarray(sample[:shared], dtype=np.float64) for sample in (values, others))
    differences = ours - theirs
    found = Difference(to, mean(differences), interval(differences))
    if not percent or theirs.min() <= 0:
        return found
    return replace(found, percent=100 * (mean(ours) / mean(theirs) - 1), percent_ci95=_ratio_interval(ours, theirs))


def _ratio_interval(values: np.ndarray, others: np.ndarray) -> tuple[float, float] | None:
    """95 % interval of the ratio of the means minus 1, in percent: episodes are drawn in pairs."""
    if len(values) < 2:
        return None
    drawn = np.random.default_rng(RANDOM_STATE).integers(len(values), size=(RESAMPLES, len(values)))
    percents = 100 * (values[drawn].sum(axis=1) / others[drawn].sum(axis=1) - 1)
    low, high = np.percentile(percents, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return float(low), float(high)


def normalise(value: float, zero: float, one: float) -> float | None:
    """``value`` on the scale where ``zero`` is 0 and ``one`` is 1; None if these two coincide."""
    return None if one == zero else (value - zero) / (one - zero)


def percentiles(values: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Median and 99th percentile, ``{"p50": ..., "p99": ...}``."""
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50": float(p50), "p99": float(p99)}
