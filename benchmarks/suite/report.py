"""A suite as one HTML page, ``report.html.jinja``, that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents import statistics
from agents.statistics import RESAMPLES
from benchmarks import formats, pages
from benchmarks.drawing import Plot
from benchmarks.suite import table
from benchmarks.suite.play import CellScore, Row
from benchmarks.suite.results import Results

TEMPLATE = "report.html.jinja"
HEADINGS = ("suite score", "worst cell", "which", "below", "after Holm", "parameters", "bytes", "played, s")


def html(results: Results, plots: Sequence[Plot]) -> str:
    """The whole page."""
    return pages.render(
        Path(__file__).with_name(TEMPLATE),
        results=results,
        title=results.title,
        noun=results.field.how.noun,
        summary=_summary(results),
        compared=_compared(results),
        headings=HEADINGS,
        cell_headings=(
            *("suite score", "mean", results.floor, results.top, f"minus {results.floor}", "95 % interval"),
            *("p", "below"),
        ),
        rows=[_row(row, results) for row in results.rows],
        notes=[*results.notes(), *(f"failed: {line}" for line in results.failures())],
        plots=plots,
        settings=_settings(results),
        meanings=_meanings(results),
    )


def _summary(results: Results) -> str:
    best = next((row for row in results.rows if row.suite_score is not None and not row.privileged), None)
    if best is None or best.worst is None:
        return "No policy has a suite score." + (f" {results.remedy}" if results.remedy else "")
    return (
        f"{best.policy} has the highest suite score: {formats.number(best.suite_score)} over {results.counted} cells; "
        f"in its worst, {best.worst.place.cell.name}, {formats.number(best.worst.suite_score)}."
    )


def _compared(results: Results) -> dict[str, str]:
    field = results.field
    axes = {
        axis: ", ".join(dict.fromkeys(place.cell.parts[axis] for place in field.places)) for axis in field.suite.axes
    }
    return {
        "suite": f"{field.suite_name}: {field.suite.title}, split {field.split}",
        "environment": field.task.default_id,
        **axes,
        "cells": results.sample,
        "metric": f"{results.metric.label}, {results.metric.better} is better",
        "policies": ", ".join(row.policy for row in results.rows),
    }


def _row(row: Row, results: Results) -> dict[str, Any]:
    return {
        "label": row.label,
        "failed": bool(row.errors),
        "texts": [*table.policy(row), formats.count(row.bytes), formats.number(row.wall_s, decimals=1)],
        "cells": [_cell(cell, results) for cell in row.cells],
    }


def _cell(cell: CellScore, results: Results) -> dict[str, Any]:
    metric, place = results.metric, cell.place
    return {
        "name": place.cell.name,
        "error": cell.error,
        "texts": [
            formats.number(cell.suite_score),
            metric.number(cell.mean),
            metric.number(statistics.mean(place.floor)),
            metric.number(None if place.top is None else statistics.mean(place.top)),
            metric.signed(cell.paired.mean if cell.paired else None),
            metric.interval(cell.paired.ci95 if cell.paired else None),
            formats.number(cell.p_holm, small=4),
            table.mark(cell),
        ],
    }


def _settings(results: Results) -> dict[str, str]:
    settings = results.settings
    return {
        "seed": str(settings["seed"]),
        "optima": str(settings["optima"]),
        "threads": str(settings["threads"]),
        "processor": str(settings["cpu"]),
        "platform": str(settings["platform"]),
        "playing time": f"{settings['wall_s']:g} s",
        **{name: version or "not available" for name, version in results.versions.items()},
    }


def _meanings(results: Results) -> dict[str, str]:
    floor, top, noun = results.floor, results.top, results.field.how.noun
    return {
        "suite score": f"(mean of the policy - mean of {floor}) / (mean of {top} - mean of {floor}) in a cell that "
        f"counts, and the mean of these over such cells. A cell counts where {results.field.suite.counts}; elsewhere "
        "a share would be noise.",
        f"minus {floor}, 95 % interval": f"Difference, {noun} by {noun}, and its percentile bootstrap ({RESAMPLES} "
        "resamples, fixed seed).",
        "p, below": "The p-value inverts that bootstrap: it is below 5 % where the interval leaves 0 out. Holm's "
        "correction over all cells of the policy makes it as improbable as 5 % that any of them is called below by "
        "chance. < is below without the correction, << with it.",
    }
