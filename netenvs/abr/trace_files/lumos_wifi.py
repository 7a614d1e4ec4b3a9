"""Sessions of Lumos: a CSV row for each chunk that a player fetched over Wi-Fi or 4G.

Format: github.com/GreenLv/Lumos, README.md: columns ``app_throughput`` in kbit/s, ``delivery_time`` in s. Its README
gives ``chunk_size`` in kilobytes; the numbers, throughput times time, are kbit.
"""

from __future__ import annotations

import numpy as np

from netenvs.abr.trace_files.samples import LinkTrace, bandwidth_unit, column, from_samples, is_header, skip_odd
from netenvs.readers.errors import InputError
from netenvs.readers.reader import Reader, check_share
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source
from netenvs.readers.table import read_table


def sniff(source: Source) -> bool:
    """Whether a file has the columns of a session."""
    return is_header(source, ("app_throughput", "delivery_time"))


def read(source: Source, reading: Reading, *, unit: str = "kbit/s") -> list[LinkTrace]:
    """The one trace of a session: a segment for each chunk, as long as it took, at its throughput.

    What the link would have carried between two chunks is not known, and is left out: a proxy of the link.
    """
    table = read_table(source)
    duration_s = table.numbers(column(table, "delivery_time"))
    mbps = table.numbers(column(table, "app_throughput")) * bandwidth_unit(unit)
    before = reading.num_skipped("rows")
    skip_odd(table, reading)
    bad = ~((duration_s > 0) & np.isfinite(duration_s) & (mbps >= 0))
    texts = [",".join(row) for row in table.rows]
    reading.skip_rows(table.name, table.lines, bad, "no delivery_time above 0 with an app_throughput from 0 up", texts)
    check_share(table.name, reading, before, len(table.rows) + len(table.odd))
    kept = np.flatnonzero(~bad)
    if not len(kept):
        raise InputError(f"{source.name}: it has no chunk; take it out")
    first = kept[:1]  # the beginning of the first segment
    rows = np.concatenate([first, kept])
    time_s = np.concatenate([[0.0], np.cumsum(duration_s[kept])])
    reading.records["rows"] -= 1
    return [from_samples(table.name, reading, table.lines[rows], time_s, mbps[rows], [texts[i] for i in rows])]


LUMOS_WIFI = Reader(
    name="lumos-wifi", title="a CSV row per chunk (app_throughput, delivery_time) of Lumos", sniff=sniff, read=read
)
