"""Traces of Sabre: a JSON list of periods with their duration, bandwidth and latency.

Format: github.com/UMass-LIDS/sabre, ``example/mmsys18`` and ``src/sabre.py``: ``[{"duration_ms": 5000,
"bandwidth_kbps": 432, "latency_ms": 20}, ...]``, played again from the beginning after the last period.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from netenvs.abr.records import DEFAULT_RTT_MS
from netenvs.abr.trace_files.samples import LinkTrace, bandwidth_unit, checked, time_unit_s
from netenvs.readers.errors import InputError, decoding
from netenvs.readers.reader import Reader, check_share
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source

MAX_PERIOD = 1e9  # ms, kbit/s


def sniff(source: Source) -> bool:
    """Whether a file is a JSON list of objects that have a bandwidth."""
    start = source.head.lstrip()[:4096]
    return start.startswith("[") and '"bandwidth_kbps"' in start


def read(source: Source, reading: Reading, *, unit: str | None = None, time_unit: str | None = None) -> list[LinkTrace]:
    """The one trace of a file; periods that cannot be used are left out and counted.

    Bandwidths are in kbit/s and durations in ms, as their keys say, unless units are given.

    ``latency_ms``, where a period has it, is the round trip of chunks that are requested in it; where others have one,
    those without take that of the environment, 80 ms.
    """
    mbps = None if unit is None else bandwidth_unit(unit)
    seconds = None if time_unit is None else time_unit_s(time_unit)
    with decoding(source.name):
        periods = json.loads(source.text())
    if not isinstance(periods, list):
        raise InputError(f"{source.name}: not a list of periods; write [{{duration_ms, bandwidth_kbps}}, ...]")
    before = reading.num_skipped("periods")
    rows = []
    for number, period in enumerate(periods, start=1):
        found = _values(period)
        if found is None:
            reading.skip("periods", _REASON, f"{source.name}, period {number}", str(period)[:80])
        else:
            rows.append(found)
    check_share(source.name, reading, before, len(periods), "periods")
    reading.records["periods"] += len(rows)
    if not rows:
        raise InputError(f"{source.name}: it has no period; take it out")
    duration, bandwidth, latency_ms = np.array(rows, dtype=np.float64).T
    time = np.concatenate([[0.0], np.cumsum(duration)])
    time_s = time / 1000.0 if seconds is None else time * seconds
    bandwidth_mbps = bandwidth / 1000.0 if mbps is None else bandwidth * mbps
    latency = None
    if np.isfinite(latency_ms).any():
        latency = _from_first(np.where(np.isfinite(latency_ms), latency_ms, DEFAULT_RTT_MS))
    return [checked(LinkTrace(source.name, time_s, _from_first(bandwidth_mbps), latency))]


_REASON = "no duration_ms above 0 with a bandwidth_kbps and latency_ms from 0 up"


def _values(period: Any) -> tuple[float, float, float] | None:
    if not isinstance(period, dict):
        return None
    latency = period.get("latency_ms")
    duration: Any = period.get("duration_ms")
    bandwidth: Any = period.get("bandwidth_kbps")
    if not all(_is_size(value) for value in (duration, bandwidth, 0 if latency is None else latency)) or not duration:
        return None
    return float(duration), float(bandwidth), float("nan") if latency is None else float(latency)


def _is_size(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_PERIOD


def _from_first(values: np.ndarray) -> np.ndarray:
    """The values of periods as those of rows: the first row is the beginning of the first period."""
    return np.concatenate([values[:1], values])


SABRE = Reader(
    name="sabre", title="a JSON list of periods (duration_ms, bandwidth_kbps, latency_ms)", sniff=sniff, read=read
)
