"""Logs of measurements in cellular networks: HSDPA in Norway, 4G in Ghent, 4G and 5G in Ireland, 5G in Minneapolis.

Formats:

* HSDPA (Riiser et al., "Commute path bandwidth traces from 3G networks", MMSys 2013) and Ghent (van der Hooft et al.,
  "HTTP/2-based adaptive streaming of HEVC video over 4G/LTE networks", IEEE Communications Letters 2016) have six
  columns without a header: time since 1970 (in s, in Ghent in ms), ms since some beginning, latitude, longitude, bytes
  received since the row before, ms since the row before. ``traces/belgium/convert_mahimahi_format.py`` of
  github.com/hongzimao/pensieve takes them the same way.
* 5Gdataset (github.com/uccmisl/5Gdataset; Raca et al., MMSys 2020, and the 4G logs of MMSys 2018) are CSV files of
  G-NetTrack Pro: ``Timestamp``, such as 2019.11.28_07.27.58, and ``DL_bitrate`` in kbit/s.
* Lumos5G (Narayanan et al., IMC 2020; README of version 1.0): a row a second, ``Throughput`` in Mbit/s measured by
  iPerf, many runs in one file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable

import numpy as np

from netenvs.abr.trace_files.samples import (
    LinkTrace,
    Samples,
    bandwidth_unit,
    column,
    column_names,
    from_columns,
    from_groups,
    head_table,
    is_header,
    skip_odd,
)
from netenvs.readers.errors import InputError
from netenvs.readers.reader import Reader
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source
from netenvs.readers.table import read_table
from netenvs.readers.units import clock_s

SIX_COLUMNS = 6
EPOCH_S, EPOCH_MS = (1e9, 1e11), (1e12, 1e14)
"""Times from 2001 on lie between these."""


def _is_log(source: Source, epoch: tuple[float, float]) -> bool:
    table = head_table(source)
    if table is None or table.columns or table.num_columns != SIX_COLUMNS:
        return False
    first = table.numbers(0)
    return bool(np.mean((first >= epoch[0]) & (first < epoch[1])) > 0.5)


def sniff_hsdpa(source: Source) -> bool:
    """Whether a file has six columns, the first of them seconds since 1970."""
    return _is_log(source, EPOCH_S)


def sniff_ghent(source: Source) -> bool:
    """Whether a file has six columns, the first of them milliseconds since 1970."""
    return _is_log(source, EPOCH_MS)


def read_six_columns(source: Source, reading: Reading) -> list[LinkTrace]:
    """The one trace of a log: the bytes of each row over its time, up to its time."""
    table = read_table(source)
    if table.num_columns != SIX_COLUMNS:
        raise InputError(f"{source.name}: {table.num_columns} columns; a line of this log has six")
    elapsed_ms = table.numbers(5)
    elapsed_ms[~(elapsed_ms > 0)] = np.nan
    with np.errstate(over="ignore"):  # what is not finite then is left out
        mbps = table.numbers(4) * 8.0 / elapsed_ms / 1000.0
    return [from_columns(table, reading, table.numbers(1) / 1000.0, mbps)]


def sniff_5gdataset(source: Source) -> bool:
    """Whether a file has the columns of G-NetTrack Pro."""
    return is_header(source, ("timestamp", "dl_bitrate"))


def read_5gdataset(source: Source, reading: Reading, *, unit: str = "kbit/s") -> list[LinkTrace]:
    """The one trace of a log: what was received in each second."""
    table = read_table(source)
    time_s = clock_s(table.texts(column(table, "timestamp")), None)
    mbps = table.numbers(column(table, "dl_bitrate")) * bandwidth_unit(unit)
    return [from_columns(table, reading, time_s, mbps)]


_RUN = ("run_num", "mobility_mode", "trajectory_direction")


def sniff_lumos5g(source: Source) -> bool:
    """Whether a file has the columns of Lumos5G."""
    return is_header(source, ("run_num", "seq_num", "throughput"))


def read_lumos5g(source: Source, reading: Reading, *, unit: str = "Mbit/s") -> list[LinkTrace]:
    """A trace of each run; ``seq_num`` counts its seconds."""
    table = read_table(source)
    skip_odd(table, reading)
    time_s = table.numbers(column(table, "seq_num"))
    mbps = table.numbers(column(table, "throughput")) * bandwidth_unit(unit)
    keys = [table.texts(column(table, name)) for name in _RUN if name in column_names(table)]
    groups: defaultdict[Hashable, Samples] = defaultdict(Samples)
    for row, key in enumerate(zip(*keys, strict=True)):
        group = groups[key]
        group.time_s.append(time_s[row])
        group.bandwidth_mbps.append(mbps[row])
        group.lines.append(int(table.lines[row]))
    return from_groups(source, reading, groups)


HSDPA = Reader(
    name="hsdpa", title="a raw log of HSDPA in Norway, six columns (Riiser)", sniff=sniff_hsdpa, read=read_six_columns
)
GHENT = Reader(
    name="ghent",
    title="a raw log of 4G in Ghent, six columns (van der Hooft)",
    sniff=sniff_ghent,
    read=read_six_columns,
)
FIVE_G_DATASET = Reader(
    name="5gdataset",
    title="a CSV log of G-NetTrack Pro (Timestamp, DL_bitrate), as in 5Gdataset",
    sniff=sniff_5gdataset,
    read=read_5gdataset,
)
LUMOS5G = Reader(
    name="lumos5g",
    title="the CSV file of Lumos5G (run_num, seq_num, Throughput)",
    sniff=sniff_lumos5g,
    read=read_lumos5g,
)
