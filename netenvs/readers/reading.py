"""``Reading``: what became of an input: formats recognised, records read, records left out and why, doubts."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from netenvs.errors import LONGEST, flat
from netenvs.readers.errors import InputError

MOST_SKIPPED = 0.5
"""A file is left out as a whole where more than this share of its records cannot be used: it is read wrongly."""


@dataclass(frozen=True)
class Skipped:
    """Records left out for one reason."""

    count: int
    first: str
    """Where the first of them stands, and what is wrong with it."""


@dataclass
class Reading:
    """Filled by readers while they read one input; shown by ``python -m netenvs inspect``."""

    where: str
    """The input, for messages."""
    strict: bool = False
    """Whether the first record that cannot be used is an error."""
    formats: Counter[str] = field(default_factory=Counter)
    """Names of the readers -> files read by each."""
    records: Counter[str] = field(default_factory=Counter)
    """Kind of record, such as ``rows`` -> how many were read, those left out not counted."""
    skipped: dict[tuple[str, str], Skipped] = field(default_factory=dict)
    """(kind, reason) -> those left out."""
    notes: list[str] = field(default_factory=list)
    """Doubts about what was read, with figures; each is a warning, too."""

    def skip(self, kind: str, reason: str, where: str, detail: str = "", count: int = 1) -> None:
        """Leave out a record, or several that follow. Raises :class:`InputError` where ``strict``.

        Arguments:
            kind: what it is, in the plural: ``rows``, ``files``, ``jobs``.
            reason: why, the same words for all of that reason: ``the time goes back``.
            where: file and line, or file and name.
            detail: what is special to this one: ``3.5 s after 4 s``.
            count: how many.
        """
        text = f"{reason} ({detail})" if detail else reason
        if self.strict:
            raise InputError(f"{where}: {text}; mend it or take it out")
        first = flat(f"{where}{f': {detail}' if detail else ''}", LONGEST // 2)
        before = self.skipped.get((kind, reason), Skipped(0, first))
        self.skipped[kind, reason] = Skipped(before.count + count, before.first)

    def skip_rows(self, name: str, lines: np.ndarray, bad: np.ndarray, reason: str, details: Sequence[object]) -> None:
        """Leave out the rows of a file where ``bad``.

        Arguments:
            name: of the file.
            lines: int (rows,), the line of each.
            bad: bool (rows,).
            reason: as for :meth:`skip`.
            details: what stands in each row, (rows,).
        """
        rows = np.flatnonzero(bad)
        if len(rows):
            self.skip("rows", reason, f"{name}:{lines[rows[0]]}", str(details[rows[0]])[:40], len(rows))

    def note(self, text: str, first: str = "") -> None:
        """Say a doubt about what was read, once.

        Arguments:
            text: the same words wherever the doubt arises.
            first: file and figures; those of the first case are told.
        """
        if not any(note == text or note.startswith(f"{text} (") for note in self.notes):
            self.notes.append(f"{text} ({first})" if first else text)

    def num_skipped(self, kind: str) -> int:
        """How many of a kind were left out."""
        return sum(one.count for (of, _), one in self.skipped.items() if of == kind)

    def skipped_lines(self) -> list[str]:
        """A line for each reason: count, kind, reason, the first; where that names the input alone, it is left out."""
        lines = []
        for (kind, reason), one in self.skipped.items():
            first = one.first.removeprefix(f"{self.where}: ")
            many = f"{one.count} {kind}" if one.count > 1 else f"1 {kind.removesuffix('s')}"
            lines.append(f"{many} left out: {reason} ({'first ' if one.count > 1 else ''}{first})")
        return lines

    def warn(self, stacklevel: int = 2) -> None:
        """One warning for all that was left out, and one for each doubt."""
        if lines := self.skipped_lines():
            warnings.warn(flat(f"{self.where}: {'; '.join(lines)}", LONGEST), stacklevel=stacklevel + 1)
        for note in self.notes:
            warnings.warn(flat(f"{self.where}: {note}", LONGEST), stacklevel=stacklevel + 1)
