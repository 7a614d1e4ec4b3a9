"""Folders of video frames: which frame belongs where, whether all are there and can be read."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from netenvs.files import is_folder
from netenvs.vp.workload import load_recordings

SLACK_S = 1.0
"""Recordings may go on this much longer than the frames of their video: its last frame stays."""

_BAD_IMAGE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # what Pillow raises for damaged files


class Video(NamedTuple):
    """The frames of a video."""

    folder: Path
    frames: list[Path]
    """In the order in which they are shown."""


def find_videos(frames: Path) -> dict[int, Video]:
    """The videos in a folder by number, in ascending order.

    There is a folder for each video, the last number in its name being the video's number in the data set (``video4``
    or ``4``), with its equirectangular frames and nothing else: pictures of one size, wider than high. The last number
    in a frame's name is its place in the video; numbers may start anywhere, and leave the same step everywhere.
    Hidden files do not count. ``ValueError``, one line, for what is not so.
    """
    example = frames / "video4" / "0001.jpg"
    if not is_folder(frames):
        raise ValueError(f"{frames}: no such folder; put frames into files like {example}")
    videos: dict[int, Video] = {}
    for folder in _entries(frames):
        number = _last_number(folder.name)
        if not folder.is_dir() or number is None:
            raise ValueError(f"{folder}: which video? put frames into files like {example}")
        if number in videos:
            raise ValueError(f"{folder}: video {number} is {videos[number].folder} already; keep one of them")
        videos[number] = Video(folder, _in_order(folder))
    if not videos:
        raise ValueError(f"{frames}: no videos; put frames into files like {example}")
    return dict(sorted(videos.items()))


def check_recordings(videos: dict[int, Video], fps: float, dataset: str, frames: Path) -> None:
    """``ValueError``, one line, unless there are frames for all recordings of a data set, whole but for ``SLACK_S``."""
    recordings = load_recordings(dataset)
    ends = recordings.time_s[recordings.offset[1:] - 1]
    for number in np.unique(recordings.video).tolist():
        if number not in videos:
            raise ValueError(f"{frames}: video {number} of {dataset!r} is missing; add {frames / f'video{number}'}")
        end, shown = ends[recordings.video == number].max(), len(videos[number].frames) / fps
        if shown + SLACK_S < end:
            raise ValueError(
                f"{videos[number].folder}: frames end at {shown:g} s, recordings of {dataset!r} at {end:g} s; "
                "add the rest, or correct --fps"
            )


def open_frame(path: Path, load: bool = True) -> Image.Image:
    """A picture in RGB, or its header alone. ``ValueError``, one line, for a file that is none."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB") if load else image
    except _BAD_IMAGE as error:
        raise ValueError(f"{path}: not a whole image ({one_line(error)}); extract it again or remove it") from error


def one_line(error: BaseException) -> str:
    """The first line of a message, without its end."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(" .:")


def _in_order(folder: Path) -> list[Path]:
    """The frames of a folder, their names and sizes checked."""
    frames: dict[int, Path] = {}
    for path in _entries(folder):
        number = _last_number(path.stem)
        if number is None or number in frames:
            why = "no number" if number is None else f"the number of {frames[number].name}"
            raise ValueError(f"{path}: its name has {why}; number frames as they are shown")
        frames[number] = path
    if not frames:
        raise ValueError(f"{folder}: no frames; add them, or remove the folder")
    numbers = sorted(frames)
    step = min((after - before for before, after in pairwise(numbers)), default=1)
    for before, after in pairwise(numbers):
        if after - before != step:
            raise ValueError(f"{frames[before]}: frames are missing after this one; add them, and number evenly")
    sizes = {number: open_frame(frames[number], load=False).size for number in numbers}
    for number, (width, height) in sizes.items():
        if width <= height:
            raise ValueError(f"{frames[number]}: {width}x{height} is not equirectangular; give one eye's whole frame")
        if (width, height) != sizes[numbers[0]]:
            raise ValueError(
                f"{frames[number]}: {width}x{height}, but {frames[numbers[0]].name} is "
                "{}x{}; extract the video's frames at one size".format(*sizes[numbers[0]])
            )
    return [frames[number] for number in numbers]


def _entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _last_number(name: str) -> int | None:
    numbers = re.findall(r"\d+", name)
    return int(numbers[-1]) if numbers else None
