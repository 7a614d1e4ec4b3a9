"""Converters of the data sets ``puffer22``, ``pensieve``, ``sabre-3g``, ``fcc-hd``, ``fcc-sd`` and ``lumos-wifi``.

Files are read as a user's are, by the readers of ``netenvs.abr.trace_files``, but strictly. Traces are numbered in the
order of their upstream paths, and their number says to which split they belong:

* ``puffer22``: of ``cooked_traces``, 4 modulo 5 is for validation and the others for training; ``cooked_test_traces``
  is for judging only;
* ``fcc-hd``, ``fcc-sd`` and ``lumos-wifi``: 0 modulo 4 is for training, 1 for validation, 2 and 3 for judging;
* ``pensieve``: ``cooked_traces`` and ``cooked_test_traces`` as they are;
* ``sabre-3g``: one split, without the logs that ``netllm-abr`` has, too; see :func:`convert_sabre_3g`.

Installed: ``<split>.npz``, arrays of a :class:`netenvs.abr.records.TraceSet` (``latency_ms`` where files have it), and
the video of ``sabre-3g`` as ``bbb.json``.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Mapping
from functools import partial

import numpy as np

from netenvs import datasets
from netenvs.abr.installed import DATASET
from netenvs.abr.trace_files.lumos_wifi import LUMOS_WIFI
from netenvs.abr.trace_files.sabre import SABRE
from netenvs.abr.trace_files.samples import LinkTrace
from netenvs.abr.trace_files.two_columns import PENSIEVE
from netenvs.abr.traces import pack
from netenvs.abr.video_files.sabre import SABRE as SABRE_VIDEO
from netenvs.datasets import DatasetError
from netenvs.errors import flat
from netenvs.readers.reader import Reader
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source

Files = Mapping[str, bytes]

_SABRE = "example/mmsys18"
_REMEDY = "get the files again from the pinned commit"
_LOG = re.compile(r"report\.(\d{4}-\d\d-\d\d_\d{4}CES?T)")  # of the Norway measurements: when it began


def convert_puffer22(files: Files, manifest: Mapping[str, str]) -> dict[str, bytes]:
    """Upstream files -> ``puffer22-train.npz`` and the others. Raises DatasetError for unexpected content."""
    cooked = _read(files, "puffer_220218/cooked_traces/", PENSIEVE)
    return {
        "puffer22-train.npz": _pack(trace for number, trace in enumerate(cooked) if number % 5 != 4),
        "puffer22-valid.npz": _pack(cooked[4::5]),
        "puffer22-test.npz": _pack(_read(files, "puffer_220218/cooked_test_traces/", PENSIEVE)),
    }


def convert_pensieve(files: Files, manifest: Mapping[str, str]) -> dict[str, bytes]:
    """Upstream files -> ``pensieve-train.npz`` and ``pensieve-test.npz``. Raises DatasetError."""
    return {
        "pensieve-train.npz": _pack(_read(files, "src/cooked_traces/", PENSIEVE)),
        "pensieve-test.npz": _pack(_read(files, "src/cooked_test_traces/", PENSIEVE)),
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
        "sabre-3g.npz": _pack(_read(own, f"{_SABRE}/3Glogs/", SABRE)),
        "bbb.json": _sabre_video(files[f"{_SABRE}/bbb.json"], f"{_SABRE}/bbb.json"),
    }


def convert_fcc_hd(files: Files, manifest: Mapping[str, str]) -> dict[str, bytes]:
    """Upstream files -> ``fcc-hd-train.npz`` and the others. Raises DatasetError for unexpected content."""
    return _by_four("fcc-hd", _read(files, f"{_SABRE}/hd_fs/", SABRE))


def convert_fcc_sd(files: Files, manifest: Mapping[str, str]) -> dict[str, bytes]:
    """Upstream files -> ``fcc-sd-train.npz`` and the others. Raises DatasetError for unexpected content."""
    return _by_four("fcc-sd", _read(files, f"{_SABRE}/sd_fs/", SABRE))


def convert_lumos_wifi(files: Files, manifest: Mapping[str, str]) -> dict[str, bytes]:
    """Upstream files -> ``lumos-wifi-train.npz`` and the others. Raises DatasetError for unexpected content.

    A session lists its chunks with throughput (kbit/s) and delivery time (s). A chunk's throughput holds for its
    delivery time, and the next one's follows at once: between chunks nobody measured the link.
    """
    return _by_four("lumos-wifi", _read(files, "", LUMOS_WIFI))


def _by_four(name: str, traces: list[LinkTrace]) -> dict[str, bytes]:
    return {
        f"{name}-train.npz": _pack(traces[0::4]),
        f"{name}-valid.npz": _pack(traces[1::4]),
        f"{name}-test.npz": _pack(trace for number, trace in enumerate(traces) if number % 4 > 1),
    }


def _read(files: Files, folder: str, reader: Reader) -> list[LinkTrace]:
    """The traces below an upstream folder in the order of their paths, which are their names."""
    traces: list[LinkTrace] = []
    for path in sorted(path for path in files if path.startswith(folder)):
        source = Source(path, (path.rpartition("/")[2],), partial(io.BytesIO, files[path]))
        try:
            traces += reader.read(source, Reading(path, strict=True))
        except ValueError as error:
            raise DatasetError(f"{flat(error)}; {_REMEDY}") from None
    return traces


def _sabre_video(content: bytes, path: str) -> bytes:
    """A ladder with sizes in bits, chunk by chunk, as a manifest of ours."""
    source = Source(path, (path.rpartition("/")[2],), partial(io.BytesIO, content))
    try:
        (video,) = SABRE_VIDEO.read(source, Reading(path, strict=True))
    except ValueError as error:
        raise DatasetError(f"{flat(error)}; {_REMEDY}") from None
    manifest = {
        "name": "bbb",
        "chunk_duration_s": video.chunk_duration_s,
        "num_chunks": video.num_chunks,
        "bitrates_kbps": video.bitrates_kbps.tolist(),
        "chunk_sizes_bytes": video.chunk_sizes.T.tolist(),
    }
    return (json.dumps(manifest) + "\n").encode()


def _pack(traces: Iterable[LinkTrace]) -> bytes:
    """One npz of traces, called like their files."""
    try:
        made = pack("upstream", list(traces))
    except ValueError as error:
        raise DatasetError(f"{flat(error)}; {_REMEDY}") from None
    arrays = {
        "time_s": made.time_s,
        "bandwidth_mbps": made.bandwidth_mbps,
        "offset": made.offset,
        "start_pointer": made.start_pointer,
        "names": np.array([name.rpartition("/")[2] for name in made.names], np.str_),
    }
    if made.latency_ms is not None:
        arrays["latency_ms"] = made.latency_ms
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
