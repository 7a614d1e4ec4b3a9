"""What a network sees of a session, free of scale: one kernel that turns what a player knows into numbers.

Nothing here has a unit that depends on the link or the ladder. Download times are in chunks (of the video's own
duration) or relative to the buffer, throughputs relative to the harmonic mean of the last five, utilities relative to
the range of the ladder's, penalties in such ranges. So a ladder ten times as high on a link ten times as fast looks the
same, whatever the number of levels.

Besides what is measured the kernel plays simple plans ahead: a level for the next chunk and one level for the seven
after it, at a few shares of the recent throughput. What each first level is worth then is what a model-predictive
controller would compare; a network has to learn only which shares to believe.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from netenvs import compiled
from netenvs.abr.rows import DOWNLOAD_TIME, THROUGHPUT

PAST = 16
"""Downloads that are looked at."""
SHOWN = 8
"""The last so many are shown one by one."""
RECENT = 5
"""Downloads of the reference throughput, their harmonic mean (Yin et al., SIGCOMM 2015, section 5.3)."""
AHEAD_S, FEWEST, MOST = 64.0, 5, 24
"""Playing time of a plan, and its fewest and most chunks."""
RTT_S, SLACK = 0.08, 1.15
"""Round trip of a plan, or the shortest download if that is less; stalls are counted as if downloads took so many times
as long (both as ``stochastic-mpc``)."""
SHARES = (0.15, 0.3, 0.5, 0.7, 0.85, 1.0, 1.25)
"""Of the reference throughput, at which plans are played."""
SHARES_OF_LAST = (0.2, 0.45, 0.8)
"""Of the last throughput: where a link has just become another, the mean of five has not heard of it."""
_SHARES = np.array(SHARES + SHARES_OF_LAST)
RATES = len(_SHARES)
"""At which plans are played."""
ENOUGH_S = 20.0
"""More buffer than this at the end of a plan is worth nothing."""
WORTH = 0.2
"""Of its first second, of the penalty of a second's stall; further ones are worth less and less."""
SOON = 5
"""Chunks of short plans (Yin et al., section 5), at the reference throughput and at what RobustMPC makes of it."""
PLANS = 2 * RATES + 2
WORST = 5.0
LIMIT = 5.0
"""Of each number's size."""

_NAMES = (*(f"{share:g}" for share in SHARES), *(f"{share:g} of the last" for share in SHARES_OF_LAST))
SESSION_FEATURES = (
    *("log buffer in chunks", "log buffer", "log room up to the cap in chunks", "log cap in chunks"),
    *("log duration of a chunk", "chunks left of 10", "chunks left of 40", "log last stall in chunks", "paused"),
    *("log penalty of a chunk's stall", "switch penalty", "last utility", "levels"),
    *("log reference throughput to highest bitrate", "log reference throughput to lowest bitrate"),
    *("log last throughput", "log harmonic mean of 3", "log harmonic mean of 16", "log least of 16", "log most of 16"),
    *("log smoothed throughput", "spread of log throughput", "largest error of 5", "downloads"),
    *(f"log throughput -{ago}" for ago in range(SHOWN, 0, -1)),
    *(f"log download time in chunks -{ago}" for ago in range(SHOWN, 0, -1)),
    *(f"utility of the plan at {name}" for name in _NAMES),
)
"""Names of the numbers of a session; throughputs are relative to the reference throughput."""
LEVEL_FEATURES = (
    *("utility", "utility to the last", "switch cost", "place in the ladder", "is the last", "is the highest"),
    *("log download time in chunks", "that at the harmonic mean of 3", "that at the least of 16"),
    *("buffer left to 1 chunk", "buffer left to 4 chunks", "buffer left at half of the throughput", "stall cost there"),
    *("log size to nominal", "log size to the following"),
    *(f"regret of plans at {name}" for name in _NAMES),
    *(f"regret of plans at {name}, buffer valued" for name in _NAMES),
    *("regret of short plans at 1", "regret of short plans at 1 / (1 + largest error)"),
)
"""Names of the numbers of a level."""
SESSION, LEVEL = len(SESSION_FEATURES), len(LEVEL_FEATURES)


