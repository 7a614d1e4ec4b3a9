"""What drives an adaptive bitrate session: bandwidth traces and a video, as typed arrays.

``load_traces`` and ``load_video`` turn the names and paths of ``gym.make`` options into checked,
read-only arrays; everything wrong with a file is found here, with its name, line and remedy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from netenvs import datasets
from netenvs.abr import generators
from netenvs.arrays import named_arrays
from netenvs.records import ArrayRecord, put_array, put_offsets, refuse_field
from netenvs.spec import parse_spec, unknown_name

INSTALLED_SPLITS = (
    "fcc-test",
    "fcc-test-clean",
    "fcc-train",
    "fcc-train-clean",
    "fcc-valid",
    "fcc-valid-clean",
    "norway-train",
)
INSTALLED_VIDEOS = ("video1", "video2")
DATASET = "netllm-abr"
DEFAULT_RTT_MS = 80.0  # where traces bring none of their own (Pensieve sim/env.py)
DEFAULT_BUFFER_CAP_S = 60.0

MAHIMAHI_PACKET_BYTES = 1500  # one line of a Mahimahi file delivers one packet (mahimahi, mm-link(1))
MAHIMAHI_BIN_S = 1.0
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
) -> TraceSet:
    """Check (name, time_s, bandwidth_mbps) triples and pack them.

    Raises ``ValueError`` with the trace's name when times do not increase or start below 0, when a value
    is NaN, infinite or negative, when a trace has one row, or when it carries nothing.
    """
    if not traces:
        raise ValueError(f"{name}: there is no trace in it")
    for trace_name, time_s, bandwidth_mbps in traces:
        _check_trace(trace_name, time_s, bandwidth_mbps)
    lengths = [len(time_s) for _, time_s, _ in traces]
    if start_pointer is None:
        start_pointer = np.ones(len(traces))
    if np.any(start_pointer < 1) or np.any(start_pointer >= lengths):
        raise ValueError(f"{name}: start pointers must lie inside their traces; install the data set again")
    return TraceSet(
        name=name,
        names=tuple(trace_name for trace_name, _, _ in traces),
        time_s=_frozen(np.concatenate([t for _, t, _ in traces]), np.float64),
        bandwidth_mbps=_frozen(np.concatenate([b for _, _, b in traces]), np.float64),
        offset=_frozen(np.concatenate([[0], np.cumsum(lengths)]), np.int64),
        start_pointer=_frozen(start_pointer, np.int32),
        rtt_ms=None if rtt_ms is None else _frozen(rtt_ms, np.float64),
        buffer_cap_s=None if buffer_cap_s is None else _frozen(buffer_cap_s, np.float64),
    )


def join_traces(name: str, sets: list[TraceSet]) -> TraceSet:
    """All traces of ``sets`` under one name, in order; those without a round-trip time or buffer get the defaults.

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
    traces = [(label, *one.trace(i)) for one in sets for i, label in enumerate(one.names)]
    start_pointer = np.concatenate([one.start_pointer for one in sets])
    return replace(make_trace_set(name, traces, start_pointer, **own), installed=sets[0].installed)


def load_traces(spec: str | TraceSet) -> TraceSet:
    """The trace set called ``spec``: a generator, an installed split, a file or a folder; a trace set is itself.

    * ``synthetic`` (options ``count``, ``seed``), ``genet`` (``space``, ``count``, ``seed``, and any of the
      five parameters), ``pensieve-markov`` (``count``, ``seed``, ``t_l``, ``t_s``, ``cov``, ``duration_s``):
      generated, see ``netenvs.abr.generators``; options in brackets, ``genet(space=udr2,seed=3)``;
    * ``fcc-test`` and the other splits of the data set ``netllm-abr``, once installed;
    * a file, or a folder of files, of "time_s bandwidth_mbps" lines (the first line is time 0), or Mahimahi files (one
      packet-delivery time in ms per line); a name above wins over a file of that name, ``./genet`` is the file.

    Raises ``ValueError`` (one line: file, line, remedy) for bad files and unknown names.
    """
    if isinstance(spec, TraceSet):
        return spec
    if not isinstance(spec, str):
        raise ValueError(f"traces must be a name, a path or a TraceSet, not {type(spec).__name__}")
    is_name = spec.partition("(")[0].strip() in generators.TRACES or spec in INSTALLED_SPLITS
    if not is_name and _exists(spec):
        return _read_path(Path(spec))
    name, options = parse_spec(spec)
    if name in generators.TRACES:
        made = generators.call("traces", generators.TRACES[name], spec, options)
        return make_trace_set(spec, made.traces, made.start_pointer, made.rtt_ms, made.buffer_cap_s)
    if name in INSTALLED_SPLITS and not options:
        return _read_installed(name)
    if "/" in spec or "." in spec:
        raise ValueError(f"traces {spec!r}: no such file or folder")
    raise ValueError(unknown_name("traces", spec, [*generators.TRACES, *INSTALLED_SPLITS]) + ", or a file or folder")


