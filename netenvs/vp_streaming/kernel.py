"""Dynamics of tiled 360-degree streaming, as numba functions on flat arrays.

A chunk is one second of the video, five samples of the head. The tiles of a chunk are one download, with one round
trip, over the bandwidth trace; download, stall, buffer and pause are those of ``netenvs.abr.kernel.play_chunk``. The
head moves with the picture: what the viewer has been seen to do, when a chunk is asked for, ends at the playback
position.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from netenvs.abr.kernel import play_chunk
from netenvs.compiled import kernel
from netenvs.random import uniform
from netenvs.vp.kernel import tile_boxes

CHUNK_MS = 1000.0
SAMPLE_MS = 200.0  # recordings have five samples a second
SAMPLES = 5  # in a chunk
PAST = 8  # past chunks in the observation, as in Pensieve and MANSY
LINE_SAMPLES = 5  # that the environment's straight line is drawn through
FLOOR_SLACK = 1e-6  # of a sample: positions are sums of doubles

# positions of the counter-based stream within one episode
RECORDING_POSITION, TRACE_POSITION, START_POSITION = 0, 1, 2

TILES, ZONES, PAIR = 0, 1, 2  # action modes

# columns of `Batch.info`
INFO_COLUMNS = (
    "quality",
    "stall_s",
    "viewport_stall_s",
    "quality_change",
    "quality_spread",
    "fetched_mbyte",
    "wasted_mbyte",
    "tile_recall",
    "tile_precision",
    "delay_ms",
    "sleep_ms",
    "buffer_s",
    "throughput_mbps",
)

# what the kernel knows of one trace
TRACE = np.dtype(
    [
        ("begin", np.int64),  # the trace is segments begin .. end - 1 of the flat arrays
        ("end", np.int64),
        ("start_pointer", np.int64),  # segment in which an episode starts, counted from begin
    ]
)

# what the kernel knows of one recording
RECORDING = np.dtype(
    [
        ("begin", np.int64),  # its first sample in the flat arrays
        ("chunks", np.int64),
        ("sizes", np.int64),  # row of the sizes of its first chunk
    ]
)

# state of one session
SESSION = np.dtype(
    [
        ("key", np.uint64),  # random stream
        ("episode", np.int64),  # episodes begun with this key, minus one
        ("recording", np.int64),
        ("trace", np.int64),
        ("start", np.int64),  # segment in which the episode started
        ("pointer", np.int64),  # segment that is being downloaded from
        ("clock_s", np.float64),  # position inside the trace
        ("buffer_ms", np.float64),
        ("chunk", np.int64),  # chunks fetched
        ("last", np.int64),  # number, in the recording, of the last sample seen
        ("quality", np.float64),  # of the last chunk fetched, as it will be seen
        ("reward", np.float64),
        ("terminated", np.bool_),
        ("stepping", np.bool_),  # fetches a chunk now
    ]
)


class World(NamedTuple):
    """What does not change while an environment lives: bandwidth, heads, video, objective, player."""

    time_s: np.ndarray  # float64 (sum of trace lengths,), end of each segment
    bandwidth_mbps: np.ndarray  # float64 (sum of trace lengths,)
    traces: np.ndarray  # TRACE (traces,)
    angles_deg: np.ndarray  # float32 (samples, 3): roll, pitch, yaw
    sample_s: np.ndarray  # float64 (samples,): playback time of each
    recordings: np.ndarray  # RECORDING (recordings,)
    sizes: np.ndarray  # float64 (chunks of all videos, tiles): bytes at 1 Mbit/s
    rates_mbps: np.ndarray  # float64 (levels,), ascending
    pairs: np.ndarray  # int64 (pairs, 2): levels inside and outside of the viewport
    utility: np.ndarray  # float64 (levels + 1,); level 0 is not fetched
    stall_penalty: float  # per second
    change_penalty: float
    spread_penalty: float
    tile_rows: int
    tile_columns: int
    fov_width: float  # degrees
    fov_height: float
    rtt_ms: float
    buffer_cap_ms: float
    mode: int  # TILES, ZONES or PAIR
    line: bool  # the environment predicts a straight line, else standing still
    random_start: bool


class Batch(NamedTuple):
    """State of a batch of sessions, one row each."""

    session: np.ndarray  # SESSION (rows,)
    info: np.ndarray  # float64 (len(INFO_COLUMNS), rows)
    levels: np.ndarray  # int64 (rows, tiles): of the last chunk fetched, 0 = not
    seen: np.ndarray  # bool (rows, tiles): tiles in the viewport during the last chunk fetched
    ring: np.ndarray  # int64 (rows, tiles): distance from the viewport predicted for the next chunk, in tiles
    history: np.ndarray  # float32 (rows, history, 3)
    observed_s: np.ndarray  # float32 (rows, 1): playback time of the last sample seen
    buffer_s: np.ndarray  # float32 (rows, 1)
    throughput: np.ndarray  # float32 (rows, PAST), Mbit/s
    download_s: np.ndarray  # float32 (rows, PAST)
    fetched: np.ndarray  # float32 (rows, tiles): rates of the last chunk / the highest
    tile_mbyte: np.ndarray  # float32 (rows, tiles): of the next chunk at the lowest rate
    viewport: np.ndarray  # float32 (rows, tiles): 1 in the predicted viewport
    chunks_left: np.ndarray  # float32 (rows, 1): share of the recording


@kernel
def fill_sizes(seed, video, shares, spread, sizes):
    """Fill ``sizes``, bytes, float64 (chunks, tiles), of a video at 1 Mbit/s, see ``netenvs.vp_streaming.tiles``."""
    chunks, tiles = sizes.shape
    for chunk in range(chunks):
        for tile in range(tiles):
            place = 2 * (chunk * tiles + tile)
            radius = math.sqrt(-2.0 * math.log(1.0 - uniform(seed, video, place)))  # Box and Muller (1958)
            normal = radius * math.cos(2.0 * math.pi * uniform(seed, video, place + 1))
            detail = math.exp(spread * normal - spread * spread / 2)
            sizes[chunk, tile] = 1e6 / 8 * CHUNK_MS / 1000.0 * shares[tile] * detail


@kernel
def rings(boxes, rows, columns, ring):
    """Fill ``ring``, int64 (tiles,): steps from each tile to the nearest box, diagonals included; columns go round.

    ``boxes`` float64 (4, n) as ``netenvs.vp.kernel.tile_boxes`` makes them.
    """
    for row in range(rows):
        for column in range(columns):
            nearest = rows + columns
            for i in range(boxes.shape[1]):
                top, below, width = int(boxes[0, i]), int(boxes[1, i]), int(boxes[3, i])
                right_of_left = (column - int(boxes[2, i])) % columns
                across = 0 if right_of_left < width else min(right_of_left - width + 1, columns - right_of_left)
                nearest = min(nearest, max(top - row, row - below + 1, across, 0))
            ring[row * columns + column] = nearest


@kernel
def rings_of_paths(paths, rows, columns, width, height, out):
    """Fill ``out``, int64 (k, tiles), with the ``rings`` of viewports along paths, float64 (k, samples, 3)."""
    samples = paths.shape[1]
    boxes = np.empty((4, samples))
    for i in range(len(paths)):
        tile_boxes(np.ascontiguousarray(paths[i].T), float(rows), float(columns), width, height, boxes)
        rings(boxes, rows, columns, out[i])


@kernel
def predict(angles_deg, first, last, ahead, line, path):
    """Fill ``path``, float64 (3, SAMPLES): where the head is expected from ``ahead`` samples after ``last`` on.

    Of the recording that begins at ``first``. Standing still, or with ``line`` on the least-squares line through the
    last ``LINE_SAMPLES`` samples of each angle, yaw and roll continued over +-180 degrees; before the recording, the
    head stood as in its first sample.
    """
    middle = (LINE_SAMPLES - 1) / 2.0
    for axis in range(3):
        now = float(angles_deg[last, axis])
        mean = slope = 0.0  # of the angle minus `now`, over samples numbered from -middle to middle
        if line:
            turned = squares = 0.0
            for back in range(LINE_SAMPLES):
                if back > 0:
                    newer, older = max(last - back + 1, first), max(last - back, first)
                    step = float(angles_deg[newer, axis]) - float(angles_deg[older, axis])
                    if axis != 1:
                        step -= 360.0 * np.rint(step / 360.0)
                    turned -= step
                offset = middle - back
                mean += turned / LINE_SAMPLES
                slope += offset * turned
                squares += offset * offset
            slope /= squares
        for s in range(SAMPLES):
            path[axis, s] = now + mean + slope * (middle + ahead + s) if line else now


@kernel
def choose_levels(mode, action, pairs, rates_mbps, ring, levels):
    """Fill ``levels``, int64 (tiles,), as an action, int64 (components,), has it; ``ring`` is that of ``Batch``."""
    if mode == TILES:
        for tile in range(len(levels)):
            levels[tile] = action[tile]
        return
    if mode == ZONES:
        for tile in range(len(levels)):
            levels[tile] = action[min(ring[tile], 2)]
        return
    inside, outside = pairs[action[0], 0], pairs[action[0], 1]
    for tile in range(len(levels)):
        if ring[tile] == 0:
            levels[tile] = inside
            continue
        wanted = rates_mbps[outside - 1] / ring[tile]
        nearest = 1
        for level in range(2, outside + 1):
            if abs(rates_mbps[level - 1] - wanted) < abs(rates_mbps[nearest - 1] - wanted):
                nearest = level
        levels[tile] = nearest


@kernel
def look(boxes, columns, utility, levels, seen):
    """What the viewer sees of a chunk: (quality, spread, viewport_stall_s), and the tiles, in ``seen``, bool (tiles,).

    ``boxes`` float64 (4, SAMPLES) are the viewports, ``levels`` int64 (tiles,) what was fetched.
    """
    seen[:] = False
    quality = spread = stall_s = 0.0
    for s in range(boxes.shape[1]):
        top, below, left, width = int(boxes[0, s]), int(boxes[1, s]), int(boxes[2, s]), int(boxes[3, s])
        total, lowest, highest = 0.0, np.inf, -np.inf
        hole = False
        for row in range(top, below):
            for i in range(width):
                tile = row * columns + (left + i) % columns
                u = utility[levels[tile]]
                total += u
                lowest, highest = min(lowest, u), max(highest, u)
                hole |= levels[tile] == 0
                seen[tile] = True
        count = (below - top) * width
        mean = total / count
        if lowest == highest:
            mean = lowest
        else:
            squares = 0.0
            for row in range(top, below):
                for i in range(width):
                    away = utility[levels[row * columns + (left + i) % columns]] - mean
                    squares += away * away
            spread += math.sqrt(squares / count) / boxes.shape[1]
        quality += mean / boxes.shape[1]
        stall_s += SAMPLE_MS / 1000.0 if hole else 0.0
    return quality, spread, stall_s


@kernel
def _begin_row(world, batch, row, recording, trace):
    """Begin an episode in one row, with a recording and a trace, -1 = drawn; all tiles at the lowest rate are next."""
    session = batch.session[row]
    if recording < 0:
        recording = int(uniform(session.key, session.episode, RECORDING_POSITION) * len(world.recordings))
    if trace < 0:
        trace = int(uniform(session.key, session.episode, TRACE_POSITION) * len(world.traces))
    begin, end = world.traces[trace].begin, world.traces[trace].end
    pointer = world.traces[trace].start_pointer
    if world.random_start:
        pointer = 1 + int(uniform(session.key, session.episode, START_POSITION) * (end - begin - 1))
    session.recording = recording
    session.trace = trace
    session.start = pointer
    session.pointer = pointer
    session.clock_s = world.time_s[begin + pointer - 1]
    session.buffer_ms = 0.0
    session.chunk = 0
    session.last = 0
    session.quality = 0.0
    session.stepping = True
    batch.levels[row] = 1
    batch.throughput[row] = 0.0
    batch.download_s[row] = 0.0


@kernel
def _fetch(world, batch):
    """Fetch the next chunk of every row that is stepping, at ``batch.levels``; returns how many episodes ended."""
    rates_mbps, utility = world.rates_mbps, world.utility
    columns = world.tile_columns
    tile_rows, tile_columns = float(world.tile_rows), float(world.tile_columns)
    sessions, info = batch.session, batch.info
    tiles = batch.levels.shape[1]
    path, boxes = np.empty((3, SAMPLES)), np.empty((4, SAMPLES))
    ended = 0
    for row in range(len(sessions)):
        session = sessions[row]
        if not session.stepping:
            continue
        levels, seen = batch.levels[row], batch.seen[row]
        recording, trace = world.recordings[session.recording], world.traces[session.trace]
        chunk = session.chunk
        for s in range(SAMPLES):
            for axis in range(3):
                path[axis, s] = world.angles_deg[recording.begin + SAMPLES * chunk + s, axis]
        tile_boxes(path, tile_rows, tile_columns, world.fov_width, world.fov_height, boxes)
        quality, spread, hole_s = look(boxes, columns, utility, levels, seen)

        size = wasted = 0.0
        highest = in_view = aimed = hits = 0
        for tile in range(tiles):
            highest = max(highest, levels[tile])
        for tile in range(tiles):
            if levels[tile] > 0:
                tile_size = np.rint(world.sizes[recording.sizes + chunk, tile] * rates_mbps[levels[tile] - 1])
                size += tile_size
                if not seen[tile]:
                    wasted += tile_size
            best = highest > 0 and levels[tile] == highest
            in_view += seen[tile]
            aimed += best
            hits += best and seen[tile]

        delay, stall, buffer_ms, sleep, _, pointer, clock = play_chunk(
            world.time_s,
            world.bandwidth_mbps,
            trace.begin,
            trace.end,
            session.pointer,
            session.clock_s,
            session.buffer_ms,
            size,
            world.rtt_ms,
            world.buffer_cap_ms,
            CHUNK_MS,
            1.0,
        )
        stall_s, change = stall / 1000.0, abs(quality - session.quality)
        session.reward = (
            quality
            - world.stall_penalty * (stall_s + hole_s)
            - world.change_penalty * change
            - world.spread_penalty * spread
        )
        if chunk == 0:
            session.reward = change = 0.0  # the forced first chunk belongs to reset
        chunk += 1
        session.pointer = pointer
        session.clock_s = clock
        session.buffer_ms = buffer_ms
        session.chunk = chunk
        session.quality = quality
        session.last = int(np.floor((chunk * CHUNK_MS - buffer_ms) / SAMPLE_MS + FLOOR_SLACK))
        session.terminated = chunk >= recording.chunks
        if chunk >= recording.chunks:
            ended += 1

        throughput = size * 8.0 / delay / 1000.0 if size > 0.0 else 0.0
        info[0, row] = quality
        info[1, row] = stall_s
        info[2, row] = hole_s
        info[3, row] = change
        info[4, row] = spread
        info[5, row] = size / 1e6
        info[6, row] = wasted / 1e6
        info[7, row] = hits / in_view
        info[8, row] = hits / aimed if aimed > 0 else 0.0
        info[9, row] = delay
        info[10, row] = sleep
        info[11, row] = buffer_ms / 1000.0
        info[12, row] = throughput
        for i in range(PAST - 1):
            batch.throughput[row, i] = batch.throughput[row, i + 1]
            batch.download_s[row, i] = batch.download_s[row, i + 1]
        batch.throughput[row, PAST - 1] = throughput
        batch.download_s[row, PAST - 1] = delay / 1000.0
        _observe(world, batch, row, path, boxes)
    return ended


@kernel
def _observe(world, batch, row, path, boxes):
    """Predict the viewport of the next chunk and fill the observation of one row; ``path``, ``boxes`` are room."""
    session = batch.session[row]
    recording = world.recordings[session.recording]
    chunk, last = session.chunk, recording.begin + session.last
    history, ring, levels = batch.history[row], batch.ring[row], batch.levels[row]
    samples, tiles = history.shape[0], len(ring)
    predict(world.angles_deg, recording.begin, last, SAMPLES * chunk - session.last, world.line, path)
    rows, columns = float(world.tile_rows), float(world.tile_columns)
    tile_boxes(path, rows, columns, world.fov_width, world.fov_height, boxes)
    rings(boxes, world.tile_rows, world.tile_columns, ring)
    for i in range(samples):
        at = max(last - samples + 1 + i, recording.begin)
        for axis in range(3):
            history[i, axis] = world.angles_deg[at, axis]
    over = chunk >= recording.chunks
    highest = world.rates_mbps[len(world.rates_mbps) - 1]
    for tile in range(tiles):
        size = 0.0 if over else np.rint(world.sizes[recording.sizes + chunk, tile] * world.rates_mbps[0])
        batch.tile_mbyte[row, tile] = size / 1e6
        batch.viewport[row, tile] = 1.0 if ring[tile] == 0 else 0.0
        batch.fetched[row, tile] = world.rates_mbps[levels[tile] - 1] / highest if levels[tile] > 0 else 0.0
    batch.observed_s[row, 0] = world.sample_s[last]
    batch.buffer_s[row, 0] = session.buffer_ms / 1000.0
    batch.chunks_left[row, 0] = (recording.chunks - chunk) / recording.chunks


@kernel
def reset_rows(world, batch, mask, recordings, traces):
    """Begin an episode in the rows of ``mask``, bool (rows,), with recordings and traces, int64 (rows,), -1 = drawn."""
    sessions = batch.session
    for row in range(len(mask)):
        sessions[row].stepping = False
        if mask[row]:
            _begin_row(world, batch, row, recordings[row], traces[row])
    _fetch(world, batch)


@kernel
def step_rows(world, batch, actions, autoreset):
    """One step of every row. With ``autoreset`` a row that had terminated begins its next episode instead.

    ``actions`` int64 (rows, components) must lie in the action space. Returns the number of rows that terminated.
    """
    sessions = batch.session
    for row in range(len(actions)):
        session = sessions[row]
        if autoreset and session.terminated:
            session.episode += 1
            _begin_row(world, batch, row, -1, -1)
            continue
        session.stepping = True
        choose_levels(world.mode, actions[row], world.pairs, world.rates_mbps, batch.ring[row], batch.levels[row])
    return _fetch(world, batch)
