"""Import of a user's own head-motion recordings: CSV files of quaternions or angles, at any rate.

One file is one recording: a user watching a video. A folder holds ``<video>/<user>.csv``, where each name carries
its number (``video3/user12.csv``; folders in between, as in NetLLM's ``video3/5Hz/simple_5Hz_user12.csv``, do not
matter), and may hold ``splits.json``. A single file is user 1 of video 1.

**Columns.** A file starts with a header of these names, in any order and case, or has none and the columns in one of
these orders:

* ``time_s, roll, pitch, yaw``: degrees, as in the published data sets: the head is turned by yaw about the vertical
  axis Y, pitch about X and roll about Z, as in ``scipy.spatial.transform.Rotation.from_euler("ZXY", ...)``;
* ``time_s, qx, qy, qz, qw``: unit quaternions, the scalar last, of which roll, pitch, yaw are made as published,
  ``Rotation.from_quat(q).as_euler("ZXY", degrees=True)``.

A header may name ``time_ms`` in place of ``time_s``. Times are those of the video, from 0, and increase.

**Rate.** Recordings are resampled to 5 Hz, at the multiples of 0.2 s between their first and last row, by spherical
linear interpolation (slerp) of the rotation between the two rows around each. Nothing is invented inside a pause of
more than ``MAX_GAP_S``: those samples are left out, so that the times show the gap and ``Windows.valid`` marks it.

**Splits.** ``splits.json`` is ``{"train": {"videos": [...], "users": [...]}, "valid": ..., "test": ...}``, each
optional; no user may be in two. Without it, see :func:`deal_splits`.

Everything wrong with a file is a ``ValueError``, one line with file, line and remedy.
"""

from __future__ import annotations

import csv
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from netenvs.vp.recordings import MAX_GAP_S, RATE_HZ, TIME_SLACK_S, Recordings, Split, pack_recordings

EULER = ("roll", "pitch", "yaw")
QUATERNION = ("qx", "qy", "qz", "qw")
TIMES = {"time_s": 1.0, "time_ms": 1e-3}
AXES = "ZXY"
SPLITS_FILE = "splits.json"
LONGEST_S = 36_000.0  # a later time is a date, or in other units
QUATERNION_NORM = (0.9, 1.1)

_LAYOUTS = "time_s, roll, pitch, yaw or time_s, qx, qy, qz, qw"
_SPLITS = ("train", "valid", "test")
_VIDEO_PATTERN = ("train", "valid", "test", "train", "train", "valid", "test", "train", "train")  # 5:2:2, as jin2022
_USER_PATTERN = ("train", "valid", "test", "train")  # 2:1:1, as jin2022


def read_recordings(path: str | Path) -> Recordings:
    """Read a folder of recordings, or one file, as described above. Raises ``ValueError``."""
    path = Path(path)
    recordings = {key: _on_the_grid(file, *_read_rows(file)) for key, file in sorted(_files(path).items())}
    videos, users = (sorted({key[i] for key in recordings}) for i in (0, 1))
    listed = path / SPLITS_FILE
    splits = _read_splits(listed, videos, users) if listed.is_file() else deal_splits(videos, users)
    return pack_recordings(str(path), recordings, splits)


def deal_splits(videos: Sequence[int], users: Sequence[int]) -> dict[str, Split]:
    """Splits in about the shares of jin2022: videos 5:2:2, users 2:1:1, with none in two splits.

    Both are dealt in ascending order, so that the splits do not depend on anything else: videos to train, valid,
    test, train, train, valid, test, train, train and again; users to train, valid, test, train and again. With
    fewer than three videos or users, all are in ``test``.
    """
    if min(len(videos), len(users)) < 3:
        nobody = Split((), ())
        return {"train": nobody, "valid": nobody, "test": Split(tuple(videos), tuple(users))}
    return {
        name: Split(_dealt(sorted(videos), _VIDEO_PATTERN, name), _dealt(sorted(users), _USER_PATTERN, name))
        for name in _SPLITS
    }


def _dealt(numbers: Sequence[int], pattern: Sequence[str], split: str) -> tuple[int, ...]:
    return tuple(number for i, number in enumerate(numbers) if pattern[i % len(pattern)] == split)


