"""Tables whose columns have names: a time, and a bandwidth with or without its unit.

Names are those that tools and data sets use: ``time_s,bandwidth_mbps``, ``timestamp;throughput [kbit/s]``,
``# time Mbps``. What a name does not say, an option does; else it is told from the numbers, which is noted.
"""

from __future__ import annotations

import re

import numpy as np

from netenvs.abr.trace_files.samples import (
    Guess,
    LinkTrace,
    bandwidth_unit,
    from_columns,
    head_table,
    time_unit_s,
    times_s,
)
from netenvs.abr.trace_files.scale import HIGHEST_MBPS, LONGEST_STEP_S, LOWEST_MBPS, mean_step, typical
from netenvs.readers.errors import InputError
from netenvs.readers.reader import OptionError, Reader
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source
from netenvs.readers.table import Table, read_table
from netenvs.readers.units import MBPS, SECONDS, clock_s, known_unit, split_unit

TIMES = ("time", "timestamp", "datetime", "date_time", "t", "elapsed", "elapsed_time", "relative_time", "epoch")
BANDWIDTHS = (
    *("bandwidth", "bw", "throughput", "tput", "thr", "dl_bitrate", "downlink_bitrate", "dl_throughput"),
    *("download", "downlink", "capacity", "link_capacity", "available_bandwidth", "rate", "bitrate", "data_rate"),
    *("delivery_rate", "download_speed", "goodput", "dl"),
)
"""Names of columns, without units, the most telling first."""
_WORDS = {TIMES: ("time",), BANDWIDTHS: ("throughput", "bandwidth", "bitrate")}
"""A name with one of these in it is taken where no other has: ``Sprint_throughput_mbps``; but for those of uploads."""
_UPLOAD = re.compile(r"u.*|.*_(ul|up|uplink|upload|uploaded|tx|sent)|(tx|sent|send)_.*")
_NO_UNITS = ("min", "bit", "bits")
"""Units that are more often something else where they are the whole name."""
DATES_TRIED = 20
"""Rows in which dates are looked for."""
KNOWN_UNITS = {"dl_bitrate": "kbit/s"}
"""Columns of one tool: G-NetTrack Pro."""


def names_of(table: Table) -> tuple[str, ...]:
    """The header of a table, or the comment that stands for it; empty where there is none."""
    if table.columns:
        return table.columns
    commented = table.commented or ()
    bandwidth = _find(commented, BANDWIDTHS, MBPS)
    if bandwidth is None:
        return ()
    has_unit = split_unit(commented[bandwidth], MBPS).unit or known_unit(commented[bandwidth], MBPS)
    return commented if has_unit or _find(commented, TIMES, SECONDS) is not None else ()


def has_names(table: Table) -> bool:
    """Whether something says what the columns are."""
    return bool(names_of(table))


def sniff(source: Source) -> bool:
    """Whether a file has a header, and numbers below it or a bandwidth in it."""
    table = head_table(source)
    if table is None or not has_names(table):
        return False
    numeric = any(np.isfinite(table.numbers(column)).any() for column in range(table.num_columns))
    return numeric or _find(names_of(table), BANDWIDTHS, MBPS) is not None


def read(
    source: Source,
    reading: Reading,
    *,
    time: str | int | None = None,
    bandwidth: str | int | None = None,
    unit: str | None = None,
    time_unit: str | None = None,
    interval_s: float = 1.0,
) -> list[LinkTrace]:
    """The one trace of a table.

    Arguments:
        source, reading: see :class:`netenvs.readers.reader.Reader`.
        time, bandwidth: names of the columns, or their numbers from 1; None: found by their names.
        unit, time_unit: of both; None: as their names say.
        interval_s: s from row to row where there is no column of times.
    """
    table = read_table(source)
    if not table.rows:
        raise InputError(f"{source.name}: it has a header and no rows; give it rows, or take it out")
    of_bandwidth = _column(table, bandwidth, "bandwidth", BANDWIDTHS, MBPS)
    if of_bandwidth is None:
        names = ", ".join(names_of(table)) or f"{table.num_columns} without a header"
        raise InputError(
            f"{source.name}: which column is the bandwidth is not known ({names[:200]}); name it, "
            "csv(path=FILE,bandwidth=NAME,unit=kbit/s)"
        )
    of_time = _column(table, time, "time", TIMES, SECONDS)
    if of_time is None:
        of_time = _times_by_content(table, of_bandwidth)
    mbps, guessed = _bandwidth(table, of_bandwidth, unit)
    if of_time is None:
        if not 0 < interval_s < 1e6:
            raise OptionError(f"interval_s must be above 0, not {interval_s}")
        reading.note(f"there is no column of times; a row lasts {interval_s:g} s; name one, time=NAME, or interval_s=")
        time_s, guessed_time = np.arange(len(mbps)) * interval_s, tuple[Guess, ...]()
    else:
        time_s, guessed_time = _time(table, of_time, time_unit)
    return [from_columns(table, reading, time_s, mbps, guessed_time + guessed)]