def load_video(spec: str | Video) -> Video:
    """The video called ``spec``; a video is itself.

    ``synthetic`` (option ``seed``) and ``generated`` (``seed``, ``levels``) are generated, see
    ``netenvs.abr.generators``; ``video1`` and ``video2`` are installed; other names are files of a JSON manifest.

    A manifest is an object with ``bitrates_kbps`` (ascending), ``chunk_sizes_bytes`` (one list per level)
    and ``chunk_duration_s``; ``num_chunks`` (default: all listed) and ``name`` are optional.
    Raises ``ValueError`` (one line) for bad manifests and unknown names.
    """
    if isinstance(spec, Video):
        return spec
    if not isinstance(spec, str):
        raise ValueError(f"video must be a name, a path or a Video, not {type(spec).__name__}")
    is_name = spec.partition("(")[0].strip() in generators.VIDEOS or spec in INSTALLED_VIDEOS
    if not is_name and _exists(spec) and Path(spec).is_file():
        return _read_video(Path(spec))
    name, options = parse_spec(spec)
    if name in generators.VIDEOS:
        made = generators.call("video", generators.VIDEOS[name], spec, options)
        return _make_video({"name": spec, **made}, spec)
    if spec in INSTALLED_VIDEOS:
        with datasets.reading(DATASET) as folder:
            return _read_video(folder / f"{spec}.json")
    if "/" in spec or spec.endswith(".json"):
        raise ValueError(f"video {spec!r}: no such file")
    raise ValueError(unknown_name("video", spec, [*generators.VIDEOS, *INSTALLED_VIDEOS]) + ", or a .json file")


def _exists(path: str) -> bool:
    try:
        return bool(path) and Path(path).exists()
    except OSError:  # a name too long for the file system
        return False


def _frozen(values: Any, dtype: type) -> np.ndarray:
    array: np.ndarray = np.ascontiguousarray(values, dtype=dtype)
    array.flags.writeable = False
    return array


def _check_trace(name: str, time_s: np.ndarray, bandwidth_mbps: np.ndarray) -> None:
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


def _read_installed(split: str) -> TraceSet:
    with datasets.reading(DATASET) as folder:
        derived = json.loads((folder / "splits.json").read_text())
        stored = derived[split]["from"] if split in derived else split
        with named_arrays(folder / f"{stored}.npz") as arrays:
            flat = {key: arrays[key] for key in ("time_s", "bandwidth_mbps", "offset", "start_pointer")}
            whole = TraceSet(split, tuple(map(str, arrays["names"])), **flat, installed=True)
        if split not in derived:
            return whole
        indices = derived[split]["indices"]
        traces = [(whole.names[i], *whole.trace(i)) for i in indices]
        return replace(make_trace_set(split, traces, whole.start_pointer[indices]), installed=True)


def _read_path(path: Path) -> TraceSet:
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
        if not files:
            raise ValueError(f"{path}: there is no trace file in this folder")
    else:
        files = [path]
    return make_trace_set(str(path), [(str(file), *_read_trace_file(file)) for file in files])