def _files(path: Path) -> dict[tuple[int, int], Path]:
    """(video, user) -> file."""
    if path.is_file():
        return {(1, 1): path}
    files: dict[tuple[int, int], Path] = {}
    for file in sorted(path.rglob("*.csv")):
        parts = file.relative_to(path).parts
        if any(part.startswith(".") for part in parts):
            continue
        numbers = re.findall(r"\d+", parts[0]), re.findall(r"\d+", file.stem)
        if len(parts) < 2 or not all(numbers):
            raise ValueError(f"{file}: which video and user? name files like {path / 'video3' / 'user12.csv'}")
        key = int(numbers[0][-1]), int(numbers[1][-1])
        if key in files:
            raise ValueError(f"{file}: video {key[0]} by user {key[1]} is in {files[key]} already; keep one of them")
        files[key] = file
    if not files:
        raise ValueError(f"{path}: no recordings; put them into files like {path / 'video3' / 'user12.csv'}")
    return files


def _read_rows(file: Path) -> tuple[np.ndarray, Rotation]:
    """Times in s, float64 (rows,), and the rotation at each."""
    columns, lines, table = _read_table(file)
    values = dict(zip(columns, table.T, strict=True))
    (clock,) = TIMES.keys() & values.keys()
    time_s = values[clock] * TIMES[clock]
    _check_times(file, lines, time_s)
    if QUATERNION[0] in values:
        quaternions = np.stack([values[name] for name in QUATERNION], axis=1)
        norm = np.linalg.norm(quaternions, axis=1)
        for i in np.flatnonzero((norm < QUATERNION_NORM[0]) | (norm > QUATERNION_NORM[1]))[:1]:
            raise ValueError(f"{file}:{lines[i]}: a quaternion of length {norm[i]:.3g}; give unit quaternions, x y z w")
        return time_s, Rotation.from_quat(quaternions)
    for i in np.flatnonzero(np.abs(values["pitch"]) > 90)[:1]:
        raise ValueError(
            f"{file}:{lines[i]}: pitch {values['pitch'][i]:g} is not in -90 to 90 degrees; are the columns in order?"
        )
    return time_s, Rotation.from_euler(AXES, np.stack([values[name] for name in EULER], axis=1), degrees=True)


