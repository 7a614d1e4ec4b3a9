"""``video_sent`` of Puffer: what a server knew of a viewer's connection when it sent a chunk.

Format: puffer.stanford.edu/data-description, header ``time (ns GMT),session_id,index,...,delivery_rate`` as written by
github.com/StanfordSNR/puffer-statistics. ``delivery_rate`` is that of Linux' ``TCP_INFO``, in bytes a second. Cooked
traces of Puffer that are on the net ("time_s Mbit/s") are read as ``pensieve``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable

import numpy as np

from netenvs.abr.trace_files.samples import LinkTrace, Samples, bandwidth_unit, column_names, from_groups, head_table
from netenvs.readers.errors import InputError
from netenvs.readers.fields import numbers
from netenvs.readers.reader import Reader, check_share
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source

NANOSECOND = 1e-9


def sniff(source: Source) -> bool:
    """Whether a file has the header of one of Puffer's measurements."""
    names = column_names(head_table(source))
    return bool(names) and names[0].startswith("time") and {"session_id", "index", "expt_id"} <= set(names)


def read(source: Source, reading: Reading, *, unit: str = "B/s") -> list[LinkTrace]:
    """A trace of each stream, that is of each session and index; its name has both.

    Raises :class:`InputError` for measurements without ``delivery_rate``, such as ``video_acked``.
    """
    factor = bandwidth_unit(unit)
    lines = source.lines()
    names = [name.strip().lower() for name in next(lines, (0, ""))[1].split(",")]
    if "delivery_rate" not in names:
        raise InputError(f"{source.name}: it has no delivery_rate; give the file video_sent of the same day")
    if not {"session_id", "index"} <= set(names):
        raise InputError(f"{source.name}: it has no session_id and index; give a file video_sent of Puffer")
    wanted = [names.index(name) for name in ("session_id", "index", "delivery_rate")]
    groups: defaultdict[Hashable, Samples] = defaultdict(Samples)
    before, total = reading.num_skipped("rows"), 0
    for number, line in lines:
        fields = line.split(",")
        if not line.strip():
            continue
        total += 1
        if len(fields) != len(names):
            reading.skip("rows", f"not {len(names)} columns", f"{source.name}:{number}", line[:40])
            continue
        session, index, rate = (fields[place].strip() for place in wanted)
        time_ns, value = numbers([fields[0], rate])
        if not (np.isfinite(time_ns) and value >= 0):
            reading.skip("rows", "no time, or no delivery_rate from 0 up", f"{source.name}:{number}", line[:40])
            continue
        group = groups[session, index]
        group.time_s.append(time_ns * NANOSECOND)
        group.bandwidth_mbps.append(value * factor)
        group.lines.append(number)
    check_share(source.name, reading, before, total)
    return from_groups(source, reading, groups)


PUFFER = Reader(name="puffer", title="video_sent of Puffer (session_id, index, delivery_rate)", sniff=sniff, read=read)
