"""What drives viewport prediction: head-motion recordings by name or path."""

from __future__ import annotations

import functools
import inspect
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netenvs import datasets
from netenvs.datasets import netllm_vp
from netenvs.readers.reader import AUTO, find_path, read_input
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source
from netenvs.spec import check_option_types, parse_spec, unknown_name
from netenvs.vp.generators import synthetic_recordings
from netenvs.vp.recording_files.formats import READERS
from netenvs.vp.recording_files.naming import numbered
from netenvs.vp.recording_files.recorded import Recorded
from netenvs.vp.recording_files.splits import SPLITS, SPLITS_FILE, deal_splits, read_splits
from netenvs.vp.recordings import Recordings, Split, pack_recordings

INSTALLED = ("jin2022", "wu2017")
NAMES = ("synthetic", *INSTALLED)

_WHAT = "a head-motion recording"
_MOVIES = (".mp4", ".webm", ".mkv", ".avi", ".mov")
"""The videos themselves may lie beside the recordings."""
_TWO_PI, _UPRIGHT = 6.2832, 1.5709
_LONG_S, _MOVES, _NODS = 5.0, 0.5, 0.1
"""A recording as long, with yaw over as wide a range, has motion in it; and with pitch over that range, of both."""
_MORE = 1.5
"""By how much roll turns more than yaw where it is doubted to be roll."""


def load_recordings(spec: str | os.PathLike[str], strict: bool = False, **options: Any) -> Recordings:
    """The recordings called ``spec``.

    * ``synthetic`` (options ``preset``, ``seed``, ...): generated, see ``netenvs.vp.generators``; options in
      brackets, ``synthetic(preset=wu,seed=3)``;
    * ``jin2022``, ``wu2017``: the data sets of these names, once installed;
    * a file, folder or archive: recordings of your own in any of the formats of
      ``netenvs.vp.recording_files.formats``, recognised by their content; ``FORMAT(path=PATH,option=value)`` names one
      of them, and ``auto(path=PATH,strict=true)`` gives options to what is recognised.

    What cannot be used in files is left out, counted, and said in one warning; so are doubts, one warning each.

    Arguments:
        spec: name or path.
        strict: whether the first row or file that cannot be used is an error; for paths.
        options: for paths, of :func:`read_recordings`.

    Raises ``ValueError`` (one line: file, line, remedy) for bad files and unknown names, and ``DatasetError``,
    which is one, where the data set is not installed.
    """
    if isinstance(spec, os.PathLike):
        found: tuple[str, str, dict[str, Any]] | None = AUTO, os.fspath(spec), {}
    elif isinstance(spec, str):
        found = find_path(spec, READERS, NAMES)
    else:
        raise ValueError(f"dataset must be a name or a path, not {type(spec).__name__}")
    if found is not None:
        format, path, given = found
        recordings, reading = read_recordings(path, format, **{"strict": strict, **options, **given})
        reading.warn()
        return recordings
    assert isinstance(spec, str)
    if strict or options:
        raise ValueError(f"dataset {spec!r}: {sorted({'strict', *options})[0]!r} is an option of files and folders")
    return _load_named(spec)


def _load_named(spec: str) -> Recordings:
    name, options = parse_spec(spec)
    if name == "synthetic":
        return _generate(spec)
    if name in INSTALLED:
        if options:
            raise ValueError(f"dataset {spec!r}: {name} has no options")
        return _read_installed(name, datasets.path(name))
    if "/" in name or "." in name:
        raise ValueError(f"dataset {spec!r}: no such folder or file")
    raise ValueError(unknown_name("dataset", spec, NAMES) + ", or a file or folder of recordings")


