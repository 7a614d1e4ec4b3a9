"""Equality for frozen dataclasses that hold arrays."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

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