def relative_steps(observations: np.ndarray, infos: Mapping[str, Any], longest: int) -> dict[str, np.ndarray]:
    """What a network sees of sessions of one video, for ladders of up to ``longest`` levels.

    Arguments: float32 (S, 6, columns) ``observations`` of ``netenvs/ABR-v0`` (with ``history=16`` it sees all that it
    looks at) and ``infos``, columns (S,). Returns ``session`` float32 (S, SESSION), ``levels`` float32 (S, longest,
    LEVEL), ``exists`` bool (S, longest), and ``last`` int64 (S,), the level of the last chunk.
    """
    video, qoe, count = infos["video"], infos["qoe"], len(observations)
    session = np.zeros((count, SESSION), dtype=np.float32)
    levels = np.zeros((count, longest, LEVEL), dtype=np.float32)
    last = np.searchsorted(video.bitrates_kbps, np.asarray(infos["bitrate_kbps"])).astype(np.int64)
    numbers = [
        np.asarray(infos[name], dtype=np.float64) for name in ("buffer_s", "buffer_cap_s", "rebuffer_s", "sleep_ms")
    ]
    utilities = qoe.utility[None] if qoe.by_chunk is None else qoe.by_chunk
    relative_features(
        observations,
        np.asarray(infos["chunk"]).astype(np.int64),
        last,
        *numbers,
        video.chunk_sizes,
        video.num_chunks,
        video.chunk_duration_s,
        video.bitrates_kbps,
        utilities,
        qoe.rebuffer_penalty,
        qoe.switch_penalty,
        session,
        levels,
    )
    exists = np.zeros((count, longest), dtype=np.bool_)
    exists[:, : video.num_levels] = True
    return {"session": session, "levels": levels, "exists": exists, "last": last}


