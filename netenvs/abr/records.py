"""Bandwidth traces and a video, as typed arrays that are checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from netenvs.records import ArrayRecord, put_array, put_offsets, refuse_field

DEFAULT_RTT_MS = 80.0  # where traces bring none of their own (Pensieve sim/env.py)
DEFAULT_BUFFER_CAP_S = 60.0
MAX_TRACE_VALUE = 1e9  # s (ms in Mahimahi files), Mbit/s; larger ones are time stamps or wrong units
MIN_LAP_BYTES = 1000.0  # below this the whole trace carries no chunk in any useful time: wrong units


@dataclass(frozen=True, eq=False)
class TraceSet(ArrayRecord):
    """Bandwidth traces of one split, concatenated. Segment i of a trace ends at ``time_s[i]``."""

    name: str
    names: tuple[str, ...]
    """One name per trace, in the order of their numbers."""
    time_s: np.ndarray
    """float64 (sum of lengths,), strictly increasing inside a trace, from 0 or later."""
    bandwidth_mbps: np.ndarray
    """float64 (sum of lengths,), Mbit/s; the first value of a trace is never used."""
    offset: np.ndarray
    """int64 (traces + 1,): trace i is ``[offset[i], offset[i + 1])``."""
    start_pointer: np.ndarray
    """int32 (traces,): segment in which an episode starts, 1 or later."""
    rtt_ms: np.ndarray | None = None
    """float64 (traces,) where the traces bring their own round-trip time (Genet), else None."""
    buffer_cap_s: np.ndarray | None = None
    """float64 (traces,) where the traces bring their own player buffer (Genet), else None."""
    latency_ms: np.ndarray | None = None
    """float64 (sum of lengths,) where the traces bring a round-trip time for each segment (Sabre), else None: that of a
    chunk is the one of the segment in which its download begins. It goes before ``rtt_ms``."""
    installed: bool = field(default=False, compare=False)
    """True for splits of an installed data set: their default video is ``video1``."""

    def __post_init__(self) -> None:
        """Raises ``ValueError``, one line: kernels read what is here without a look, and wait for a chunk to arrive."""
        count, rows = len(self.names), len(np.atleast_1d(self.time_s))
        time_s = put_array(self, "time_s", np.float64, (rows,), 0, MAX_TRACE_VALUE)
        bandwidth_mbps = put_array(self, "bandwidth_mbps", np.float64, (rows,), 0, MAX_TRACE_VALUE)
        offset = put_offsets(self, "offset", count, rows, least=2)
        pointer = put_array(self, "start_pointer", np.int32, (count,), 1)
        for name in ("rtt_ms", "buffer_cap_s"):
            if getattr(self, name) is not None:
                put_array(self, name, np.float64, (count,), 0)
        if self.latency_ms is not None:
            put_array(self, "latency_ms", np.float64, (rows,), 0, MAX_TRACE_VALUE)
        if np.any(pointer >= np.diff(offset)):
            refuse_field(self, "start_pointer", "each must lie inside its trace")
        step_s = np.diff(time_s, prepend=time_s[:1])
        step_s[offset[:-1]] = 1.0
        if np.any(step_s <= 0):
            refuse_field(self, "time_s", f"value [{np.flatnonzero(step_s <= 0)[0]}] does not come after the one before")
        step_s[offset[:-1]] = 0.0
        carried = np.add.reduceat(step_s * bandwidth_mbps, offset[:-1]) * 1e6 / 8
        if np.any(carried < MIN_LAP_BYTES / 2):  # half: sums in another order end in other digits
            empty = int(np.argmin(carried))
            refuse_field(self, "bandwidth_mbps", f"trace {empty} carries {carried[empty]:.0f} bytes in all")

    def __len__(self) -> int:
        return len(self.names)

    def trace(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Times in s and bandwidths in Mbit/s of trace ``index``, float64 (length,) each."""
        begin, end = self.offset[index], self.offset[index + 1]
        return self.time_s[begin:end], self.bandwidth_mbps[begin:end]


@dataclass(frozen=True, eq=False)
class Video(ArrayRecord):
    """One video: a bitrate ladder and the size of every chunk at every level."""

    name: str
    chunk_duration_s: float
    num_chunks: int
    """Chunks played. The size table may list one more (``video1`` and ``video2`` do: 49 for 48)."""
    bitrates_kbps: np.ndarray
    """int32 (levels,), ascending."""
    chunk_sizes: np.ndarray
    """int32 (chunks listed, levels), bytes."""

    def __post_init__(self) -> None:
        """Raises ``ValueError``, one line: kernels read what is here without a look."""
        bitrates = put_array(self, "bitrates_kbps", np.int32, (None,), 1)
        if len(bitrates) < 1 or np.any(np.diff(bitrates) <= 0):
            refuse_field(self, "bitrates_kbps", "they must be in ascending order, one at least")
        sizes = put_array(self, "chunk_sizes", np.int32, (None, len(bitrates)), 1)
        whole = isinstance(self.num_chunks, int | np.integer) and not isinstance(self.num_chunks, bool)
        if not whole or not 2 <= self.num_chunks <= len(sizes):
            refuse_field(self, "num_chunks", f"it must be a whole number from 2 to {len(sizes)}, the chunks listed")
        if not (0 < self.chunk_duration_s < np.inf):
            refuse_field(self, "chunk_duration_s", f"it must be above 0, not {self.chunk_duration_s!r}")

    @property
    def num_levels(self) -> int:
        return len(self.bitrates_kbps)


