"""``Inspection``: what a task says of an input, and the words that it is said in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from netenvs.readers.reader import AUTO
from netenvs.readers.reading import Reading

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What was found in an input. The function that a task's ``Task.inspect`` names makes one.

    It is called with the path, and ``format``, ``strict`` and the reader's options as keyword arguments, and raises
    ``ValueError``, one line, for an input that it cannot read.
    """

    found: str
    """What was found, with its number: ``3 bandwidth traces``."""
    play: Mapping[str, Any]
    """Environment options that play it."""
    reading: Reading
    facts: Sequence[tuple[str, str]]
    """Statistics, (name, value with unit), the most important first."""
    draw: Callable[[Figure], None]
    """Draws them into an empty figure of 9 x 6 inches."""

    @property
    def skipped_share(self) -> float:
        """Share of records and files that were left out, 0 to 1."""
        skipped = sum(one.count for one in self.reading.skipped.values())
        return skipped / max(1, skipped + self.reading.records.total() + self.reading.formats.total())


def spec_of(path: str, format: str, strict: bool, options: Mapping[str, Any]) -> str:
    """The value of an environment option that reads a path in that way: itself, or ``csv(path=FILE,unit=kbit/s)``."""
    if format == AUTO and not strict and not options:
        return path
    quoted = json.dumps(path) if any(character in path for character in '()[],"') else path
    pairs = {"path": quoted, **options, **({"strict": "true"} if strict else {})}
    return f"{format}({','.join(f'{key}={value}' for key, value in pairs.items())})"


def spread(values: np.ndarray, unit: str = "", digits: int = 3) -> str:
    """``1.2 to 40, median 7.5 Mbit/s`` of numbers (n,); one number where all are alike."""
    low, middle, high = (number(value, digits) for value in (np.min(values), np.median(values), np.max(values)))
    text = low if low == high else f"{low} to {high}, median {middle}"
    return f"{text} {unit}".rstrip()


def number(value: float, digits: int = 3) -> str:
    """A number of so many significant digits, without an exponent where it has no more than nine places."""
    if abs(value) < 1e-9:
        return "0"
    if 1e-4 <= abs(value) < 1e9:
        rounded = float(f"{value:.{digits}g}")
        whole = abs(value) >= 10**digits or rounded == int(rounded)
        return f"{round(value):,}".replace(",", " ") if whole else f"{rounded:.10f}".rstrip("0").rstrip(".")
    return f"{value:.{digits}g}"


def percent(share: float) -> str:
    """``12.3 %``; a share that is not 0 is never shown as such."""
    return "under 0.1 %" if 0 < share < 0.001 else f"{number(100 * share)} %"


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h`` or ``4 days``."""
    for unit, size, most in (("s", 1.0, 120.0), ("min", 60.0, 7200.0), ("h", 3600.0, 172_800.0)):
        if seconds < most:
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds / 86_400.0)} days"


def count(many: int, what: str) -> str:
    """``1 file``, ``3 files``; ``what`` is in the plural."""
    return f"{number(many, 9)} {what.removesuffix('s') if many == 1 else what}"
