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

from netenvs.abr.rows import BITRATE, BUFFER, CHUNKS_LEFT, DOWNLOAD_TIME, NEXT_SIZES, ROWS, THROUGHPUT
from netenvs.compiled import kernel
from netenvs.random import uniform

PAYLOAD_PORTION = 0.95  # share of the link left after packet headers (Pensieve sim/env.py)
DRAIN_STEP_MS = 500.0  # a full buffer pauses downloads in steps of 500 ms (Pensieve sim/env.py)
NOISE_LOW, NOISE_HIGH = 0.9, 1.1  # multiplicative delay noise (Pensieve sim/env.py)

# positions of the counter-based stream within one episode; chunk c draws at NOISE_POSITION + c
TRACE_POSITION = 0
START_POSITION = 1
NOISE_POSITION = 2
VIDEO_POSITION = 1 << 62  # beyond all chunks


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


# what the kernel knows of one trace
TRACE = np.dtype(
    [
        ("begin", np.int64),  # the trace is segments begin .. end - 1 of the flat arrays
        ("end", np.int64),
        ("start_pointer", np.int64),  # segment in which an episode starts, counted from begin
        ("rtt_ms", np.float64),
        ("buffer_cap_ms", np.float64),
    ]
)

# what the kernel knows of one video
VIDEO = np.dtype(
    [
        ("begin", np.int64),  # row of the first chunk in `chunk_sizes`
        ("num_chunks", np.int64),  # chunks played; the table may list one more
        ("chunk_duration_ms", np.float64),
    ]
)

# state of one session
SESSION = np.dtype(
    [
        ("key", np.uint64),  # random stream
        ("episode", np.int64),  # episodes begun with this key, minus one
        ("video", np.int64),
        ("trace", np.int64),
        ("start", np.int64),  # segment in which the episode started
        ("pointer", np.int64),  # segment that is being downloaded from
        ("clock_s", np.float64),  # position inside the trace
        ("buffer_ms", np.float64),
        ("chunk", np.int64),  # chunks played
        ("quality", np.int64),  # level of the last chunk
        ("requested", np.int64),  # level of the chunk to play now, -1 = none
        ("reward", np.float64),
        ("terminated", np.bool_),
        ("invalid_action", np.bool_),
    ]
)


class World(NamedTuple):
    """What does not change while an environment lives: traces, videos of equally many levels, objective, player.

    Tables of several videos stand one below the other: level q of video v is entry ``v * levels + q`` of those by
    level. Where the utilities are of each chunk there is one video, and the two tables of the objective have one part a
    chunk instead, see :func:`row_of_chunk`. :func:`of_video` gives the world of one of them, as it would be alone.
    """

    time_s: np.ndarray  # float64 (sum of trace lengths,), end of each segment
    bandwidth_mbps: np.ndarray  # float64 (sum of trace lengths,)
    latency_ms: np.ndarray  # float64 (sum of trace lengths,), round trip by segment, or (0,): those of the traces
    traces: np.ndarray  # TRACE (traces,)
    videos: np.ndarray  # VIDEO (videos,)
    chunk_sizes: np.ndarray  # int32 (chunks listed of all videos, levels), bytes
    bitrates_kbps: np.ndarray  # int32 (videos * levels,)
    utility: np.ndarray  # float64 (videos * levels,), or (chunks * levels,)
    switch_cost: np.ndarray  # float64 (videos * levels, levels), or (chunks * levels, levels)
    rebuffer_penalty: float  # per second
    switch_penalty: float  # per unit of utility; `switch_cost` has it in it
    chunk_duration_ms: float  # of the first video
    num_chunks: int  # of the first video
    first_quality: int  # level of the forced first chunk
    jump: bool  # actions are -1, 0, +1 level instead of levels
    noise: bool
    random_start: bool


def of_video(world: World, video: int) -> World:
    """The world of one video; of a single one it is ``world`` itself."""
    if len(world.videos) == 1:
        return world
    of, levels = world.videos[video], world.chunk_sizes.shape[1]
    end = world.videos["begin"][video + 1] if video + 1 < len(world.videos) else len(world.chunk_sizes)
    mine = slice(video * levels, (video + 1) * levels)
    alone = world.videos[video : video + 1].copy()
    alone["begin"] = 0
    return world._replace(
        videos=alone,
        chunk_sizes=world.chunk_sizes[of["begin"] : end],
        bitrates_kbps=world.bitrates_kbps[mine],
        utility=world.utility[mine],
        switch_cost=world.switch_cost[mine],
        chunk_duration_ms=float(of["chunk_duration_ms"]),
        num_chunks=int(of["num_chunks"]),
    )


