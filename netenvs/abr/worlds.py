"""Worlds to train on: links, ladders, players and objectives of every kind, each from its own seed.

A world is a few bandwidth traces, one video, a player and an objective. All ranges are ours. They span what is served:
links from 0.1 to 1,000 Mbit/s, ladders of 2 to 12 levels up to 60 Mbit/s, chunks of 1 to 10 s, buffers of 8 to 120 s,
round trips of 5 to 300 ms, penalties of stalls from a tenth to ten times the utility's range. Coefficients of
variation, correlations and outages span those of the training splits (``python docs/trace_splits.py``).

* ``worlds`` as the name of traces (``traces="worlds(seed=1)"``): links of any speed, with round trip and buffer.
* :func:`make_world`: a whole world, from generated links and, where they are given, recorded traces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netenvs.abr.records import DEFAULT_BUFFER_CAP_S, DEFAULT_RTT_MS, TraceSet, Video, make_trace_set

SLOWEST_MBPS, FASTEST_MBPS = 0.1, 1000.0
LINK_S = 320
"""Of a generated link, and the longest stretch of a recorded one."""
RTT_MS = (5.0, 300.0)
BUFFER_S = (8.0, 120.0)
LEVELS = tuple(range(2, 13))
LEVELS_CHANCE = np.array([1, 1, 2, 3, 4, 3, 3, 3, 2, 1, 1]) / 24
HIGHEST_KBPS = (800.0, 60_000.0)
CHUNK_S = (1.0, 2.0, 2.0, 3.0, 4.0, 4.0, 4.0, 4.0, 5.0, 6.0, 8.0, 10.0)
CHUNKS = (12.0, 120.0)
"""Of a video: more to come than the last forty look alike to who plays it."""
PENALTY = (0.1, 10.0)
"""Of a second's stall, in ranges of the utility."""
PUBLISHED_PENALTY = 4.3

# Shares of worlds, or of their traces
AT_HOME = 0.45  # the published video, player and objective on a recorded set
AS_RECORDED = 0.45  # of the others, traces of one recorded set at their own speed
KNOWN_VIDEO = 0.5  # of these
KNOWN_ELSEWHERE = 0.15  # of the rest, the known video on other links
FROM_THE_BEGINNING = 0.6  # of these: links change as a session begins, which random places do not show
RECORDED = 0.6  # of the traces of the rest
DEFAULT_PLAYER = 0.5
OUTAGES = 0.3


