"""Means with intervals: of single values, of groups, of pairs, and of seeds crossed with episodes.

Every interval is a 95 % percentile interval of 9,999 bootstrap resamples (Efron and Tibshirani, *An Introduction to the
Bootstrap*, 1993, chapter 13), drawn by the same generator each time: the same values give the same interval, and two
samples of one length are drawn in pairs. Intervals over episodes and the interquartile mean follow Agarwal et al.,
*Deep Reinforcement Learning at the Edge of the Statistical Precipice*, NeurIPS 2021. Episodes that resemble each other,
such as windows of one recording, are drawn together: the cluster bootstrap of Davison and Hinkley, *Bootstrap Methods
and their Application*, 1997, section 3.8. Where every seed plays every episode, both are drawn: Owen, *The pigeonhole
bootstrap*, Annals of Applied Statistics, 2007.
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
"""Seed of every bootstrap."""
INDICES_AT_ONCE = 2**22
"""So many are held in memory, 32 MB, whatever the sample."""

Values = Sequence[float] | np.ndarray
Interval = tuple[float, float]


@dataclass(frozen=True)
class Difference:
    """A policy's mean minus another's, over the episodes that both played."""

    to: str
    """Name of the other policy."""
    mean: float
    ci95: Interval | None
    percent: float | None = None
    """The same, in percent of the other's mean; None where the metric has no zero that percent could refer to."""
    percent_ci95: Interval | None = None


def mean(values: Values, weights: Values | None = None) -> float:
    """Mean of at least one value, summed exactly, so that it does not depend on the order.

    Each counts as much as its weight says, (n,), not negative; without ``weights`` all count alike.
    """
    if weights is None:
        return math.fsum(values) / len(values)
    return math.fsum(np.multiply(values, weights)) / math.fsum(weights)


def interquartile_mean(values: Values) -> float:
    """Mean of the middle half of ``values``: a quarter, rounded down, is dropped at either end."""
    return float(stats.trim_mean(np.asarray(values, dtype=np.float64), 0.25))


def interval(
    values: Values, groups: Sequence[Hashable] | None = None, weights: Values | None = None
) -> Interval | None:
    """95 % interval of the mean of ``values`` (n,), weighted by ``weights`` (n,) if given; None for fewer than two.

    With ``groups``, a key for each value, groups are drawn in place of values: all values of a key come together. None
    for fewer than two groups.
    """
    sample = np.asarray(values, dtype=np.float64)
    counts = np.ones(len(sample)) if weights is None else np.asarray(weights, dtype=np.float64)
    there, groups = _weighty(counts, groups)
    return ratio_interval((sample * counts)[there], counts[there], groups)


def bounds(values: Values, groups: Sequence[Hashable] | None = None, weights: Values | None = None) -> Interval:
    """As ``interval``; the mean itself, twice, for one value or group, about which no interval says anything."""
    found = interval(values, groups, weights)
    return (mean(values, weights),) * 2 if found is None else found


def ratio_interval(values: Values, others: Values, groups: Sequence[Hashable] | None = None) -> Interval | None:
    """95 % interval of the ratio of two sums, or means, of (n,) values each, which are drawn in pairs.

    ``groups`` as in ``interval``. None for fewer than two pairs, or groups.
    """
    pairs = np.stack([np.asarray(values, dtype=np.float64), np.asarray(others, dtype=np.float64)], axis=1)
    if groups is not None:
        pairs, _ = group_sums(pairs, groups)
    if len(pairs) < 2:
        return None
    if np.all(pairs == pairs[0]):  # every resample is the same
        ratio = float(pairs[0, 0] / pairs[0, 1])
        return ratio, ratio
    return _percentiles(_drawn_sums(pairs[:, 0]) / _drawn_sums(pairs[:, 1]))


def crossed_interval(values: np.ndarray) -> Interval | None:
    """95 % interval of the mean of ``values`` (seeds, episodes) where every seed played every episode.

    Seeds and episodes are drawn anew, each by themselves. None for fewer than two seeds or episodes.
    """
    seeds, episodes = values.shape
    if min(seeds, episodes) < 2:
        return None
    rng = np.random.default_rng(RANDOM_STATE)
    weights = rng.multinomial(episodes, np.full(episodes, 1 / episodes), size=RESAMPLES) / episodes
    by_seed = weights @ np.asarray(values, dtype=np.float64).T  # (resamples, seeds)
    return _percentiles(np.take_along_axis(by_seed, rng.integers(seeds, size=by_seed.shape), axis=1).mean(axis=1))


