"""Statistics of a comparison: means with intervals, and differences paired episode by episode.

Bootstrap percentile intervals over episodes and the interquartile mean follow Agarwal et al., *Deep
Reinforcement Learning at the Edge of the Statistical Precipice*, NeurIPS 2021. Episodes that resemble each other, such
as windows of one recording, are drawn together: the cluster bootstrap of Davison and Hinkley, *Bootstrap Methods and
their Application*, 1997, section 3.8.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
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


def interval(
    values: Sequence[float] | np.ndarray, groups: Sequence[Hashable] | None = None
) -> tuple[float, float] | None:
    """95 % bootstrap percentile interval of the mean of ``values`` (n,), None for fewer than two.

    With ``groups``, a key for each value, groups are drawn in place of values: all values of a key come together. None
    for fewer than two groups.
    """
    sample = np.asarray(values, dtype=np.float64)
    if len(sample) < 2:
        return None
    if groups is not None:
        sums, sizes = group_sums(sample, groups)
        return _ratio_interval(sums, sizes)
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


def group_sums(values: np.ndarray, groups: Sequence[Hashable]) -> tuple[np.ndarray, np.ndarray]:
    """Sums over the values of each key, float64 (keys, ...), of values (n, ...), and how many there are, (keys,)."""
    numbers = {key: number for number, key in enumerate(dict.fromkeys(groups))}
    member = np.array([numbers[key] for key in groups], dtype=np.int64)
    sums = np.zeros((len(numbers), *values.shape[1:]))
    np.add.at(sums, member, values)
    return sums, np.bincount(member, minlength=len(numbers)).astype(np.float64)


def interquartile_mean(values: Sequence[float] | np.ndarray) -> float:
    """Mean of the middle half of ``values``: a quarter, rounded down, is dropped at either end."""
    return float(stats.trim_mean(np.asarray(values, dtype=np.float64), 0.25))


def difference(
    values: Sequence[float],
    others: Sequence[float],
    to: str,
    percent: bool = False,
    groups: Sequence[Hashable] | None = None,
) -> Difference:
    """``values`` minus ``others`` episode by episode; if one list is shorter, over its episodes.

    ``percent`` adds the ratio of the two means minus 1, in percent, with the interval of that ratio, if all of
    ``others`` are above 0. ``groups`` as in ``interval``.
    """
    shared = min(len(values), len(others))
    ours, theirs = (np.asarray(sample[:shared], dtype=np.float64) for sample in (values, others))
    groups = None if groups is None else groups[:shared]
    differences = ours - theirs
    found = Difference(to, mean(differences), interval(differences, groups))
    if not percent or theirs.min() <= 0:
        return found
    if groups is None:
        drawn = _ratio_interval(ours, theirs)
    else:
        drawn = _ratio_interval(group_sums(ours, groups)[0], group_sums(theirs, groups)[0])
    return replace(
        found,
        percent=100 * (mean(ours) / mean(theirs) - 1),
        percent_ci95=drawn and (100 * (drawn[0] - 1), 100 * (drawn[1] - 1)),
    )


def _ratio_interval(values: np.ndarray, others: np.ndarray) -> tuple[float, float] | None:
    """95 % interval of the ratio of two sums, both (n,), whose terms are drawn in pairs; None for fewer than two."""
    if len(values) < 2:
        return None
    drawn = np.random.default_rng(RANDOM_STATE).integers(len(values), size=(RESAMPLES, len(values)))
    ratios = values[drawn].sum(axis=1) / others[drawn].sum(axis=1)
    low, high = np.percentile(ratios, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return float(low), float(high)


def normalise(value: float, zero: float, one: float) -> float | None:
    """``value`` on the scale where ``zero`` is 0 and ``one`` is 1; None if these two coincide."""
    return None if one == zero else (value - zero) / (one - zero)


def percentiles(values: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Median and 99th percentile, ``{"p50": ..., "p99": ...}``."""
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50": float(p50), "p99": float(p99)}
