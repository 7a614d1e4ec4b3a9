"""Videos of Pensieve: a folder of files ``video_size_0``, ``video_size_1``, ... with a size a line, a file a level.

Format: github.com/hongzimao/pensieve, ``sim/env.py`` (``VIDEO_SIZE_FILE``) and ``video_server/get_video_sizes.py``:
bytes, chunk by chunk, the lowest level in file 0. Bitrates and duration do not stand in the files; Pensieve's code has
300, 750, 1200, 1850, 2850 and 4300 kbit/s and chunks of 4 s.
"""

from __future__ import annotations

import re
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from netenvs.abr.records import Video
from netenvs.abr.video_files.ladder import Level, make_video, unit_bytes
from netenvs.readers.errors import InputError
from netenvs.readers.fields import numbers
from netenvs.readers.reader import OptionError, Reader
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source
from netenvs.spec import parse_value

PENSIEVE_KBPS = (300, 750, 1200, 1850, 2850, 4300)
CHUNK_DURATION_S = 4.0
_NAME = re.compile(r"video_size_?(\d{1,6})(\.(txt|csv|dat))?(\.(gz|bz2|xz|zst))?", re.ASCII | re.IGNORECASE)


def put_together(sources: list[Source]) -> list[Source]:
    """Files ``video_size_*`` of the same folder as one source, which is called like the folder."""
    found: dict[tuple[str, ...], list[Source]] = {}
    for source in sources:
        if _NAME.fullmatch(source.parts[-1]):
            found.setdefault(source.parts[:-1], []).append(source)
    others = [source for source in sources if not _NAME.fullmatch(source.parts[-1])]
    return sorted([*others, *map(_as_one, found.values())], key=lambda source: source.parts)


def _as_one(files: list[Source]) -> Source:
    files = sorted(files, key=lambda source: (_number(source), source.parts))
    first = files[0]
    folder = first.name.removesuffix(first.parts[-1]).rstrip("/") or first.name
    return Source(folder, first.parts, first.opener, joined=tuple(files))


def _number(source: Source) -> int:
    matched = _NAME.fullmatch(source.parts[-1])
    assert matched is not None  # they were chosen by it
    return int(matched[1])


def sniff(source: Source) -> bool:
    """Whether it is a folder of such files."""
    return bool(source.joined)


def read(
    source: Source,
    reading: Reading,
    *,
    bitrates_kbps: Any = None,
    chunk_duration_s: float = CHUNK_DURATION_S,
    num_chunks: int = 0,
    unit: str = "",
) -> list[Video]:
    """The one video of a folder.

    Arguments:
        source: made by :func:`put_together`.
        reading: where doubts are noted.
        bitrates_kbps: one for each file in the order of their numbers, a list, or text with commas. Without it six
            levels are those of Pensieve, and others have their mean size over the duration of a chunk; a note says so.
        chunk_duration_s: of a chunk.
        num_chunks: chunks that are played, 0: all that are listed. Pensieve plays 48 of 49.
        unit: of the sizes, bytes unless named.
    """
    if not source.joined:
        raise InputError(f"{source.name}: not a folder of files video_size_0, video_size_1, ...; give that folder")
    if not 0 < chunk_duration_s < np.inf:
        raise OptionError(f"{source.name}: chunk_duration_s must be above 0, not {chunk_duration_s!r}")
    if isinstance(num_chunks, float):
        raise OptionError(f"{source.name}: num_chunks must be a whole number, not {num_chunks!r}")
    twice = next((n for n, of in groupby(source.joined, _number) if len(list(of)) > 1), None)
    if twice is not None:
        raise InputError(f"{source.name}: two files of level {twice}; keep one of them")
    numbered = [_number(file) for file in source.joined]
    missing = next((n for n in range(min(numbered[0], 1), numbered[-1]) if n not in numbered), None)
    if missing is not None:
        raise InputError(f"{source.name}: there is no file of level {missing}; give all of them, from 0 or 1 up")
    factor = unit_bytes(unit, "B")
    sizes = [_sizes(file, reading) * factor for file in source.joined]
    kbps = _bitrates(source, reading, bitrates_kbps, sizes, chunk_duration_s)
    levels = [Level(bitrate, of) for bitrate, of in zip(kbps, sizes, strict=True)]
    return [make_video(source.name, reading, levels, float(chunk_duration_s), num_chunks)]


def _sizes(file: Source, reading: Reading) -> np.ndarray:
    """float64 (chunks,). A line that is no size is an error: without it all later chunks would be others' chunks."""
    lines = [(number, line.strip()) for number, line in file.lines() if line.strip() and line.strip()[0] != "#"]
    values = numbers([line for _, line in lines])
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(bad):
        number, line = lines[bad[0]]
        raise InputError(f"{file.name}:{number}: {line[:40]!r} is not a size above 0; mend the line")
    if not lines:
        raise InputError(f"{file.name}: the file is empty; write the size of a chunk in each line")
    reading.records["rows"] += len(lines)
    return values


def _bitrates(source: Source, reading: Reading, given: Any, sizes: list[np.ndarray], duration_s: float) -> list[float]:
    count = len(source.joined)
    if isinstance(given, str):
        given = [parse_value(word.strip()) for word in given.split(",")]
    if given is not None:
        if not isinstance(given, list | tuple) or not all(_is_bitrate(value) for value in given):
            raise OptionError(
                f"{source.name}: bitrates_kbps must be a list of numbers above 0, bitrates_kbps=[300,750], "
                f"not {given!r}"
            )
        if len(given) != count:
            raise OptionError(
                f"{source.name}: {len(given)} bitrates for {count} files; give one a file, in their order"
            )
        return [float(value) for value in given]
    if count == len(PENSIEVE_KBPS):
        found = [float(kbps) for kbps in PENSIEVE_KBPS]
        why = "six levels without bitrates are taken for Pensieve's"
        if any(of.mean() < lower.mean() for lower, of in pairwise(sizes)):
            why += ", in the order of the files, though their sizes do not grow with it"
    else:
        common = min(map(len, sizes))
        found = [float(of[:common].mean()) * 8 / 1000 / duration_s for of in sizes]
        why = f"bitrates are not given, they are taken to be the mean sizes over chunks of {duration_s:g} s"
    ladder = ", ".join(f"{kbps:.0f}" for kbps in found)
    reading.note(f"{why}, {ladder} kbit/s; name others: bitrates_kbps=[...]")
    return found


def _is_bitrate(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 2**31


SIZE_FILES = Reader(
    name="video-sizes", title="a folder of files video_size_0, video_size_1, ..., a size a line", sniff=sniff, read=read
)
