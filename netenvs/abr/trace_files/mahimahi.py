"""Traces of Mahimahi: one time in ms a line, at which the link can deliver a packet of 1,500 bytes.

Format: mm-link(1) of github.com/ravinet/mahimahi: times do not decrease, a time that stands twice is two packets, and
the trace begins anew after the last time; ``1`` alone is a packet a millisecond, 12 Mbit/s.
"""

from __future__ import annotations

import numpy as np

from netenvs.abr.records import MAX_TRACE_VALUE
from netenvs.abr.trace_files.samples import LinkTrace, checked, head_table, skip_odd
from netenvs.readers.errors import InputError
from netenvs.readers.reader import Reader, check_share
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source
from netenvs.readers.table import read_table

PACKET_BYTES = 1500
BIN_S = 1.0
LEAST_RISING = 0.9
"""Share of the steps of a file that do not go down; below it the one column is something else, such as bandwidths."""


def sniff(source: Source) -> bool:
    """Whether a file is one column of whole numbers that hardly ever go down."""
    table = head_table(source)
    if table is None or table.num_columns != 1 or table.columns:
        return False
    times = table.numbers(0)
    times = times[np.isfinite(times)]
    whole = np.mean(times == np.round(times)) if len(times) else 0.0
    rising = np.mean(np.diff(times) >= 0) if len(times) > 1 else 1.0
    return bool(min(whole, rising) >= LEAST_RISING)


def read(source: Source, reading: Reading) -> list[LinkTrace]:
    """The mean bandwidth over bins of one second, the last of which ends at the last time."""
    table = read_table(source)
    if table.num_columns != 1:
        raise InputError(f"{source.name}: {table.num_columns} columns; a line has one time in ms")
    delivery_ms, texts = table.numbers(0), table.texts(0)
    before = reading.num_skipped("rows")
    skip_odd(table, reading)
    bad = ~((delivery_ms >= 0) & (delivery_ms <= MAX_TRACE_VALUE))
    reading.skip_rows(table.name, table.lines, bad, "a time that is no number from 0 to 1e9", texts)
    back = ~bad
    back[back] = ~_not_falling(delivery_ms[~bad])
    reading.skip_rows(table.name, table.lines, back, "the time goes back", texts)
    check_share(table.name, reading, before, len(table.rows) + len(table.odd))
    delivery_ms = delivery_ms[~(bad | back)]
    reading.records["rows"] += len(delivery_ms)
    if not len(delivery_ms) or delivery_ms[-1] <= 0:
        raise InputError(f"{source.name}: all packets are delivered at 0 ms; times are in ms since the start")
    if len(delivery_ms) > 1 and delivery_ms[0] == delivery_ms[-1]:
        reading.note(
            "the same number in every line is taken for packets at that time, in ms, again and again; bandwidths alone "
            "are csv(path=FILE,bandwidth=1,interval_s=1)",
            f"{source.name}: {len(delivery_ms)} at {delivery_ms[0]:g} ms",
        )
    return [checked(LinkTrace(source.name, *_binned(delivery_ms)))]


def _not_falling(times: np.ndarray) -> np.ndarray:
    """Which to keep so that none is below one before it: those that are far above all that follow are not kept."""
    following = np.minimum.accumulate(times[::-1])[::-1]
    keep: np.ndarray = times >= np.maximum.accumulate(times)
    far = np.flatnonzero(times > following)
    if len(far) < np.sum(~keep):  # a few leap ahead, rather than many fall back
        keep = np.ones(len(times), dtype=np.bool_)
        keep[far] = False
    return keep


def _binned(delivery_ms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Packet-delivery times (ms, 1500 bytes each) as mean bandwidth over bins of one second."""
    end_s = delivery_ms[-1] / 1000.0
    if len(delivery_ms) == 1 and end_s < BIN_S:  # again and again, up to a second
        return np.array([0.0, np.ceil(BIN_S / end_s) * end_s]), np.full(2, PACKET_BYTES * 8 / 1e6 / end_s)
    edges = np.append(np.arange(0.0, end_s, BIN_S), end_s)
    # bin k holds the packets of (edges[k], edges[k + 1]], as segments do; packets at 0 ms join the first
    bins = np.searchsorted(edges[1:], delivery_ms / 1000.0, side="left")
    packets = np.bincount(bins, minlength=len(edges) - 1)
    mbps = packets * PACKET_BYTES * 8 / 1e6 / np.diff(edges)
    return edges, np.concatenate([mbps[:1], mbps])


MAHIMAHI = Reader(name="mahimahi", title="packet-delivery times in ms, one a line (Mahimahi)", sniff=sniff, read=read)