@dataclass(frozen=True)
class World:
    """What one environment is made of."""

    traces: TraceSet
    video: Video
    qoe: str | tuple[float, ...] = "lin"
    rebuffer_penalty: float = PUBLISHED_PENALTY
    switch_penalty: float = 1.0
    start: str = "random"
    recorded: str = ""
    """Name of the recorded set that all traces are of, at about their own speed; empty: there is none."""
    at_home: bool = False
    """Whether video, player and objective are the published ones, on recorded traces."""

    def options(self) -> dict[str, Any]:
        """Arguments of ``gym.make("netenvs/ABR-v0")``."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("recorded", "at_home")}


def make_world(
    seed: Sequence[int],
    traces: int = 4,
    recorded: Sequence[TraceSet] = (),
    known: Video | None = None,
    at_home: float | None = None,
    shares: Sequence[float] | None = None,
) -> World:
    """The world of a seed.

    Arguments:
        seed: numbers from 0 up; the same ones make the same world.
        traces: how many.
        recorded: sets that traces are taken from, beside generated ones, at their own speed or another.
        known: a video that some worlds have; the others have one of their own.
        at_home: share of worlds with ``known`` as the video, the published player and objective, on a recorded set;
            None: ``AT_HOME``.
        shares: how many of these are on each of the recorded sets, relative to each other; None: all alike.
    """
    rng = np.random.default_rng(seed)
    share = AT_HOME if at_home is None else at_home
    home = known is not None and len(recorded) > 0 and rng.random() < share
    whole = None
    if home and shares is not None:
        whole = recorded[int(rng.choice(len(recorded), p=np.array(shares) / np.sum(shares)))]
    elif recorded and (home or rng.random() < AS_RECORDED):
        whole = recorded[int(rng.integers(len(recorded)))]
    chance = 1.0 if home else KNOWN_ELSEWHERE if whole is None else KNOWN_VIDEO
    video = known if known is not None and rng.random() < chance else ladder(rng)
    start = "stored" if whole is not None and rng.random() < FROM_THE_BEGINNING else "random"
    rtt = DEFAULT_RTT_MS if home or rng.random() < DEFAULT_PLAYER else None
    cap = DEFAULT_BUFFER_CAP_S if home or rng.random() < DEFAULT_PLAYER else None
    name = "" if whole is None else whole.name
    made = []
    for number in range(traces):
        time_s, mbps = _link(rng, whole, recorded, video.bitrates_kbps / 1000.0)
        made.append((f"world-{number}", time_s, mbps))
    packed = make_trace_set(
        "world",
        made,
        rtt_ms=np.array([_log_uniform(rng, *RTT_MS) if rtt is None else rtt for _ in made]),
        buffer_cap_s=np.array(
            [max(_log_uniform(rng, *BUFFER_S) if cap is None else cap, 1.2 * video.chunk_duration_s) for _ in made]
        ),
    )
    if home:
        return World(packed, video, start=start, recorded=name, at_home=True)
    return World(packed, video, **_objective(rng, video.bitrates_kbps / 1000.0), start=start, recorded=name)


def world_traces(count: int, seed: int) -> tuple[list[tuple[str, np.ndarray, np.ndarray]], np.ndarray, np.ndarray]:
    """Generated links of any speed: (name, s, Mbit/s), round trips in ms, buffers in s; number i is of (seed, i)."""
    made, rtt, cap = [], np.empty(count), np.empty(count)
    for number in range(count):
        rng = np.random.default_rng([seed, number, 1_000_211])
        time_s, shape = generated_link(rng)
        made.append((f"worlds-{seed}-{number:03d}", time_s, shape * _log_uniform(rng, SLOWEST_MBPS, FASTEST_MBPS)))
        rtt[number], cap[number] = _log_uniform(rng, *RTT_MS), max(_log_uniform(rng, *BUFFER_S), 1.2 * max(CHUNK_S))
    return made, rtt, cap


def ladder(rng: np.random.Generator) -> Video:
    """A video of a variable bitrate on a ladder of its own."""
    levels, duration_s = int(rng.choice(LEVELS, p=LEVELS_CHANCE)), float(rng.choice(CHUNK_S))
    highest = _log_uniform(rng, *HIGHEST_KBPS)
    ratio = _log_uniform(rng, 3.0, 60.0) if levels > 2 else _log_uniform(rng, 1.5, 10.0)
    lowest = max(highest / ratio, 50.0)
    place = np.arange(levels) / (levels - 1)
    place[1:-1] += rng.uniform(-0.3, 0.3, levels - 2) / (levels - 1)
    bend = 0.6 * rng.random()  # from evenly spaced logarithms towards evenly spaced bitrates
    even, straight = lowest * (highest / lowest) ** place, lowest + (highest - lowest) * place
    bitrates = np.maximum.accumulate(np.rint(even ** (1 - bend) * straight**bend).astype(np.int64)) + np.arange(levels)
    chunks = int(_log_uniform(rng, *CHUNKS))
    variation, correlation, successive = rng.uniform(0.02, 0.4), rng.uniform(0.6, 1.0), rng.uniform(0.0, 0.8)
    scene, own = _correlated(rng, chunks, successive), rng.standard_normal((levels, chunks))
    factor = np.exp(variation * (np.sqrt(correlation) * scene + np.sqrt(1 - correlation) * own))
    sizes = np.rint(bitrates[:, None] * 125.0 * duration_s * factor / factor.mean(axis=1, keepdims=True))
    return Video("world", duration_s, chunks, bitrates.astype(np.int32), np.maximum(sizes, 1).T.astype(np.int32))


def generated_link(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Times in s, a row a second, and bandwidth relative to its mean, float64 (rows,) each."""
    steps = LINK_S + 1
    shape = SHAPES[rng.choice(len(SHAPES), p=SHAPES_CHANCE)](rng, steps)
    if rng.random() < OUTAGES:
        shape = with_outages(rng, shape)
    return np.arange(float(steps)), shape / shape[1:].mean()


def constant(rng: np.random.Generator, steps: int) -> np.ndarray:
    """Bandwidth that never changes."""
    return np.ones(steps)


def stationary(rng: np.random.Generator, steps: int) -> np.ndarray:
    """Log-normal bandwidth, coefficient of variation 0.03 to 1.3, correlation time 1 to 60 s, held for 1 to 5 s."""
    spread = np.sqrt(np.log1p(_log_uniform(rng, 0.03, 1.3) ** 2))
    noise = _correlated(rng, steps, np.exp(-1.0 / _log_uniform(rng, 1.0, 60.0)))
    hold = int(rng.choice((1, 1, 1, 2, 5)))
    found: np.ndarray = np.exp(spread * np.repeat(noise[::hold], hold)[:steps])
    return found


def stepping(rng: np.random.Generator, steps: int) -> np.ndarray:
    """A few bandwidths within a factor of 1.5 to 15, each held for 5 to 100 s on average, with noise."""
    spread, dwell = np.log(_log_uniform(rng, 1.5, 15.0)), _log_uniform(rng, 5.0, 100.0)
    states = np.exp(rng.uniform(-spread / 2, spread / 2, int(rng.integers(2, 7))))
    change = np.where(rng.random(steps) < 1 / dwell, np.arange(steps), 0)
    state = rng.integers(len(states), size=steps)[np.maximum.accumulate(change)]
    return states[state] * np.exp(_log_uniform(rng, 0.01, 0.4) * rng.standard_normal(steps))