class Batch(NamedTuple):
    """State of a batch of sessions, one row each. Few arrays: each costs 0.1 microseconds a kernel call."""

    session: np.ndarray  # SESSION (rows,)
    observation: np.ndarray  # float32 (rows, 6, history)
    info: np.ndarray  # float64 (len(INFO_COLUMNS), rows)


@kernel
def row_of_chunk(utility, levels, chunk):
    """Entry of level 0 in the tables of one video's objective, ``QoE.tables``: 0 unless each chunk has its own."""
    return chunk * levels if len(utility) > levels else 0


@kernel
def delay_noise(key, episode, chunk):
    """Factor in [0.9, 1.1) on the download time of one chunk."""
    return NOISE_LOW + (NOISE_HIGH - NOISE_LOW) * uniform(key, episode, NOISE_POSITION + chunk)


@kernel
def round_trip(latency_ms, trace, pointer):
    """Round trip in ms of a chunk whose download begins in segment ``pointer`` of a ``TRACE``.

    It is that of the segment where the traces bring one for each, whichever segments the download goes on to, and that
    of the trace elsewhere. Sabre's simulator (``do_latency_delay``) waits by the same latency before the first byte;
    there the trace runs on meanwhile, here it does not, as in all of this simulator.
    """
    if len(latency_ms) > 0:
        return latency_ms[trace.begin + pointer]
    return trace.rtt_ms


@kernel
def fill_buffer(buffer_ms, delay_ms, cap_ms, chunk_duration_ms):
    """Drain the buffer for ``delay_ms``, add the chunk, pause while it is too full: (rebuffer, buffer, sleep) in ms."""
    rebuffer = max(delay_ms - buffer_ms, 0.0)
    filled = max(buffer_ms - delay_ms, 0.0) + chunk_duration_ms
    sleep = 0.0
    if filled > cap_ms:
        sleep = np.ceil((filled - cap_ms) / DRAIN_STEP_MS) * DRAIN_STEP_MS
        filled -= sleep
    return rebuffer, filled, sleep


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
    Returns (delay_ms, rebuffer_ms, buffer_ms, sleep_ms, sleep_residual_ms, pointer, clock_s): the last two are the
    new position in the trace, ``sleep_residual_ms`` is what the published simulators report as sleep
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
    rebuffer, filled, sleep = fill_buffer(buffer_ms, delay, cap_ms, chunk_duration_ms)
    residual = sleep
    if sleep > 0.0:
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
def _begin_row(world, batch, row, pinned, pinned_video):
    """Begin an episode in one row: choose video and trace, take its start, request the forced first chunk."""
    session = batch.session[row]
    video = pinned_video
    if video < 0:
        video = 0
        if len(world.videos) > 1:
            video = int(uniform(session.key, session.episode, VIDEO_POSITION) * len(world.videos))
    session.video = video
    trace = pinned
    if trace < 0:
        trace = int(uniform(session.key, session.episode, TRACE_POSITION) * len(world.traces))
    begin, end = world.traces[trace].begin, world.traces[trace].end
    pointer = world.traces[trace].start_pointer
    if world.random_start:
        pointer = 1 + int(uniform(session.key, session.episode, START_POSITION) * (end - begin - 1))
    session.trace = trace
    session.start = pointer
    session.pointer = pointer
    session.clock_s = world.time_s[begin + pointer - 1]
    session.buffer_ms = 0.0
    session.chunk = 0
    session.quality = world.first_quality
    session.requested = world.first_quality
    session.invalid_action = False
    batch.observation[row] = 0.0


