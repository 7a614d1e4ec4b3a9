"""Exact planning against several throughput scenarios at once: one plan for all of them, in numba.

The objective of Yin et al. (SIGCOMM 2015, section 4), averaged over the scenarios, plus a value of the buffer that
the plan leaves behind.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from netenvs import compiled
from netenvs.abr.kernel import row_of_chunk

TIE = 1e-9
"""A plan replaces one found before if it is better by more than this: rounding errors decide nothing."""


class Chunks(NamedTuple):
    """What is streamed."""

    sizes: Any
    """int32 (chunks, levels), bytes."""
    number: int
    """The first so many are streamed."""
    duration_s: float


class Scenarios(NamedTuple):
    """Throughput that may come, all of it alike likely; see ``download_s``."""

    near_s: float
    near_rate: Any
    """float64 (scenarios,), byte/s; so is ``far_rate``. For ``first_levels`` (sessions, scenarios)."""
    far_rate: Any
    rtt_s: float


class Objective(NamedTuple):
    """What a plan is worth: utilities minus costs of switching and stalling, plus a value of the buffer at its end."""

    utility: Any
    """float64 (levels,), or, where each chunk has its own, (chunks * levels,): those of ``QoE.tables``."""
    switch_cost: Any
    """float64 (levels, levels), or (chunks * levels, levels)."""
    rebuffer_penalty: float
    """Of a second of stalling."""
    buffer_value: float
    """Of a second of the buffer, up to ``enough_s``."""
    enough_s: float


@compiled.kernel
def download_s(size_bytes, elapsed_s, near_s, near_rate, far_rate, rtt_s):
    """Seconds for a chunk ``elapsed_s`` into a scenario: ``near_rate`` byte/s until ``near_s``, then ``far_rate``.

    The round trip ``rtt_s`` comes on top and carries nothing.
    """
    left = near_s - elapsed_s
    if left <= 0.0:
        return rtt_s + size_bytes / far_rate
    if size_bytes <= left * near_rate:
        return rtt_s + size_bytes / near_rate
    return rtt_s + left + (size_bytes - left * near_rate) / far_rate


@compiled.kernel
def best_plan(first, horizon, buffer_s, cap_s, last_level, chunks, scenarios, objective):
    """(level of the first chunk, value, nodes visited) of the plan that is best on average over the scenarios.

    A plan gives a level to each of the chunks ``first`` .. ``first + horizon - 1``, after one of ``last_level``. Its
    value in a scenario is what the ``objective`` says. Downloads pause where a chunk would fill the buffer above
    ``cap_s``. ``chunks`` are ``Chunks``, ``scenarios`` ``Scenarios``, ``objective`` an ``Objective``.

    Depth first with shared prefixes, levels near the one before first. A branch is cut when it could not beat the best
    plan found even if nothing stalled any more. Of plans that tie the first one found wins.
    """
    near_s, near_rate, far_rate, rtt_s = scenarios
    utility, switch_cost, rebuffer_penalty, buffer_value, enough_s = objective
    chunk_sizes, _, chunk_duration_s = chunks
    levels, count = chunk_sizes.shape[1], len(near_rate)
    order, ceiling = _nearest_first(levels), _ceiling(first, horizon, levels, utility, switch_cost)

    # at depth d: after the first d chunks of the plan
    level_at = np.empty(horizon + 1, dtype=np.int64)
    tried = np.zeros(horizon + 1, dtype=np.int64)  # levels for the next chunk that are done with
    gain = np.zeros(horizon + 1)  # utilities minus switches
    stall = np.zeros(horizon + 1)  # s, mean over the scenarios
    buffer = np.empty((horizon + 1, count))
    elapsed = np.empty((horizon + 1, count))
    level_at[0] = last_level
    buffer[0] = buffer_s
    elapsed[0] = 0.0
    best, best_level, nodes = -np.inf, 0, 0
    depth = 0
    while depth >= 0:
        if tried[depth] == levels:
            depth -= 1
            continue
        before = level_at[depth]
        level = order[before, tried[depth]]
        tried[depth] += 1
        after = depth + 1
        valued = row_of_chunk(utility, levels, first + depth) + level
        gain[after] = gain[depth] + utility[valued] - switch_cost[valued, before]
        reachable = gain[after] + ceiling[after, level] + buffer_value * enough_s
        if reachable - rebuffer_penalty * stall[depth] <= best + TIE:
            continue
        nodes += 1
        stalled, filled = 0.0, 0.0
        for s in range(count):
            download = download_s(
                chunk_sizes[first + depth, level], elapsed[depth, s], near_s, near_rate[s], far_rate[s], rtt_s
            )
            left = buffer[depth, s] - download
            stalled += max(-left, 0.0)
            full = max(left, 0.0) + chunk_duration_s
            buffer[after, s] = min(full, cap_s)
            elapsed[after, s] = elapsed[depth, s] + download + (full - buffer[after, s])
            filled += min(buffer[after, s] + (horizon - after) * chunk_duration_s, enough_s)
        stall[after] = stall[depth] + stalled / count
        value = gain[after] - rebuffer_penalty * stall[after] + buffer_value * filled / count
        if value + ceiling[after, level] <= best + TIE:
            continue
        level_at[after] = level
        if after == horizon:
            best, best_level = value, level_at[1]
            continue
        depth = after
        tried[depth] = 0
    return best_level, best, nodes


@compiled.kernel
def _nearest_first(levels):
    """int64 (levels, levels): for each level all of them, the nearest first."""
    order = np.empty((levels, levels), dtype=np.int64)
    for level in range(levels):
        count = 0
        for distance in range(levels):
            if level + distance < levels:
                order[level, count] = level + distance
                count += 1
            if distance > 0 and level - distance >= 0:
                order[level, count] = level - distance
                count += 1
    return order


@compiled.kernel
def _ceiling(first, horizon, levels, utility, switch_cost):
    """float64 (horizon + 1, levels): most that utilities minus switches from a chunk on can come to after a level."""
    ceiling = np.zeros((horizon + 1, levels))
    for depth in range(horizon - 1, -1, -1):
        row = row_of_chunk(utility, levels, first + depth)
        for level in range(levels):
            ceiling[depth, level] = -np.inf
            for upcoming in range(levels):
                reached = utility[row + upcoming] - switch_cost[row + upcoming, level] + ceiling[depth + 1, upcoming]
                ceiling[depth, level] = max(ceiling[depth, level], reached)
    return ceiling


@compiled.kernel
def first_levels(chunk, horizon, buffer_s, cap_s, last_level, chunks, scenarios, objective):
    """Levels of the next chunks of k sessions, int64 (k,): ``best_plan`` for each, no further than the video's end.

    ``chunk``, ``buffer_s``, ``cap_s`` and ``last_level`` are (k,), the rates of ``scenarios`` (k, scenarios). A buffer
    left at the end of the video has no value; 0 where a video is over.
    """
    near_s, near_rate, far_rate, rtt_s = scenarios
    utility, switch_cost, rebuffer_penalty, buffer_value, enough_s = objective
    levels = np.zeros(len(chunk), dtype=np.int64)
    for i in range(len(chunk)):
        left = chunks.number - chunk[i]
        if left < 1:
            continue
        own = Scenarios(near_s, near_rate[i], far_rate[i], rtt_s)
        worth = Objective(utility, switch_cost, rebuffer_penalty, buffer_value if left > horizon else 0.0, enough_s)
        levels[i], _, _ = best_plan(
            chunk[i], min(horizon, left), buffer_s[i], cap_s[i], last_level[i], chunks, own, worth
        )
    return levels
