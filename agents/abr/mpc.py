"""Model-predictive control over a short horizon: the exact best plan for one predicted bandwidth, in numba.

Yin et al., *A Control-Theoretic Approach for Dynamic Adaptive Video Streaming over HTTP*, SIGCOMM 2015.
"""

from __future__ import annotations

import numpy as np

from netenvs import compiled
from netenvs.abr.kernel import row_of_chunk
from netenvs.abr.qoe import QoE

HORIZON = 5  # chunks, Yin et al. section 5 and every later comparison
PAST_CHUNKS = 5  # harmonic mean and largest error over the last five


@compiled.kernel
def _after_download(buffer_s, stalled_s, download_s, chunk_duration_s):
    """Buffer with the chunk in it, and total stalling, after a download of ``download_s``."""
    if buffer_s < download_s:
        return chunk_duration_s, stalled_s + (download_s - buffer_s)
    return buffer_s - download_s + chunk_duration_s, stalled_s


def thousandths(qoe: QoE) -> tuple[np.ndarray, np.ndarray]:
    """``QoE.tables`` for the searches below: of bitrates in Mbit/s these are whole kbit/s, and sums of them exact."""
    utility, switch_cost = qoe.tables
    return np.round(utility * 1000.0, 9), np.round(switch_cost * 1000.0, 9)


@compiled.kernel
def _highest_ahead(utility, levels, first, horizon):
    """Most that utilities can come to after each number of chunks of a plan, float64 (horizon + 1,)."""
    ahead = np.zeros(horizon + 1)
    for depth in range(horizon - 1, -1, -1):
        row = row_of_chunk(utility, levels, first + depth)
        highest = utility[row : row + levels].max()
        ahead[depth] = ahead[depth + 1] + highest if len(utility) > levels else (horizon - depth) * highest
    return ahead


@compiled.kernel
def _constant_plan(utility, switch_cost, levels, first, horizon, level, last_quality):
    """(utilities, changes) of a plan of one level, where each chunk has utilities of its own."""
    gained, changed, before = 0.0, 0.0, last_quality
    for position in range(horizon):
        valued = row_of_chunk(utility, levels, first + position) + level
        gained += utility[valued]
        changed += switch_cost[valued, before]
        before = level
    return gained, changed


@compiled.kernel
def best_first_level(
    chunk_sizes,
    first,
    horizon,
    buffer_s,
    bandwidth,
    last_quality,
    utility,
    switch_cost,
    rebuffer_penalty,
    chunk_duration_s,
    max_jump,
    rtt_s=0.0,
):
    """First level of the best plan for chunks ``first`` .. ``first + horizon - 1``.

    ``chunk_sizes`` int32 (chunks, levels) in bytes, ``bandwidth`` in Mbyte/s, ``utility`` (levels,) and
    ``switch_cost`` (levels, levels) in thousandths, or, where each chunk has its own, (chunks * levels, ...), see
    :func:`thousandths`. Plans may change level by at most ``max_jump`` a chunk. Of equal plans the last in
    lexicographic order wins, as in the published code. The model has no buffer cap, and no round trip unless ``rtt_s``
    is given, also as published. Depth first, highest level first, with shared prefixes; a branch is cut when even the
    highest utilities for the rest of it cannot reach the best plan found.
    """
    levels = chunk_sizes.shape[1]
    highest = _highest_ahead(utility, levels, first, horizon)
    quality = np.empty(horizon + 1, dtype=np.int64)  # at depth d: level of chunk d - 1; the next one to try
    upcoming = np.empty(horizon + 1, dtype=np.int64)
    buffer = np.empty(horizon + 1)
    rebuffer = np.empty(horizon + 1)
    gain = np.empty(horizon + 1)
    change = np.empty(horizon + 1)

    # Constant plans give a first bound. It only prunes: the search below finds the plan itself.
    bound = -np.inf
    for level in range(levels):
        if abs(level - last_quality) > max_jump:
            continue
        left, stalled = buffer_s, 0.0
        for position in range(horizon):
            download = chunk_sizes[first + position, level] / 1000000.0 / bandwidth + rtt_s
            left, stalled = _after_download(left, stalled, download, chunk_duration_s)
        if len(utility) > levels:
            gained, changed = _constant_plan(utility, switch_cost, levels, first, horizon, level, last_quality)
        else:
            gained, changed = horizon * utility[level], switch_cost[level, last_quality]
        bound = max(bound, gained / 1000.0 - rebuffer_penalty * stalled - changed / 1000.0)
    bound -= 1e-6

    best, best_level = -np.inf, 0
    depth = 0
    quality[0], buffer[0], rebuffer[0], gain[0], change[0] = last_quality, buffer_s, 0.0, 0.0, 0.0
    upcoming[0] = min(levels - 1, last_quality + max_jump)
    while depth >= 0:
        level = upcoming[depth]
        if level < 0 or level < quality[depth] - max_jump:
            depth -= 1
            continue
        upcoming[depth] = level - 1
        download = chunk_sizes[first + depth, level] / 1000000.0 / bandwidth + rtt_s
        left, stalled = buffer[depth], rebuffer[depth]
        left, stalled = _after_download(left, stalled, download, chunk_duration_s)
        valued = row_of_chunk(utility, levels, first + depth) + level
        gained = gain[depth] + utility[valued]
        changed = change[depth] + switch_cost[valued, quality[depth]]
        depth += 1
        if depth == horizon:
            value = gained / 1000.0 - rebuffer_penalty * stalled - changed / 1000.0
            if value > best:
                best = value
                bound = max(bound, value - 1e-9)
                best_level = level if horizon == 1 else quality[1]
            depth -= 1
            continue
        ceiling = (gained + highest[depth]) / 1000.0 - rebuffer_penalty * stalled - changed / 1000.0
        if ceiling < bound:
            depth -= 1
            continue
        quality[depth], buffer[depth], rebuffer[depth] = level, left, stalled
        gain[depth], change[depth] = gained, changed
        upcoming[depth] = min(levels - 1, level + max_jump)
    return best_level