def _find(names: tuple[str, ...], known: tuple[str, ...], units: dict[str, float]) -> int | None:
    bare = [split_unit(name, units).name for name in names]
    for name in known:
        if name in bare:
            return bare.index(name)
    words = _WORDS[known]
    parts = [i for i, name in enumerate(bare) if any(word in name for word in words) and not _UPLOAD.fullmatch(name)]
    if len(parts) == 1:
        return parts[0]
    telling = [(i, name.strip()) for i, name in enumerate(names) if name.strip().lower() not in _NO_UNITS]
    whole = next((i for i, name in telling if len(name) > 1 and known_unit(name, units)), None)
    if whole is not None or known is TIMES:  # many things are measured in ms
        return whole
    with_unit = [
        i for i, name in enumerate(names) if split_unit(name, units).unit in units and not _UPLOAD.fullmatch(bare[i])
    ]
    return with_unit[0] if len(with_unit) == 1 else None


def _times_by_content(table: Table, of_bandwidth: int) -> int | None:
    """The only column of dates, or else of a unit of time and numbers that never go down; None where there is none."""
    names, dates, rising = names_of(table), [], []
    for column in range(table.num_columns if names else 0):
        sample = [text for text in table.texts(column)[:DATES_TRIED] if text.strip()]
        values = table.numbers(column)
        if column == of_bandwidth or not sample:
            continue
        if np.isfinite(values).any():
            unit = split_unit(names[column], SECONDS).unit
            if unit in SECONDS and len(values) > 1 and (np.diff(values) >= 0).all() and values[-1] > values[0]:
                rising.append(column)
        elif np.isfinite(clock_s(sample, None)).sum() * 2 > len(sample):
            dates.append(column)
    return next((found[0] for found in (dates, rising) if len(found) == 1), None)


def _column(
    table: Table, given: str | int | None, option: str, known: tuple[str, ...], units: dict[str, float]
) -> int | None:
    names = names_of(table)
    if given is None:
        if names:
            return _find(names, known, units)
        if table.num_columns > 2:
            return None
        return table.num_columns - 1 if option == "bandwidth" else (0 if table.num_columns > 1 else None)
    if isinstance(given, int) and 1 <= given <= table.num_columns:
        return given - 1
    wanted = str(given).strip().lower()
    found = [i for i, name in enumerate(names) if wanted in (name.strip().lower(), split_unit(name, units).name)]
    if not found:
        raise OptionError(
            f"{table.name}: {option}={given}: no such column; known: {', '.join(names) or f'1 to {table.num_columns}'}"
        )
    return found[0]


def _bandwidth(table: Table, column: int, unit: str | None) -> tuple[np.ndarray, tuple[Guess, ...]]:
    """Mbit/s, float64 (rows,), and what was guessed."""
    values = table.numbers(column)
    if unit is not None:
        return values * bandwidth_unit(unit), ()
    name = names_of(table)[column] if names_of(table) else ""
    split = split_unit(name, MBPS)
    named = KNOWN_UNITS.get(split.name) if split.unit is None else known_unit(split.unit, MBPS)
    named = named or known_unit(name, MBPS)
    if named is not None:
        return values * MBPS[named], ()
    if split.unit is not None:
        raise InputError(f"{table.name}: column {name!r}: the unit is not known; name it, unit=kbit/s")
    median = typical(values)
    taken_for = next(
        (u for u in ("Mbit/s", "kbit/s", "bit/s") if LOWEST_MBPS <= median * MBPS[u] <= HIGHEST_MBPS), None
    )
    if taken_for is None:
        raise InputError(
            f"{table.name}: column {name or column + 1!r} has no unit, and a median of {median:.4g}; "
            "name it, unit=kbit/s"
        )
    return values * MBPS[taken_for], (Guess("bandwidth", taken_for, median),)


def _time(table: Table, column: int, time_unit: str | None) -> tuple[np.ndarray, tuple[Guess, ...]]:
    """Times in s, float64 (rows,), and what was guessed."""
    if time_unit is not None:
        return table.numbers(column) * time_unit_s(time_unit), ()
    name = names_of(table)[column] if names_of(table) else ""
    split = split_unit(name, SECONDS)
    named = known_unit(split.unit or name, SECONDS) if name else None
    found, values = times_s(table, column), table.numbers(column)
    if named is not None and np.isfinite(values).sum() * 2 >= len(values):
        return values * SECONDS[named], ()
    if not np.array_equal(found, values, equal_nan=True):  # dates, or times since 1970 by their size
        return found, ()
    step = mean_step(values)
    taken_for = next((u for u in ("s", "ms", "us", "ns") if step * SECONDS[u] <= LONGEST_STEP_S), "s")
    return found * SECONDS[taken_for], (Guess("time", taken_for, step),)


CSV = Reader(
    name="csv",
    title="columns with names, a time (or none) and a bandwidth, whatever separates them",
    sniff=sniff,
    read=read,
)
