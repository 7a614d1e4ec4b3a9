"""From what readers found to a video: levels in order, as many chunks in each, sizes that fit the bitrates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from netenvs.abr.records import Video, frozen
from netenvs.readers.errors import InputError
from netenvs.readers.reader import OptionError
from netenvs.readers.reading import Reading

MAX_LEVELS = 200
FAR = 4 * np.sqrt(2)
"""Sizes further from the bitrates than this are in another unit: bits and bytes are 8 apart, and content varies."""
UNEVEN = 0.1
"""Segments whose durations differ more than this share are worth a word: a chunk has one duration."""
BYTES = {
    **dict.fromkeys(("B", "byte", "bytes"), 1.0),
    **dict.fromkeys(("kB", "KB"), 1e3),
    "MB": 1e6,
    "KiB": 1024.0,
    "MiB": 1024.0**2,
    **dict.fromkeys(("bit", "bits", "b"), 0.125),
    **dict.fromkeys(("kbit", "kb"), 125.0),
    **dict.fromkeys(("Mbit", "Mb"), 125e3),
}
"""Unit of sizes -> bytes."""


class Level(NamedTuple):
    """One level as it stands in a file."""

    kbps: float
    sizes: np.ndarray
    """float64 (chunks,), bytes."""


def unit_bytes(unit: str, default: str) -> float:
    """Bytes of a unit that a user typed; empty: the format's. Raises :class:`OptionError`."""
    if (unit or default) not in BYTES:
        raise OptionError(f"unit={unit}: not a unit of sizes; known: {', '.join(BYTES)}")
    return BYTES[unit or default]


def typical_duration(name: str, reading: Reading, durations_s: Sequence[float] | np.ndarray) -> float:
    """One duration for all chunks, the median of all but the last; a note where they differ by more than 10 %."""
    inner = np.asarray(durations_s, dtype=np.float64)
    inner = inner[:-1] if len(inner) > 1 else inner
    if not len(inner) or not np.all(np.isfinite(inner) & (inner > 0)):
        raise InputError(f"{name}: a segment without a duration above 0; mend the manifest")
    typical = float(np.median(inner))
    if np.any(np.abs(inner - typical) > UNEVEN * typical):
        reading.note(
            f"segments last {inner.min():.4g} to {inner.max():.4g} s; each is played as a chunk of {typical:.4g} s",
            name,
        )
    return typical


def make_video(
    name: str,
    reading: Reading,
    levels: Sequence[Level],
    chunk_duration_s: float,
    num_chunks: int = 0,
    unit_option: bool = True,
) -> Video:
    """A video of levels in any order; doubts go to ``reading``.

    Of two levels with the same bitrate, in whole kbit/s, the first is kept; levels with more chunks than others are
    cut to the common number.

    Arguments:
        name: of the file, which is that of the video, too.
        reading: where doubts are noted.
        levels: two or more.
        chunk_duration_s: of each chunk.
        num_chunks: chunks that are played; 0: all.
        unit_option: whether the format has an option ``unit``.

    Raises:
        InputError: Less than two levels or chunks are left, or a number is none of a video.
    """
    if len(levels) > MAX_LEVELS:
        raise InputError(f"{name}: {len(levels)} levels; more than {MAX_LEVELS} are no ladder")
    for level in levels:
        if not 0.5 <= level.kbps < 2**31 - 1:
            raise InputError(f"{name}: a bitrate of {level.kbps:.6g} kbit/s; bitrates are kbit/s from 1 up")
    ladder = _without_repeats(name, reading, sorted(levels, key=lambda level: level.kbps))
    if len(ladder) < 2:
        raise InputError(f"{name}: a video has two levels or more, this has {len(ladder)}; give all of its levels")
    counts = [len(level.sizes) for level in ladder]
    listed = min(counts)
    if max(counts) > listed:
        reading.note(f"levels have {listed} to {max(counts)} chunks; {listed} of each are kept", name)
    if listed < 2:
        raise InputError(f"{name}: a video has two chunks or more, this has {listed}; give one that is longer")
    if num_chunks and not 2 <= num_chunks <= listed:
        raise OptionError(f"{name}: num_chunks={num_chunks}: {listed} sizes are listed; give 2 to {listed}")
    sizes = np.rint(np.stack([level.sizes[:listed] for level in ladder], axis=1))
    bad = np.argwhere(~((sizes >= 1) & (sizes <= 2**31 - 1)))
    if len(bad):
        chunk, number = bad[0]
        raise InputError(
            f"{name}: chunk {chunk} of the level of {ladder[number].kbps:.6g} kbit/s has {sizes[chunk, number]:.6g} "
            "bytes; sizes are bytes from 1 to 2147483647"
        )
    if not 0 < chunk_duration_s < np.inf:
        raise InputError(f"{name}: chunks of {chunk_duration_s} s; their duration must be above 0")
    bitrates = np.rint([level.kbps for level in ladder])
    note_scale(name, reading, bitrates, sizes, chunk_duration_s, unit_option)
    reading.records["levels"] += len(ladder)
    reading.records["chunks"] += listed
    return Video(name, chunk_duration_s, num_chunks or listed, frozen(bitrates, np.int32), frozen(sizes, np.int32))


def note_scale(
    name: str,
    reading: Reading,
    bitrates_kbps: np.ndarray,
    sizes: np.ndarray,
    duration_s: float,
    unit_option: bool = True,
) -> None:
    """Note where sizes, (chunks, levels) in bytes, lie so far from the bitrates that they are in another unit."""
    mean_kbps = sizes.mean(axis=0) * 8 / 1000 / duration_s
    times = float(np.median(mean_kbps / bitrates_kbps))
    if 1 / FAR < times < FAR:
        return
    unit = "unit=byte" if times < 1 and times * 8 < FAR and times * 8 > 1 / FAR else "unit=bit or unit=kB"
    remedy = f"name their unit, {unit}, or mend the bitrates" if unit_option else "mend the bitrates"
    reading.note(
        f"sizes are {times:.3g} times what the bitrates make of {duration_s:g} s; if that is not so, {remedy}",
        f"{name}: {mean_kbps[-1]:.5g} kbit/s at the level of {bitrates_kbps[-1]:.0f} kbit/s",
    )


def _without_repeats(name: str, reading: Reading, levels: list[Level]) -> list[Level]:
    kept: list[Level] = []
    for level in levels:
        if kept and round(kept[-1].kbps) == round(level.kbps):
            reading.note("of levels with the same bitrate one is kept", f"{name}: {level.kbps:.6g} kbit/s")
        else:
            kept.append(level)
    return kept
