"""``Ragged``: arrays of different lengths, stored one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Ragged:
    """n arrays whose first axes differ in length: array i is ``values[offsets[i]:offsets[i + 1]]``."""

    values: np.ndarray
    """(sum of lengths, ...)."""
    offsets: np.ndarray
    """int64 (n + 1,), ascending; it need not begin with 0, as a part of a column shares the values of all of it."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, at: int | slice) -> np.ndarray | Ragged:
        """One array, or the arrays of a slice without a step; views in both cases."""
        if isinstance(at, slice):
            begin, end, step = at.indices(len(self))
            if step != 1:
                raise ValueError("a Ragged takes slices without a step; use take(indices)")
            return Ragged(self.values, self.offsets[begin : max(begin, end) + 1])
        if not -len(self) <= at < len(self):
            raise IndexError(f"index {at} is out of bounds for {len(self)} arrays")
        at %= len(self)
        return self.values[self.offsets[at] : self.offsets[at + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """int64 (n,)."""
        return np.diff(self.offsets)

    @property
    def flat(self) -> np.ndarray:
        """The values of these n arrays alone, (sum of lengths, ...): a view."""
        return self.values[self.offsets[0] : self.offsets[-1]]

    def take(self, indices: np.ndarray) -> Ragged:
        """The arrays ``indices``, int (k,), in that order: a copy."""
        lengths = self.lengths[indices]
        offsets = offsets_of(lengths)
        source = np.repeat(self.offsets[:-1][indices] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Ragged(self.values[source], offsets)

    def padded(self, length: int) -> np.ndarray:
        """(n, length, ...): the arrays with zeros after them. ``ValueError`` if one is longer."""
        lengths = self.lengths
        if lengths.max(initial=0) > length:
            raise ValueError(f"an array of length {lengths.max()} does not fit into {length}")
        out = np.zeros((len(self), length, *self.values.shape[1:]), dtype=self.values.dtype)
        out[np.arange(length) < lengths[:, None]] = self.flat
        return out

    @staticmethod
    def from_padded(padded: np.ndarray, lengths: np.ndarray) -> Ragged:
        """The first ``lengths``, int (n,), rows of each array of ``padded``, (n, length, ...).

        ``ValueError`` if there are fewer.
        """
        count, length = padded.shape[:2]
        if lengths.max(initial=0) > length:
            raise ValueError(f"arrays of length {length} have no {lengths.max()} rows")
        offsets = offsets_of(lengths)
        source = np.repeat(np.arange(count) * length - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Ragged(padded.reshape(count * length, *padded.shape[2:]).take(source, axis=0), offsets)

    @staticmethod
    def concatenate(parts: Sequence[Ragged]) -> Ragged:
        """All arrays of all parts, in order: a copy."""
        lengths = np.concatenate([part.lengths for part in parts])
        return Ragged(np.concatenate([part.flat for part in parts]), offsets_of(lengths))


Column = np.ndarray | Ragged
"""A value for each of n steps or episodes."""


def concatenate(parts: Sequence[Column]) -> Column:
    """One column after the other; a single one as it is."""
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], Ragged):
        return Ragged.concatenate([part for part in parts if isinstance(part, Ragged)])
    return np.concatenate(parts)  # type: ignore[arg-type]


def take(column: Column, indices: np.ndarray) -> Column:
    """The rows ``indices``, int (k,), of a column: a copy."""
    return column.take(indices) if isinstance(column, Ragged) else column[indices]


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """int64 (n + 1,): 0 and the running sums of ``lengths``."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
