"""Units in names of columns, and clocks of whatever unit or notation."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from netenvs.readers.fields import numbers

SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0}
SECONDS |= {
    "seconds": 1.0,
    "usec": 1e-6,
    "nsec": 1e-9,
    "msec": 1e-3,
    "millis": 1e-3,
    "milliseconds": 1e-3,
    "micros": 1e-6,
    "microseconds": 1e-6,
    "nanos": 1e-9,
    "nanoseconds": 1e-9,
    "min": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
}
"""Unit of time -> s."""
_PREFIXES = {"": 1e-6, "k": 1e-3, "K": 1e-3, "M": 1.0, "m": 1.0, "G": 1e3, "g": 1e3}
_PREFIXES |= {"Ki": 2**10 * 1e-6, "Mi": 2**20 * 1e-6, "Gi": 2**30 * 1e-6}
MBPS = {
    f"{prefix}{unit}": factor * size
    for prefix, factor in _PREFIXES.items()
    for unit, size in {
        **dict.fromkeys(("bps", "bit/s", "bits/s", "b/s", "bit/sec", "bits/sec", "b/sec", "bitps", "bit", "bits"), 1.0),
        **dict.fromkeys(
            ("Bps", "B/s", "B/sec", "byte/s", "bytes/s", "Byte/s", "Bytes/s", "bytes/sec", "Bytes/sec"), 8.0
        ),
        **dict.fromkeys(("b/second", "bit/second", "bits/second"), 1.0),
        **dict.fromkeys(("B/second", "byte/second", "bytes/second", "Byte/second", "Bytes/second"), 8.0),
    }.items()
}
"""Unit of bandwidth -> Mbit/s. A capital B is a byte, a small one a bit; m is taken for M, as people write mbps."""


class Named(NamedTuple):
    """A column's name taken apart."""

    name: str
    """Lower case, without its unit, with underscores."""
    unit: str | None
    """As it stands there."""


def split_unit(column: str, units: dict[str, float]) -> Named:
    """``DL_bitrate [kbit/s]``, ``bandwidth(Mbps)``, ``bandwidth_kbps``, ``time/ms`` -> name and unit.

    ``units`` are those that may stand behind an underscore; what stands in brackets is a unit in any case.
    """
    column = _with_slash(column)
    bracket = re.fullmatch(r"(.*?)[\s_]*[\[(]\s*(.*?)\s*[\])]\s*", column)
    if bracket and bracket[1]:
        return Named(_plain(bracket[1]), known_unit(bracket[2], units) or bracket[2])
    for separator in ("_", "/", " ", "."):
        name, found, unit = column.rpartition(separator)
        if found and name and (known := known_unit(unit, units)):
            return Named(_plain(name), known)
    return Named(_plain(column), None)


def known_unit(text: str, units: dict[str, float]) -> str | None:
    """The key of ``units`` for a unit as people write it; None for another.

    MBPS, all in capitals, is Mbps; of MB/S nobody knows whether it has bits or bytes.
    """
    text = _with_slash(text).replace("Bit", "bit")
    if re.fullmatch(r"[KMG]?B/S(EC)?", text):
        return None
    bare = text.lower() if text.isupper() and len(text) > 1 else text
    return (
        bare
        if bare in units
        else next((unit for unit in units if unit.lower() == bare.lower() and "B" not in bare), None)
    )


def _with_slash(text: str) -> str:
    """``bits_per_second`` as ``bits/second``."""
    return re.sub(r"(?<=[A-Za-z])[\s_]+per[\s_]+(?=[A-Za-z])", "/", text.strip(), flags=re.IGNORECASE)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")


_DAYS = ("%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y")
_TIMES = ("%H:%M:%S", "%H:%M:%S.%f", "%H:%M", "%I:%M:%S %p", "%I:%M %p")
_NOTATIONS = (
    ("%Y.%m.%d_%H.%M.%S",),
    ("%Y%m%d%H%M%S",),
    *(tuple(f"{day} {time}" for time in _TIMES) for day in _DAYS),
    _TIMES,
)
"""Those of the same day together, as seconds stand with and without a fraction in one file. Besides those of ISO 8601:
of G-NetTrack Pro (github.com/uccmisl/5Gdataset), of iperf, of spreadsheets."""
_COMPACT = re.compile(r"\s*(19|20)\d{12}\s*", re.ASCII)
"""Year to second without a separator; milliseconds since 1970 have 13 digits, microseconds 16."""
_DAY_S = 86_400.0
_LAST_TIME_OF_DAY_S = -2.2e9
"""Times without a date are of the first day of 1900; those of real dates come later."""
LATEST = 1e30
"""A larger time, of whatever unit, is none."""
_EPOCHS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))
"""Times after 1973 in ns, us and ms since 1970 are larger than these; (bound, unit in s)."""