def group_sums(values: np.ndarray, groups: Sequence[Hashable]) -> tuple[np.ndarray, np.ndarray]:
    """Sums over the values of each key, float64 (keys, ...), of values (n, ...), and how many there are, (keys,)."""
    numbers = {key: number for number, key in enumerate(dict.fromkeys(groups))}
    member = np.array([numbers[key] for key in groups], dtype=np.int64)
    sums = np.zeros((len(numbers), *values.shape[1:]))
    np.add.at(sums, member, values)
    return sums, np.bincount(member, minlength=len(numbers)).astype(np.float64)


def difference(
    values: Values,
    others: Values,
    to: str = "",
    percent: bool = False,
    groups: Sequence[Hashable] | None = None,
    weights: Values | None = None,
) -> Difference:
    """``values`` minus ``others`` episode by episode; if one list is shorter, over its episodes.

    ``percent`` adds the ratio of the two means minus 1, in percent, with the interval of that ratio, if all of
    ``others`` are above 0. ``groups`` and ``weights`` as in ``interval``.
    """
    shared = min(len(values), len(others))
    ours, theirs = (np.asarray(sample[:shared], dtype=np.float64) for sample in (values, others))
    groups = None if groups is None else groups[:shared]
    weights = None if weights is None else weights[:shared]
    differences = ours - theirs
    found = Difference(to, mean(differences, weights), interval(differences, groups, weights))
    if not percent or theirs.min() <= 0:
        return found
    counts = np.ones(shared) if weights is None else np.asarray(weights)
    there, groups = _weighty(counts, groups)
    drawn = ratio_interval((ours * counts)[there], (theirs * counts)[there], groups)
    return replace(
        found,
        percent=100 * (mean(ours, weights) / mean(theirs, weights) - 1),
        percent_ci95=drawn and (100 * (drawn[0] - 1), 100 * (drawn[1] - 1)),
    )


def p_value(values: Values) -> float:
    """Two-sided p-value of the hypothesis that the mean of ``values`` (n,), differences of pairs as a rule, is 0.

    It inverts ``interval`` (Efron and Tibshirani, sections 15.4 and 16.4): twice the share of resamples whose mean lies
    on the other side of 0, or on it, each share (k + 1) / (resamples + 1). So it is below 5 % where the 95 % interval
    leaves 0 out, and after a correction where the wider interval does; it says something of means, which a test of
    ranks does not. 1 for fewer than two values.
    """
    sample = np.asarray(values, dtype=np.float64)
    if len(sample) < 2:
        return 1.0
    sums = _drawn_sums(sample)
    beyond = min(int(np.sum(sums >= 0)), int(np.sum(sums <= 0)))
    return min(1.0, 2 * (beyond + 1) / (RESAMPLES + 1))


def holm(p_values: Values) -> np.ndarray:
    """``p_values`` (m,) of m hypotheses, adjusted: those below alpha can be rejected together, float64 (m,).

    The probability of a wrong one among them is at most alpha: Holm, *A Simple Sequentially Rejective Multiple Test
    Procedure*, Scandinavian Journal of Statistics, 1979.
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    adjusted = np.empty(len(given))
    factors = np.arange(len(given), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * factors), 1.0)
    return adjusted


def normalise(value: float, zero: float, one: float) -> float | None:
    """``value`` on the scale where ``zero`` is 0 and ``one`` is 1; None if these two coincide."""
    return None if one == zero else (value - zero) / (one - zero)


def percentiles(values: Values) -> dict[str, float]:
    """Median and 99th percentile, ``{"p50": ..., "p99": ...}``."""
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50": float(p50), "p99": float(p99)}


def _weighty(counts: np.ndarray, groups: Sequence[Hashable] | None) -> tuple[np.ndarray, Sequence[Hashable] | None]:
    """Which values count anything, bool (n,), and their groups: resamples of none that do would have no mean."""
    there = counts > 0
    return there, groups if groups is None else [key for key, count in zip(groups, there, strict=True) if count]


def _drawn_sums(values: np.ndarray) -> np.ndarray:
    """Sums of resamples of ``values`` (n,), float64 (resamples,); those of another sample of n have the same draws."""
    count = len(values)
    if np.all(values == values[0]):
        return np.full(RESAMPLES, count * values[0])
    rng = np.random.default_rng(RANDOM_STATE)
    sums = np.empty(RESAMPLES)
    at_once = max(1, INDICES_AT_ONCE // count)
    for begin in range(0, RESAMPLES, at_once):
        part = sums[begin : begin + at_once]
        part[:] = values[rng.integers(count, size=(len(part), count))].sum(axis=1)
    return sums


def _percentiles(drawn: np.ndarray) -> Interval:
    """The ends of the middle 95 % of ``drawn`` (resamples,)."""
    low, high = np.percentile(drawn, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return float(low), float(high)