def read_recordings(
    path: str | os.PathLike[str], format: str = AUTO, strict: bool = False, layout: str = "", **options: Any
) -> tuple[Recordings, Reading]:
    """The recordings of a file, folder or archive, and what became of it; nothing is warned of.

    Arguments:
        path: the input. ``splits.json`` in it says who is in which split; without one they are dealt.
        format: name of a reader in ``netenvs.vp.recording_files.formats``, or ``auto``.
        strict: whether the first row or file that cannot be used is an error.
        layout: ``video/user`` where folders are called like videos and files like users, ``user/video`` the other way
            round; empty: by their names.
        options: of the reader: ``columns``, ``unit``, ``quaternion``, ``axes``, ``time_unit``, ``fps``.

    Raises:
        InputError: One line with file, line and remedy.
    """
    listed: list[Source] = []

    def of_heads(sources: list[Source]) -> list[Source]:
        listed.extend(source for source in sources if source.parts[-1] == SPLITS_FILE)
        others = [source for source in sources if source.parts[-1] != SPLITS_FILE]
        return [source for source in others if not source.parts[-1].lower().endswith(_MOVIES)] or others

    records, reading = read_input(path, READERS, _WHAT, format, strict, of_heads, **options)
    _note_radians(records, reading)
    _note_order(records, reading)
    recordings = numbered(records, layout, reading)
    reading.records["recordings"] += len(recordings)
    videos, users = (sorted({key[i] for key in recordings}) for i in (0, 1))
    own = min(listed, key=lambda source: (len(source.parts), source.parts), default=None)
    splits = deal_splits(videos, users) if own is None else read_splits(own, videos, users, reading)
    sampled = {key: (record.time_s, record.angles_deg) for key, record in recordings.items()}
    return pack_recordings(str(path), sampled, splits), reading


def _note_radians(records: Sequence[Recorded], reading: Reading) -> None:
    """Angles of unknown unit that never leave +-2 pi in long recordings with motion in them are radians, or shares.

    Yaw may have been unwrapped; then it is pitch that never leaves +-pi / 2, for all that it moves.
    """
    assumed = [record.assumed for record in records if record.assumed is not None]
    moving = [one.span_s for one in assumed if one.span_s >= _LONG_S and one.yaw_range >= _MOVES]
    largest = max((one.largest for one in assumed), default=0.0)
    pitch = max((one.largest_pitch for one in assumed), default=0.0)
    nods = any(one.pitch_range >= _NODS for one in assumed)
    if moving and nods and largest > _TWO_PI and pitch <= _UPRIGHT:
        reading.note(
            f"pitch is never beyond +-{pitch:.3g} in {max(moving):.0f} s, and yaw up to {largest:.3g}: radians? they "
            "are taken for degrees; give unit=rad, or unit=deg where that is right"
        )
    if moving and largest <= _TWO_PI:
        reading.note(
            f"no angle is beyond +-{largest:.3g} in {max(moving):.0f} s: radians, or shares of the picture? they are "
            "taken for degrees; give unit=rad or unit=picture, or unit=deg where that is right"
        )


def _note_order(records: Sequence[Recorded], reading: Reading) -> None:
    """Heads turn to the left and right more than about the direction in which they look, but for a few recordings."""
    found = [(*record.by_order, record.where) for record in records if record.by_order is not None]
    odd = [one for one in found if one[0] > _MORE * one[1]]
    if len(odd) * 2 > len(found):
        roll, yaw, where = odd[0]
        reading.note(
            f"columns without a header are taken for time, roll, pitch, yaw, and roll turns more in {len(odd)} of "
            f"{len(found)} recordings; columns= says otherwise",
            f"{where}: over {roll:.3g}, and yaw over {yaw:.3g}",
        )


@functools.lru_cache(maxsize=8)
def _generate(spec: str) -> Recordings:
    options = parse_spec(spec)[1]
    parameters = inspect.signature(synthetic_recordings).parameters
    if unknown := sorted(set(options) - set(parameters)):
        raise ValueError(f"dataset {spec!r}: unknown option {unknown[0]!r}; known: {', '.join(parameters)}")
    try:
        check_option_types(synthetic_recordings, options)
        return synthetic_recordings(**options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"dataset {spec!r}: {error}") from None


@functools.lru_cache(maxsize=4)
def _read_installed(name: str, folder: Path) -> Recordings:
    with datasets.reading(name):
        arrays = netllm_vp.unpack(folder / netllm_vp.RECORDINGS)
        listed = json.loads((folder / netllm_vp.SPLITS).read_text("utf-8"))
        for array in arrays.values():
            array.flags.writeable = False
        if set(listed) != set(SPLITS):
            raise ValueError(f"{netllm_vp.SPLITS} lists other splits than {', '.join(SPLITS)}")
        splits = {split: Split(tuple(of["videos"]), tuple(of["users"])) for split, of in listed.items()}
        return Recordings(name=name, splits=splits, **arrays)
