"""Figures of arms over seeds: levels reached, means with intervals, differences paired by seed and by trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agents import statistics

Figure = dict[str, Any]
"""``mean``, ``ci95`` or None, ``values`` of the seeds; ``censored``, if any: how many of them did not get there."""


def figure(values: Sequence[float], censored: int = 0) -> Figure:
    """Mean over seeds with its 95 % bootstrap interval."""
    found: Figure = {
        "mean": statistics.mean(values),
        "ci95": statistics.interval(values),
        "values": [float(value) for value in values],
    }
    return {**found, "censored": censored} if censored else found


def percent(values: Sequence[float], others: Sequence[float]) -> Figure:
    """Ratio of the means minus 1, in percent, with its interval over seeds drawn in pairs."""
    found = statistics.difference(values, others, "", percent=True)
    each = [100 * (one / other - 1) for one, other in zip(values, others, strict=True)]
    return {"mean": found.percent, "ci95": found.percent_ci95, "values": each}


def crossed(values: Sequence[Sequence[float]], others: Sequence[Sequence[float]]) -> Figure:
    """Mean of ``values`` minus ``others``, both (seeds, traces), and its interval: seeds and traces are drawn anew.

    ``values`` of the figure are means over traces.
    """
    apart = np.asarray(values, dtype=np.float64) - np.asarray(others, dtype=np.float64)
    each = apart.mean(axis=1)
    return {"mean": statistics.mean(each), "ci95": statistics.crossed_interval(apart), "values": each.tolist()}


def reached(xs: Sequence[float], ys: Sequence[float], level: float, falling: bool = True) -> float | None:
    """Where the curve through (x, y) first is at ``level`` or beyond it, straight between points; None: never."""
    sign = 1.0 if falling else -1.0
    for number, (x, y) in enumerate(zip(xs, ys, strict=True)):
        if sign * y <= sign * level:
            if number == 0:
                return float(x)
            before, y0 = xs[number - 1], ys[number - 1]
            return float(before + (x - before) * (level - y0) / (y - y0))
    return None


def to_level(
    curves: Sequence[tuple[Sequence[float], Sequence[float]]], level: float, falling: bool = True
) -> tuple[list[float], int]:
    """x at which each curve reaches the level, its last x where it does not, and how many do not."""
    found = [reached(xs, ys, level, falling) for xs, ys in curves]
    values = [float(xs[-1]) if at is None else at for at, (xs, _) in zip(found, curves, strict=True)]
    return values, sum(at is None for at in found)


def level_at(curves: Sequence[tuple[Sequence[float], Sequence[float]]], share: float) -> float:
    """Mean over curves of y at this share of the way to their last x."""
    return statistics.mean([float(np.interp(share * xs[-1], xs, ys)) for xs, ys in curves])


def area(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Mean height of the curve: the area under it over its length."""
    return float(np.trapezoid(ys, xs) / (xs[-1] - xs[0]))


def curve_of(results: Sequence[Mapping[str, Any]], name: str) -> dict[str, list[float]]:
    """Means over seeds of a column of their curves, and ``step``."""
    points = [[point for point in result["found"]["curve"] if name in point] for result in results]
    columns = list(zip(*points, strict=True))
    return {
        "step": [column[0]["step"] for column in columns],
        name: [statistics.mean([point[name] for point in column]) for column in columns],
    }
