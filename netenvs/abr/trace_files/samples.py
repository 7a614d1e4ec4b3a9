"""``LinkTrace``, what readers make of a file, and the checks that rows of every format pass."""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from netenvs.abr.records import MAX_TRACE_VALUE, check_trace
from netenvs.readers.errors import InputError
from netenvs.readers.reader import OptionError, check_share
from netenvs.readers.reading import Reading
from netenvs.readers.sources import HEAD_BYTES, Source
from netenvs.readers.table import Table, parse_table
from netenvs.readers.units import MBPS, SECONDS, clock_s, increasing, known_unit


@dataclass(frozen=True)
class LinkTrace:
    """One trace of a file."""

    name: str
    """The file, and behind a colon which of its traces, where it has several."""
    time_s: np.ndarray
    """float64 (rows,), increasing from 0: a row's bandwidth holds from the row before up to its time."""
    bandwidth_mbps: np.ndarray
    """float64 (rows,), Mbit/s; the first is never used."""
    latency_ms: np.ndarray | None = None
    """float64 (rows,), round trip of what is requested in that segment, where the format has one."""
    guesses: tuple[Guess, ...] = ()
    """What the file did not say, and was told from its numbers."""


@dataclass(frozen=True)
class Guess:
    """A unit that was told from the size of numbers."""

    what: str
    """Whose: ``bandwidth``, ``time``."""
    taken_for: str
    """The unit."""
    value: float
    """What told it: the median of the values, or the mean step of the times, as they stand in the file."""


def from_samples(
    name: str,
    reading: Reading,
    lines: np.ndarray,
    time_s: np.ndarray,
    bandwidth_mbps: np.ndarray,
    texts: Sequence[object],
    guesses: tuple[Guess, ...] = (),
    where: str | None = None,
) -> LinkTrace:
    """A trace of what stands in the rows of a file; times count from the first row.

    Rows are left out, and counted, whose bandwidth or time is no number, or whose time does not come after the one
    before. Traces that are cut out of a log begin later than at 0; a lap is as long as the last time, so that on the
    second one the first bandwidth would last from 0 to the second row (github.com/hongzimao/pensieve/issues/39).

    Arguments:
        name: of the trace.
        reading: where what is left out is counted.
        lines: int (rows,), where each stands in the file.
        time_s, bandwidth_mbps: float64 (rows,), NaN where there is no number.
        texts: (rows,), what stands there, for messages.
        guesses: see :class:`LinkTrace`.
        where: the file, where it has several traces.

    Raises:
        InputError: What is left cannot be played: less than two rows, or they carry nothing.
    """
    return checked(_usable(name, reading, lines, time_s, bandwidth_mbps, texts, guesses, where or name))


def _usable(
    name: str,
    reading: Reading,
    lines: np.ndarray,
    time_s: np.ndarray,
    bandwidth_mbps: np.ndarray,
    texts: Sequence[object],
    guesses: tuple[Guess, ...],
    file: str,
) -> LinkTrace:
    """See :func:`from_samples`; what is left may be too little."""
    middle = np.median(time_s[np.isfinite(time_s)]) if np.isfinite(time_s).any() else 0.0
    near = np.abs(time_s - middle) <= MAX_TRACE_VALUE / 2
    bad = ~((bandwidth_mbps >= 0) & (bandwidth_mbps <= MAX_TRACE_VALUE) & near)
    reading.skip_rows(file, lines, bad, "a time or bandwidth that is no number from 0 to 1e9", texts)
    late = ~bad
    late[late] = ~_increasing(time_s[~bad])
    reading.skip_rows(file, lines, late, "the time does not come after the one before", texts)
    kept = ~(bad | late)
    time_s, bandwidth_mbps = time_s[kept], bandwidth_mbps[kept]
    reading.records["rows"] += len(time_s)
    return LinkTrace(name, time_s - time_s[:1], bandwidth_mbps, guesses=guesses)


def checked(trace: LinkTrace) -> LinkTrace:
    """The trace itself. Raises :class:`InputError` where it cannot be played, so that its file is left out."""
    try:
        check_trace(trace.name, trace.time_s, trace.bandwidth_mbps)
    except ValueError as error:
        raise InputError(str(error)) from None
    return trace


def _increasing(time_s: np.ndarray) -> np.ndarray:
    """Which rows to keep, the first of those that follow each other at the same time; bool (rows,)."""
    keep: np.ndarray = np.diff(time_s, prepend=-np.inf) != 0
    keep[keep] = increasing(time_s[keep])
    return keep


