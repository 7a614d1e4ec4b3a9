"""Two columns without a header: Pensieve's traces (s, Mbit/s) and those of Oboe (ms, kbit/s).

Formats: ``sim/load_trace.py`` of github.com/hongzimao/pensieve; ``traces/`` of github.com/USC-NSL/Oboe. Nothing but the
size of the numbers tells them apart.
"""

from __future__ import annotations

from netenvs.abr.trace_files.named_columns import has_names
from netenvs.abr.trace_files.samples import (
    Guess,
    LinkTrace,
    bandwidth_unit,
    from_columns,
    head_table,
    time_unit_s,
    times_s,
)
from netenvs.abr.trace_files.scale import (
    HIGHEST_MBPS,
    LONGEST_STEP_S,
    UNUSUAL_MBPS,
    UNUSUAL_STEP_S,
    mean_step,
    typical,
)
from netenvs.readers.errors import InputError
from netenvs.readers.reader import Reader
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source
from netenvs.readers.table import Table, read_table


def sniff_oboe(source: Source) -> bool:
    """Whether the two columns can be no s and no Mbit/s: steps above 100, values above 500."""
    table = head_table(source)
    if table is None or not sniff_pensieve(source):
        return False
    return _is_oboe(table)


def _is_oboe(table: Table) -> bool:
    return mean_step(table.numbers(0)) > LONGEST_STEP_S and typical(table.numbers(1)) > HIGHEST_MBPS


def sniff_pensieve(source: Source) -> bool:
    """Whether a file has two columns of numbers, and nothing says what they are."""
    table = head_table(source)
    return table is not None and table.num_columns == 2 and not has_names(table)


def _two(source: Source) -> Table:
    table = read_table(source)
    if table.num_columns != 2:
        raise InputError(
            f"{source.name}: {table.num_columns} columns, not two; csv(path=FILE,time=1,bandwidth=2) says which"
        )
    return table


def read_pensieve(
    source: Source, reading: Reading, *, unit: str | None = None, time_unit: str | None = None
) -> list[LinkTrace]:
    """The one trace of a file: Mbit/s, and s, dates or times since 1970, unless units are given.

    Of unusual numbers without a unit it is noted that they are taken for that.
    """
    table, guesses = _two(source), []
    time_s = times_s(table, 0) if time_unit is None else table.numbers(0) * time_unit_s(time_unit)
    mbps = table.numbers(1) * bandwidth_unit("Mbit/s" if unit is None else unit)
    step, median = mean_step(time_s), typical(mbps)
    if time_unit is None and UNUSUAL_STEP_S < step <= LONGEST_STEP_S:
        guesses.append(Guess("time", "s", step))
    if unit is None and UNUSUAL_MBPS < median <= HIGHEST_MBPS:
        guesses.append(Guess("bandwidth", "Mbit/s", median))
    return [from_columns(table, reading, time_s, mbps, tuple(guesses))]


def read_oboe(
    source: Source, reading: Reading, *, unit: str | None = None, time_unit: str | None = None
) -> list[LinkTrace]:
    """The one trace of a file. Units that are not named are noted, as nothing but numbers tells them."""
    table = _two(source)
    time, bandwidth = table.numbers(0), table.numbers(1)
    guesses = []
    if time_unit is None and _is_oboe(table):
        guesses.append(Guess("time", "ms", mean_step(time)))
    if unit is None and _is_oboe(table):
        guesses.append(Guess("bandwidth", "kbit/s", typical(bandwidth)))
    time_s = time * time_unit_s("ms" if time_unit is None else time_unit)
    mbps = bandwidth * bandwidth_unit("kbit/s" if unit is None else unit)
    return [from_columns(table, reading, time_s, mbps, tuple(guesses))]


PENSIEVE = Reader(
    name="pensieve", title="two columns, time in s and bandwidth in Mbit/s", sniff=sniff_pensieve, read=read_pensieve
)
OBOE = Reader(
    name="oboe", title="two columns, time in ms and bandwidth in kbit/s (Oboe)", sniff=sniff_oboe, read=read_oboe
)
