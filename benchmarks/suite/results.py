"""A suite that has been played, and its ``results.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from agents import statistics
from benchmarks.suite.play import CellScore, Field, Place, Row
from benchmarks.tasks.setup import Metric

SCHEMA = 1


@dataclass(frozen=True)
class Results:
    """Everything that a table, a plot or a report shows."""

    field: Field
    rows: tuple[Row, ...]
    """Best first, those without a score last."""
    settings: Mapping[str, Any]
    versions: Mapping[str, str | None]

    @property
    def metric(self) -> Metric:
        """What was measured in the cells."""
        return self.field.metric

    @property
    def floor(self) -> str:
        """Name of the policy whose suite score is 0."""
        return self.field.suite.floor

    @property
    def top(self) -> str:
        """Name of the policy whose suite score is 1."""
        return self.field.suite.top

    @property
    def counted(self) -> int:
        """Cells that count."""
        return sum(place.counts is True for place in self.field.places)

    @property
    def title(self) -> str:
        """Of the page and the table."""
        task = self.field.task.title
        return f"{task[:1].upper() + task[1:]}: suite {self.field.suite_name}, {self.field.split}"

    @property
    def sample(self) -> str:
        """What was played, for people."""
        places = self.field.places
        most = max(len(place.cell.numbers) for place in places)
        text = f"{len(places)} cells of {most} episodes at most"
        return text if self.field.missing else f"{text}, {self.counted} of them count"

    @property
    def remedy(self) -> str:
        """The line on optima that are missing, with the command that makes them; empty: none is."""
        if not self.field.missing:
            return ""
        return (
            f"{self.field.missing} of {len(self.field.places)} cells have no optima, so there are raw values and no "
            f"suite scores; make them once: {self.settings['optima_command']}"
        )

    def notes(self) -> list[str]:
        """What there is to say under the table, a line each."""
        lines = [*self.field.notes, *([self.remedy] if self.remedy else [])]
        if not self.field.missing:
            lines.append(f"suite score: {self.floor} = 0, {self.top} = 1; mean over the cells that count")
            lines.append(
                f"a cell counts where {self.field.suite.counts}; in brackets, {self.metric.unit} of the others"
            )
        lines.append(
            f"<  below {self.floor} with the whole 95 % interval of the paired difference; <<  after Holm's correction "
            "over the policy's cells, too"
        )
        return lines

    def failures(self) -> list[str]:
        """A line for each policy and cause."""
        return [f"{_where(row, error)}{error}" for row in self.rows for error in row.errors]


def best_first(rows: list[Row]) -> tuple[Row, ...]:
    """Rows in the order in which they are shown."""
    return tuple(sorted(rows, key=lambda row: (row.suite_score is None, -(row.suite_score or 0.0))))


def below(row: Row) -> list[CellScore]:
    """The cells in which a policy lies below the floor, farthest first by p-value."""
    return sorted(
        (cell for cell in row.cells if cell.below), key=lambda cell: (cell.p_holm or 0.0, cell.place.cell.name)
    )


def to_json(results: Results) -> dict[str, Any]:
    """The content of ``results.json``."""
    field, metric = results.field, results.metric
    return {
        "schema": SCHEMA,
        "task": field.task.name,
        "suite": field.suite_name,
        "split": field.split,
        "floor": results.floor,
        "top": results.top,
        "settings": results.settings,
        "versions": results.versions,
        "metric": {"name": metric.name, "unit": metric.unit, "better": metric.better},
        "cells": [_place(place) for place in field.places],
        "rows": [_row(row) for row in results.rows],
    }


def _place(place: Place) -> dict[str, Any]:
    cell = place.cell
    return {
        "cell": cell.name,
        **cell.parts,
        "options": cell.options,
        "episodes": cell.numbers,
        "floor": statistics.mean(place.floor),
        "top": None if place.top is None else statistics.mean(place.top),
        "least_gain": cell.least,
        "counts": place.counts,
        "floor_per_episode": place.floor,
        "top_per_episode": place.top,
    }


def _row(row: Row) -> dict[str, Any]:
    worst = row.worst
    return {
        "policy": row.policy,
        "privileged": row.privileged,
        "assumption": row.assumption,
        "suite_score": row.suite_score,
        "worst": None if worst is None else {"cell": worst.place.cell.name, "suite_score": worst.suite_score},
        "below": [cell.place.cell.name for cell in row.cells if cell.below],
        "below_after_holm": [cell.place.cell.name for cell in row.cells if cell.below_after_holm],
        "cells": [_cell(cell) for cell in row.cells],
        "parameters": row.parameters,
        "bytes": row.bytes,
        "wall_s": round(row.wall_s, 2),
        "errors": row.errors,
    }


def _cell(cell: CellScore) -> dict[str, Any]:
    paired = None if cell.paired is None else asdict(cell.paired)
    return {
        "cell": cell.place.cell.name,
        "mean": cell.mean,
        "suite_score": cell.suite_score,
        "paired": paired and {key: paired[key] for key in ("to", "mean", "ci95")},
        "p": cell.p,
        "p_holm": cell.p_holm,
        "below": None if cell.error else cell.below,
        "below_after_holm": None if cell.error else cell.below_after_holm,
        "per_episode": cell.scores,
        "error": cell.error,
    }


def columns(results: Results) -> dict[str, list[Any]]:
    """The same as columns, a line for each policy and cell."""
    found = [
        {
            "policy": row.policy,
            **cell.place.cell.parts,
            "counts": cell.place.counts,
            "floor": statistics.mean(cell.place.floor),
            "top": None if cell.place.top is None else statistics.mean(cell.place.top),
            "mean": cell.mean,
            "suite_score": cell.suite_score,
            "minus_floor": cell.paired and cell.paired.mean,
            "ci95_low": cell.paired and cell.paired.ci95 and cell.paired.ci95[0],
            "ci95_high": cell.paired and cell.paired.ci95 and cell.paired.ci95[1],
            "p": cell.p,
            "p_holm": cell.p_holm,
            "below": cell.below,
            "below_after_holm": cell.below_after_holm,
        }
        for row in results.rows
        for cell in row.cells
    ]
    return {key: [line[key] for line in found] for key in found[0]} if found else {}


def _where(row: Row, error: str) -> str:
    """``3 cells, fcc-test x bbb x 6 the first: ``."""
    cells = [cell.place.cell.name for cell in row.cells if cell.error == error]
    return f"{cells[0]}: " if len(cells) == 1 else f"{len(cells)} cells, {cells[0]} the first: "
