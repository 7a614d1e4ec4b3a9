"""Planning against several throughput scenarios at once, in numba: one next level for all of them, then one for each.

The objective of Yin et al. (SIGCOMM 2015, section 4), averaged over the scenarios, plus a value of the buffer that is
left behind. One plan for all scenarios would have to hold its levels in the worst of them, although a player sees after
each chunk which it is in; so only the next chunk's level is common here (a stochastic programme of two stages).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from netenvs import compiled
from netenvs.abr.kernel import row_of_chunk

TIE = 1e-9
"""A level replaces one found before if it is better by more than this: rounding errors decide nothing."""


SLACK = 1.15
"""A stall is counted as if each download took so many times as long: those of one link differ by a tenth and more."""


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
    """float64 (scenarios,), byte/s; so is ``far_rate``. For ``values_of_levels`` (sessions, scenarios)."""
    far_rate: Any
    rtt_s: Any
    """float; for ``values_of_levels`` float64 (sessions,)."""


class Objective(NamedTuple):
    """What chunks are worth: utilities minus costs of switching and stalling, plus a value of the buffer at the end."""

    utility: Any
    """float64 (levels,), or, where each chunk has its own, (chunks * levels,): those of ``QoE.tables``."""
    switch_cost: Any
    """float64 (levels, levels), or (chunks * levels, levels)."""
    rebuffer_penalty: float
    """Of a second of stalling."""
    buffer_value: float
    """Of the first second of the buffer; see ``value_of_buffer``."""
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
def value_of_buffer(buffer_s, buffer_value, enough_s):
    """Worth of a buffer: ``buffer_value`` a second at first, falling evenly to 0 at ``enough_s``."""
    if enough_s <= 0.0:
        return 0.0
    kept = min(buffer_s, enough_s)
    return buffer_value * (kept - kept * kept / (2.0 * enough_s))


@compiled.kernel
def level_values(first, horizon, buffer_s, cap_s, last_level, chunks, scenarios, objective):
    """What each level of the chunk ``first`` is worth on average over the scenarios, float64 (levels,).

    Of the chunks ``first`` .. ``first + horizon - 1``, after one of ``last_level``, the first has the same level in all
    scenarios; in each the others then have the one level that is best there. The value is what the ``objective`` says,
    with stalls as if downloads took ``SLACK`` times as long.
    Downloads pause where a chunk would fill the buffer above ``cap_s``. ``chunks`` are ``Chunks``, ``scenarios``
    ``Scenarios``, ``objective`` an ``Objective``.
    """
    near_s, near_rate, far_rate, rtt_s = scenarios
    utility, switch_cost, rebuffer_penalty, buffer_value, enough_s = objective
    chunk_sizes, _, chunk_duration_s = chunks
    levels, count = chunk_sizes.shape[1], len(near_rate)
    values = np.zeros(levels)
    for level in range(levels):
        total = 0.0
        for s in range(count):
            within = -np.inf
            for onward in range(levels):
                buffer, elapsed, value, before = buffer_s, 0.0, 0.0, last_level
                for chunk in range(first, first + horizon):
                    upcoming = level if chunk == first else onward
                    download = download_s(
                        chunk_sizes[chunk, upcoming], elapsed, near_s, near_rate[s], far_rate[s], rtt_s
                    )
                    late = max(SLACK * download - buffer, 0.0)
                    full = max(buffer - download, 0.0) + chunk_duration_s
                    buffer = min(full, cap_s)
                    elapsed += download + (full - buffer)
                    valued = row_of_chunk(utility, levels, chunk) + upcoming
                    value += utility[valued] - switch_cost[valued, before] - rebuffer_penalty * late
                    before = upcoming
                within = max(within, value + value_of_buffer(buffer, buffer_value, enough_s))
            total += within
        values[level] = total / count
    return values


@compiled.kernel
def best_level(values, last_level):
    """The level with the highest value; of those that tie the nearest to the last, then the higher."""
    best, chosen = -np.inf, 0
    for level in _nearest_first(len(values), last_level):
        if values[level] > best + TIE:
            best, chosen = values[level], level
    return chosen


@compiled.kernel
def _nearest_first(levels, near):
    """int64 (levels,): all levels, the nearest first."""
    order = np.empty(levels, dtype=np.int64)
    count = 0
    for distance in range(levels):
        if near + distance < levels:
            order[count] = near + distance
            count += 1
        if distance > 0 and near - distance >= 0:
            order[count] = near - distance
            count += 1
    return order


@compiled.kernel
def values_of_levels(chunk, horizon, buffer_s, cap_s, last_level, chunks, scenarios, objective):
    """What the levels of the next chunks of k sessions are worth, float64 (k, levels): ``level_values`` of each.

    ``chunk``, ``buffer_s``, ``cap_s`` and ``last_level`` are (k,), the rates of ``scenarios`` (k, scenarios), ``rtt_s``
    (k,). No plan goes beyond the video's end, where a buffer has no value; zeros where a video is over.
    """
    near_s, near_rate, far_rate, rtt_s = scenarios
    utility, switch_cost, rebuffer_penalty, buffer_value, enough_s = objective
    values = np.zeros((len(chunk), chunks.sizes.shape[1]))
    for i in range(len(chunk)):
        left = chunks.number - chunk[i]
        if left < 1:
            continue
        own = Scenarios(near_s, near_rate[i], far_rate[i], rtt_s[i])
        worth = Objective(utility, switch_cost, rebuffer_penalty, buffer_value if left > horizon else 0.0, enough_s)
        values[i] = level_values(chunk[i], min(horizon, left), buffer_s[i], cap_s[i], last_level[i], chunks, own, worth)
    return values


@compiled.kernel
def best_levels(values, last_level):
    """The best levels, int64 (k,): ``best_level`` of each row of values (k, levels) after ``last_level`` (k,)."""
    levels = np.zeros(len(values), dtype=np.int64)
    for i in range(len(values)):
        levels[i] = best_level(values[i], last_level[i])
    return levels
