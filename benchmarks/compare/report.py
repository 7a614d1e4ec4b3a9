"""A comparison as one HTML page, ``report.html.jinja``, that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks import pages
from benchmarks.compare import columns, table
from benchmarks.compare.evaluate import Comparison
from benchmarks.drawing import Plot

TEMPLATE = "report.html.jinja"


def html(comparison: Comparison, plots: Sequence[Plot]) -> str:
    """The whole page."""
    return pages.render(
        Path(__file__).with_name(TEMPLATE),
        comparison=comparison,
        title=f"{comparison.title}: {comparison.setup.dataset}",
        summary=_summary(comparison),
        compared=_compared(comparison),
        scores=[view for view in columns.views(comparison, columns.SCORES) if view.title],
        details=[view for view in columns.views(comparison, columns.DETAILS) if view.title],
        notes=[note for note in table.notes(comparison) if not note.startswith("failed: ")],
        plots=plots,
        settings=_settings(comparison),
        meanings={
            **columns.meanings(comparison, columns.SCORES),
            **_marks(comparison),
            **columns.meanings(comparison, columns.DETAILS),
        },
    )


def _summary(comparison: Comparison) -> str:
    rows, metric = comparison.good_rows, comparison.setup.metric
    best = next((row for row in rows if not row.privileged), None)
    if best is None:
        return "No policy that could be deployed has results."
    rivals = sum(not row.privileged for row in rows)
    score = f"{metric.label} {metric.number(best.mean)}"
    if best.ci95:
        score += f" {metric.interval(best.ci95)}"
    if len(rows) > rivals:
        which = "is the only policy that does not" if rivals == 1 else f"is the best of {rivals} policies that do not"
        which += " know the future"
    else:
        which = "is the only policy" if rivals == 1 else f"is the best of {rivals} policies"
    if best.paired and best.paired.percent is not None:
        size = f"{abs(best.paired.percent):.1f} % {'below' if best.paired.percent < 0 else 'above'}"
        score += f", {size} {best.paired.to}"
    text = f"{best.policy} {which}: {score}"
    if best.assumption:
        text += f". It needs {best.assumption}"
        frugal = next((row for row in rows if not row.privileged and not row.assumption), None)
        if frugal:
            text += f"; without, {frugal.policy} is best: {metric.number(frugal.mean)}"
            text += f" {metric.interval(frugal.ci95)}" if frugal.ci95 else ""
    failed = len(comparison.rows) - len(rows)
    return f"{text}." + (f" {failed} {'policy' if failed == 1 else 'policies'} failed." if failed else "")


def _compared(comparison: Comparison) -> dict[str, str]:
    settings, metric = comparison.settings, comparison.setup.metric
    return {
        "environment": settings["environment"],
        comparison.task.dataset_kind: comparison.setup.dataset,
        f"{comparison.how.noun}s": f"{settings['episodes']:,}, the same for every policy",
        "metric": f"{metric.label}, {metric.better} is better; in results.json {metric.name}",
        **settings["details"],
        "policies": ", ".join(row.policy for row in comparison.rows),
    }


def _settings(comparison: Comparison) -> dict[str, str]:
    settings = comparison.settings
    options = ", ".join(f"{name}={value}" for name, value in settings["options"].items())
    return {
        "seed": str(settings["seed"]),
        "environment options": options or "defaults",
        "threads": str(settings["threads"]),
        "processor": str(settings["cpu"]),
        "platform": str(settings["platform"]),
        "playing time": f"{settings['wall_s']:g} s",
        **{name: version or "not available" for name, version in comparison.versions.items()},
    }


def _marks(comparison: Comparison) -> dict[str, str]:
    """What the marks behind names mean."""
    found = {}
    if any(row.privileged for row in comparison.rows):
        found["*"] = "Knows the future, which no deployed policy does: a bound, not a rival."
    if comparison.assumptions:
        found["\N{DAGGER}"] = (
            f"Needs {'; '.join(comparison.assumptions)}. The other policies do without: where that is not at hand, "
            "compare them with each other."
        )
    return found
