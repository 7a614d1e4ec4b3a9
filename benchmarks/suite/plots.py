"""Pictures of a suite: a heat map of policies and cells, and the scores of each policy."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from benchmarks import formats
from benchmarks.drawing import ACCENT, GRID, INK, PALETTE, SOFT, WIDTH, Plot, beside, style, to_png
from benchmarks.suite.play import CellScore, Row
from benchmarks.suite.results import Results
from benchmarks.suite.table import mark, value

WORST, BEST = PALETTE[1], PALETTE[0]
"""Colours of -1 and 1."""
COLUMN_IN, ROW_IN = 0.86, 0.27
DARK = 0.62
"""From this score on, to either side, numbers are white."""


def draw(results: Results) -> list[Plot]:
    """Every plot of the suite; of scores none where there are no optima."""
    with style():
        plots = [heat_map(results)]
        scored = [row for row in results.rows if row.suite_score is not None]
        return [*plots, scores(results, scored)] if scored else plots


def heat_map(results: Results) -> Plot:
    """A line for each cell, a column for each policy: colour and number are the suite score."""
    rows, places = results.rows, results.field.places
    names = [place.cell.name for place in places]
    left = 0.4 + 0.075 * max(map(len, names))
    longest = max(len(row.label) for row in rows)
    top = 0.75 + 0.075 * longest * np.sin(np.pi / 4)
    size = (max(WIDTH, left + COLUMN_IN * len(rows) + 1.3), top + ROW_IN * len(places) + 0.3)
    figure = Figure(figsize=size)
    axes = figure.add_axes(
        (left / size[0], 0.3 / size[1], COLUMN_IN * len(rows) / size[0], ROW_IN * len(places) / size[1])
    )
    scores = np.array([[_number(row.cells[i].suite_score) for row in rows] for i in range(len(places))])
    colours = LinearSegmentedColormap.from_list("score", [WORST, "white", BEST]).with_extremes(bad="#eceff2")
    picture = axes.imshow(np.ma.masked_invalid(scores), cmap=colours, vmin=-1, vmax=1, aspect="auto")
    for i in range(len(places)):
        for j, row in enumerate(rows):
            _write(axes, i, j, row.cells[i], results)
    _frame(axes, results, names)
    bar = figure.add_axes(((left + COLUMN_IN * len(rows) + 0.35) / size[0], 0.3 / size[1], 0.14 / size[0], 2 / size[1]))
    figure.colorbar(picture, cax=bar, extend="both", ticks=[-1, 0, 1])
    bar.set_title("suite\nscore", fontsize=9, fontweight="normal", loc="left")
    title = f"{results.field.suite_name}, {results.field.split}: suite score by cell"
    figure.suptitle(title, x=0.01, y=1 - 0.12 / size[1], ha="left", va="top", fontweight="bold", fontsize=11)
    return Plot(
        name="heat_map",
        title=title,
        caption=f"{results.floor} = 0, {results.top} = 1. Grey, in brackets: {results.metric.label}, where the cell "
        f"does not count or has no optima. < lies below {results.floor} with the whole 95 % interval, << after Holm's "
        "correction, too.",
        alt="; ".join(f"{row.policy} {formats.number(row.suite_score)}" for row in rows),
        png=to_png(figure),
        columns={
            "cell": names,
            **{row.policy: [cell.suite_score for cell in row.cells] for row in rows},
        },
    )


def _number(score: float | None) -> float:
    return np.nan if score is None else score


def _write(axes: Axes, i: int, j: int, cell: CellScore, results: Results) -> None:
    """The value of a cell, and a frame where the policy lies below the floor."""
    score = cell.suite_score
    color = SOFT if score is None else "white" if abs(score) > DARK else INK
    axes.text(j, i, value(cell, results), ha="center", va="center", fontsize=8, color=color)
    if mark(cell):
        axes.add_patch(
            Rectangle(
                (j - 0.47, i - 0.43),
                0.94,
                0.86,
                fill=False,
                edgecolor=INK,
                lw=1.4 if cell.below_after_holm else 0.8,
                ls="-" if cell.below_after_holm else ":",
            )
        )


def _frame(axes: Axes, results: Results, names: list[str]) -> None:
    """Names, and lines between the environments that were played together."""
    axes.set_yticks(range(len(names)), names, fontsize=8.5)
    axes.set_xticks(range(len(results.rows)), [row.label for row in results.rows], fontsize=9)
    axes.tick_params(axis="x", top=True, bottom=False, labeltop=True, labelbottom=False, length=0)
    axes.tick_params(axis="y", length=0)
    for label in axes.get_xticklabels():
        label.set(rotation=45, ha="left", va="bottom", rotation_mode="anchor")
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for end in np.cumsum([len(batch.cells) for batch in results.field.batches])[:-1]:
        axes.axhline(end - 0.5, color=INK, lw=1.0)
    for j in range(1, len(results.rows)):
        axes.axvline(j - 0.5, color=GRID, lw=0.7)


def scores(results: Results, rows: list[Row]) -> Plot:
    """A line for each policy: its score in each cell, and their mean."""
    figure = Figure(figsize=(WIDTH, 1.4 + 0.36 * len(rows)), layout="constrained")
    axes = figure.subplots()
    low = -1.5
    for i, row in enumerate(rows):
        found = [cell.suite_score for cell in row.cells if cell.suite_score is not None]
        axes.plot(np.clip(found, low, None), np.full(len(found), i), "|", ms=11, color=SOFT, mew=1.1)
        axes.plot(max(row.suite_score or 0.0, low), i, "o", ms=8, color=ACCENT)
        worst = row.worst
        text = f"{formats.number(row.suite_score):>7}  worst {formats.number(worst.suite_score if worst else None):>7}"
        beside(axes, i, text)
    axes.set(xlim=(low - 0.05, 1.05), xlabel=f"suite score: {results.floor} = 0, {results.top} = 1")
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.axvline(0, color=SOFT, lw=1.2, zorder=1)
    title = f"{results.field.suite_name}, {results.field.split}: suite scores"
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)
    return Plot(
        name="scores",
        title=title,
        caption=f"A stroke is a cell that counts, the dot the mean of {results.counted} of them. Strokes at the left "
        f"edge are at {low:g} or below.",
        alt="; ".join(f"{row.policy} {formats.number(row.suite_score)}" for row in rows),
        png=to_png(figure),
        columns={
            "policy": [row.policy for row in rows],
            "suite_score": [row.suite_score for row in rows],
            "worst": [row.worst.suite_score if row.worst else None for row in rows],
            "worst_cell": [row.worst.place.cell.name if row.worst else None for row in rows],
        },
    )
