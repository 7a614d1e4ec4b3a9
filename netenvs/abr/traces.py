"""``load_traces``: bandwidth traces by name or path.

Everything wrong with a file is found here, with its name, line and remedy.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netenvs.abr import generators
from netenvs.abr.installed import INSTALLED_SPLITS, read_split
from netenvs.abr.records import MAX_TRACE_VALUE, TraceSet, make_trace_set
from netenvs.readers.sources import exists
from netenvs.spec import parse_spec, unknown_name

MAHIMAHI_PACKET_BYTES = 1500  # one line of a Mahimahi file delivers one packet (mahimahi, mm-link(1))
MAHIMAHI_BIN_S = 1.0


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
    if not is_name and exists(spec):
        return _read_path(Path(spec))
    name, options = parse_spec(spec)
    if name in generators.TRACES:
        made = generators.call("traces", generators.TRACES[name], spec, options)
        return make_trace_set(spec, made.traces, made.start_pointer, made.rtt_ms, made.buffer_cap_s)
    if name in INSTALLED_SPLITS and not options:
        return read_split(name)
    if "/" in spec or "." in spec:
        raise ValueError(f"traces {spec!r}: no such file or folder")
    raise ValueError(unknown_name("traces", spec, [*generators.TRACES, *INSTALLED_SPLITS]) + ", or a file or folder")


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
