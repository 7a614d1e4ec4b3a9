"""Which column of a table without a header is what, by what stands in it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from netenvs.readers.errors import InputError
from netenvs.readers.reading import Reading
from netenvs.readers.table import Table
from netenvs.vp.recording_files.columns import ANGLES, KNOWN, QUATERNION, VECTOR, WXYZ, XYZW, Layout

UNIT_WITHIN = 0.02
"""Lengths of unit quaternions and vectors are this near to 1; they are written with few digits."""
LARGEST = 1e9
"""A larger number of degrees, or part of a quaternion or vector, is none."""
MOST_ROWS = 0.75
"""Share of the rows in which something must hold; some are damaged."""


def bare_layout(values: np.ndarray, where: str, reading: Reading) -> Layout:
    """The layout of rows of numbers, the time first. ``reading`` is told of a doubt.

    ``values`` is float64 (rows, columns), NaN where there is none. Known are, behind the time: pitch, yaw; roll, pitch,
    yaw; a unit vector; a unit quaternion; and these among others where only one group of columns has the length 1.
    Raises :class:`InputError` for others.
    """
    columns = values.shape[1]
    if columns == 3:
        return _two_angles(values, where, reading)
    if columns == 4:
        if is_unit(values[:, 1:4]) and not _is_constant(values[:, 1:4]):  # not 1 degree all the time
            return Layout(0, VECTOR, (1, 2, 3))
        return Layout(0, ANGLES, (1, 2, 3), by_order=True)
    for size in (4, 3):
        starts = [start for start in range(1, columns - size + 1) if is_unit(values[:, start : start + size])]
        if len(starts) == 1:
            places = tuple(range(starts[0], starts[0] + size))
            if size == 3:
                return Layout(0, VECTOR, places)
            by_counter = starts[0] == 2 and is_counter(values[:, 1])  # frame numbers, as Corbillon's
            return Layout(0, QUATERNION, places, scalar=WXYZ if by_counter else XYZW, scalar_known=False)
    raise InputError(f"{where}: {columns} columns and no header; give {KNOWN} a header, or say columns=")


def _two_angles(values: np.ndarray, where: str, reading: Reading) -> Layout:
    """The one that turns more is yaw."""
    finite = values[np.isfinite(values).all(axis=1), 1:3]
    first, second = np.diff(np.percentile(finite, [2, 98], axis=0), axis=0)[0] if len(finite) else (0.0, 0.0)
    yaw_first = bool(first > second)
    order = "yaw and pitch" if yaw_first else "pitch and yaw"
    text = f"columns without a header are taken for time, {order}, as yaw turns more; columns= says otherwise"
    reading.note(text, f"{where}: over {first:.3g} and {second:.3g}")
    return Layout(0, ANGLES, (-1, 2, 1) if yaw_first else (-1, 1, 2))


def numbers_of(table: Table, places: Iterable[int]) -> np.ndarray:
    """Columns of a table, float64 (rows, columns), NaN for what is no number, or one beyond ``LARGEST``."""
    values = np.stack([table.numbers(place) for place in places], axis=1)
    values[np.abs(values) > LARGEST] = np.nan
    return values


def is_unit(values: np.ndarray) -> bool:
    """Whether rows have the length 1."""
    length = np.linalg.norm(values, axis=1)
    return len(length) > 0 and bool(np.mean(np.abs(length - 1) < UNIT_WITHIN) >= MOST_ROWS)


def _is_constant(values: np.ndarray) -> bool:
    finite = values[np.isfinite(values).all(axis=1)]
    return bool((finite == finite[0]).all())


def is_counter(values: np.ndarray) -> bool:
    """Whether whole numbers count up, some of them twice maybe."""
    finite = values[np.isfinite(values)]
    return len(finite) > 1 and bool((finite == np.rint(finite)).all() and np.mean(np.diff(finite) >= 0) >= MOST_ROWS)
