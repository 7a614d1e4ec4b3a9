"""Converters of the data sets ``puffer22``, ``pensieve``, ``sabre-3g``, ``fcc-hd``, ``fcc-sd`` and ``lumos-wifi``.

Traces are numbered in the order of their upstream paths, and their number says to which split they belong:

* ``puffer22``: of ``cooked_traces``, 4 modulo 5 is for validation and the others for training; ``cooked_test_traces``
  is for judging only;
* ``fcc-hd``, ``fcc-sd`` and ``lumos-wifi``: 0 modulo 4 is for training, 1 for validation, 2 and 3 for judging;
* ``pensieve``: ``cooked_traces`` and ``cooked_test_traces`` as they are;
* ``sabre-3g``: one split, without the logs that ``netllm-abr`` has, too; see :func:`convert_sabre_3g`.

Installed: ``<split>.npz``, arrays of a :class:`netenvs.abr.records.TraceSet`, and the video of ``sabre-3g`` as
``bbb.json``.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from netenvs import datasets
from netenvs.abr.installed import DATASET
from netenvs.abr.records import TraceSet, make_trace_set
from netenvs.datasets import DatasetError
from netenvs.errors import flat
from netenvs.readers.table import parse_table

#: A trace as :func:`netenvs.abr.records.make_trace_set` takes it: name, times in s, bandwidths in Mbit/s.
Trace = tuple[str, np.ndarray, np.ndarray]
Files = Mapping[str, bytes]

_SABRE = "example/mmsys18"
_REMEDY = "get the files again from the pinned commit"
_LOG = re.compile(r"report\.(\d{4}-\d\d-\d\d_\d{4}CES?T)")  # of the Norway measurements: when it began


def convert_puffer22(files: Files, manifest: Mapping[str, str]) -> dict[str, bytes]:
    """Upstream files -> ``puffer22-train.npz`` and the others. Raises DatasetError for unexpected content."""
    cooked = _read(files, "puffer_220218/cooked_traces/", _two_columns)
    return {
        "puffer22-train.npz": _pack(trace for number, trace in enumerate(cooked) if number % 5 != 4),
        "puffer22-valid.npz": _pack(cooked[4::5]),
        "puffer22-test.npz": _pack(_read(files, "puffer_220218/cooked_test_traces/", _two_columns)),
    }


def convert_pensieve(files: Files, manifest: Mapping[str, str]) -> dict[str, bytes]:
    """Upstream files -> ``pensieve-train.npz`` and ``pensieve-test.npz``. Raises DatasetError."""
    return {
        "pensieve-train.npz": _pack(_read(files, "src/cooked_traces/", _two_columns)),
        "pensieve-test.npz": _pack(_read(files, "src/cooked_test_traces/", _two_columns)),
    }


def convert_sabre_3g(files: Files, manifest: Mapping[str, str]) -> dict[str, bytes]:
    """Upstream files -> ``sabre-3g.npz`` and ``bbb.json``. Raises DatasetError for unexpected content.

    Both Sabre and Pensieve, whose traces ``netllm-abr`` has, took the logs of Riiser et al., and name a trace by the
    minute in which its log began: ``report.2010-09-13_1003CEST``. Sabre kept all rows of a log, in whole kbit/s;
    Pensieve kept the first and those above 100 kbit/s. Logs that are among the files of ``netllm-abr``, as listed in
    its manifest, are left out: 39 of 86.
    """
    known = {match[1] for path in datasets.catalogue()[DATASET].digests() if (match := _LOG.search(path))}
    own = {
        path: content for path, content in files.items() if not (match := _LOG.search(path)) or match[1] not in known
    }
    return {
        "sabre-3g.npz": _pack(_read(own, f"{_SABRE}/3Glogs/", _sabre_periods)),
        "bbb.json": _parsed(_sabre_video, files[f"{_SABRE}/bbb.json"], f"{_SABRE}/bbb.json"),
    }


def convert_fcc_hd(files: Files, manifest: Mapping[str, str]) -> dict[str, bytes]:
    """Upstream files -> ``fcc-hd-train.npz`` and the others. Raises DatasetError for unexpected content."""
    return _by_four("fcc-hd", _read(files, f"{_SABRE}/hd_fs/", _sabre_periods))


def convert_fcc_sd(files: Files, manifest: Mapping[str, str]) -> dict[str, bytes]:
    """Upstream files -> ``fcc-sd-train.npz`` and the others. Raises DatasetError for unexpected content."""
    return _by_four("fcc-sd", _read(files, f"{_SABRE}/sd_fs/", _sabre_periods))


def convert_lumos_wifi(files: Files, manifest: Mapping[str, str]) -> dict[str, bytes]:
    """Upstream files -> ``lumos-wifi-train.npz`` and the others. Raises DatasetError for unexpected content.

    A session lists its chunks with throughput (kbit/s) and delivery time (s). A chunk's throughput holds for its
    delivery time, and the next one's follows at once: between chunks nobody measured the link.
    """
    return _by_four("lumos-wifi", _read(files, "", _lumos_chunks))


def _by_four(name: str, traces: list[Trace]) -> dict[str, bytes]:
    return {
        f"{name}-train.npz": _pack(traces[0::4]),
        f"{name}-valid.npz": _pack(traces[1::4]),
        f"{name}-test.npz": _pack(trace for number, trace in enumerate(traces) if number % 4 > 1),
    }


def _read(files: Files, folder: str, parse: Callable[[str, str], tuple[np.ndarray, np.ndarray]]) -> list[Trace]:
    """The traces below an upstream folder in the order of their paths."""
    return [
        (path.rpartition("/")[2], *_parsed(parse, files[path], path))
        for path in sorted(files)
        if path.startswith(folder)
    ]


def _parsed(parse: Callable[[str, str], Any], content: bytes, path: str) -> Any:
    try:
        return parse(content.decode("utf-8"), path)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise DatasetError(f"{path} is not as it should be ({flat(error)}); {_REMEDY}") from None


def _two_columns(text: str, path: str) -> tuple[np.ndarray, np.ndarray]:
    """Lines ``time_s bandwidth_mbps``; a bandwidth holds from the time of the line before."""
    table = parse_table(text, path)
    if table.num_columns != 2 or table.columns or table.odd:
        raise ValueError("two numbers a line were expected")
    return table.numbers(0), table.numbers(1)


def _sabre_periods(text: str, path: str) -> tuple[np.ndarray, np.ndarray]:
    """A list of periods, each with ``duration_ms`` and ``bandwidth_kbps``."""
    periods = json.loads(text)
    return _in_turn(
        np.array([period["duration_ms"] for period in periods], np.float64) / 1000.0,
        np.array([period["bandwidth_kbps"] for period in periods], np.float64) / 1000.0,
    )


def _lumos_chunks(text: str, path: str) -> tuple[np.ndarray, np.ndarray]:
    """A header and a line for each chunk."""
    table = parse_table(text, path)
    if not table.columns or table.odd:
        raise ValueError("a header and lines of equal length were expected")
    column = table.columns.index
    return _in_turn(table.numbers(column("delivery_time")), table.numbers(column("app_throughput")) / 1000.0)


def _in_turn(length_s: np.ndarray, bandwidth_mbps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Periods, one after the other, as times and bandwidths of which the first is never used."""
    return np.concatenate([[0.0], np.cumsum(length_s)]), np.concatenate([bandwidth_mbps[:1], bandwidth_mbps])


def _sabre_video(text: str, path: str) -> bytes:
    """A ladder with sizes in bits, chunk by chunk, as a manifest of ours."""
    video = json.loads(text)
    sizes = np.array(video["segment_sizes_bits"], np.float64).T / 8
    manifest = {
        "name": "bbb",
        "chunk_duration_s": video["segment_duration_ms"] / 1000.0,
        "num_chunks": sizes.shape[1],
        "bitrates_kbps": video["bitrates_kbps"],
        "chunk_sizes_bytes": np.rint(sizes).astype(np.int64).tolist(),
    }
    return (json.dumps(manifest) + "\n").encode()


def _pack(traces: Iterable[Trace]) -> bytes:
    """One npz of traces, the fields of a :class:`TraceSet` but its name."""
    try:
        made: TraceSet = make_trace_set("upstream", list(traces))
    except ValueError as error:
        raise DatasetError(f"{flat(error)}; {_REMEDY}") from None
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        allow_pickle=False,
        time_s=made.time_s,
        bandwidth_mbps=made.bandwidth_mbps,
        offset=made.offset,
        start_pointer=made.start_pointer,
        names=np.array(made.names, np.str_),
    )
    return buffer.getvalue()
