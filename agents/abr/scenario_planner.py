"""Exact planning against several throughput scenarios at once: one plan for all of them, in numba.

The objective of Yin et al. (SIGCOMM 2015, section 4), averaged over the scenarios, plus a value of the buffer that
the plan leaves behind.
"""

from __future__ import annotations

import numpy as np

from netenvs import compiled

TIE = 1e-9
"""A plan replaces one found before if it is better by more than this: rounding errors decide nothing."""


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
def best_plan(
    chunk_sizes,
    first,
    horizon,
    buffer_s,
    cap_s,
    last_level,
    near_s,
    near_rate,
    far_rate,
    rtt_s,
    utility,
    switch_cost,
    rebuffer_penalty,
    chunk_duration_s,
    buffer_value,
    enough_s,
):
    """(level of the first chunk, value, nodes visited) of the plan that is best on average over the scenarios.

    A plan gives a level to each of the chunks ``first`` .. ``first + horizon - 1``. Its value in a scenario is the sum
    of the utilities minus the costs of switching minus ``rebuffer_penalty`` times the stalls in s, plus
    ``buffer_value`` for each second of the buffer at its end, up to ``enough_s``. Downloads pause where a chunk would
    fill the buffer above ``cap_s``.

    Arguments:
        chunk_sizes: int32 (chunks, levels), bytes.
        near_rate: float64 (scenarios,), byte/s, see ``download_s``; so is ``far_rate``.
        utility: float64 (levels,).
        switch_cost: float64 (levels, levels).

    Depth first with shared prefixes, levels near the one before first. A branch is cut when it could not beat the best
    plan found even if nothing stalled any more. Of plans that tie the first one found wins.
    """
    levels, scenarios = len(utility), len(near_rate)
    # ceiling[d, q]: most that utilities minus switches of the chunks d .. horizon - 1 can come to after level q
    ceiling = np.zeros((horizon + 1, levels))
    # order[q]: the levels, the nearest to q first
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
    for depth in range(horizon - 1, -1, -1):
        for level in range(levels):
            ceiling[depth, level] = -np.inf
            for upcoming in range(levels):
                reached = utility[upcoming] - switch_cost[upcoming, level] + ceiling[depth + 1, upcoming]
                ceiling[depth, level] = max(ceiling[depth, level], reached)

    # at depth d: after the first d chunks of the plan
    level_at = np.empty(horizon + 1, dtype=np.int64)
    tried = np.zeros(horizon + 1, dtype=np.int64)  # levels for the next chunk that are done with
    gain = np.zeros(horizon + 1)  # utilities minus switches
    stall = np.zeros(horizon + 1)  # s, mean over the scenarios
    buffer = np.empty((horizon + 1, scenarios))
    elapsed = np.empty((horizon + 1, scenarios))
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
        gain[after] = gain[depth] + utility[level] - switch_cost[level, before]
        reachable = gain[after] + ceiling[after, level] + buffer_value * enough_s
        if reachable - rebuffer_penalty * stall[depth] <= best + TIE:
            continue
        nodes += 1
        stalled, filled = 0.0, 0.0
        for s in range(scenarios):
            download = download_s(
                chunk_sizes[first + depth, level], elapsed[depth, s], near_s, near_rate[s], far_rate[s], rtt_s
            )
            left = buffer[depth, s] - download
            stalled += max(-left, 0.0)
            full = max(left, 0.0) + chunk_duration_s
            buffer[after, s] = min(full, cap_s)
            elapsed[after, s] = elapsed[depth, s] + download + (full - buffer[after, s])
            filled += min(buffer[after, s] + (horizon - after) * chunk_duration_s, enough_s)
        stall[after] = stall[depth] + stalled / scenarios
        value = gain[after] - rebuffer_penalty * stall[after] + buffer_value * filled / scenarios
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
def first_levels(
    chunk,
    horizon,
    buffer_s,
    cap_s,
    last_level,
    near_s,
    near_rate,
    far_rate,
    rtt_s,
    chunk_sizes,
    num_chunks,
    utility,
    switch_cost,
    rebuffer_penalty,
    chunk_duration_s,
    buffer_value,
    enough_s,
):
    """Levels of the next chunks of k sessions, int64 (k,): ``best_plan`` for each, no further than the video's end.

    ``chunk``, ``buffer_s``, ``cap_s`` and ``last_level`` are (k,), ``near_rate`` and ``far_rate`` (k, scenarios). A
    buffer left at the end of the video has no value; 0 where a video is over.
    """
    levels = np.zeros(len(chunk), dtype=np.int64)
    for i in range(len(chunk)):
        left = num_chunks - chunk[i]
        if left < 1:
            continue
        levels[i], _, _ = best_plan(
            chunk_sizes,
            chunk[i],
            min(horizon, left),
            buffer_s[i],
            cap_s[i],
            last_level[i],
            near_s,
            near_rate[i],
            far_rate[i],
            rtt_s,
            utility,
            switch_cost,
            rebuffer_penalty,
            chunk_duration_s,
            buffer_value if left > horizon else 0.0,
            enough_s,
        )
    return levels