@kernel
def _play_requested(world, batch):
    """Play the next chunk of every row that requests one, at that level; returns how many episodes ended."""
    # Arrays are taken out of the tuples once: numba counts references at every attribute access.
    time_s, bandwidth_mbps, traces = world.time_s, world.bandwidth_mbps, world.traces
    latency_ms = world.latency_ms
    chunk_sizes, bitrates_kbps = world.chunk_sizes, world.bitrates_kbps
    utility, switch_cost = world.utility, world.switch_cost
    videos, levels = world.videos, chunk_sizes.shape[1]
    by_chunk = len(utility) > len(videos) * levels
    sessions, observation, info = batch.session, batch.observation, batch.info
    newest = observation.shape[2] - 1
    ended = 0
    for row in range(len(sessions)):
        session = sessions[row]
        quality = session.requested
        if quality < 0:
            continue
        trace = traces[session.trace]
        video = videos[session.video]
        begin, num_chunks = video.begin, video.num_chunks
        lowest = session.video * levels  # level 0 of the video in the tables by level
        highest_kbps = float(bitrates_kbps[lowest + levels - 1])
        chunk = session.chunk
        size = chunk_sizes[begin + chunk, quality]
        noise = delay_noise(session.key, session.episode, chunk) if world.noise else 1.0
        delay, rebuffer, buffer_ms, sleep, residual, pointer, clock = play_chunk(
            time_s,
            bandwidth_mbps,
            trace.begin,
            trace.end,
            session.pointer,
            session.clock_s,
            session.buffer_ms,
            size,
            round_trip(latency_ms, trace, session.pointer),
            trace.buffer_cap_ms,
            video.chunk_duration_ms,
            noise,
        )
        rebuffer_s = rebuffer / 1000.0
        valued = (chunk if by_chunk else session.video) * levels + quality
        switch = switch_cost[valued, session.quality]
        session.reward = utility[valued] - world.rebuffer_penalty * rebuffer_s - switch
        if chunk == 0:
            session.reward = 0.0  # the forced first chunk belongs to reset
        chunk += 1
        session.pointer = pointer
        session.clock_s = clock
        session.buffer_ms = buffer_ms
        session.chunk = chunk
        session.quality = quality
        session.terminated = chunk >= num_chunks
        if chunk >= num_chunks:
            ended += 1

        wrapped = observation[row, NEXT_SIZES, 0]
        for i in range(ROWS):
            for j in range(newest):
                observation[row, i, j] = observation[row, i, j + 1]
        observation[row, BITRATE, newest] = bitrates_kbps[lowest + quality] / highest_kbps
        observation[row, BUFFER, newest] = buffer_ms / 1000.0 / 10.0
        observation[row, THROUGHPUT, newest] = float(size) / delay / 1000.0
        observation[row, DOWNLOAD_TIME, newest] = delay / 1000.0 / 10.0
        # numpy.roll in the published code; visible if history > levels
        observation[row, NEXT_SIZES, newest] = wrapped
        for level in range(levels):
            size_mbyte = chunk_sizes[begin + chunk, level] / 1000.0 / 1000.0 if chunk < num_chunks else 0.0
            observation[row, NEXT_SIZES, level] = size_mbyte
        observation[row, CHUNKS_LEFT, newest] = (num_chunks - chunk) / float(num_chunks)

        info[0, row] = delay
        info[1, row] = sleep
        info[2, row] = residual
        info[3, row] = rebuffer_s
        info[4, row] = buffer_ms / 1000.0
        info[5, row] = bitrates_kbps[lowest + quality]
        info[6, row] = size
        info[7, row] = size * 8.0 / delay / 1000.0
    return ended


@kernel
def reset_rows(world, batch, mask, pinned):
    """Begin an episode in every row of ``mask``, bool (rows,).

    ``pinned`` int64 (2, rows) are traces and videos, -1 = drawn.
    """
    sessions = batch.session
    for row in range(len(mask)):
        sessions[row].requested = -1
        if mask[row]:
            _begin_row(world, batch, row, pinned[0, row], pinned[1, row])
    _play_requested(world, batch)


@kernel
def step_rows(world, batch, actions, autoreset):
    """One step of every row. With ``autoreset`` a row that had terminated begins its next episode instead.

    ``actions`` int64 (rows,) must lie in the action space. Returns the number of rows that terminated.
    """
    sessions = batch.session
    highest = world.chunk_sizes.shape[1] - 1
    for row in range(len(actions)):
        session = sessions[row]
        if autoreset and session.terminated:
            session.episode += 1
            _begin_row(world, batch, row, -1, -1)
            continue
        quality = actions[row]
        session.invalid_action = False
        if world.jump:
            wanted = session.quality + quality - 1
            quality = min(max(wanted, 0), highest)
            session.invalid_action = wanted != quality
        session.requested = quality
    return _play_requested(world, batch)
