"""``load_video``: a video by name or path.

Everything wrong with a file is found here, with its name and remedy.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from netenvs import datasets
from netenvs.abr import generators
from netenvs.abr.installed import INSTALLED_VIDEOS
from netenvs.abr.records import Video, frozen
from netenvs.readers.sources import exists
from netenvs.spec import parse_spec, unknown_name


def load_video(spec: str | Video) -> Video:
    """The video called ``spec``; a video is itself.

    ``synthetic`` (option ``seed``) and ``generated`` (``seed``, ``levels``) are generated, see
    ``netenvs.abr.generators``; ``video1``, ``video2`` and ``bbb`` are installed; other names are files of a
    JSON manifest.

    A manifest is an object with ``bitrates_kbps`` (ascending), ``chunk_sizes_bytes`` (one list per level)
    and ``chunk_duration_s``; ``num_chunks`` (default: all listed) and ``name`` are optional.
    Raises ``ValueError`` (one line) for bad manifests and unknown names.
    """
    if isinstance(spec, Video):
        return spec
    if not isinstance(spec, str):
        raise ValueError(f"video must be a name, a path or a Video, not {type(spec).__name__}")
    is_name = spec.partition("(")[0].strip() in generators.VIDEOS or spec in INSTALLED_VIDEOS
    if not is_name and exists(spec) and Path(spec).is_file():
        return _read_video(Path(spec))
    name, options = parse_spec(spec)
    if name in generators.VIDEOS:
        made = generators.call("video", generators.VIDEOS[name], spec, options)
        return _make_video({"name": spec, **made}, spec)
    if spec in INSTALLED_VIDEOS:
        with datasets.reading(INSTALLED_VIDEOS[spec]) as folder:
            return _read_video(folder / f"{spec}.json")
    if "/" in spec or spec.endswith(".json"):
        raise ValueError(f"video {spec!r}: no such file")
    raise ValueError(unknown_name("video", spec, [*generators.VIDEOS, *INSTALLED_VIDEOS]) + ", or a .json file")


def _read_video(path: Path) -> Video:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not a JSON video manifest ({error})") from None
    if not isinstance(manifest, dict):
        raise ValueError(f"{path}: a video manifest is a JSON object with bitrates_kbps and chunk_sizes_bytes")
    return _make_video(manifest, str(path))


def _make_video(manifest: dict[str, Any], where: str) -> Video:
    missing = [k for k in ("bitrates_kbps", "chunk_sizes_bytes", "chunk_duration_s") if k not in manifest]
    if missing:
        raise ValueError(f"{where}: the manifest lacks {', '.join(missing)}")
    try:
        bitrates = np.array(manifest["bitrates_kbps"], dtype=np.float64)
        rows = [np.array(row, dtype=np.float64) for row in manifest["chunk_sizes_bytes"]]
        duration = float(manifest["chunk_duration_s"])
        num_chunks = manifest.get("num_chunks", len(rows[0]) if rows else 0)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{where}: the manifest must hold plain numbers ({error})") from None
    bitrates = np.rint(bitrates)
    valid = np.isfinite(bitrates) & (bitrates >= 1) & (bitrates < 2**31)
    if bitrates.ndim != 1 or len(bitrates) < 2 or not valid.all():
        raise ValueError(f"{where}: bitrates_kbps must list at least two bitrates, in kbit/s from 1 up")
    if np.any(np.diff(bitrates) <= 0):
        raise ValueError(f"{where}: bitrates_kbps must be in ascending order, whole kbit/s apart")
    if len(rows) != len(bitrates):
        raise ValueError(
            f"{where}: chunk_sizes_bytes has {len(rows)} lists for {len(bitrates)} bitrates; give one per level"
        )
    counts = [len(row) if row.ndim == 1 else -1 for row in rows]
    if len(set(counts)) != 1 or counts[0] < 2:
        raise ValueError(
            f"{where}: wrong chunk counts {counts}; every level lists the same number of chunks, at least two"
        )
    sizes = np.stack(rows)
    bad = np.argwhere(~np.isfinite(sizes) | (sizes < 1) | (sizes > 2**31 - 1))
    if len(bad):
        level, chunk = bad[0]
        raise ValueError(
            f"{where}: chunk {chunk} of level {level} has size {sizes[level, chunk]}; sizes are bytes from 1 up"
        )
    if not isinstance(num_chunks, int) or not 2 <= num_chunks <= counts[0]:
        raise ValueError(f"{where}: num_chunks is {num_chunks}, {counts[0]} sizes are listed; give 2 to {counts[0]}")
    if not (np.isfinite(duration) and duration > 0):
        raise ValueError(f"{where}: chunk_duration_s must be positive, it is {duration}")
    return Video(
        name=str(manifest.get("name", where)),
        chunk_duration_s=duration,
        num_chunks=num_chunks,
        bitrates_kbps=frozen(bitrates, np.int32),
        chunk_sizes=frozen(np.rint(sizes.T), np.int32),
    )
