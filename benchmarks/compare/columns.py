"""The columns of a comparison, once for the JSON, the table and the report.

A column of all tasks is an entry of ``COLUMNS``; what a task measures besides are the ``terms`` of its own file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agents.statistics import RESAMPLES
from benchmarks import formats
from benchmarks.compare.evaluate import Comparison, Row, interquartile_mean
from benchmarks.tasks.setup import Term

SCORES, DETAILS = "scores", "details"


@dataclass(frozen=True)
class View:
    """How people see a column, or a part of it."""

    title: str
    """In the report; empty: it is not there."""
    heading: str
    """The same in two short lines, in the table; empty: it is not there."""
    text: Callable[[Row], str]
    range: bool = False
    """Whether it is the interval of the view before it."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """Something that is known of every policy."""

    key: str
    """Of the row in the JSON."""
    value: Callable[[Row], Any]
    """For the JSON; None, or empty, where a policy has failed."""
    place: str = SCORES
    """The table it stands in: ``scores`` or ``details``."""
    views: Callable[[Comparison], Sequence[View]] = lambda comparison: ()
    """None, where only the JSON has it."""
    note: Callable[[Comparison], str] = lambda comparison: ""
    """A line under the table."""
    meaning: Callable[[Comparison], dict[str, str]] = lambda comparison: {}
    """What to say about it in the report, by heading."""


def views(comparison: Comparison, place: str) -> list[View]:
    """Of the columns of one table."""
    return [view for column in COLUMNS if column.place == place for view in column.views(comparison)]


def notes(comparison: Comparison) -> Iterator[str]:
    """Of all columns."""
    return (note for column in COLUMNS if (note := column.note(comparison)))


def meanings(comparison: Comparison, place: str) -> dict[str, str]:
    """Of the columns of one table."""
    found: dict[str, str] = {}
    for column in COLUMNS:
        if column.place == place:
            found.update(column.meaning(comparison))
    return found


def to_json(row: Row) -> dict[str, Any]:
    """The row of ``results.json``."""
    return {"policy": row.policy, **{column.key: column.value(row) for column in COLUMNS}, "error": row.error}


def _mean(comparison: Comparison) -> list[View]:
    return [View("mean", "mean", lambda row: comparison.metric.number(row.mean))]


def _interval(comparison: Comparison) -> list[View]:
    return [View("95 % interval", "95 % interval", lambda row: comparison.metric.interval(row.ci95), range=True)]


def _interval_meaning(comparison: Comparison) -> dict[str, str]:
    groups, nouns = comparison.setup.groups, f"{comparison.how.noun}s"
    drawn, together = _drawn(comparison), ""
    if groups:
        together = f" {nouns.capitalize()} of one {groups.noun} resemble each other, so they are drawn together. "
        together += groups.caveat
    text = (
        f"{comparison.metric.label}, averaged over the {nouns}. The 95 % interval is a percentile bootstrap over "
        f"{drawn} ({RESAMPLES} resamples, fixed seed): how far the mean would move with other {drawn} of the same "
        f"kind.{together}"
    )
    return {"mean, interval": text}


def _drawn(comparison: Comparison) -> str:
    """What the bootstrap draws: ``episodes``."""
    groups = comparison.setup.groups
    return f"{groups.noun if groups else comparison.how.noun}s"


def _interquartile_meaning(comparison: Comparison) -> dict[str, str]:
    text = f"The mean of the middle half of the {comparison.how.noun}s: a few very good or very bad ones move it less."
    return {"interquartile mean": text}


def _normalised(comparison: Comparison) -> list[View]:
    shown = View("normalised", "normal-\nised", lambda row: formats.number(row.normalised))
    return [shown] if comparison.is_normalised else []


def _normalised_note(comparison: Comparison) -> str:
    if not comparison.is_normalised or comparison.how.anchors is None:
        return ""
    zero, one = comparison.how.anchors
    return f"normalised: {zero} = 0, {one} = 1"


def _normalised_meaning(comparison: Comparison) -> dict[str, str]:
    if not comparison.is_normalised or comparison.how.anchors is None:
        return {}
    zero, one = comparison.how.anchors
    text = (
        f"{zero} is 0 and {one} is 1: the share of the possible improvement that a policy reaches. It makes data sets "
        "comparable, where the raw metric depends on the workload."
    )
    return {"normalised": text}


def _skill(comparison: Comparison) -> list[View]:
    shown = View("skill", "skill", lambda row: formats.number(row.skill))
    return [shown] if any(row.skill is not None for row in comparison.rows) else []


def _skill_note(comparison: Comparison) -> str:
    return f"skill: {comparison.how.skill_meaning.partition(':')[0]}" if _skill(comparison) else ""


def _skill_meaning(comparison: Comparison) -> dict[str, str]:
    return {"skill": comparison.how.skill_meaning} if _skill(comparison) else {}


def _terms(comparison: Comparison) -> list[View]:
    def view(term: Term) -> View:
        return View(term.label, term.heading, lambda row: term.number(row.terms.get(term.name)))

    return [view(term) for term in comparison.setup.terms]


def _paired(comparison: Comparison) -> list[View]:
    metric, other = comparison.metric, _reference(comparison)
    if not comparison.reference:
        return []
    found = [
        View(f"minus {other}", f"minus\n{other}", lambda row: metric.signed(row.paired.mean if row.paired else None)),
        View(
            "95 % interval",
            "95 % interval",
            lambda row: metric.interval(row.paired.ci95 if row.paired else None),
            range=True,
        ),
    ]
    if comparison.in_percent:
        found += [
            View(
                f"minus {other}, %",
                f"minus\n{other} %",
                lambda row: formats.percent(row.paired.percent if row.paired else None),
            ),
            View(
                "95 % interval",
                "95 % interval",
                lambda row: formats.percent_interval(row.paired.percent_ci95 if row.paired else None),
                range=True,
            ),
        ]
    return found


def _reference(comparison: Comparison) -> str:
    """The policy that the others are compared with, in two words at most."""
    return str(comparison.reference) if comparison.reference_is_fixed else "best"


def _paired_note(comparison: Comparison) -> str:
    if not comparison.reference:
        return ""
    name, other = comparison.reference, _reference(comparison)
    to = name if comparison.reference_is_fixed else f"the best baseline, {name},"
    text = f"minus {other}: difference to {to} over the same {comparison.how.noun}s"
    text += ", in percent by the ratio of the means" if comparison.in_percent else ""
    return f"{text}; a 95 % interval without 0 tells them apart"


def _paired_meaning(comparison: Comparison) -> dict[str, str]:
    name, noun, other = comparison.reference, comparison.how.noun, _reference(comparison)
    if not name:
        return {}
    role = "" if comparison.reference_is_fixed else ", the best baseline"
    found = {
        f"minus {other}": f"Difference to {name}{role}, {noun} by {noun}. Because both played the same {noun}s, this "
        "interval is usually narrower than the two separate ones suggest: look here, not at whether those overlap. An "
        "interval with 0 in it leaves open which is better."
    }
    if comparison.in_percent:
        found[f"minus {other}, %"] = (
            f"The mean divided by that of {name}, minus 1; the bootstrap of the interval draws {_drawn(comparison)} in "
            f"pairs, too. Long {noun}s weigh more than in a mean of ratios."
        )
    return found


def _decision(comparison: Comparison) -> list[View]:
    def view(name: str, title: str) -> View:
        def text(row: Row) -> str:
            return formats.milliseconds(row.decision_ms[name] if row.decision_ms else None)

        return View(f"decision, {title} (ms)", f"decision\n{name} ms", text)

    return [view("p50", "median"), view("p99", "99th percentile")]


DECISION = (
    "Wall time of one decision at a time on the processor named above, after a warm-up and apart from scoring. A "
    "policy that plans once has its work in the 99th percentile."
)
SIZES = "Numbers that a decision needs, and the size of the files that ship; - for a rule."
COLUMNS = (
    Column(key="assumption", value=lambda row: row.assumption),
    Column(key="mean", value=lambda row: row.mean, views=_mean),
    Column(key="ci95", value=lambda row: row.ci95, views=_interval, meaning=_interval_meaning),
    Column(
        key="iqm",
        value=interquartile_mean,
        views=lambda comparison: [
            View("interquartile mean", "", lambda row: comparison.metric.number(interquartile_mean(row)))
        ],
        meaning=_interquartile_meaning,
    ),
    Column(key="episodes", value=lambda row: len(row.scores)),
    Column(
        key="normalised",
        value=lambda row: row.normalised,
        views=_normalised,
        note=_normalised_note,
        meaning=_normalised_meaning,
    ),
    Column(key="skill", value=lambda row: row.skill, views=_skill, note=_skill_note, meaning=_skill_meaning),
    Column(key="per_episode", value=lambda row: row.scores),
    Column(
        key="terms",
        value=lambda row: row.terms,
        place=DETAILS,
        views=_terms,
        meaning=lambda comparison: {term.label: term.meaning for term in comparison.setup.terms},
    ),
    Column(
        key="paired",
        value=lambda row: row.paired and asdict(row.paired),
        views=_paired,
        note=_paired_note,
        meaning=_paired_meaning,
    ),
    Column(
        key="decision_ms",
        value=lambda row: row.decision_ms,
        place=DETAILS,
        views=_decision,
        meaning=lambda comparison: {"decision": DECISION},
    ),
    Column(
        key="parameters",
        value=lambda row: row.parameters,
        place=DETAILS,
        views=lambda comparison: [View("parameters", "para-\nmeters", lambda row: formats.count(row.parameters))],
        meaning=lambda comparison: {"parameters, bytes": SIZES},
    ),
    Column(
        key="bytes",
        value=lambda row: row.bytes,
        place=DETAILS,
        views=lambda comparison: [View("bytes", "", lambda row: formats.count(row.bytes))],
    ),
)
"""In the order of the JSON, and of the headings of each table."""