@compiled.kernel
def relative_features(
    observation,
    chunk,
    last,
    buffer_s,
    cap_s,
    stall_s,
    pause_ms,
    chunk_sizes,
    num_chunks,
    duration_s,
    bitrates_kbps,
    utilities,
    rebuffer_penalty,
    switch_penalty,
    session,
    levels,
):
    """Fill ``session`` float32 (S, SESSION) and ``levels`` float32 (S, longest, LEVEL), zeros where there is no level.

    Arguments: ``observation`` float32 (S, 6, history) of ``netenvs/ABR-v0``; int64 (S,) ``chunk`` chunks played and
    ``last`` level; float64 (S,) ``buffer_s``, its capacity ``cap_s``, ``stall_s`` and ``pause_ms`` of the last chunk;
    ``chunk_sizes`` int32 (chunks listed, levels) in bytes, ``bitrates_kbps`` (levels,), ``utilities`` float64
    (chunks, levels) of the objective.
    """
    count = chunk_sizes.shape[1]
    columns = observation.shape[2]
    past = min(PAST, columns)
    lowest, highest = np.inf, -np.inf
    for i in range(utilities.shape[0]):
        for level in range(count):
            lowest, highest = min(lowest, utilities[i, level]), max(highest, utilities[i, level])
    span = max(highest - lowest, 1e-9)
    penalty = rebuffer_penalty / span  # of a second
    worth = np.empty((PLANS, count))
    for row in range(len(chunk)):
        # Throughputs in byte/s
        known, rtt_s = 0, RTT_S
        inverse, inverse_3, inverse_16 = 0.0, 0.0, 0.0
        least, most, smooth, weights, mean = np.inf, 0.0, 0.0, 0.0, 0.0
        for ago in range(1, past + 1):
            rate = observation[row, THROUGHPUT, columns - ago] * 1e6
            if rate <= 0:
                break
            known += 1
            rtt_s = min(rtt_s, observation[row, DOWNLOAD_TIME, columns - ago] * 10.0)
            if ago <= 3:
                inverse_3 += 1 / rate
            if ago <= RECENT:
                inverse += 1 / rate
            inverse_16 += 1 / rate
            least, most = min(least, rate), max(most, rate)
            weight = 0.7 ** (ago - 1)
            smooth += weight * rate
            weights += weight
            mean += np.log(rate)
        known = max(known, 1)
        inverse = max(inverse, 1e-12)
        reference = min(known, RECENT) / inverse
        recent = min(known, 3) / max(inverse_3, 1e-12)
        mean /= known
        spread, worst = 0.0, 0.0
        for ago in range(1, known + 1):
            rate = max(observation[row, THROUGHPUT, columns - ago] * 1e6, 1e-6)
            spread += (np.log(rate) - mean) ** 2
            if ago <= RECENT:
                before, sums = 0, 0.0
                for earlier in range(ago + 1, min(ago + RECENT, known) + 1):
                    sums += 1 / max(observation[row, THROUGHPUT, columns - earlier] * 1e6, 1e-6)
                    before += 1
                if before > 0:
                    worst = max(worst, abs(before / sums - rate) / rate)
        buffer, cap = buffer_s[row] / duration_s, max(cap_s[row] / duration_s, 1.0)
        first, left = chunk[row], num_chunks - chunk[row]
        now = min(first, utilities.shape[0] - 1)
        last_utility = (utilities[max(now - 1, 0), last[row]] - lowest) / span
        log_reference = np.log(reference)
        out = session[row]
        out[0] = np.log1p(buffer) - 1.5
        out[1] = np.log1p(buffer_s[row]) - 2.5
        out[2] = np.log1p(max(cap - buffer, 0.0)) - 2.0
        out[3] = np.log(cap) - 2.5
        out[4] = np.log(duration_s) - 1.2
        out[5] = min(left, 10) / 5.0 - 1.0
        out[6] = min(left, 40) / 20.0 - 1.0
        out[7] = np.log1p(stall_s[row] / duration_s)
        out[8] = 1.0 if pause_ms[row] > 0 else 0.0
        out[9] = np.log(penalty * duration_s + 1e-3) / 2
        out[10] = switch_penalty - 1.0
        out[11] = last_utility
        out[12] = count / 6.0 - 1.0
        out[13] = log_reference - np.log(bitrates_kbps[count - 1] * 125.0)
        out[14] = log_reference - np.log(bitrates_kbps[0] * 125.0) - 1.5
        out[15] = np.log(max(observation[row, THROUGHPUT, columns - 1] * 1e6, 1e-6)) - log_reference
        out[16] = np.log(recent) - log_reference
        out[17] = np.log(known / max(inverse_16, 1e-12)) - log_reference
        out[18] = np.log(max(least, 1e-6)) - log_reference if least < np.inf else 0.0
        out[19] = np.log(max(most, 1e-6)) - log_reference
        out[20] = np.log(max(smooth / max(weights, 1e-12), 1e-6)) - log_reference
        out[21] = np.sqrt(spread / known)
        out[22] = np.log1p(worst)
        out[23] = known / 8.0 - 1.0
        for ago in range(1, SHOWN + 1):
            at = 24 + SHOWN - ago
            out[at], out[at + SHOWN] = 0.0, 0.0
            if ago <= known:
                rate = max(observation[row, THROUGHPUT, columns - ago] * 1e6, 1e-6)
                out[at] = np.log(rate) - log_reference
                time_s = observation[row, DOWNLOAD_TIME, columns - ago] * 10.0
                out[at + SHOWN] = np.log(max(time_s, 1e-3) / duration_s) / 2
        # Plans: a level, then another one to the end of the horizon; gains in spans
        ahead = min(max(int(np.round(AHEAD_S / duration_s)), FEWEST), MOST)
        horizon = min(ahead, left)
        value_s = WORTH * penalty if left > ahead else 0.0
        latest = max(observation[row, THROUGHPUT, columns - 1] * 1e6, 1e-6)
        for plan in range(RATES + 2):
            short = plan - RATES  # from 0 on: a short plan, without a value of the buffer
            if short < 0:
                rate = _SHARES[plan] * (reference if plan < len(SHARES) else latest)
                place, played, end_value_s = plan, horizon, value_s
            else:
                rate = reference / (1.0 + worst) if short == 1 else reference
                place, played, end_value_s = RATES + plan, min(SOON, left), 0.0
            best_value, best_valued, best_utility = -np.inf, -np.inf, 0.0
            for level in range(count):
                plain, valued = 0.0, 0.0
                if horizon > 0:
                    plain, valued = _best_continuation(
                        level,
                        first,
                        played,
                        rate,
                        rtt_s,
                        buffer_s[row],
                        cap_s[row],
                        duration_s,
                        chunk_sizes,
                        utilities,
                        last_utility,
                        lowest,
                        span,
                        penalty,
                        switch_penalty,
                        end_value_s,
                    )
                worth[place, level] = plain
                best_value = max(best_value, plain)
                if short < 0:
                    worth[RATES + plan, level] = valued
                    if valued > best_valued:
                        best_valued, best_utility = valued, (utilities[now, level] - lowest) / span
            for level in range(count):
                worth[place, level] = best_value - worth[place, level]
                if short < 0:
                    worth[RATES + plan, level] = best_valued - worth[RATES + plan, level]
            if short < 0:
                out[24 + 2 * SHOWN + plan] = best_utility
        for i in range(len(out)):
            out[i] = min(max(out[i], -LIMIT), LIMIT)

        for level in range(levels.shape[1]):
            features = levels[row, level]
            features[:] = 0.0
            if level >= count or horizon <= 0:
                continue
            size = float(chunk_sizes[first, level])
            download, at_recent = size / reference, size / recent
            at_least = size / max(least, 1e-6)
            utility = (utilities[now, level] - lowest) / span
            following = 0.0
            for ahead in range(1, horizon):
                following += chunk_sizes[first + ahead, level]
            following = following / (horizon - 1) if horizon > 1 else size
            features[0] = utility
            features[1] = utility - last_utility
            features[2] = switch_penalty * abs(utility - last_utility)
            features[3] = level / (count - 1.0) if count > 1 else 0.0
            features[4] = 1.0 if level == last[row] else 0.0
            features[5] = 1.0 if level == count - 1 else 0.0
            features[6] = np.log(download / duration_s)
            features[7] = np.log(at_recent / duration_s)
            features[8] = np.log(at_least / duration_s)
            left_s = buffer_s[row] - download
            features[9] = np.tanh(left_s / duration_s)
            features[10] = np.tanh(left_s / (4 * duration_s))
            half = buffer_s[row] - 2 * download
            features[11] = np.tanh(half / (2 * duration_s))
            features[12] = np.log1p(penalty * max(-half, 0.0))
            features[13] = 3 * np.log(size / (bitrates_kbps[level] * 125.0 * duration_s))
            features[14] = 3 * np.log(size / max(following, 1.0))
            for plan in range(PLANS):
                features[15 + plan] = min(worth[plan, level], WORST)
            for i in range(len(features)):
                features[i] = min(max(features[i], -LIMIT), LIMIT)