def _read_trace_file(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a text trace, its times counted from its first row, or a Mahimahi file binned to Mbit/s.

    Traces that are cut out of a log begin later than at 0. A lap is as long as the last time, so that on the second one
    the first bandwidth would last from 0 to the second row (github.com/hongzimao/pensieve/issues/39).
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not a text file; keep only trace files in the folder") from None
    rows: list[list[float]] = []
    numbers: list[int] = []
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        try:
            row = [float(field) for field in fields]
        except ValueError:
            raise ValueError(
                f"{path}:{number}: expected numbers, 'time_s bandwidth_mbps' or one time in ms, "
                f"found {line.strip()[:40]!r}"
            ) from None
        if len(row) > 2 or (rows and len(row) != len(rows[0])):
            raise ValueError(
                f"{path}:{number}: {len(row)} columns; every line has two (time_s bandwidth_mbps) or one (Mahimahi, ms)"
            )
        rows.append(row)
        numbers.append(number)
    if len(rows) < 2:
        raise ValueError(f"{path}: a trace needs at least two lines, it has {len(rows)}")
    table = np.array(rows)
    _check_lines(path, table, numbers)
    if table.shape[1] == 2:
        return table[:, 0] - table[0, 0], table[:, 1]
    return _bin_mahimahi(path, table[:, 0])


def _check_lines(path: Path, table: np.ndarray, numbers: list[int]) -> None:
    """The same checks as for packed traces, with the line of the file in the message."""
    bad = np.argwhere(~((table >= 0) & (table <= MAX_TRACE_VALUE)))
    if len(bad):
        row, column = bad[0]
        what = "bandwidth" if column else "time"
        raise ValueError(
            f"{path}:{numbers[row]}: {what} {table[row, column]} is not a number from 0 to 1e9 (times count from the "
            "beginning of the trace); mend or remove the line"
        )
    step = np.diff(table[:, 0])
    back = np.flatnonzero(step <= 0) if table.shape[1] == 2 else np.flatnonzero(step < 0)
    if len(back):
        row = back[0] + 1
        raise ValueError(
            f"{path}:{numbers[row]}: time {table[row, 0]} does not come after {table[row - 1, 0]}; "
            "sort the lines and drop repeated times"
        )


def _bin_mahimahi(path: Path, delivery_ms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Packet-delivery times (ms, 1500 bytes each) as mean bandwidth over bins of one second."""
    end_s = delivery_ms[-1] / 1000.0
    if end_s <= 0:
        raise ValueError(f"{path}: all packets are delivered at 0 ms; times are in ms since the start")
    edges = np.append(np.arange(0.0, end_s, MAHIMAHI_BIN_S), end_s)
    # bin k holds the packets of (edges[k], edges[k + 1]], as segments do; packets at 0 ms join the first
    bins = np.searchsorted(edges[1:], delivery_ms / 1000.0, side="left")
    packets = np.bincount(bins, minlength=len(edges) - 1)
    mbps = packets * MAHIMAHI_PACKET_BYTES * 8 / 1e6 / np.diff(edges)
    return edges, np.concatenate([mbps[:1], mbps])


def _read_video(path: Path) -> Video:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not a JSON video manifest ({error})") from None
    if not isinstance(manifest, dict):
        raise ValueError(f"{path}: a video manifest is a JSON object with bitrates_kbps and chunk_sizes_bytes")
    return _make_video(manifest, str(path))


def _make_video(manifest: dict[str, Any], where: str) -> Video:
    missing = [k for k in ("bitrates_kbps", "chunk_sizes_bytes", "chunk_duration_s") if k not in manifest]
    if missing:
        raise ValueError(f"{where}: the manifest lacks {', '.join(missing)}")
    try:
        bitrates = np.array(manifest["bitrates_kbps"], dtype=np.float64)
        rows = [np.array(row, dtype=np.float64) for row in manifest["chunk_sizes_bytes"]]
        duration = float(manifest["chunk_duration_s"])
        num_chunks = manifest.get("num_chunks", len(rows[0]) if rows else 0)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{where}: the manifest must hold plain numbers ({error})") from None
    bitrates = np.rint(bitrates)
    valid = np.isfinite(bitrates) & (bitrates >= 1) & (bitrates < 2**31)
    if bitrates.ndim != 1 or len(bitrates) < 2 or not valid.all():
        raise ValueError(f"{where}: bitrates_kbps must list at least two bitrates, in kbit/s from 1 up")
    if np.any(np.diff(bitrates) <= 0):
        raise ValueError(f"{where}: bitrates_kbps must be in ascending order, whole kbit/s apart")
    if len(rows) != len(bitrates):
        raise ValueError(
            f"{where}: chunk_sizes_bytes has {len(rows)} lists for {len(bitrates)} bitrates; give one per level"
        )
    counts = [len(row) if row.ndim == 1 else -1 for row in rows]
    if len(set(counts)) != 1 or counts[0] < 2:
        raise ValueError(
            f"{where}: wrong chunk counts {counts}; every level lists the same number of chunks, at least two"
        )
    sizes = np.stack(rows)
    bad = np.argwhere(~np.isfinite(sizes) | (sizes < 1) | (sizes > 2**31 - 1))
    if len(bad):
        level, chunk = bad[0]
        raise ValueError(
            f"{where}: chunk {chunk} of level {level} has size {sizes[level, chunk]}; sizes are bytes from 1 up"
        )
    if not isinstance(num_chunks, int) or not 2 <= num_chunks <= counts[0]:
        raise ValueError(f"{where}: num_chunks is {num_chunks}, {counts[0]} sizes are listed; give 2 to {counts[0]}")
    if not (np.isfinite(duration) and duration > 0):
        raise ValueError(f"{where}: chunk_duration_s must be positive, it is {duration}")
    return Video(
        name=str(manifest.get("name", where)),
        chunk_duration_s=duration,
        num_chunks=num_chunks,
        bitrates_kbps=_frozen(bitrates, np.int32),
        chunk_sizes=_frozen(np.rint(sizes.T), np.int32),
    )
