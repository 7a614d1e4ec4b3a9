"""A suite as tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents import statistics
from benchmarks import formats
from benchmarks.suite.play import CellScore, Row
from benchmarks.suite.results import Results, below
from netenvs.errors import printable

COLUMN = 12
"""Characters that a policy takes in the table of cells."""
LEAST_COLUMNS = 3


def show(results: Results, out: Console) -> None:
    """Print scores of policies, values in cells, and where a policy lies below the floor."""
    metric = results.metric
    out.print(
        printable(f"{results.title}, {results.sample}, {metric.label}, {metric.better} is better"), soft_wrap=True
    )
    out.print(_policies(results))
    names = max(len(place.cell.name) for place in results.field.places)
    at_once = max(LEAST_COLUMNS, (out.width - names - 2 * COLUMN) // COLUMN)
    for begin in range(0, len(results.rows), at_once):
        out.print(_cells(results, results.rows[begin : begin + at_once]))
    for line in below_lines(results):
        out.print(printable(line), soft_wrap=True)
    for note in [*results.notes(), *(f"failed: {line}" for line in results.failures())]:
        out.print(printable(note), soft_wrap=True)


def below_lines(results: Results) -> list[str]:
    """The cells in which a policy lies below the floor, and by how much, a line for each policy."""
    return [
        f"{row.policy} below {results.floor}: "
        + "; ".join(f"{cell.place.cell.name} {mark(cell)} {difference(cell, results)}" for cell in found)
        for row in results.rows
        if (found := below(row))
    ]


def difference(cell: CellScore, results: Results) -> str:
    """To the floor, with its interval."""
    if cell.paired is None:
        return formats.MISSING
    return f"{results.metric.signed(cell.paired.mean)} {results.metric.interval(cell.paired.ci95)}"


def value(cell: CellScore, results: Results) -> str:
    """The suite score of a cell that counts; the metric in brackets elsewhere; and the mark."""
    if cell.error:
        return "failed"
    score = cell.suite_score
    text = f"({results.metric.number(cell.mean)})" if score is None else formats.number(score)
    return f"{text} {mark(cell)}".rstrip()


def mark(cell: CellScore) -> str:
    """``<`` where the policy lies below the floor, ``<<`` where it does after Holm's correction."""
    return "<<" if cell.below_after_holm else "<" if cell.below else ""


def policy(row: Row) -> list[str]:
    """Of a policy: suite score, worst cell and which, cells below the floor before and after Holm, parameters."""
    worst = row.worst
    return [
        formats.number(row.suite_score),
        formats.number(worst.suite_score if worst else None),
        worst.place.cell.name if worst else formats.MISSING,
        str(sum(cell.below for cell in row.cells)),
        str(sum(cell.below_after_holm for cell in row.cells)),
        formats.count(row.parameters),
    ]


def _policies(results: Results) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("policy", overflow="fold", min_width=12, vertical="bottom")
    for heading in ("suite\nscore", "worst\ncell"):
        table.add_column(heading, justify="right", no_wrap=True, vertical="bottom")
    table.add_column("which", vertical="bottom", overflow="fold")
    for heading in (f"below\n{results.floor}", "after\nHolm", "para-\nmeters", "played\ns"):
        table.add_column(heading, justify="right", no_wrap=True, vertical="bottom")
    for row in results.rows:
        cells = [*policy(row), formats.number(row.wall_s, decimals=1)]
        table.add_row(*(Text(printable(text)) for text in (row.label, *cells)), style="red" if row.errors else None)
    return table


def _cells(results: Results, rows: Sequence[Row]) -> Table:
    """A line for each cell, a column for each of these policies."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column(" x ".join(results.field.suite.axes), no_wrap=True, vertical="bottom")
    for heading in (results.floor, results.top):
        table.add_column(f"{heading}\n{results.metric.unit}", justify="right", vertical="bottom", max_width=COLUMN)
    for row in rows:
        table.add_column(
            _heading(printable(row.label)), justify="right", vertical="bottom", max_width=COLUMN, overflow="fold"
        )
    for i, place in enumerate(results.field.places):
        values = [
            results.metric.number(statistics.mean(place.floor)),
            results.metric.number(None if place.top is None else statistics.mean(place.top)),
            *(value(row.cells[i], results) for row in rows),
        ]
        table.add_row(Text(printable(place.cell.name)), *(Text(printable(text)) for text in values))
    return table


def _heading(label: str) -> str:
    """A long name in two lines."""
    if len(label) < COLUMN or "-" not in label:
        return label
    head, _, tail = label.rpartition("-")
    return f"{head}-\n{tail}"
