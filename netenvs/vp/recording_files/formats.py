"""``READERS``: the formats of head-motion recordings, each with how it is recognised."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from netenvs.readers.errors import InputError
from netenvs.readers.reader import OptionError, Reader
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source
from netenvs.readers.table import Table, parse_table, read_table
from netenvs.vp.recording_files.bare import bare_layout, is_counter, is_unit, numbers_of
from netenvs.vp.recording_files.columns import ANGLES, QUATERNION, WXYZ, Layout, is_named, named_layout
from netenvs.vp.recording_files.recorded import Recorded
from netenvs.vp.recording_files.tables import PICTURE, Choices, recorded_rows

GLANCE_LINES = 40
SESSION_VIDEO_S = 60.0
"""A session of Jin et al. shows a video every 60 s."""

_WU = {"playbacktime", "unitquaternion.x", "unitquaternion.y", "unitquaternion.z", "unitquaternion.w"}
_SALIENT360 = {"longitude", "latitude", "start timestamp"}
_FOUR = r"[-+0-9.eE]+\s*,?\s+[-+0-9.eE]+\s*,?\s+[-+0-9.eE]+\s*,?\s+[-+0-9.eE]+"
_JIN = re.compile(rf"^\s*([-+0-9.eE]+)\s*,.*?[\[(]+\s*({_FOUR})\s*[\])]+", re.ASCII)
_VIEW_APART_DEG = 5.0


def read_delimited(
    source: Source,
    reading: Reading,
    *,
    columns: str = "",
    unit: str = "",
    quaternion: str = "",
    axes: str = "",
    time_unit: str = "",
    fps: float = 0.0,
) -> list[Recorded]:
    """A table of times and quaternions, angles or unit vectors, with a header or in one of the usual orders.

    Arguments:
        source: the file.
        reading: for what is left out.
        columns: names of the columns in their order, as in a header; ``-`` for one that is to be passed over.
        unit: of angles: ``deg``, ``rad``, or ``picture``, shares of the equirectangular picture from its upper left.
        quaternion: ``xyzw`` or ``wxyz``, the order of its columns in the file.
        axes: what points right, up and forward, ``xyz``; ``-yzx`` where x points forward, y left and z up.
        time_unit: ``s``, ``ms``, ``us``, ``ns``.
        fps: frames per second, where times are numbers of frames.
    """
    choices = Choices(unit=unit, quaternion=quaternion, axes=axes, time_unit=time_unit, fps=fps)
    table = read_table(source)
    if not table.rows:
        raise InputError(f"{source.name}: a recording needs two rows of numbers, this one has 0")
    layout = _layout(table, columns, reading)
    if unit == PICTURE:
        layout = replace(layout, upward=False)
    return recorded_rows(table, layout, source, reading, choices)


def _layout(table: Table, columns: str, reading: Reading) -> Layout:
    if columns:
        given = [name for name in re.split(r"[\s,;\[\]]+", columns) if name]
        if len(given) != table.num_columns:
            raise OptionError(f"{table.name}: columns= names {len(given)} columns, and it has {table.num_columns}")
        return named_layout(given, table.name)
    names = table.columns or (table.commented if is_named(table.commented) else None)
    if names:
        return named_layout(names, table.name)
    values = numbers_of(table, range(table.num_columns))
    return bare_layout(values, table.name, reading)


def read_wu(
    source: Source, reading: Reading, *, quaternion: str = "", axes: str = "", time_unit: str = "s"
) -> list[Recorded]:
    """Wu et al. 2017: PlaybackTime in s and UnitQuaternion x, y, z, w, files ``<user>/video_<n>.csv``.

    Arguments:
        source: the file.
        reading: for what is left out.
        quaternion: as for :func:`read_delimited`.
        axes: the same.
        time_unit: the same.
    """
    table, choices = read_table(source), Choices(quaternion=quaternion, axes=axes, time_unit=time_unit)
    records = recorded_rows(table, named_layout(table.columns or (), source.name), source, reading, choices)
    return [replace(one, user_first=True) for one in records]


def read_corbillon(
    source: Source, reading: Reading, *, quaternion: str = WXYZ, axes: str = "-yzx", time_unit: str = "s"
) -> list[Recorded]:
    """Corbillon et al. 2017: time in s, frame, and a quaternion, the scalar first, of x forward, y left and z up.

    Arguments:
        source: the file.
        reading: for what is left out.
        quaternion: as for :func:`read_delimited`.
        axes: the same.
        time_unit: the same.
    """
    table, choices = read_table(source), Choices(quaternion=quaternion, axes=axes, time_unit=time_unit)
    _expect(table, 6)
    records = recorded_rows(table, Layout(0, QUATERNION, (2, 3, 4, 5)), source, reading, choices)
    return [replace(one, user_first=True) for one in records]


def read_nasrabadi(
    source: Source, reading: Reading, *, quaternion: str = "", axes: str = "", time_unit: str = "s"
) -> list[Recorded]:
    """Nasrabadi et al. 2019: time in s, quaternion x, y, z, w and the view x, y (down), z, to which it is compared.

    Files are ``<user>/<user>_<video>.csv``.

    Arguments:
        source: the file.
        reading: for what is left out.
        quaternion: as for :func:`read_delimited`.
        axes: the same.
        time_unit: the same.
    """
    table, choices = read_table(source), Choices(quaternion=quaternion, axes=axes, time_unit=time_unit)
    _expect(table, 8)
    values = numbers_of(table, range(8))
    values = values[np.isfinite(values).all(axis=1)]
    x, y, z, w = values[:, 1:5].T
    views = np.stack([2 * (x * z + w * y), 2 * (w * x - y * z), 1 - 2 * (x**2 + y**2)], axis=1)
    apart = np.degrees(np.arccos(np.clip(np.sum(views * values[:, 5:8], axis=1), -1, 1)))
    if len(apart) and np.median(apart) > _VIEW_APART_DEG and not quaternion and not axes:
        text = "quaternions and views of the same row are apart; quaternions are taken, quaternion= and axes= may help"
        reading.note(text, f"{source.name}: median {np.median(apart):.1f} degrees")
    records = recorded_rows(table, Layout(0, QUATERNION, (1, 2, 3, 4)), source, reading, choices)
    return [replace(one, user_first=True) for one in records]


def _expect(table: Table, columns: int) -> None:
    if table.num_columns < columns:
        raise InputError(f"{table.name}: {table.num_columns} columns of {columns}; is it of this format?")


def read_jin(source: Source, reading: Reading) -> list[Recorded]:
    """Jin et al. 2022: time in s, gaze, and the quaternion x, y, z, w as a list in brackets.

    Times run on through a session of several videos of 60 s; the start of the video is taken off. The video is the
    third word of the file's name.
    """
    rows, lines, odd = [], [], []
    for number, line in source.lines():
        found = _JIN.match(line)
        if found:
            rows.append([found[1], *re.split(r"[\s,]+", found[2])])
            lines.append(number)
        elif line.strip() and number > 1:
            odd.append(number)
    table = Table(source.name, ",", None, None, rows, np.array(lines, dtype=np.int64), odd)
    records = recorded_rows(table, Layout(0, QUATERNION, (1, 2, 3, 4), time_unit="s"), source, reading, Choices())
    words = source.parts[-1].split(".")[0].split("_")
    video = words[2] if len(words) > 2 and words[2].isdecimal() else None
    return [replace(one, video=video, user_first=True, time_s=_of_the_video(one.time_s)) for one in records]


def _of_the_video(time_s: np.ndarray) -> np.ndarray:
    played: np.ndarray = np.round(time_s - SESSION_VIDEO_S * np.floor(time_s[0] / SESSION_VIDEO_S), 9)
    return played


def read_salient360(source: Source, reading: Reading) -> list[Recorded]:
    """David et al. 2018 (Salient360): Idx, longitude, latitude in shares of the picture, start timestamp in ms.

    The observers of a video stand in one file, one after the other; where Idx starts again there is the next.
    """
    table = read_table(source)
    names = [name.strip().lower() for name in table.columns or ()]
    if not set(names) >= _SALIENT360 or not table.rows:
        raise InputError(f"{source.name}: it has no columns {', '.join(sorted(_SALIENT360))}; is it of this format?")
    clock = names.index("start timestamp")
    order = table.numbers(names.index("idx") if "idx" in names else clock)
    starts = np.diff(order) < 0
    groups = np.concatenate([[0], np.cumsum(starts)]) if starts.any() else None  # one observer: the path says who
    places = (-1, names.index("latitude"), names.index("longitude"))
    layout = Layout(clock, ANGLES, places, time_unit="ms", unit=PICTURE)
    return recorded_rows(table, layout, source, reading, Choices(), groups)


def read_xu(source: Source, reading: Reading, *, fps: float = 0.0) -> list[Recorded]:
    """Xu et al. 2018: ``frame``, its number from 1, ``forward``, head x and y, ``eye``, gaze x and y.

    Positions are shares of the picture from its lower left; files are ``<user>/<video>.txt``.

    Arguments:
        source: the file.
        reading: for what is left out.
        fps: frames per second of the videos.
    """
    table = read_table(source)
    _expect(table, 8)
    layout = Layout(1, ANGLES, (-1, 4, 3), by_frame=True, first_frame=1, unit=PICTURE, upward=True)
    records = recorded_rows(table, layout, source, reading, Choices(fps=fps))
    return [replace(one, user_first=True) for one in records]


@functools.lru_cache(maxsize=1)  # every format looks at it
def _glance(source: Source) -> Table | None:
    """The first lines of a file as a table."""
    lines = source.head.split("\n")
    lines = lines[:GLANCE_LINES] if len(lines) > GLANCE_LINES or len(source.head) < 1000 else lines[:-1] or lines
    try:
        return parse_table("\n".join(lines), source.name)
    except InputError:
        return None


def _names(source: Source) -> set[str]:
    table = _glance(source)
    return {name.strip().lower() for name in table.columns or ()} if table else set()


def _numbers(source: Source) -> np.ndarray | None:
    """The first rows of a file without a header, float64 (rows, columns)."""
    table = _glance(source)
    if table is None or table.columns or is_named(table.commented) or not table.rows:
        return None
    return numbers_of(table, range(table.num_columns))


def _is_wu(source: Source) -> bool:
    return _names(source) >= _WU


def _is_corbillon(source: Source) -> bool:
    values = _numbers(source)
    return values is not None and values.shape[1] == 6 and is_counter(values[:, 1]) and is_unit(values[:, 2:6])


def _is_nasrabadi(source: Source) -> bool:
    values = _numbers(source)
    return values is not None and values.shape[1] == 8 and is_unit(values[:, 1:5]) and is_unit(values[:, 5:8])


def _is_jin(source: Source) -> bool:
    return sum(bool(_JIN.match(line)) for line in source.head.split("\n")[1:GLANCE_LINES]) > 1


def _is_salient360(source: Source) -> bool:
    table = _glance(source)
    names = [name.strip().lower() for name in table.columns or ()] if table else []
    if table is None or not set(names) >= _SALIENT360 or not table.rows:
        return False
    shares = numbers_of(table, [names.index("longitude"), names.index("latitude")])
    return bool(np.nanmin(shares, initial=0) >= 0 and np.nanmax(shares, initial=0) <= 1)


def _is_xu(source: Source) -> bool:
    return bool(re.match(r"\s*frame\s*,\s*\d+\s*,\s*forward\s*,", source.head))


def _is_delimited(source: Source) -> bool:
    """Three columns or more, most of them numbers, or with names that are known; and what is empty, which it says."""
    if not source.head.strip():
        with source.open() as file:
            return not file.read(1).strip()
    table = _glance(source)
    if table is None or (table.num_columns < 3 and len(table.columns or ()) < 3):
        return False
    values = [np.isfinite(table.numbers(place)).mean() for place in range(table.num_columns)]
    return is_named(table.columns) or bool(len(values) and np.mean(values) > 0.5)


def _reader(name: str, title: str, sniff: Callable[[Source], bool], read: Callable[..., list[Recorded]]) -> Reader:
    return Reader(name=name, title=title, sniff=sniff, read=read)


READERS: tuple[Reader, ...] = (
    _reader("jin", "recordings of Jin et al. 2022, as published", _is_jin, read_jin),
    _reader("wu", "recordings of Wu et al. 2017, as published", _is_wu, read_wu),
    _reader("salient360", "scanpaths of David et al. 2018, all observers of a video", _is_salient360, read_salient360),
    _reader("xu", "recordings of Xu et al. 2018, as published", _is_xu, read_xu),
    _reader("corbillon", "recordings of Corbillon et al. 2017, as published", _is_corbillon, read_corbillon),
    _reader("nasrabadi", "recordings of Nasrabadi et al. 2019, as published", _is_nasrabadi, read_nasrabadi),
    _reader("csv", "a table of times and quaternions, angles or unit vectors", _is_delimited, read_delimited),
)
"""The first that recognises a file takes it."""
