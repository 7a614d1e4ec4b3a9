"""Dynamics of chunked video streaming over a bandwidth trace, as numba functions on flat arrays.

The rules are those of Pensieve's simulator (``sim/env.py`` and ``sim/fixed_env.py`` of
github.com/hongzimao/pensieve, as edited by Genet and NetLLM), kept to the last bit of a double: the
order of operations below is part of the specification. Two rules are easy to miss:

* the round trip and the delay noise lengthen a download but do not advance the trace clock;
* a trace that ends goes on from time 0 with segment 1, and segment ``i`` covers ``(t[i-1], t[i]]`` at
  ``bandwidth[i]``, so ``bandwidth[0]`` is never used.

Random numbers are a counter-based hash of (key, episode, position): a row draws the same numbers alone
and in a batch of any size.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

PAYLOAD_PORTION = 0.95  # share of the link left after packet headers (Pensieve sim/env.py)
DRAIN_STEP_MS = 500.0  # a full buffer pauses downloads in steps of 500 ms (Pensieve sim/env.py)
NOISE_LOW, NOISE_HIGH = 0.9, 1.1  # multiplicative delay noise (Pensieve sim/env.py)

# positions of the counter-based stream within one episode; chunk c draws at NOISE_POSITION + c
TRACE_POSITION = 0
START_POSITION = 1
NOISE_POSITION = 2

# numpy's error model: no test for division by zero, which cannot happen on checked traces
kernel = njit(cache=True, nogil=True, error_model="numpy")

# columns of `Batch.info`
INFO_COLUMNS = (
    "delay_ms",
    "sleep_ms",
    "sleep_residual_ms",
    "rebuffer_s",
    "buffer_s",
    "bitrate_kbps",
    "chunk_bytes",
    "throughput_mbps",
)


class World(NamedTuple):
    """What does not change while an environment lives: traces, video, objective, player."""

    time_s: np.ndarray  # float64 (sum of trace lengths,), end of each segment
    bandwidth_mbps: np.ndarray  # float64 (sum of trace lengths,)
    offset: np.ndarray  # int64 (traces + 1,), trace i is [offset[i], offset[i + 1])
    start_pointer: np.ndarray  # int32 (traces,), segment in which an episode starts
    rtt_ms: np.ndarray  # float64 (traces,)
    buffer_cap_ms: np.ndarray  # float64 (traces,)
    chunk_sizes: np.ndarray  # int32 (chunks listed, levels), bytes
    bitrates_kbps: np.ndarray  # int32 (levels,)
    utility: np.ndarray  # float64 (levels,)
    switch_cost: np.ndarray  # float64 (levels, levels)
    rebuffer_penalty: float  # per second
    chunk_duration_ms: float
    num_chunks: int  # chunks played; the table may list one more
    first_quality: int  # level of the forced first chunk
    jump: bool  # actions are -1, 0, +1 level instead of levels
    noise: bool
    random_start: bool


class Batch(NamedTuple):
    """State of a batch of sessions, one row each."""

    key: np.ndarray  # uint64 (rows,), random stream of the row
    episode: np.ndarray  # int64 (rows,), episodes begun with this key, minus one
    trace: np.ndarray  # int32 (rows,)
    start: np.ndarray  # int32 (rows,), segment in which the episode started
    pointer: np.ndarray  # int32 (rows,), segment that is being downloaded from
    clock_s: np.ndarray  # float64 (rows,), position inside the trace
    buffer_ms: np.ndarray  # float64 (rows,)
    chunk: np.ndarray  # int32 (rows,), chunks played
    quality: np.ndarray  # int32 (rows,), level of the last chunk
    requested: np.ndarray  # int32 (rows,), level of the chunk to play now, -1 = none
    observation: np.ndarray  # float32 (rows, 6, history)
    reward: np.ndarray  # float64 (rows,)
    terminated: np.ndarray  # bool (rows,)
    invalid_action: np.ndarray  # bool (rows,)
    info: np.ndarray  # float64 (len(INFO_COLUMNS), rows)


@kernel
def mix64(z):
    """Finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): a bijection of 64-bit integers."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@kernel