@compiled.kernel
def robust_decisions(
    rows,
    throughput,
    errors,
    estimate,
    measured,
    buffer_s,
    chunk,
    bitrate_kbps,
    bitrates_kbps,
    chunk_sizes,
    num_chunks,
    utility,
    switch_cost,
    rebuffer_penalty,
    chunk_duration_s,
    robust,
):
    """RobustMPC decisions for ``rows``: update each row's prediction error and plan. int64 (k,).

    State per row, updated in place: ``throughput`` (n, 5) Mbyte/s and ``errors`` (n, 5) oldest first, ``estimate``
    (n,), zeros at an episode's beginning. The rest are (k,) columns of the decision and the video's tables.
    """
    actions = np.empty(len(rows), dtype=np.int64)
    for i in range(len(rows)):
        row = rows[i]
        error = 0.0
        if estimate[row] > 0:
            error = abs(estimate[row] - measured[i]) / measured[i]
        inverse, known, worst = 0.0, 0, 0.0
        for j in range(PAST_CHUNKS - 1):
            throughput[row, j] = throughput[row, j + 1]
            errors[row, j] = errors[row, j + 1]
        throughput[row, PAST_CHUNKS - 1] = measured[i]
        errors[row, PAST_CHUNKS - 1] = error
        for j in range(PAST_CHUNKS):
            worst = max(worst, errors[row, j])
            if throughput[row, j] > 0:
                inverse += 1.0 / throughput[row, j]
                known += 1
        estimate[row] = 1.0 / (inverse / known)
        bandwidth = estimate[row] / (1.0 + worst) if robust else estimate[row]
        last_quality = 0
        while last_quality < len(bitrates_kbps) - 1 and bitrates_kbps[last_quality] < bitrate_kbps[i]:
            last_quality += 1
        horizon = min(HORIZON, num_chunks - chunk[i])
        actions[i] = 0
        if horizon < 1:  # a row whose video is over, in a batch that resets it at the next step
            continue
        actions[i] = best_first_level(
            chunk_sizes,
            chunk[i],
            horizon,
            buffer_s[i],
            bandwidth,
            last_quality,
            utility,
            switch_cost,
            rebuffer_penalty,
            chunk_duration_s,
            len(bitrates_kbps),
        )
    return actions
