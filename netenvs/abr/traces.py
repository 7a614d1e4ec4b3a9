"""``load_traces``: bandwidth traces by name or path; ``read_traces``: those of files, and what became of the files.

Everything wrong with a file is found here, with its name, line and remedy.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from netenvs.abr import generators
from netenvs.abr.installed import INSTALLED_SPLITS, read_split
from netenvs.abr.records import DEFAULT_RTT_MS, TraceSet, make_trace_set
from netenvs.abr.trace_files import READERS
from netenvs.abr.trace_files.samples import LinkTrace
from netenvs.abr.trace_files.scale import note_doubts
from netenvs.readers.reader import AUTO, find_path, read_input
from netenvs.readers.reading import Reading
from netenvs.spec import parse_spec, unknown_name


def load_traces(spec: str | TraceSet, *, strict: bool = False, **options: Any) -> TraceSet:
    """The trace set called ``spec``: a generator, an installed split, a file or a folder; a trace set is itself.

    * ``synthetic`` (options ``count``, ``seed``), ``genet`` (``space``, ``count``, ``seed``, and any of the
      five parameters), ``pensieve-markov`` (``count``, ``seed``, ``t_l``, ``t_s``, ``cov``, ``duration_s``):
      generated, see ``netenvs.abr.generators``; options in brackets, ``genet(space=udr2,seed=3)``;
    * ``fcc-test``, ``puffer22-test`` and the other splits of :data:`netenvs.abr.installed.INSTALLED_SPLITS`, once their
      data sets are installed;
    * a file, a folder of files or an archive, whose format is recognised, or named in front of brackets:
      ``mahimahi(path=FILE)``, ``csv(path=FILE,unit=kbit/s)``; the formats and their options are in
      ``netenvs.abr.trace_files``. A name above wins over a file of that name, ``./genet`` is the file.

    Arguments:
        spec: see above.
        strict: of files: whether the first row or file that cannot be used is an error; else it is left out, with one
            warning for all of them.
        options: of the format of files, the same that stand in brackets.

    Raises:
        ValueError: One line, with file, line and remedy, for bad files, options and unknown names.
    """
    if isinstance(spec, TraceSet):
        _refuse_options(f"traces {spec.name}", strict, options)
        return spec
    if not isinstance(spec, str):
        raise ValueError(f"traces must be a name, a path or a TraceSet, not {type(spec).__name__}")
    found = find_path(spec, READERS, [*generators.TRACES, *INSTALLED_SPLITS])
    if found is not None:
        format, path, in_brackets = found
        given = {**in_brackets, **({"strict": strict} if strict else {}), **options}
        traces, reading = read_traces(path, format, **given)
        reading.warn()
        return traces
    _refuse_options(f"traces {spec!r}", strict, options)
    name, options = parse_spec(spec)
    if name in generators.TRACES:
        made = generators.call("traces", generators.TRACES[name], spec, options)
        return make_trace_set(spec, made.traces, made.start_pointer, made.rtt_ms, made.buffer_cap_s)
    if name in INSTALLED_SPLITS and not options:
        return read_split(name)
    if "/" in spec or "." in spec:
        raise ValueError(f"traces {spec!r}: no such file or folder")
    raise ValueError(unknown_name("traces", spec, [*generators.TRACES, *INSTALLED_SPLITS]) + ", or a file or folder")


def read_traces(
    path: str | os.PathLike[str], format: str = AUTO, strict: bool = False, **options: Any
) -> tuple[TraceSet, Reading]:
    """The traces of a file, folder or archive, in the order of the files' names, and what became of it, unsaid.

    Arguments:
        path: of the input.
        format: name of a reader of :data:`netenvs.abr.trace_files.READERS`, or ``auto``.
        strict: see :func:`load_traces`.
        options: of the format.

    Raises:
        ValueError: One line, with file, line and remedy.
    """
    traces, reading = read_input(path, READERS, "a bandwidth trace", format, strict, **options)
    reading.records["traces"] += len(traces)
    note_doubts(traces, reading)
    return pack(str(path), traces), reading


def pack(name: str, traces: list[LinkTrace]) -> TraceSet:
    """What readers gave, as a trace set; those without a latency have that of the environment where others have one."""
    latency_ms = None
    if any(trace.latency_ms is not None for trace in traces):
        latency_ms = np.concatenate(
            [np.full(len(t.time_s), DEFAULT_RTT_MS) if t.latency_ms is None else t.latency_ms for t in traces]
        )
    return make_trace_set(
        name, [(trace.name, trace.time_s, trace.bandwidth_mbps) for trace in traces], latency_ms=latency_ms
    )


def _refuse_options(where: str, strict: bool, options: dict[str, Any]) -> None:
    given = [*(["strict"] if strict else []), *options]
    if given:
        raise ValueError(f"{where}: {given[0]} is an option of files; options of a name stand in its brackets")
