"""Frozen dataclasses that hold arrays: equality, and checks of what kernels read without checking."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any, NoReturn

import numpy as np


class ArrayRecord:
    """Equal when all fields are, arrays by content; use with ``@dataclass(frozen=True, eq=False)``."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(np.array_equal(mine, theirs) for mine, theirs in zip(_values(self), _values(other), strict=True))

    def __hash__(self) -> int:
        return hash((type(self), *(value for value in _values(self) if not isinstance(value, np.ndarray))))


def _values(record: Any) -> list[Any]:
    return [getattr(record, field.name) for field in fields(record) if field.compare]


def put_array(
    record: Any,
    name: str,
    dtype: type,
    shape: tuple[int | None, ...],
    low: float | np.ndarray = -math.inf,
    high: float | np.ndarray = math.inf,
) -> np.ndarray:
    """Put a field, in ``__post_init__``, into the form that kernels read: of ``dtype``, contiguous, read-only.

    One that can be written to is copied, so that nothing changes under a kernel. ``shape`` has None for any length;
    ``low`` and ``high`` are bounds of all values, or of columns. Raises ``ValueError``, one line with the names of
    record and field, for another shape, a value that ``dtype`` does not have or that lies outside, and NaN.
    """
    try:
        given = np.asarray(getattr(record, name))
        array: np.ndarray = np.array(given, dtype=dtype, order="C", copy=True if given.flags.writeable else None)
    except (TypeError, ValueError, OverflowError):
        refuse_field(record, name, f"it must be an array of {np.dtype(dtype)}")
    if given.dtype.kind not in "iuf" or (array.dtype.kind in "iu" and not np.array_equal(given, array)):
        refuse_field(record, name, f"it must be an array of {array.dtype}; it is one of {given.dtype}")
    if array.ndim != len(shape) or any(want not in (None, has) for want, has in zip(shape, array.shape, strict=True)):
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        refuse_field(record, name, f"it must have the shape ({wanted}); it has {array.shape}")
    if not _within(array, low, high):
        place = tuple(int(axis) for axis in np.argwhere(~((array >= low) & (array <= high) & np.isfinite(array)))[0])
        where = ", ".join(map(str, place))
        refuse_field(record, name, f"value [{where}] is {array[place]}; it must be {_range(low, high)}")
    array.flags.writeable = False
    object.__setattr__(record, name, array)
    return array


def put_offsets(record: Any, name: str, parts: int, total: int, least: int = 1) -> np.ndarray:
    """``put_array`` for int64 (parts + 1,): where each part begins, from 0, and where the last one ends, at ``total``.

    Each part has ``least`` entries or more.
    """
    offset = put_array(record, name, np.int64, (parts + 1,), 0, total)
    if offset[0] != 0 or offset[-1] != total:
        refuse_field(record, name, f"it must begin with 0 and end with {total}; it has {offset[0]} and {offset[-1]}")
    short = np.flatnonzero(np.diff(offset) < least)
    if len(short):
        begin, end = offset[short[0]], offset[short[0] + 1]
        refuse_field(record, name, f"part {short[0]} is {begin} to {end}; it must have {least} entries or more")
    return offset


def refuse_field(record: Any, name: str, what: str) -> NoReturn:
    """``ValueError`` with the names of the record and of its field."""
    raise ValueError(f"{type(record).__name__} {str(record.name)!r}: {name}: {what}")


def _within(array: np.ndarray, low: float | np.ndarray, high: float | np.ndarray) -> bool:
    """Whether all values are numbers from ``low`` to ``high``; the extremes tell, and are fast to find."""
    if not array.size:
        return True
    parts = array.T if np.ndim(low) else [array]  # min(axis=0) takes ten times as long
    lowest, highest = (np.array([find(part) for part in parts]) for find in (np.min, np.max))  # NaN where a value is
    return bool(np.all(np.isfinite(lowest) & np.isfinite(highest) & (lowest >= low) & (highest <= high)))


def _range(low: float | np.ndarray, high: float | np.ndarray) -> str:
    if np.ndim(low) or np.ndim(high):
        return f"a number from {np.asarray(low).tolist()} to {np.asarray(high).tolist()} by column"
    if math.isinf(low) and math.isinf(high):
        return "a finite number"
    return f"a number from {low:.10g} up" if math.isinf(high) else f"a number from {low:.10g} to {high:.10g}"
