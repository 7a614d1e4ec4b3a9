"""Our own manifest of a video: a JSON object with ladder, sizes and duration.

``{"bitrates_kbps": [300, 750], "chunk_sizes_bytes": [[...], [...]], "chunk_duration_s": 4}``: one list of sizes a
level, bitrates in ascending order. ``num_chunks``, the chunks that are played (default: all listed), and ``name`` are
optional.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from netenvs.abr.records import Video, frozen
from netenvs.abr.video_files.ladder import MAX_LEVELS, note_scale, unit_bytes
from netenvs.readers.errors import InputError, decoding
from netenvs.readers.reader import Reader
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source


def sniff(source: Source) -> bool:
    """Whether a file looks like JSON, or is called so."""
    return source.parts[-1].lower().endswith(".json") or source.head.lstrip().startswith("{")


def read(source: Source, reading: Reading, *, unit: str = "") -> list[Video]:
    """The one video of a file. ``unit`` is that of the sizes, bytes unless named."""
    factor = unit_bytes(unit, "B")
    manifest = parse(source)
    video = make_video(manifest, source.name, factor)
    note_scale(source.name, reading, video.bitrates_kbps, video.chunk_sizes, video.chunk_duration_s)
    reading.records["levels"] += video.num_levels
    reading.records["chunks"] += video.num_chunks
    return [video]


def parse(source: Source) -> dict[str, Any]:
    """The JSON object of a file. Raises :class:`InputError` for what is none."""
    text = source.text()
    try:
        with decoding(source.name):
            manifest = json.loads(text)
    except InputError as error:
        detail = str(error).removeprefix(f"{source.name}:").strip()
        raise InputError(f"{source.name}: not a JSON video manifest: {detail}") from None
    if not isinstance(manifest, dict):
        raise InputError(f"{source.name}: a video manifest is a JSON object with bitrates_kbps and chunk_sizes_bytes")
    return manifest


def make_video(manifest: dict[str, Any], where: str, unit_bytes: float = 1.0) -> Video:
    """The video of a manifest whose sizes are in units of ``unit_bytes``. Raises :class:`InputError`."""
    missing = [k for k in ("bitrates_kbps", "chunk_sizes_bytes", "chunk_duration_s") if k not in manifest]
    if missing:
        raise InputError(f"{where}: the manifest lacks {', '.join(missing)}")
    try:
        bitrates = np.array(manifest["bitrates_kbps"], dtype=np.float64)
        rows = [np.array(row, dtype=np.float64) * unit_bytes for row in manifest["chunk_sizes_bytes"]]
        duration = float(manifest["chunk_duration_s"])
        num_chunks = manifest.get("num_chunks", len(rows[0]) if rows else 0)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{where}: the manifest must hold plain numbers ({error})") from None
    bitrates = np.rint(bitrates)
    valid = np.isfinite(bitrates) & (bitrates >= 1) & (bitrates < 2**31)
    if bitrates.ndim != 1 or len(bitrates) < 2 or not valid.all():
        raise InputError(f"{where}: bitrates_kbps must list at least two bitrates, in kbit/s from 1 up")
    if len(bitrates) > MAX_LEVELS:
        raise InputError(f"{where}: {len(bitrates)} levels; more than {MAX_LEVELS} are no ladder")
    if np.any(np.diff(bitrates) <= 0):
        raise InputError(f"{where}: bitrates_kbps must be in ascending order, whole kbit/s apart")
    if len(rows) != len(bitrates):
        raise InputError(
            f"{where}: chunk_sizes_bytes has {len(rows)} lists for {len(bitrates)} bitrates; give one per level"
        )
    counts = [len(row) if row.ndim == 1 else -1 for row in rows]
    if len(set(counts)) != 1 or counts[0] < 2:
        raise InputError(
            f"{where}: wrong chunk counts {counts}; every level lists the same number of chunks, at least two"
        )
    sizes = np.stack(rows)
    bad = np.argwhere(~np.isfinite(sizes) | (sizes < 1) | (sizes > 2**31 - 1))
    if len(bad):
        level, chunk = bad[0]
        raise InputError(
            f"{where}: chunk {chunk} of level {level} has size {sizes[level, chunk]}; sizes are bytes from 1 up"
        )
    if not isinstance(num_chunks, int) or not 2 <= num_chunks <= counts[0]:
        raise InputError(f"{where}: num_chunks is {num_chunks}, {counts[0]} sizes are listed; give 2 to {counts[0]}")
    if not (np.isfinite(duration) and duration > 0):
        raise InputError(f"{where}: chunk_duration_s must be positive, it is {duration}")
    return Video(
        name=str(manifest.get("name", where)),
        chunk_duration_s=duration,
        num_chunks=num_chunks,
        bitrates_kbps=frozen(bitrates, np.int32),
        chunk_sizes=frozen(np.rint(sizes.T), np.int32),
    )


JSON = Reader(name="json", title="a JSON object with bitrates_kbps and chunk_sizes_bytes", sniff=sniff, read=read)
