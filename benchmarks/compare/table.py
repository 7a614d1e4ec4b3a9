"""A comparison as a table on the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from benchmarks.compare import columns
from benchmarks.compare.evaluate import Comparison
from netenvs.errors import printable

WIDE = 130
"""Columns from which everything goes into one table, if it fits."""
PLAIN_WIDTH = 120
"""Width where the output is no terminal."""


def console() -> Console:
    """Standard output; plain text of at least ``PLAIN_WIDTH`` columns when it is no terminal."""
    out = Console(markup=False, highlight=False, emoji=False)
    if not out.is_terminal:
        out.width = max(out.width, PLAIN_WIDTH)
    return out


def show(comparison: Comparison, out: Console) -> None:
    """Print the comparison: one table on a wide terminal, or two of them, scores and details."""
    scores, details = (columns.views(comparison, place) for place in (columns.SCORES, columns.DETAILS))
    metric = comparison.setup.metric
    sample = f"{comparison.setup.dataset}, {comparison.sample}"
    out.print(
        printable(f"{comparison.title}: {sample}, {metric.label}, {metric.better} is better"),
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
        out.print(printable(note), soft_wrap=True)


def notes(comparison: Comparison) -> list[str]:
    """What the table's headings and asterisks mean, one line each, what is left out, and the failures."""
    lines = []
    if any(row.privileged for row in comparison.rows):
        lines.append("* knows the future")
    if comparison.assumptions:
        lines.append(f"\N{DAGGER} needs {'; '.join(comparison.assumptions)}; the others do without")
    lines += columns.notes(comparison)
    if comparison.settings["groups"]:
        lines.append(f"95 % intervals: bootstrap over {comparison.drawn}")
    lines += [f"left out: {line}" for line in comparison.settings["left_out"]]
    lines += [f"failed: {row.error}" for row in comparison.rows if row.error]
    return lines


def _table(comparison: Comparison, views: list[columns.View]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("policy", overflow="fold", min_width=12, vertical="bottom")
    shown = [view for view in views if view.heading]
    for view in shown:
        table.add_column(view.heading, justify="right", no_wrap=True, vertical="bottom")
    for row in comparison.rows:
        name = Text(printable(row.label))
        if row.error:
            table.add_row(name, "failed", style="red")
        else:
            table.add_row(name, *(Text(printable(view.text(row))) for view in shown))
    return table