def clock_s(fields: Sequence[str], unit: str | None) -> np.ndarray:
    """Times in s as they stand in a column, float64 (rows,), NaN where one is none.

    Arguments:
        fields: numbers of ``unit``, or dates and times of day.
        unit: key of ``SECONDS``; None: seconds, and times since 1970 by their size.

    Times of the day go on after midnight.
    """
    found = numbers(fields)
    found[np.abs(found) > LATEST] = np.nan
    compact = unit is None and len(fields) > 0 and all(_COMPACT.fullmatch(field) for field in fields)
    if compact or np.isfinite(found).sum() * 2 < len(found):
        dates = _over_midnight(_dates_s(fields))
        if np.isfinite(dates).sum() > (0 if compact else np.isfinite(found).sum()):
            return dates
    if unit is not None:
        return found * SECONDS[unit]
    if not np.isfinite(found).any():
        return found
    largest = float(np.nanmedian(found))
    return found * next((factor for bound, factor in _EPOCHS if largest > bound), 1.0)


def _dates_s(fields: Sequence[str]) -> np.ndarray:
    """Dates and times of day in s, float64 (fields,), NaN for what is none.

    First are tried the notations that read most of a sample; of those that read as many, the ones in which they lie
    nearest to each other: 05/03 and 06/03 are a day apart in one notation and a month in another.
    """
    sample = fields[:: max(1, len(fields) // 100)]
    scores = {}
    for same_day in _NOTATIONS:
        found = np.array([_date_s(field, same_day) for field in sample])
        if len(read := found[np.isfinite(found)]):
            scores[same_day] = (-len(read), float(np.ptp(read)))
    notations = [notation for same_day in sorted(scores, key=lambda one: scores[one]) for notation in same_day]
    return np.array([_date_s(field, notations) for field in fields]) if notations else np.full(len(fields), np.nan)


def _over_midnight(dates_s: np.ndarray) -> np.ndarray:
    """Times of the day that fall by more than half a day are of the next one."""
    of_day = np.flatnonzero(dates_s < _LAST_TIME_OF_DAY_S)
    if (np.diff(dates_s[of_day]) < -_DAY_S / 2).any():
        dates_s[of_day] = np.unwrap(dates_s[of_day], period=_DAY_S)
    return dates_s


def _date_s(field: str, notations: Sequence[str]) -> float:
    field = field.strip().strip('"')
    try:
        moment = datetime.fromisoformat(field)
    except ValueError:
        for notation in notations:
            try:
                moment = datetime.strptime(field, notation)
                break
            except ValueError:
                continue
        else:
            return float("nan")
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


def increasing(values: np.ndarray) -> np.ndarray:
    """Which values to keep so that they increase strictly and as many as can be stay; bool (values,).

    All are, in most files. It is a longest increasing subsequence (Fredman 1975), so that one value that is far off
    costs itself, not all behind it. NaN are not kept.
    """
    keep: np.ndarray = np.isfinite(values)
    chosen = np.flatnonzero(keep)
    if (np.diff(values[chosen]) > 0).all():
        return keep
    ends: list[float] = []  # smallest last value of an increasing run of each length
    last: list[int] = []  # its position
    before = np.full(len(values), -1)
    for position in chosen.tolist():
        length = bisect.bisect_left(ends, values[position])
        before[position] = last[length - 1] if length else -1
        ends[length:], last[length:] = (
            ([values[position], *ends[length + 1 :]], [position, *last[length + 1 :]])
            if length < len(ends)
            else ([values[position]], [position])
        )
    keep[:] = False
    position = last[-1] if last else -1
    while position >= 0:
        keep[position] = True
        position = int(before[position])
    return keep
