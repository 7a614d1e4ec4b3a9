"""``curr_webget.csv`` of Measuring Broadband America (FCC): how fast home connections fetched web pages.

Format: fcc.gov, "Measuring Broadband America", raw data, data dictionary: ``unit_id, dtime, target, address, fetch_time
(us), bytes_total, bytes_sec, ...``; files of 2016 and before come without a header.

Traces are made as Pensieve made its own (``traces/fcc/load_webget_data.py`` and ``convert_mahimahi_format.py`` of
github.com/hongzimao/pensieve): one for each unit and target, its measurements in the order of the file, each taken to
last 5 s, whatever time lay between them.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Hashable

from netenvs.abr.trace_files.samples import LinkTrace, Samples, bandwidth_unit, from_groups, head_table, is_header
from netenvs.readers.errors import InputError
from netenvs.readers.fields import numbers
from netenvs.readers.reader import OptionError, Reader, check_share
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source

UNIT, DTIME, TARGET, BYTES_SEC = 0, 1, 2, 6
NAMES = ("unit_id", "dtime", "target", "bytes_sec")
_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


def sniff(source: Source) -> bool:
    """Whether a file has the header, or rows of a unit, a date and a URL."""
    if is_header(source, NAMES):
        return True
    table = head_table(source)
    if table is None or table.num_columns <= BYTES_SEC:
        return False
    row = table.rows[0]
    return bool(_DATE.match(row[DTIME]) and row[TARGET].startswith("http"))


def read(source: Source, reading: Reading, *, interval_s: float = 5.0, unit: str = "B/s") -> list[LinkTrace]:
    """A trace of each unit and target; a measurement lasts ``interval_s``."""
    if not 0 < interval_s < 1e6:
        raise OptionError(f"interval_s must be above 0, not {interval_s}")
    factor = bandwidth_unit(unit)
    columns = {"unit_id": UNIT, "target": TARGET, "bytes_sec": BYTES_SEC}
    groups: defaultdict[Hashable, Samples] = defaultdict(Samples)
    before, total = reading.num_skipped("rows"), 0
    for number, line in source.lines():
        try:
            fields = [field.strip() for field in next(csv.reader([line]), [])]
        except csv.Error:  # a field of more than 128 KiB
            fields = [""]
        if not fields:
            continue
        if total == 0 and set(NAMES) <= {field.lower() for field in fields}:
            columns = {name: [field.lower() for field in fields].index(name) for name in columns}
            continue
        total += 1
        fields += [""] * (max(columns.values()) + 1 - len(fields))
        value = float(numbers([fields[columns["bytes_sec"]]])[0]) * factor
        if not value >= 0:
            reading.skip("rows", "no bytes_sec from 0 up", f"{source.name}:{number}", line[:40])
            continue
        target = fields[columns["target"]].replace(":", "-").replace("/", "-")  # as in the names of Pensieve's files
        group = groups[fields[columns["unit_id"]], target]
        group.time_s.append(len(group.time_s) * interval_s)
        group.bandwidth_mbps.append(value)
        group.lines.append(number)
    check_share(source.name, reading, before, total)
    if not groups:
        raise InputError(f"{source.name}: it has no measurement; take it out")
    return from_groups(source, reading, groups)


FCC = Reader(name="fcc", title="curr_webget.csv of Measuring Broadband America (FCC)", sniff=sniff, read=read)
