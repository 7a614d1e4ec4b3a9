"""Which column of a table is what, by the names in its header."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from netenvs.readers.errors import InputError
from netenvs.readers.units import SECONDS, Named, split_unit

DEGREES = {
    **dict.fromkeys(("deg", "degree", "degrees", "°"), 1.0),
    **dict.fromkeys(("rad", "radian", "radians"), math.degrees(1.0)),
}
"""Unit of angles -> degrees."""
QUATERNION, ANGLES, VECTOR = "quaternion", "angles", "vector"
XYZW, WXYZ = "xyzw", "wxyz"
KNOWN = (
    "a time (time_s, time_ms, PlaybackTime, timestamp; or frame) and a quaternion (qx, qy, qz, qw), angles (pitch and "
    "yaw, roll if there is one; or latitude and longitude) or a unit vector (x, y, z)"
)
"""What a table must have, for messages."""

_TIMES = (
    *("playbacktime", "playback_time", "video_time", "videotime", "media_time", "mediatime", "time", "t", "seconds"),
    *("elapsed", "elapsed_time", "start_timestamp", "timestamp", "time_stamp", "date_time", "datetime", "utc"),
)
"""Those of the video before those of the day."""
_FRAMES = (
    "frame",
    "frames",
    "frame_index",
    "frame_id",
    "frame_number",
    "frame_no",
    "no_frames",
    "frameid",
)
_USERS = ("user", "user_id", "userid", "uid", "subject", "subject_id", "participant", "participant_id", "observer")
_VIDEOS = ("video", "video_id", "videoid", "video_name", "clip", "content", "stimulus")
_ROLLS, _PITCHES, _YAWS = ("roll",), ("pitch",), ("yaw", "heading", "azimuth", "longitude", "lon", "lng")
_UPWARD = ("elevation", "latitude", "lat")
"""Angles that count up from the horizon; the published pitch counts down."""
_OF_THE_HEAD = ("", "cal_", "head_", "hmd_", "headset_", "camera_", "view_", "raw_")
"""What may stand before the name of an angle, in the order of preference: calibrated before raw."""
_TURNS = re.compile(r"q|.*(quat|rot|orient).*")
_DIRECTIONS = re.compile(r"|v|.*(dir|vec|forward|view).*")


@dataclass(frozen=True)
class Layout:
    """Where in a row what stands; columns count from 0."""

    clock: int
    kind: str
    """``QUATERNION``, ``ANGLES`` or ``VECTOR``."""
    places: tuple[int, ...]
    """Columns of the quaternion in the order of ``scalar``; of roll (-1: there is none), pitch and yaw; of x, y, z."""
    by_frame: bool = False
    """Whether the clock counts frames."""
    first_frame: int = 0
    """The number of the first of them."""
    time_unit: str | None = None
    """Key of ``SECONDS``; None: nothing says it."""
    scalar: str = XYZW
    """``XYZW`` or ``WXYZ``."""
    scalar_known: bool = True
    """Whether something says it; else the content is to be asked."""
    upward: bool = False
    """Whether pitch counts up from the horizon."""
    unit: str | None = None
    """Key of ``DEGREES``; None: nothing says it."""
    by_order: bool = False
    """Whether nothing but their order says which of three angles is which."""
    user: int | None = None
    video: int | None = None


class _Column(NamedTuple):
    place: int
    name: str
    unit: str | None


def named_layout(names: Sequence[str], where: str) -> Layout:
    """The layout of a table with these names of columns. Raises :class:`InputError`, which says what is missing.

    Other columns are passed over. Of several descriptions of the head the quaternion is taken, then angles.
    """
    columns = [_Column(place, *split_unit(name, SECONDS)) for place, name in enumerate(names)]
    clock, by_frame = _first(columns, _TIMES), False
    if clock is None:
        clock, by_frame = _first(columns, _FRAMES), True
    head = _quaternion(columns) or _angles(names, where) or _vector(columns)
    if clock is None or head is None:
        what = "a time" if clock is None else "the head"
        raise InputError(f"{where}: no column for {what} among {', '.join(names)}; give {KNOWN}, or say columns=")
    user, video = _first(columns, _USERS), _first(columns, _VIDEOS)
    return Layout(
        clock=clock.place,
        by_frame=by_frame,
        time_unit=clock.unit if clock.unit in SECONDS else None,
        user=None if user is None else user.place,
        video=None if video is None else video.place,
        **head,
    )


def is_named(names: Iterable[str] | None) -> bool:
    """Whether words are names of columns of a recording, and not a remark that happens to have as many words."""
    try:
        named_layout(tuple(names or ()), "")
    except InputError:
        return False
    return True


def _first(columns: Sequence[_Column], known: Sequence[str]) -> _Column | None:
    found = (column for name in known for column in columns if column.name == name)
    return next(found, None)


def _quaternion(columns: Sequence[_Column]) -> dict[str, Any] | None:
    """``qx``, ``UnitQuaternion.x``, ``RotationX``, ``x`` beside ``w``; or ``q0`` to ``q3``, the scalar first mostly."""
    groups = _groups(columns, "xyzw")
    for prefix, axes in groups.items():
        if len(axes) == 4 and (not prefix or _TURNS.fullmatch(prefix)):
            return {"kind": QUATERNION, "places": tuple(axes[axis] for axis in XYZW)}
    for prefix, axes in _groups(columns, "0123").items():
        if len(axes) == 4 and _TURNS.fullmatch(prefix):
            places = tuple(axes[number] for number in "0123")
            return {"kind": QUATERNION, "places": places, "scalar": WXYZ, "scalar_known": False}
    return None


def _vector(columns: Sequence[_Column]) -> dict[str, Any] | None:
    for prefix, axes in _groups(columns, "xyz").items():
        if len(axes) == 3 and _DIRECTIONS.fullmatch(prefix):
            return {"kind": VECTOR, "places": tuple(axes[axis] for axis in "xyz")}
    return None


def _groups(columns: Sequence[_Column], axes: str) -> dict[str, dict[str, int]]:
    """What stands before the last character, which is one of ``axes`` -> that character -> column."""
    groups: dict[str, dict[str, int]] = {}
    for column in columns:
        if column.name and column.name[-1] in axes:
            groups.setdefault(column.name[:-1].rstrip("_"), {}).setdefault(column.name[-1], column.place)
    return groups


def _angles(names: Sequence[str], where: str) -> dict[str, Any] | None:
    columns = [(place, split_unit(name, DEGREES)) for place, name in enumerate(names)]
    for before in _OF_THE_HEAD:
        pitch, yaw = (_angle(columns, before, known) for known in (_PITCHES, _YAWS))
        up = _angle(columns, before, _UPWARD)
        if yaw is None or (pitch is None and up is None):
            continue
        roll = _angle(columns, before, _ROLLS)
        tilt = pitch if pitch is not None else up
        assert tilt is not None
        _refuse_twice(columns, before, where)
        units = {unit for unit in (tilt[1].unit, yaw[1].unit) if unit in DEGREES}
        if len({DEGREES[unit] for unit in units if unit}) > 1:
            raise InputError(f"{where}: pitch in {tilt[1].unit} and yaw in {yaw[1].unit}; write both in one unit")
        places = (-1 if roll is None else roll[0], tilt[0], yaw[0])
        return {"kind": ANGLES, "places": places, "upward": pitch is None, "unit": next(iter(units), None)}
    return None


def _angle(columns: Sequence[tuple[int, Named]], before: str, known: Sequence[str]) -> tuple[int, Named] | None:
    wanted = [before + name for name in known]
    return next((column for name in wanted for column in columns if column[1].name == name), None)


def _refuse_twice(columns: Sequence[tuple[int, Named]], before: str, where: str) -> None:
    names = [named.name for _, named in columns]
    for name in (before + known for known in (*_ROLLS, *_PITCHES, *_YAWS)):
        if names.count(name) > 1:
            raise InputError(f"{where}: two columns called {name}; take one out")
