"""Rows of a table with a known layout as recordings. What cannot be used is left out and counted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from netenvs.readers.errors import InputError
from netenvs.readers.reader import OptionError, check_share
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source
from netenvs.readers.table import Table
from netenvs.readers.units import SECONDS, increasing
from netenvs.spec import unknown_name
from netenvs.vp.recording_files import heads
from netenvs.vp.recording_files.bare import numbers_of
from netenvs.vp.recording_files.clock import LONGEST_S, playback_s
from netenvs.vp.recording_files.columns import ANGLES, DEGREES, QUATERNION, WXYZ, XYZW, Layout
from netenvs.vp.recording_files.recorded import AssumedDegrees, Recorded
from netenvs.vp.recording_files.sampling import sampled

PICTURE = "picture"
"""Unit of angles that are shares of the equirectangular picture, from its left and upper edge."""
STEEPEST_DEG = 90.01
"""Pitch beyond is none; radians are written with few digits."""
MOST_REPEATED = 0.1
"""Share of rows behind a later time from which on several recordings are in the file."""


@dataclass(frozen=True)
class Choices:
    """What the user says of a format; empty: what the file says, or what is usual."""

    unit: str = ""
    """Of angles: a key of ``DEGREES``, or ``PICTURE``."""
    quaternion: str = ""
    """``XYZW`` or ``WXYZ``: the order of the columns."""
    axes: str = ""
    """What points right, up and forward, see :func:`~netenvs.vp.recording_files.heads.axes_matrix`."""
    time_unit: str = ""
    """Key of ``SECONDS``."""
    fps: float = 0.0
    """Frames per second, where times are frame numbers."""

    def check(self, where: str) -> None:
        """Raises :class:`OptionError` for what is none of these."""
        known = {"unit": (*DEGREES, PICTURE), "quaternion": (XYZW, WXYZ), "time_unit": tuple(SECONDS)}
        for option, values in known.items():
            value = getattr(self, option)
            if value and value not in values:
                raise OptionError(f"{where}: {unknown_name(option, value, values)}")
        if self.axes:
            try:
                heads.axes_matrix(self.axes, where)
            except InputError as error:
                raise OptionError(str(error)) from None
        if not 0 <= self.fps < np.inf:
            raise OptionError(f"{where}: fps must be a number of frames per second, not {self.fps!r}")


def recorded_rows(
    table: Table, layout: Layout, source: Source, reading: Reading, choices: Choices, groups: np.ndarray | None = None
) -> list[Recorded]:
    """The recordings of a table: one, or one per user and video where columns name them.

    ``groups``, int (rows,), tells recordings apart where no column does; they are users then, numbered from 1.
    Raises :class:`InputError` for a file that is useless as a whole.
    """
    choices.check(table.name)
    before = reading.num_skipped("rows")
    if table.odd:
        reading.skip("rows", f"not {table.num_columns} fields", f"{table.name}:{table.odd[0]}", count=len(table.odd))
    found, failed = [], None
    parts = _parts(table, layout, groups)
    for (video, user), rows in parts.items():
        try:
            one = _recorded(table, layout, source, reading, choices, rows)
        except InputError as error:
            if isinstance(error, OptionError):
                raise
            failed = error
            if len(parts) > 1:
                of = f"video {video or '?'}, user {user or '?'}"
                reading.skip("recordings", "cannot be used", table.name, f"{of}: {error}")
            continue
        found.append(replace(one, video=video, user=user))
    check_share(table.name, reading, before, len(table.rows) + len(table.odd))
    if not found and failed is not None:
        raise failed
    return found


def _parts(table: Table, layout: Layout, groups: np.ndarray | None) -> dict[tuple[str | None, str | None], np.ndarray]:
    """(video, user), None where the file does not name them -> rows, int (rows,), in the order of the file."""
    if groups is not None:
        return {(None, str(number + 1)): np.flatnonzero(groups == number) for number in range(int(groups.max()) + 1)}
    if layout.user is None and layout.video is None:
        return {(None, None): np.arange(len(table.rows))}
    rows: dict[tuple[str | None, str | None], list[int]] = {}
    for row, fields in enumerate(table.rows):
        video, user = (None if at is None else fields[at].strip() for at in (layout.video, layout.user))
        rows.setdefault((video, user), []).append(row)
    return {key: np.array(numbers) for key, numbers in rows.items()}


def _recorded(
    table: Table, layout: Layout, source: Source, reading: Reading, choices: Choices, rows: np.ndarray
) -> Recorded:
    fields = [table.rows[row] for row in rows]
    time_s = playback_s(
        [field[layout.clock] if table.separator == "," else field[layout.clock].replace(",", ".") for field in fields],
        table.name,
        reading,
        choices.time_unit or layout.time_unit,
        choices.fps if layout.by_frame else None,
        layout.first_frame,
    )
    values = numbers_of(table, [place for place in layout.places if place >= 0])[rows]
    if layout.kind == ANGLES:
        values = _degrees(values, layout, choices)
    usable = _usable_rows(table, layout, reading, rows, time_s, values)
    if not usable.any():
        raise InputError(f"{table.name}: none of its rows can be used; is it of this format?")
    rows, time_s, values = rows[usable], time_s[usable], values[usable]
    if len(rows) < 2:
        raise InputError(f"{table.name}: a recording needs two rows that can be used, this one has {len(rows)}")
    motion = _motion(table.name, layout, reading, choices, time_s, values)
    assumed = None
    if layout.kind == ANGLES and not (choices.unit or layout.unit):
        pitch_range, yaw_range = np.ptp(values[:, -2:], axis=0).tolist()
        largest, largest_pitch = float(np.abs(values).max()), float(np.abs(values[:, -2]).max())
        assumed = AssumedDegrees(largest, largest_pitch, pitch_range, yaw_range, float(time_s[-1] - time_s[0]))
    by_order = None
    if layout.by_order:
        roll, _, yaw = np.diff(np.percentile(values, [2, 98], axis=0), axis=0)[0].tolist()
        by_order = roll, yaw
    sample_s, angles_deg = sampled(table.name, time_s, motion)
    reading.records["rows"] += len(rows)
    return Recorded(table.name, source.parts, sample_s, angles_deg, assumed=assumed, by_order=by_order)


def _degrees(values: np.ndarray, layout: Layout, choices: Choices) -> np.ndarray:
    """Angles (rows, 2 or 3), pitch and yaw the last of them, in degrees, pitch counting down."""
    unit = choices.unit or layout.unit
    if unit == PICTURE:
        values = (values - 0.5) * np.array([360.0, 180.0, 360.0])[-values.shape[1] :]
    elif unit is not None and unit in DEGREES and DEGREES[unit] != 1:
        values = values * DEGREES[unit]
    if layout.upward:
        values = values.copy()
        values[:, -2] *= -1
    return values


def _usable_rows(
    table: Table, layout: Layout, reading: Reading, rows: np.ndarray, time_s: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """bool (rows,); the others are left out for a reason."""
    usable = np.ones(len(rows), dtype=bool)

    def skip(bad: np.ndarray, reason: str, details: np.ndarray | None = None) -> None:
        bad = bad & usable
        texts = (
            [" ".join(table.rows[row]) for row in rows[bad]] if details is None else [f"{d:g}" for d in details[bad]]
        )
        reading.skip_rows(table.name, table.lines[rows[bad]], np.ones(len(texts), dtype=bool), reason, texts)
        usable[bad] = False

    with np.errstate(invalid="ignore"):
        skip(~np.isfinite(values).all(axis=1) | ~np.isfinite(time_s), "not a number")
        if layout.kind == ANGLES:
            _check_horizon(table.name, values[usable, -2])
            skip(np.abs(values[:, -2]) > STEEPEST_DEG, "pitch beyond -90 to 90 degrees", values[:, -2])
        else:
            length = np.linalg.norm(values, axis=1)
            low, high = heads.QUATERNION_LENGTH
            skip((length < low) | (length > high), f"a {layout.kind} of another length than 1", length)
        skip((time_s < 0) | (time_s > LONGEST_S), f"time not in 0 to {LONGEST_S:g} s", time_s)
    kept = np.flatnonzero(usable)
    repeated = kept[1:][np.diff(time_s[kept]) == 0]
    if len(repeated):
        where = f"{table.name}:{table.lines[rows[repeated[0]]]}"
        reading.skip("repeated rows", "the time is that of the row before", where, count=len(repeated))
        usable[repeated] = False
    late = usable.copy()
    late[usable] = ~increasing(time_s[usable])
    if late.sum() > max(2, MOST_REPEATED * len(rows)):
        first = table.lines[rows[np.flatnonzero(late)[0]]]
        raise InputError(
            f"{table.name}:{first}: {late.sum()} of {len(rows)} times do not come after those before them; sort the "
            "rows, and if several recordings are in the file give it columns user and video"
        )
    skip(late, "the time does not come after the one before", time_s)
    return usable


def _check_horizon(name: str, pitch_deg: np.ndarray) -> None:
    """Raise :class:`InputError` for pitch that is no angle to the horizon."""
    if not len(pitch_deg):
        return
    low, high = np.percentile(pitch_deg, [1, 99])
    if (low >= 0 and high > STEEPEST_DEG) or (high <= 0 and low < -STEEPEST_DEG):
        raise InputError(
            f"{name}: pitch runs from {low:.4g} to {high:.4g}, and must be the angle to the horizon, up to 90 degrees; "
            "are the columns in order (columns= says which they are), or is it counted from a pole?"
        )


def _motion(
    name: str, layout: Layout, reading: Reading, choices: Choices, time_s: np.ndarray, values: np.ndarray
) -> heads.Motion:
    from scipy.spatial.transform import Rotation

    if layout.kind != QUATERNION and choices.quaternion:
        raise OptionError(f"{name}: quaternion={choices.quaternion}, and it has no quaternions")
    if layout.kind != ANGLES and choices.unit:
        raise OptionError(f"{name}: unit={choices.unit}, and it has no angles")
    if layout.kind == QUATERNION:
        return heads.turning(time_s, Rotation.from_quat(_quaternions(name, layout, reading, choices, values)))
    if layout.kind == ANGLES and choices.axes:
        raise OptionError(f"{name}: axes={choices.axes} is for quaternions and vectors, and it has angles")
    if layout.kind == ANGLES and values.shape[1] == 3:
        return heads.turning(time_s, Rotation.from_euler(heads.EULER, values, degrees=True))
    if layout.kind == ANGLES:
        return heads.looking(time_s, values[:, 0], values[:, 1])
    if not choices.axes:
        x, y, z = np.sqrt(np.mean(values**2, axis=0))
        reading.note(
            "of unit vectors x is taken to point right, y down and z forward; axes= says otherwise, axes=xyz where y "
            "points up",
            f"{name}: root mean squares are {x:.2g}, {y:.2g}, {z:.2g}",
        )
    right, up, forward = heads.axes_matrix(choices.axes or "x-yz", name) @ values.T
    pitch_deg, yaw_deg = heads.angles_of(np.stack([right, -up, forward], axis=1))
    return heads.looking(time_s, pitch_deg, yaw_deg)


def _quaternions(name: str, layout: Layout, reading: Reading, choices: Choices, values: np.ndarray) -> np.ndarray:
    """x, y, z, w with x right, y up, z forward, float64 (rows, 4)."""
    if choices.quaternion:
        values, order = values[:, np.argsort(layout.places)], choices.quaternion
        return heads.in_order(values, order, heads.axes_matrix(choices.axes or heads.Y_UP, name))
    found = heads.by_content(values, layout.scalar, choices.axes)
    figure = f"{name}: mean cosine of up and the sky {found.upright:.2f}"
    first = "first" if found.scalar == WXYZ else "last"
    if layout.scalar_known:
        if found.scalar != layout.scalar:
            text = f"quaternions look like the scalar {first}, for all that the names say; quaternion= says so"
            reading.note(text, figure)
        if not choices.axes and found.axes != heads.Y_UP:
            text = (
                f"y is taken to point up and z forward, and heads are more upright with z up; axes={found.axes} says so"
            )
            reading.note(text, figure)
        return heads.in_order(values, layout.scalar, heads.axes_matrix(choices.axes or heads.Y_UP, name))
    if found.upright < heads.UPRIGHT:
        text = (
            f"quaternions are taken with the scalar {first}, heads are upright neither way; quaternion= says otherwise"
        )
        reading.note(text, figure)
    elif found.scalar != layout.scalar:
        text = f"quaternions are taken with the scalar {first}, as so heads are upright; quaternion= says otherwise"
        reading.note(text, figure)
    if not choices.axes and found.axes != heads.Y_UP:
        text = "z is taken to point up and x forward, as so heads are upright; axes= says otherwise"
        reading.note(text, figure)
    return heads.in_order(values, found.scalar, heads.axes_matrix(found.axes, name))
