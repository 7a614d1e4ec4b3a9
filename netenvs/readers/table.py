"""Delimited text: numbers in columns, whatever separates them, with or without a header, comments among them."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netenvs.readers.errors import InputError, decoding
from netenvs.readers.fields import is_number, numbers
from netenvs.readers.sources import Source

SEPARATORS = ("\t", ";", ",", " ")
"""In the order of preference where two fit equally; a blank stands for any number of blanks and tabs."""
COMMENTS = ("#", "//", "%")
SAMPLE_LINES = 100
_WITH_UNIT = re.compile(r"[^\s\[(]+(?:\s*(?:\[[^\]]*\]|\([^)]*\)))?")
"""A word, and in brackets behind it the unit."""


@dataclass(frozen=True)
class Table:
    """The rows of a file, as text."""

    name: str
    separator: str
    columns: tuple[str, ...] | None
    """Names of a header, as they stand there; None: it has none."""
    commented: tuple[str, ...] | None
    """The last comment before the first row where it has as many words as that has fields, maybe names; else None."""
    rows: list[list[str]]
    """All of the same number of fields, header not included."""
    lines: np.ndarray
    """int64 (rows,), the line of each row in the file."""
    odd: list[int]
    """Lines with another number of fields, which are not among the rows."""

    @property
    def num_columns(self) -> int:
        """Fields of each row; 0 where there are none."""
        return len(self.rows[0]) if self.rows else 0

    def texts(self, column: int) -> list[str]:
        """The fields of one column."""
        return [row[column] for row in self.rows]

    def numbers(self, column: int) -> np.ndarray:
        """One column as float64 (rows,), NaN where a field is no number; commas that do not separate are decimal."""
        return numbers(self.texts(column), decimal_comma=self.separator != ",")


def read_table(source: Source, separator: str | None = None) -> Table:
    """The table of a file. Raises :class:`InputError` for a file that is no text, or has no row.

    The separator is the one that makes the most numbers of the first ``SAMPLE_LINES`` lines, in rows of equal length.
    A first row without a number is a header; a second one is taken for the units of the columns and added to their
    names in brackets.
    """
    return parse_table(source.text(), source.name, separator)


def parse_table(text: str, name: str, separator: str | None = None) -> Table:
    """The same of a text; ``name`` is for messages."""
    comment, lines = "", list[tuple[int, str]]()
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped:
            continue
        if stripped.startswith(COMMENTS):
            comment = comment if lines else stripped
            continue
        lines.append((number, line))
    if not lines:
        raise InputError(f"{name}: the file is empty")
    if separator is None:
        separator = sniff_separator([line for _, line in lines[:SAMPLE_LINES]])
    with decoding(name):
        split = [(number, _split(line, separator)) for number, line in lines]
    width = Counter(len(fields) for _, fields in split[: 10 * SAMPLE_LINES]).most_common(1)[0][0]
    columns, rest = _header(split, width)
    rows = [(number, fields) for number, fields in rest if len(fields) == width]
    return Table(
        name=name,
        separator=separator,
        columns=columns,
        commented=_commented(comment, width),
        rows=[fields for _, fields in rows],
        lines=np.array([number for number, _ in rows], dtype=np.int64),
        odd=[number for number, fields in rest if len(fields) != width],
    )


def sniff_separator(lines: Sequence[str]) -> str:
    """The separator of :data:`SEPARATORS` that fits lines best, a blank where there is only one column."""
    best, best_score = " ", (0.0, 0)
    for separator in SEPARATORS:
        split = [_split(line, separator) for line in lines]
        width, count = Counter(len(fields) for fields in split).most_common(1)[0]
        if width < 2 or count * 2 < len(lines):
            continue
        below = split[1:] or split  # names in a header may have blanks
        fields = [field for row in below if len(row) == width for field in row if field]
        numeric = sum(is_number(field, decimal_comma=separator != ",") for field in fields)
        score = (round(numeric / max(1, len(fields)), 3), count)
        if score > best_score:
            best, best_score = separator, score
    return best


def _split(line: str, separator: str) -> list[str]:
    if separator == " ":
        return line.split()
    if '"' in line:
        fields = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    else:
        fields = line.split(separator)
    return fields[:-1] if len(fields) > 2 and not fields[-1].strip() else fields


def _commented(comment: str, width: int) -> tuple[str, ...] | None:
    """The words of a comment where they are as many as the columns, whatever separates them, units in brackets."""
    comment = comment.lstrip("#/% \t")
    for words in (*(_split(comment, separator) for separator in SEPARATORS), _WITH_UNIT.findall(comment)):
        if comment and len(words) == width:
            return tuple(word.strip() for word in words)
    return None


def _header(
    split: list[tuple[int, list[str]]], width: int
) -> tuple[tuple[str, ...] | None, list[tuple[int, list[str]]]]:
    """Names of the columns, and the rows behind the header."""
    if len(split[0][1]) != width or not _are_names(split[0][1]):
        return None, split
    names = [name.strip() for name in split[0][1]]
    if len(split) > 1 and len(split[1][1]) == width and _are_names(split[1][1]) and not _has_dates(split[1][1]):
        units = [unit.strip(" []()") for unit in split[1][1]]
        if all(len(unit) <= 8 for unit in units):
            names = [f"{name} [{unit}]" if unit else name for name, unit in zip(names, units, strict=True)]
            return tuple(names), split[2:]
    return tuple(names), split[1:]


def _are_names(fields: Sequence[str]) -> bool:
    """No numbers, and letters in one of them."""
    words = [field.strip() for field in fields]
    return not any(is_number(word) or word.lower() in ("nan", "inf", "-inf") for word in words) and any(
        any(character.isalpha() for character in word) for word in words
    )


def _has_dates(fields: Sequence[str]) -> bool:
    return any(sum(character.isdigit() for character in field) > 3 for field in fields)
