"""A comparison as a table on the terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from benchmarks import formats
from benchmarks.compare.evaluate import Comparison, Row
from benchmarks.tasks.setup import Term

WIDE = 130
"""Columns from which everything goes into one table, if it fits."""
PLAIN_WIDTH = 120
"""Width where the output is no terminal."""


@dataclass(frozen=True)
class Column:
    """A column of numbers."""

    heading: str
    cell: Callable[[Row], str]


def console() -> Console:
    """Standard output; plain text of at least ``PLAIN_WIDTH`` columns when it is no terminal."""
    out = Console(markup=False, highlight=False, emoji=False)
    if not out.is_terminal:
        out.width = max(out.width, PLAIN_WIDTH)
    return out


def show(comparison: Comparison, out: Console) -> None:
    """Print the comparison: one table on a wide terminal, or two of them, scores and details."""
    scores, details = _score_columns(comparison), _detail_columns(comparison)
    metric = comparison.setup.metric
    out.print(
        f"{comparison.task.title}: {comparison.setup.dataset}, {comparison.sample}, {metric.label}, "
        f"{metric.better} is better",
        soft_wrap=True,
    )
    whole = _table(comparison, [*scores, *details])
    room = out.options.update_width(10_000)
    if out.width >= WIDE and Measurement.get(out, room, whole).maximum <= out.width:
        out.print(whole)
    else:
        out.print(_table(comparison, scores))
        out.print(_table(comparison, details))
    for note in notes(comparison):
        out.print(note, soft_wrap=True)


def notes(comparison: Comparison) -> list[str]:
    """What the table's headings and asterisks mean, one line each, and the failures."""
    lines = []
    if any(row.privileged for row in comparison.rows):
        lines.append("* knows the future")
    if comparison.assumptions:
        lines.append(f"\N{DAGGER} needs {'; '.join(comparison.assumptions)}; the others do without")
    if comparison.task.anchors and any(row.normalised is not None for row in comparison.rows):
        zero, one = comparison.task.anchors
        lines.append(f"normalised: {zero} = 0, {one} = 1")
    if comparison.task.skill and comparison.good_rows:
        lines.append(f"skill: {comparison.task.skill_meaning.partition(':')[0]}")
    if comparison.reference:
        name, fixed = comparison.reference, comparison.reference_is_fixed
        to = name if fixed else f"the best baseline, {name},"
        text = f"minus {name if fixed else 'best'}: difference to {to} over the same {comparison.task.noun}s"
        text += ", in percent by the ratio of the means" if comparison.in_percent else ""
        lines.append(f"{text}; a 95 % interval without 0 tells them apart")
    if comparison.settings["groups"]:
        lines.append(f"95 % intervals: bootstrap over {comparison.drawn}")
    lines += [f"failed: {row.error}" for row in comparison.rows if row.error]
    return lines


def _score_columns(comparison: Comparison) -> list[Column]:
    metric = comparison.setup.metric
    columns = [
        Column("mean", lambda row: metric.number(row.mean)),
        Column("95 % interval", lambda row: metric.interval(row.ci95)),
    ]
    if any(row.normalised is not None for row in comparison.rows):
        columns.append(Column("normal-\nised", lambda row: formats.number(row.normalised)))
    if any(row.skill is not None for row in comparison.rows):
        columns.append(Column("skill", lambda row: formats.number(row.skill)))
    if comparison.reference:
        other = comparison.reference if comparison.reference_is_fixed else "best"
        columns += [
            Column(f"minus\n{other}", lambda row: metric.signed(row.paired.mean if row.paired else None)),
            Column("95 % interval", lambda row: metric.interval(row.paired.ci95 if row.paired else None)),
        ]
    if comparison.in_percent:
        columns += [
            Column(f"minus\n{other} %", lambda row: formats.percent(row.paired.percent if row.paired else None)),
            Column(
                "95 % interval",
                lambda row: formats.percent_interval(row.paired.percent_ci95 if row.paired else None),
            ),
        ]
    return columns


def _detail_columns(comparison: Comparison) -> list[Column]:
    def term(part: Term) -> Callable[[Row], str]:
        return lambda row: part.number(row.terms.get(part.name))

    def decision(name: str) -> Callable[[Row], str]:
        return lambda row: formats.milliseconds(row.decision_ms[name] if row.decision_ms else None)

    return [
        *(Column(part.heading, term(part)) for part in comparison.setup.terms),
        Column("decision\np50 ms", decision("p50")),
        Column("decision\np99 ms", decision("p99")),
        Column("para-\nmeters", lambda row: formats.count(row.parameters)),
    ]


def _table(comparison: Comparison, columns: list[Column]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("policy", overflow="fold", min_width=12, vertical="bottom")
    for column in columns:
        table.add_column(column.heading, justify="right", no_wrap=True, vertical="bottom")
    for row in comparison.rows:
        name = Text(row.label)
        if row.error:
            table.add_row(name, "failed", style="red")
        else:
            table.add_row(name, *(Text(column.cell(row)) for column in columns))
    return table
