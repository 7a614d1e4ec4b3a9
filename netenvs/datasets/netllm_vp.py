"""Converters of ``jin2022`` and ``wu2017``: head motion in 360-degree videos at 5 Hz, as NetLLM ships it.

Upstream, a recording is ``video<V>/5Hz/simple_5Hz_user<U>.csv`` with lines ``time_s,roll,pitch,yaw`` of six
decimals, angles in degrees, without a header. Source: https://github.com/duowuyms/NetLLM, folder
viewport_prediction/data/viewports. The times of ``jin2022`` run on through a session of several videos of 60 s
each; the start of the video, a multiple of 60 s, is taken off.

Installed, nothing lost: ``recordings.npz``, see :func:`pack`, and ``splits.json``, the published videos and
users of each split in the published order.
"""

import io
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from netenvs.arrays import named_arrays
from netenvs.datasets.errors import DatasetError

RECORDINGS, SPLITS = "recordings.npz", "splits.json"
SESSION_VIDEO_S = 60.0  # a session of jin2022 shows a video every 60 s
_NAME = re.compile(r"/video(\d+)/5Hz/simple_5Hz_user(\d+)\.csv$")
_MICROSECONDS = 1e6
_REMEDY = "get the file again from the pinned commit"


def _listed(videos: str, users: str) -> dict[str, list[int]]:
    return {"videos": [int(word) for word in videos.split()], "users": [int(word) for word in users.split()]}


# viewport_prediction/config.py of the pinned commit; users and videos of two splits have nothing in common
JIN2022_SPLITS = {
    "train": _listed(
        videos="1 5 9 2 6 11 15 16 13 17 21 22 26 19 23",
        users="50 54 6 34 66 63 52 39 62 46 75 28 65 18 37 13 80 33 69 78 19 40 10 43 61 72 56 41 79 82 27 71 57 67 8 "
        "2 12 81 1 64 32 42",
    ),
    "valid": _listed(videos="3 7 12 10 20 27", users="9 25 73 29 31 70 58 11 14 38 16 76 77 74 24 5 17 20 51 68 36"),
    "test": _listed(videos="4 8 14 18 24 25", users="83 15 3 35 48 22 55 4 45 60 26 21 44 23 53 84 59 49 7 47 30"),
}
WU2017_SPLITS = {  # videos 10 to 18 are in none
    "train": _listed(
        videos="9 7 4 1 6",
        users="23 3 19 24 18 28 9 26 6 15 21 25 32 38 45 34 48 44 29 43 4 36 39 8 17 42 30 11 22 37",
    ),
    "valid": _listed(videos="8 2", users="40 20 14 1 31 12 33 27 10"),
    "test": _listed(videos="3 5", users="16 7 46 5 35 2 41 47 13"),
}


def convert_jin2022(files: Mapping[str, bytes], manifest: Mapping[str, str]) -> dict[str, bytes]:
    """Turn the upstream files (already checked against ``manifest``) into the installed ones.

    Raises DatasetError for a file whose content is not as described above.
    """
    return _convert(files, JIN2022_SPLITS, SESSION_VIDEO_S)


def convert_wu2017(files: Mapping[str, bytes], manifest: Mapping[str, str]) -> dict[str, bytes]:
    """As :func:`convert_jin2022`; times start at 0."""
    return _convert(files, WU2017_SPLITS, None)


def _convert(files: Mapping[str, bytes], splits: Any, session_video_s: float | None) -> dict[str, bytes]:
    tables = {_video_and_user(path): _read(path, content) for path, content in files.items()}
    keys = sorted(tables)
    for table in tables.values() if session_video_s else ():
        table[:, 0] -= session_video_s * np.floor(table[0, 0] / session_video_s)
    rows = np.concatenate([tables[key] for key in keys])
    packed = pack(
        video=np.array([video for video, _ in keys], np.int32),
        user=np.array([user for _, user in keys], np.int32),
        offset=np.cumsum([0, *(len(tables[key]) for key in keys)], dtype=np.int64),
        time_s=rows[:, 0],
        angles_deg=rows[:, 1:].astype(np.float32),
    )
    return {RECORDINGS: packed, SPLITS: (json.dumps(splits) + "\n").encode()}


def pack(video: np.ndarray, user: np.ndarray, offset: np.ndarray, time_s: np.ndarray, angles_deg: np.ndarray) -> bytes:
    """Return an npz of recordings, end to end; the arguments are those of ``netenvs.vp.recordings.Recordings``.

    Times are kept as ``time_us``, int32. Nothing is compressed: of angles it would spare a fifth and make
    loading ten times as slow. :func:`unpack` is the inverse.
    """
    buffer = io.BytesIO()
    np.savez(
        buffer,
        allow_pickle=False,
        video=video,  # int32 (recordings,)
        user=user,  # int32 (recordings,)
        offset=offset,  # int64 (recordings + 1,)
        time_us=np.rint(time_s * _MICROSECONDS).astype(np.int32),  # (samples,)
        angles_deg=angles_deg,  # float32 (samples, 3): roll, pitch, yaw
    )
    return buffer.getvalue()


def unpack(file: Any) -> dict[str, np.ndarray]:
    """Return the arguments of :func:`pack` from the path of its npz."""
    with named_arrays(file) as npz:
        arrays = {key: npz[key] for key in ("video", "user", "offset", "angles_deg")}
        return {**arrays, "time_s": npz["time_us"] / _MICROSECONDS}


def _video_and_user(path: str) -> tuple[int, int]:
    match = _NAME.search(path)
    if match is None:
        raise DatasetError(f"{path} does not say which video and user it is of; {_REMEDY}")
    return int(match.group(1)), int(match.group(2))


def _read(path: str, content: bytes) -> np.ndarray:
    """float64 (samples, 4): time_s, roll, pitch, yaw."""
    try:
        table = np.array([line.split(b",") for line in content.split()], dtype=np.float64)
        if table.ndim != 2 or table.shape[1] != 4:
            raise ValueError
    except ValueError:
        raise DatasetError(f"{path} is not a recording, time_s,roll,pitch,yaw per line; {_REMEDY}") from None
    time_s, angles_deg = table[:, 0], table[:, 1:]
    if not np.isfinite(table).all() or (np.abs(angles_deg) > (180.0, 90.0, 180.0)).any():
        raise DatasetError(f"{path}: an angle lies outside roll 180, pitch 90, yaw 180 degrees; {_REMEDY}")
    if (time_s < 0).any() or (time_s > 1000).any() or (np.abs(time_s * 1e6 - np.rint(time_s * 1e6)) > 1e-3).any():
        raise DatasetError(f"{path}: a time is not in 0 to 1000 s with six decimals; {_REMEDY}")
    return table