def _read_table(file: Path) -> tuple[Sequence[str], np.ndarray, np.ndarray]:
    """Names of the columns, line number of each row, and the rows, float64 (rows, columns)."""
    try:
        text = file.read_text("utf-8-sig")
        reader = csv.reader(text.splitlines())
        rows = [(reader.line_num, row) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{file}: damaged, or no text file ({error})") from None
    if not rows:
        raise ValueError(f"{file}: the file is empty; give {_LAYOUTS}")
    line, first = rows[0]
    if _is_number(first[0]):
        columns = _order(file, line, first)
    else:
        columns = _header(file, line, first)
        rows = rows[1:]
    if len(rows) < 2:
        raise ValueError(f"{file}: a recording needs two rows of numbers, this one has {len(rows)}")
    try:
        table = np.array([row for _, row in rows], dtype=np.float64)
    except ValueError:
        table = np.empty(0)
    if table.shape != (len(rows), len(columns)) or not np.isfinite(table).all():
        for line, row in rows:
            _check_row(file, line, row, columns)
    return columns, np.array([line for line, _ in rows]), table


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _header(file: Path, line: int, names: Sequence[str]) -> tuple[str, ...]:
    columns = tuple(name.strip().lower() for name in names)
    known = (*TIMES, *EULER, *QUATERNION)
    for name in columns:
        if name not in known:
            raise ValueError(f"{file}:{line}: unknown column {name!r}; take it out, known: {', '.join(known)}")
    angles = sorted(name for name in columns if name not in TIMES)
    if len(columns) != len(angles) + 1 or angles not in (sorted(EULER), sorted(QUATERNION)):
        raise ValueError(f"{file}:{line}: the columns are {', '.join(columns)}; give {_LAYOUTS}")
    return columns


def _order(file: Path, line: int, row: Sequence[str]) -> tuple[str, ...]:
    """The columns of a file without a header."""
    for names in (EULER, QUATERNION):
        if len(row) == 1 + len(names):
            return ("time_s", *names)
    raise ValueError(f"{file}:{line}: {len(row)} columns and no header; give {_LAYOUTS}")


def _check_row(file: Path, line: int, row: Sequence[str], columns: Sequence[str]) -> None:
    if len(row) != len(columns):
        raise ValueError(f"{file}:{line}: {len(row)} fields, expected {len(columns)}: {', '.join(columns)}")
    for name, field in zip(columns, row, strict=True):
        if not _is_number(field):
            raise ValueError(f"{file}:{line}: {name} is {field.strip()!r}, not a number")
        if not np.isfinite(float(field)):
            raise ValueError(f"{file}:{line}: {name} is {field.strip()}; leave such rows out, gaps are found")


def _check_times(file: Path, lines: np.ndarray, time_s: np.ndarray) -> None:
    for i in np.flatnonzero((time_s < 0) | (time_s > LONGEST_S))[:1]:
        raise ValueError(
            f"{file}:{lines[i]}: time {time_s[i]:g} s is not in 0 to {LONGEST_S:g}; give seconds from the start of the "
            "video"
        )
    steps = np.diff(time_s)
    for i in np.flatnonzero(steps <= 0)[:1]:
        raise ValueError(
            f"{file}:{lines[i + 1]}: time {time_s[i + 1]:g} s does not come after {time_s[i]:g} s; sort the rows, and "
            "keep one of a time"
        )
    if np.median(steps) > MAX_GAP_S + TIME_SLACK_S:
        raise ValueError(f"{file}: a row every {np.median(steps):g} s is too few; give one every {MAX_GAP_S} s or more")


def _on_the_grid(file: Path, time_s: np.ndarray, rotations: Rotation) -> tuple[np.ndarray, np.ndarray]:
    """Times, float64 (samples,), multiples of 0.2 s, and angles, float64 (samples, 3), outside gaps."""
    first, last = np.ceil((time_s[0] - TIME_SLACK_S) * RATE_HZ), np.floor((time_s[-1] + TIME_SLACK_S) * RATE_HZ)
    grid_s = np.clip(np.arange(first, last + 1) / RATE_HZ, time_s[0], time_s[-1])
    after = np.clip(np.searchsorted(time_s, grid_s), 1, len(time_s) - 1)
    from_row_s = np.minimum(np.abs(grid_s - time_s[after - 1]), np.abs(grid_s - time_s[after]))
    in_gap = time_s[after] - time_s[after - 1] > MAX_GAP_S + TIME_SLACK_S
    grid_s = grid_s[~in_gap | (from_row_s < TIME_SLACK_S)]
    if not len(grid_s):
        raise ValueError(f"{file}: no sample at 5 Hz lies in its {time_s[-1] - time_s[0]:g} s")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Gimbal lock")  # straight up or down, where yaw is set to 0
        return grid_s, Slerp(time_s, rotations)(grid_s).as_euler(AXES, degrees=True)


def _read_splits(file: Path, videos: Sequence[int], users: Sequence[int]) -> dict[str, Split]:
    try:
        listed = json.loads(file.read_text("utf-8"))
        splits = {name: Split(tuple(of["videos"]), tuple(of["users"])) for name, of in listed.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f'{file}: not of the form {{"test": {{"videos": [3], "users": [1, 2]}}}} ({error})') from None
    for name, split in splits.items():
        if name not in _SPLITS:
            raise ValueError(f"{file}: unknown split {name!r}; known: {', '.join(_SPLITS)}")
        _check_listed(file, name, "video", split.videos, videos)
        _check_listed(file, name, "user", split.users, users)
    for one, other in (("train", "valid"), ("train", "test"), ("valid", "test")):
        if shared := set(_users(splits, one)) & set(_users(splits, other)):
            raise ValueError(f"{file}: user {min(shared)} is in {one} and in {other}; a user belongs to one split")
    return {name: splits.get(name, Split((), ())) for name in _SPLITS}


def _check_listed(file: Path, split: str, kind: str, numbers: Sequence[int], known: Sequence[int]) -> None:
    for i, number in enumerate(numbers):
        if isinstance(number, bool) or not isinstance(number, int) or number not in known:
            raise ValueError(f"{file}: {split} lists {kind} {number!r}, of which there is no recording")
        if number in numbers[:i]:
            raise ValueError(f"{file}: {split} lists {kind} {number} twice")


def _users(splits: Mapping[str, Split], name: str) -> tuple[int, ...]:
    return splits[name].users if name in splits else ()
