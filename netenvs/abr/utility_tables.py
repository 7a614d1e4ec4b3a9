"""Tables of a user's own utilities, such as VMAF: one number a level, or one row a chunk; files of them.

* ``.json``: an array of numbers, ``[20, 45, 80]``, or of arrays, ``[[20, 45, 80], [31, 60, 88]]``;
* ``.csv``: one row a line, separated by commas, semicolons, tabs or blanks; a first line of names is passed over;
* ``.npy``: an array of NumPy, (levels,) or (chunks, levels).

The lowest level stands first, the first chunk on top. Files may be packed (``.gz``, ``.xz``, ``.zst``, a zip archive of
one).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netenvs.abr.records import Video
from netenvs.arrays import read_array
from netenvs.readers.errors import InputError, decoding
from netenvs.readers.sources import Source, exists, list_sources
from netenvs.readers.table import read_table

HIGHEST_UTILITY = 1e6
MOST_BYTES = 64 * 2**20
_EACH = "give an array of one number a level, or of one such row a chunk"


@dataclass(frozen=True)
class UtilityTable:
    """Utilities as they were given."""

    name: str
    """Of the file, or of the option."""
    rows: tuple[tuple[float, ...], ...]
    """As many numbers each as were given."""
    places: tuple[str, ...]
    """Where each row stands, for messages."""

    def of(self, videos: Sequence[Video]) -> np.ndarray:
        """The table for the videos of an environment, float64 (1, levels) or (chunks played, levels).

        A table by chunk has a row for each chunk that is played, or for each that is listed. Raises ``ValueError``, one
        line with file, row and remedy, for another number of levels or chunks, and for a table by chunk of several
        videos.
        """
        video = videos[0]
        for row, place in zip(self.rows, self.places, strict=True):
            if len(row) != video.num_levels:
                raise InputError(
                    f"{place}: {len(row)} utilities, but video {video.name!r} has {video.num_levels} levels; give one "
                    "for each, the lowest level first"
                )
        count, played, listed = len(self.rows), video.num_chunks, len(video.chunk_sizes)
        if count == 1:
            return np.array(self.rows, dtype=np.float64)
        if len(videos) > 1:
            raise InputError(
                f"{self.name}: a table of one row a chunk is of one video, this environment has {len(videos)}; give "
                "one row for all, or make an environment of each video"
            )
        if count not in (played, listed):
            raise InputError(
                f"{self.name}: {count} rows, but video {video.name!r} has {played} chunks; give one row for each, or "
                "one for all"
            )
        return np.array(self.rows[:played], dtype=np.float64)


def load_utilities(given: str | Sequence[Any]) -> UtilityTable:
    """The table of a file, or of numbers in nested sequences. Raises ``ValueError``, one line with row and remedy."""
    if not isinstance(given, str):
        return _of_numbers(given, "qoe")
    if os.path.isdir(given):
        raise InputError(f"{given}: a folder; give the one file of the utilities")
    sources = list_sources(given)
    if len(sources) > 1:
        raise InputError(f"{given}: an archive of {len(sources)} files; give the one of the utilities")
    reader = READERS.get(format_of(given) or format_of(sources[0].parts[-1]))
    if reader is None:
        raise InputError(f"{given}: tables of utilities are files {', '.join(READERS)}; write it as one of these")
    return reader(sources[0])


def is_file(given: str) -> bool:
    """Whether an objective is a file: called as those of :data:`READERS`, or a path to something that is there."""
    return bool(format_of(given)) or (os.sep in given and exists(given))


def format_of(path: str) -> str:
    """Suffix of a format in :data:`READERS` that a file, packed or not, is called by; empty: there is none."""
    suffixes = ["." + part for part in os.path.basename(path).lower().split(".")[1:]]
    return next((suffix for suffix in reversed(suffixes) if suffix in READERS), "")


def _read_json(source: Source) -> UtilityTable:
    text = source.text()
    with decoding(source.name, f"{_EACH}, as JSON"):
        found = json.loads(text)
    if not isinstance(found, list):
        raise InputError(f"{source.name}: the JSON is no array; {_EACH}")
    return _of_numbers(found, source.name)


def _read_csv(source: Source) -> UtilityTable:
    table = read_table(source)
    if table.odd:
        raise InputError(
            f"{source.name}:{table.odd[0]}: not {table.num_columns} fields as in other lines; give one utility a level"
        )
    if not table.rows:
        raise InputError(f"{source.name}: no row of numbers; {_EACH}")
    values = np.stack([table.numbers(column) for column in range(table.num_columns)], axis=1)
    if len(values) > 1 and table.num_columns > 1 and np.array_equal(values[0], np.arange(table.num_columns)):
        raise InputError(
            f"{source.name}:{table.lines[0]}: 0, 1, 2, ... are numbers of columns, not utilities; take the line out"
        )
    places = [f"{source.name}:{line}" for line in table.lines.tolist()]
    return _checked(source.name, [tuple(row) for row in values.tolist()], places)


def _read_npy(source: Source) -> UtilityTable:
    with source.open() as file, decoding(source.name, "write it with numpy.save"):
        array = read_array(file, MOST_BYTES)
    if array.ndim not in (1, 2):
        raise InputError(f"{source.name}: an array of {array.ndim} axes; {_EACH}")
    return _of_numbers(array.tolist(), source.name)


READERS: dict[str, Callable[[Source], UtilityTable]] = {".csv": _read_csv, ".json": _read_json, ".npy": _read_npy}


def _of_numbers(given: Sequence[Any], name: str) -> UtilityTable:
    rows = list(given) if any(isinstance(one, list | tuple) for one in given) else [given]
    places = [f"{name}: row {number}" for number in range(1, len(rows) + 1)] if len(rows) > 1 else [name]
    for row, place in zip(rows, places, strict=True):
        if not isinstance(row, list | tuple):
            raise InputError(f"{place}: {row!r} is no row of utilities; {_EACH}")
    return _checked(name, [tuple(row) for row in rows], places)


def _checked(name: str, rows: list[tuple[Any, ...]], places: list[str]) -> UtilityTable:
    for row, place in zip(rows, places, strict=True):
        if not row:
            raise InputError(f"{place}: no utility; {_EACH}")
        for level, value in enumerate(row):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and -HIGHEST_UTILITY <= value <= HIGHEST_UTILITY):
                most = f"{HIGHEST_UTILITY:,.0f}"
                raise InputError(f"{place}: the utility of level {level} is {value!r}; give one from -{most} to {most}")
    return UtilityTable(name, tuple(tuple(map(float, row)) for row in rows), tuple(places))