def make_trace_set(
    name: str,
    traces: list[tuple[str, np.ndarray, np.ndarray]],
    start_pointer: np.ndarray | None = None,
    rtt_ms: np.ndarray | None = None,
    buffer_cap_s: np.ndarray | None = None,
    latency_ms: np.ndarray | None = None,
) -> TraceSet:
    """Check (name, time_s, bandwidth_mbps) triples and pack them; the other arrays are those of :class:`TraceSet`.

    Raises ``ValueError`` with the trace's name when times do not increase or start below 0, when a value
    is NaN, infinite or negative, when a trace has one row, or when it carries nothing.
    """
    if not traces:
        raise ValueError(f"{name}: there is no trace in it")
    for trace_name, time_s, bandwidth_mbps in traces:
        check_trace(trace_name, time_s, bandwidth_mbps)
    lengths = [len(time_s) for _, time_s, _ in traces]
    if start_pointer is None:
        start_pointer = np.ones(len(traces))
    if np.any(start_pointer < 1) or np.any(start_pointer >= lengths):
        raise ValueError(f"{name}: start pointers must lie inside their traces; install the data set again")
    return TraceSet(
        name=name,
        names=tuple(trace_name for trace_name, _, _ in traces),
        time_s=frozen(np.concatenate([t for _, t, _ in traces]), np.float64),
        bandwidth_mbps=frozen(np.concatenate([b for _, _, b in traces]), np.float64),
        offset=frozen(np.concatenate([[0], np.cumsum(lengths)]), np.int64),
        start_pointer=frozen(start_pointer, np.int32),
        rtt_ms=None if rtt_ms is None else frozen(rtt_ms, np.float64),
        buffer_cap_s=None if buffer_cap_s is None else frozen(buffer_cap_s, np.float64),
        latency_ms=None if latency_ms is None else frozen(latency_ms, np.float64),
    )


def join_traces(name: str, sets: list[TraceSet]) -> TraceSet:
    """All traces of ``sets`` under one name, in order; those without a round-trip time or buffer get the defaults.

    Where some have a latency by segment, the others have their round-trip time in all segments.

    Each keeps its start pointer. ``installed`` is that of the first set, whose default video is taken.
    """
    own = {
        attribute: None
        if all(getattr(one, attribute) is None for one in sets)
        else np.concatenate(
            [np.full(len(one), default) if (v := getattr(one, attribute)) is None else v for one in sets]
        )
        for attribute, default in (("rtt_ms", DEFAULT_RTT_MS), ("buffer_cap_s", DEFAULT_BUFFER_CAP_S))
    }
    if any(one.latency_ms is not None for one in sets):
        own["latency_ms"] = np.concatenate([_latency_ms(one) for one in sets])
    traces = [(label, *one.trace(i)) for one in sets for i, label in enumerate(one.names)]
    start_pointer = np.concatenate([one.start_pointer for one in sets])
    return replace(make_trace_set(name, traces, start_pointer, **own), installed=sets[0].installed)


def _latency_ms(traces: TraceSet) -> np.ndarray:
    """Of each segment, float64 (sum of lengths,)."""
    if traces.latency_ms is not None:
        return traces.latency_ms
    of_traces = np.full(len(traces), DEFAULT_RTT_MS) if traces.rtt_ms is None else traces.rtt_ms
    return np.repeat(of_traces, np.diff(traces.offset))


def frozen(values: Any, dtype: type) -> np.ndarray:
    """A read-only array of that type, contiguous."""
    array: np.ndarray = np.ascontiguousarray(values, dtype=dtype)
    array.flags.writeable = False
    return array


def check_trace(name: str, time_s: np.ndarray, bandwidth_mbps: np.ndarray) -> None:
    """Raises ``ValueError`` as :func:`make_trace_set` does."""
    if len(bandwidth_mbps) != len(time_s):
        raise ValueError(f"{name}: {len(time_s)} times and {len(bandwidth_mbps)} bandwidths; give one of each a row")
    if len(time_s) < 2:
        raise ValueError(f"{name}: a trace needs at least two lines, it has {len(time_s)}")
    for what, values in (("time", time_s), ("bandwidth", bandwidth_mbps)):
        bad = np.flatnonzero(~((values >= 0) & (values <= MAX_TRACE_VALUE)))
        if len(bad):
            raise ValueError(
                f"{name}: row {bad[0] + 1}: {what} {values[bad[0]]} is not a number from 0 to 1e9; mend or remove it"
            )
    back = np.flatnonzero(np.diff(time_s) <= 0)
    if len(back):
        row = back[0] + 1
        raise ValueError(
            f"{name}: row {row + 1}: time {time_s[row]} s does not come after {time_s[row - 1]} s; "
            "sort the rows and drop repeated times"
        )
    lap_bytes = float(np.sum(np.diff(time_s) * bandwidth_mbps[1:]) * 1e6 / 8)
    if lap_bytes < MIN_LAP_BYTES:
        raise ValueError(
            f"{name}: the whole trace carries {lap_bytes:.0f} bytes, so no chunk would ever arrive; "
            "bandwidth is in Mbit/s"
        )