@compiled.kernel
def _best_continuation(
    level,
    first,
    horizon,
    rate,
    rtt_s,
    buffer_s,
    cap_s,
    duration_s,
    chunk_sizes,
    utilities,
    last_utility,
    lowest,
    span,
    penalty,
    switch_penalty,
    value_s,
):
    """Best values, in spans, of plans that begin with ``level`` and go on with any one level, at ``rate`` byte/s.

    The second is with the buffer's value.
    """
    rows = utilities.shape[0] - 1
    utility = (utilities[min(first, rows), level] - lowest) / span
    download = rtt_s + chunk_sizes[first, level] / rate
    start = min(max(buffer_s - download, 0.0) + duration_s, cap_s)
    begun = utility - penalty * max(SLACK * download - buffer_s, 0.0) - switch_penalty * abs(utility - last_utility)
    best, best_valued = -np.inf, -np.inf
    for onward in range(chunk_sizes.shape[1]):
        buffer, value, before = start, begun, utility
        for ahead in range(1, horizon):
            download = rtt_s + chunk_sizes[first + ahead, onward] / rate
            gain = (utilities[min(first + ahead, rows), onward] - lowest) / span
            value += gain - penalty * max(SLACK * download - buffer, 0.0) - switch_penalty * abs(gain - before)
            buffer = min(max(buffer - download, 0.0) + duration_s, cap_s)
            before = gain
        kept = min(buffer, ENOUGH_S)
        best = max(best, value)
        best_valued = max(best_valued, value + value_s * (kept - kept * kept / (2.0 * ENOUGH_S)))
    return best, best_valued