def uniform(key, episode, position):
    """A double in [0, 1) that depends on nothing but (key, episode, position)."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    z = mix64(np.uint64(key) + golden)
    z = mix64(z + golden * (np.uint64(episode) + np.uint64(1)))
    z = mix64(z + golden * (np.uint64(position) + np.uint64(1)))
    return (z >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@kernel
def delay_noise(key, episode, chunk):
    """Factor in [0.9, 1.1) on the download time of one chunk."""
    return NOISE_LOW + (NOISE_HIGH - NOISE_LOW) * uniform(key, episode, NOISE_POSITION + chunk)


@kernel
def play_chunk(
    time_s,
    bandwidth_mbps,
    begin,
    end,
    pointer,
    clock_s,
    buffer_ms,
    size_bytes,
    rtt_ms,
    cap_ms,
    chunk_duration_ms,
    noise,
):
    """Download one chunk and let it enter the buffer; the exact published rules.

    ``begin`` and ``end`` delimit the trace in the flat arrays, ``pointer`` counts from its beginning.
    Returns (delay_ms, rebuffer_ms, buffer_ms, sleep_ms, sleep_residual_ms, pointer, clock_s): the last two are
    the new position in the trace, ``sleep_residual_ms`` is what the published simulators report as sleep
    (the part of the pause inside its last segment).
    """
    clock = clock_s
    segment = begin + pointer
    transfer = 0.0
    sent = 0.0
    throughput = bandwidth_mbps[segment] * 1000000.0 / 8.0  # bytes per second
    duration = time_s[segment] - clock
    payload = throughput * duration * PAYLOAD_PORTION
    while sent + payload <= size_bytes:
        sent += payload
        transfer += duration
        clock = time_s[segment]
        segment += 1
        if segment >= end:
            segment = begin + 1
            clock = 0.0
        throughput = bandwidth_mbps[segment] * 1000000.0 / 8.0
        duration = time_s[segment] - clock
        payload = throughput * duration * PAYLOAD_PORTION
    fraction = (size_bytes - sent) / throughput / PAYLOAD_PORTION
    transfer += fraction
    clock += fraction
    delay = (transfer * 1000.0 + rtt_ms) * noise
    rebuffer = max(delay - buffer_ms, 0.0)
    filled = max(buffer_ms - delay, 0.0) + chunk_duration_ms
    sleep = 0.0
    residual = 0.0
    if filled > cap_ms:
        sleep = np.ceil((filled - cap_ms) / DRAIN_STEP_MS) * DRAIN_STEP_MS
        filled -= sleep
        residual = sleep
        pause = time_s[segment] - clock
        while pause <= residual / 1000.0:
            residual -= pause * 1000.0
            clock = time_s[segment]
            segment += 1
            if segment >= end:
                segment = begin + 1
                clock = 0.0
            pause = time_s[segment] - clock
        clock += residual / 1000.0
    return delay, rebuffer, filled, sleep, residual, segment - begin, clock


@kernel
def _begin_row(world, batch, row, pinned):
    """Begin an episode in one row: choose the trace, take its start, request the forced first chunk."""
    key = batch.key[row]
    episode = batch.episode[row]
    trace = pinned
    if trace < 0:
        trace = int(uniform(key, episode, TRACE_POSITION) * len(world.start_pointer))
    begin = world.offset[trace]
    pointer = int(world.start_pointer[trace])
    if world.random_start:
        length = world.offset[trace + 1] - begin
        pointer = 1 + int(uniform(key, episode, START_POSITION) * (length - 1))
    batch.trace[row] = trace
    batch.start[row] = pointer
    batch.pointer[row] = pointer
    batch.clock_s[row] = world.time_s[begin + pointer - 1]
    batch.buffer_ms[row] = 0.0
    batch.chunk[row] = 0
    batch.quality[row] = world.first_quality
    batch.requested[row] = world.first_quality
    batch.invalid_action[row] = False
    batch.observation[row] = 0.0


@kernel
def _play_requested(world, batch):
    """Play the next chunk of every row that requests one, at that level; returns how many episodes ended."""
    # Arrays are taken out of the tuples once: numba counts references at every attribute access.
    time_s, bandwidth_mbps, offset = world.time_s, world.bandwidth_mbps, world.offset
    rtt_ms, cap_ms, chunk_sizes = world.rtt_ms, world.buffer_cap_ms, world.chunk_sizes
    bitrates_kbps, utility, switch_cost = world.bitrates_kbps, world.utility, world.switch_cost
    num_chunks, levels = world.num_chunks, len(world.bitrates_kbps)
    requested, key, episode, trace_of = batch.requested, batch.key, batch.episode, batch.trace
    pointer_of, clock_of, buffer_of = batch.pointer, batch.clock_s, batch.buffer_ms
    chunk_of, quality_of, observation = batch.chunk, batch.quality, batch.observation
    reward, terminated, info = batch.reward, batch.terminated, batch.info
    newest = observation.shape[2] - 1
    highest_kbps = float(bitrates_kbps[levels - 1])
    ended = 0
    for row in range(len(requested)):
        quality = requested[row]
        if quality < 0:
            continue
        trace = trace_of[row]
        chunk = chunk_of[row]
        size = chunk_sizes[chunk, quality]
        noise = delay_noise(key[row], episode[row], chunk) if world.noise else 1.0
        delay, rebuffer, buffer_ms, sleep, residual, pointer, clock = play_chunk(
            time_s,
            bandwidth_mbps,
            offset[trace],
            offset[trace + 1],
            pointer_of[row],
            clock_of[row],
            buffer_of[row],
            size,
            rtt_ms[trace],
            cap_ms[trace],
            world.chunk_duration_ms,
            noise,
        )
        rebuffer_s = rebuffer / 1000.0
        if chunk == 0:
            reward[row] = 0.0  # the forced first chunk belongs to reset
        else:
            reward[row] = (
                utility[quality] - world.rebuffer_penalty * rebuffer_s - switch_cost[quality, quality_of[row]]
            )
        chunk += 1
        pointer_of[row] = pointer
        clock_of[row] = clock
        buffer_of[row] = buffer_ms
        chunk_of[row] = chunk
        quality_of[row] = quality
        terminated[row] = chunk >= num_chunks
        if chunk >= num_chunks:
            ended += 1

        wrapped = observation[row, 4, 0]
        for i in range(6):
            for j in range(newest):
                observation[row, i, j] = observation[row, i, j + 1]
        observation[row, 0, newest] = bitrates_kbps[quality] / highest_kbps
        observation[row, 1, newest] = buffer_ms / 1000.0 / 10.0
        observation[row, 2, newest] = float(size) / delay / 1000.0
        observation[row, 3, newest] = delay / 1000.0 / 10.0
        observation[row, 4, newest] = wrapped  # numpy.roll in the published code; visible if history > levels
        for level in range(levels):
            observation[row, 4, level] = (
                chunk_sizes[chunk, level] / 1000.0 / 1000.0 if chunk < num_chunks else 0.0
            )
        observation[row, 5, newest] = (num_chunks - chunk) / float(num_chunks)

        info[0, row] = delay
        info[1, row] = sleep
        info[2, row] = residual
        info[3, row] = rebuffer_s
        info[4, row] = buffer_ms / 1000.0
        info[5, row] = bitrates_kbps[quality]
        info[6, row] = size
        info[7, row] = size * 8.0 / delay / 1000.0
    return ended


@kernel
def reset_rows(world, batch, mask, pinned):
    """Begin an episode in every row of ``mask``, bool (rows,); ``pinned`` is the trace, -1 = drawn."""
    requested = batch.requested
    for row in range(len(mask)):
        requested[row] = -1
        if mask[row]:
            _begin_row(world, batch, row, pinned[row])
    _play_requested(world, batch)


@kernel
def step_rows(world, batch, actions, autoreset):
    """One step of every row. With ``autoreset`` a row that had terminated begins its next episode instead.

    ``actions`` int64 (rows,) must lie in the action space. Returns the number of rows that terminated.
    """
    requested, terminated, episode = batch.requested, batch.terminated, batch.episode
    quality_of, invalid_action = batch.quality, batch.invalid_action
    highest = len(world.bitrates_kbps) - 1
    for row in range(len(actions)):
        if autoreset and terminated[row]:
            episode[row] += 1
            _begin_row(world, batch, row, -1)
            continue
        quality = actions[row]
        invalid_action[row] = False
        if world.jump:
            wanted = quality_of[row] + quality - 1
            quality = min(max(wanted, 0), highest)
            invalid_action[row] = wanted != quality
        requested[row] = quality
    return _play_requested(world, batch)