def from_columns(
    table: Table,
    reading: Reading,
    time_s: np.ndarray,
    bandwidth_mbps: np.ndarray,
    guesses: tuple[Guess, ...] = (),
) -> LinkTrace:
    """The one trace of a table, see :func:`from_samples`; rows with another number of columns are left out, too.

    Raises :class:`InputError` where more than half of the rows are bad.
    """
    before = reading.num_skipped("rows")
    skip_odd(table, reading)
    texts = [table.separator.join(row) for row in table.rows]
    trace = _usable(table.name, reading, table.lines, time_s, bandwidth_mbps, texts, guesses, table.name)
    check_share(table.name, reading, before, len(table.rows) + len(table.odd))
    return checked(trace)


def skip_odd(table: Table, reading: Reading) -> None:
    """Leave out the lines of a table that have another number of columns."""
    if table.odd:
        reason = f"not {table.num_columns} columns" if table.num_columns > 1 else "not one number"
        reading.skip("rows", reason, f"{table.name}:{table.odd[0]}", "", len(table.odd))


@dataclass
class Samples:
    """Rows of one trace of a file that has several, as they are found."""

    time_s: array[float] = field(default_factory=lambda: array("d"))
    bandwidth_mbps: array[float] = field(default_factory=lambda: array("d"))
    lines: array[int] = field(default_factory=lambda: array("q"))


def from_groups(source: Source, reading: Reading, groups: Mapping[Hashable, Samples]) -> list[LinkTrace]:
    """A trace of each group, in the order of their first rows; those that cannot be used are left out and counted."""
    traces = []
    for key, found in groups.items():
        name = f"{source.name}:{'_'.join(map(str, key)) if isinstance(key, tuple) else key}"
        time_s, bandwidth_mbps = np.array(found.time_s), np.array(found.bandwidth_mbps)
        try:
            lines, texts = np.array(found.lines), time_s.tolist()
            traces.append(from_samples(name, reading, lines, time_s, bandwidth_mbps, texts, where=source.name))
        except InputError as error:
            if reading.strict:
                raise
            reason = "less than two rows" if len(time_s) < 2 else "no trace can be made of its rows"
            reading.skip("traces", reason, name, str(error).removeprefix(f"{name}:").strip())
    if not traces:
        raise InputError(f"{source.name}: none of its {len(groups)} traces can be used; is it of this format?")
    return traces


@lru_cache(maxsize=4)
def head_table(source: Source) -> Table | None:
    """The table of the beginning of a file, maybe a header alone; None: there is none. Several sniffers ask for it."""
    try:
        head = source.head
        if len(head) >= HEAD_BYTES // 4:  # the last line may be cut
            head = head.rpartition("\n")[0] or head
        table = parse_table(head, source.name)
    except InputError:
        return None
    return table if table.rows or table.columns else None


def column_names(table: Table | None) -> tuple[str, ...]:
    """Names of a table's columns, lower case; empty where it has no header."""
    return tuple(name.strip().lower() for name in table.columns) if table is not None and table.columns else ()


def column(table: Table, name: str) -> int:
    """Which column is called ``name``, in lower case. Raises :class:`InputError`."""
    names = column_names(table)
    if name not in names:
        raise InputError(f"{table.name}: it has no column {name!r}, but {', '.join(names) or 'no header'}")
    return names.index(name)


def times_s(table: Table, column: int) -> np.ndarray:
    """A column of seconds, dates or times since 1970 of whatever unit, as s, float64 (rows,)."""
    texts = table.texts(column)
    if table.separator != ",":  # elsewhere a comma is decimal
        texts = [text.replace(",", ".") for text in texts]
    return clock_s(texts, None)


def bandwidth_unit(unit: Any) -> float:
    """Mbit/s of a unit that a user typed. Raises :class:`OptionError`."""
    return _factor(unit, MBPS, "unit", "Mbit/s, kbit/s, bit/s, MB/s, kB/s, B/s")


def time_unit_s(unit: Any) -> float:
    """Seconds of a unit that a user typed. Raises :class:`OptionError`."""
    return _factor(unit, SECONDS, "time_unit", "s, ms, us, ns, min, h")


def _factor(unit: Any, units: dict[str, float], option: str, examples: str) -> float:
    known = known_unit(unit, units) if isinstance(unit, str) else None
    if known is None:
        raise OptionError(f"{option}={unit}: not a unit; known: {examples}")
    return units[known]


def is_header(source: Source, wanted: Iterable[str]) -> bool:
    """Whether a file has a header with all of these names."""
    return set(wanted) <= set(column_names(head_table(source)))