def fading(rng: np.random.Generator, steps: int) -> np.ndarray:
    """Fades of 10 to 120 s, deep or shallow, under fast noise, as of someone who moves."""
    period, depth = _log_uniform(rng, 10.0, 120.0), rng.uniform(0.3, 2.5)
    phase = 2 * np.pi * (np.cumsum(np.exp(0.4 * rng.standard_normal(steps))) / period + rng.random())
    return np.exp(depth * np.sin(phase) + rng.uniform(0.05, 0.5) * rng.standard_normal(steps))


SHAPES: tuple[Callable[[np.random.Generator, int], np.ndarray], ...] = (constant, stationary, stepping, fading)
SHAPES_CHANCE = (0.05, 0.38, 0.33, 0.24)


def with_outages(rng: np.random.Generator, shape: np.ndarray) -> np.ndarray:
    """The same with outages of 2 to 120 s, 30 to 300 s apart on average, in which little or next to nothing comes."""
    shape = shape.copy()
    gap, longest, left = _log_uniform(rng, 30.0, 300.0), _log_uniform(rng, 4.0, 120.0), _log_uniform(rng, 1e-3, 0.2)
    at = rng.exponential(gap)
    while at < len(shape):
        length = _log_uniform(rng, 2.0, longest)
        shape[int(at) : int(at + length) + 1] *= left
        at += length + rng.exponential(gap)
    return shape


def _link(
    rng: np.random.Generator, whole: TraceSet | None, recorded: Sequence[TraceSet], ladder_mbps: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Times and bandwidths of one trace: recorded at its own speed, recorded at another one, or generated."""
    if whole is not None:
        time_s, mbps = _stretch(rng, whole)
        mbps = mbps * np.exp(rng.normal(0.0, 0.2))
    elif recorded and rng.random() < RECORDED:
        time_s, mbps = _stretch(rng, recorded[int(rng.integers(len(recorded)))])
        mbps = mbps * (_speed(rng, ladder_mbps) / max(np.average(mbps[1:], weights=np.diff(time_s)), 1e-3))
    else:
        time_s, mbps = generated_link(rng)
        mbps = mbps * _speed(rng, ladder_mbps)
    carried = float(np.sum(np.diff(time_s) * mbps[1:]))
    return time_s, np.clip(mbps, 0.0 if carried > 1.0 else SLOWEST_MBPS, 10 * FASTEST_MBPS)


def _stretch(rng: np.random.Generator, traces: TraceSet) -> tuple[np.ndarray, np.ndarray]:
    """A trace of a set, or a part of it, if it is more than twice as long as a generated one."""
    time_s, mbps = traces.trace(int(rng.integers(len(traces))))
    if time_s[-1] > 2 * LINK_S:
        begin = rng.uniform(0.0, time_s[-1] - LINK_S)
        inside = (time_s >= begin) & (time_s <= begin + LINK_S)
        if np.count_nonzero(inside) > 10:
            return time_s[inside] - time_s[inside][0], mbps[inside]
    return time_s, mbps


def _speed(rng: np.random.Generator, ladder_mbps: np.ndarray) -> float:
    """Mean bandwidth of a link: about what the ladder asks for, now and then a hundred times as much."""
    low, high = 0.6 * ladder_mbps[0], 2.5 * ladder_mbps[-1]
    if rng.random() < 0.06:
        low, high = ladder_mbps[-1], 100 * ladder_mbps[-1]
    return float(np.clip(_log_uniform(rng, low, high), SLOWEST_MBPS / 2, FASTEST_MBPS))


def _objective(rng: np.random.Generator, ladder_mbps: np.ndarray) -> dict[str, Any]:
    """Utilities and penalties; those of the literature are as likely as all others together."""
    drawn = rng.random()
    qoe: str | tuple[float, ...] = "lin"
    span = float(ladder_mbps[-1] - ladder_mbps[0])
    if drawn < 0.1:
        qoe, span = "log", float(np.log(ladder_mbps[-1] / ladder_mbps[0]))
    elif drawn < 0.2:
        steps = np.diff(ladder_mbps, prepend=0.0) ** rng.uniform(0.2, 1.2)
        table = np.cumsum(steps / steps.sum()) * 100.0
        qoe, span = tuple(table.tolist()), float(table[-1] - table[0])
    drawn = rng.random()
    penalty = span * _log_uniform(rng, *PENALTY)
    if qoe == "lin" and drawn < 0.65:
        penalty = PUBLISHED_PENALTY if drawn < 0.3 else float(ladder_mbps[-1])
    return {
        "qoe": qoe,
        "rebuffer_penalty": penalty,
        "switch_penalty": 1.0 if rng.random() < 0.7 else float(rng.uniform(0.0, 3.0)),
    }


def _correlated(rng: np.random.Generator, steps: int, keep: float) -> np.ndarray:
    """A stationary autoregressive series of variance 1."""
    noise = rng.standard_normal(steps)
    for i in range(1, steps):
        noise[i] = keep * noise[i - 1] + np.sqrt(1 - keep**2) * noise[i]
    return noise


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
