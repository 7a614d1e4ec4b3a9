"""Numbers as they stand in text."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", re.ASCII)
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+([eE][-+]?\d+)?\s*", re.ASCII)


def numbers(fields: Sequence[str], decimal_comma: bool = False) -> np.ndarray:
    """Fields as float64, NaN where one is no number, such as ``1_000`` or, unless told to, one with a decimal comma."""
    try:
        found = np.array(fields, dtype=np.float64)
        if not any("_" in field for field in fields):  # Python takes 1_000 for a number
            return found
    except ValueError:
        pass
    return np.array([_number(field, decimal_comma) for field in fields], dtype=np.float64)


def is_number(field: str, decimal_comma: bool = False) -> bool:
    """Whether a field is a finite number."""
    return bool(np.isfinite(_number(field, decimal_comma)))


def _number(field: str, decimal_comma: bool) -> float:
    if decimal_comma and _DECIMAL_COMMA.fullmatch(field):
        field = field.replace(",", ".")
    return float(field) if _NUMBER.fullmatch(field) else float("nan")
