"""A comparison as one HTML page that needs nothing else: no network, no scripts, pictures inside."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import Any

from benchmarks import formats
from benchmarks.compare import table
from benchmarks.compare.evaluate import Comparison, Row
from benchmarks.compare.plots import Plot
from benchmarks.statistics import RESAMPLES

STYLE = """
:root { color-scheme: light; --ink: #1f2933; --soft: #52606d; --line: #d9dee4; --wash: #f5f7fa; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: var(--ink);
       font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", Arial, sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .7rem; padding-bottom: .3rem;
     border-bottom: 1px solid var(--line); }
p, li { max-width: 48rem; }
.lead { color: var(--soft); margin: 0 0 1.4rem; font-size: 1.05rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; width: 100%; }
caption { text-align: left; color: var(--soft); padding-bottom: .5rem; }
th, td { padding: .42rem .6rem; text-align: right; white-space: nowrap;
         border-bottom: 1px solid var(--line); }
thead th { vertical-align: bottom; border-bottom: 2px solid var(--ink); white-space: normal; }
th:first-child { text-align: left; padding-left: 0; }
th { font-weight: 600; }
tbody th { white-space: normal; overflow-wrap: break-word; min-width: 9.5rem; max-width: 20rem; }
.notes { color: var(--soft); font-size: .92rem; padding-left: 1.1rem; }
.range { color: var(--soft); }
.failed td { text-align: left; white-space: normal; color: #9b1c1c; }
.facts th, .facts td { text-align: left; white-space: normal; overflow-wrap: anywhere; vertical-align: top; }
.facts th { width: min(13rem, 36vw); min-width: 0; font-weight: 600; }
pre { background: var(--wash); border: 1px solid var(--line); border-radius: 6px; padding: .8rem 1rem;
      font-size: .88rem; white-space: pre-wrap; overflow-wrap: anywhere; }
code { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
figure { margin: 1.4rem 0 2.4rem; break-inside: avoid; }
figure img { display: block; width: 100%; max-width: 58rem; height: auto; }
figcaption { color: var(--soft); font-size: .92rem; margin-top: .5rem; max-width: 48rem; }
dt { font-weight: 600; margin-top: .7rem; } dd { margin: 0; max-width: 48rem; }
footer { margin-top: 3rem; color: var(--soft); font-size: .88rem; }
@media print {
  body { font-size: 10.5pt; } main { max-width: none; padding: 0; } .scroll { overflow: visible; }
  table { font-size: 8pt; } th, td { padding: .25rem .35rem; }
  h2 { break-after: avoid; } tr { break-inside: avoid; }
  tbody th { min-width: 0; } figure img { max-width: 100%; }
}
"""

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # the page can fetch nothing


def html(comparison: Comparison, plots: Sequence[Plot]) -> str:
    """The whole page."""
    task, setup = comparison.task, comparison.setup
    title = f"{task.title}: {setup.dataset}"
    pictures = "".join(_figure(plot) for plot in plots) or "<p>No policy has results, so there is nothing to draw.</p>"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<p class="lead">{escape(_summary(comparison))}</p>
<h2>What was compared</h2>
{_facts(_compared(comparison))}
<p>The same again, from the root of the project:</p>
<pre><code>{escape(comparison.settings["command"])}</code></pre>
<h2>Results</h2>
{_results(comparison)}
{_notes(comparison)}
<h2>Plots</h2>
{pictures}
<h2>Terms, decisions and size</h2>
{_details(comparison)}
<h2>Settings and versions</h2>
{_facts(_settings(comparison))}
<h2>How to read this</h2>
{_help(comparison)}
<footer>All numbers in full precision, and the metric of every {escape(comparison.task.noun)}, are in
<code>results.json</code> beside this page; each plot is there as PNG with the CSV that it was drawn from.</footer>
</main>
</body>
</html>
"""


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
        f"{comparison.task.noun}s": f"{settings['episodes']:,}, the same for every policy",
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


def _facts(facts: dict[str, str]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>\n' for name, value in facts.items()
    )
    return f'<table class="facts"><tbody>\n{rows}</tbody></table>'


def _results(comparison: Comparison) -> str:
    rows, metric = comparison.rows, comparison.setup.metric
    headings = ["policy", "mean", "95 % interval", "interquartile mean"]
    normalised = any(row.normalised is not None for row in rows)
    skill = any(row.skill is not None for row in rows)
    headings += ["normalised"] * normalised + ["skill"] * skill
    percent = comparison.in_percent
    if comparison.reference:
        headings += [f"minus {_reference(comparison)}", "95 % interval"]
        headings += [f"minus {_reference(comparison)}, %", "95 % interval"] * percent

    def cells(row: Row) -> list[str]:
        values = [metric.number(row.mean), _range(metric.interval(row.ci95)), metric.number(row.iqm)]
        values += [formats.number(row.normalised)] * normalised + [formats.number(row.skill)] * skill
        if comparison.reference:
            paired = row.paired
            values += [
                metric.signed(paired.mean if paired else None),
                _range(metric.interval(paired.ci95 if paired else None)),
            ]
            if percent:
                values += [
                    formats.percent(paired.percent if paired else None),
                    _range(formats.percent_interval(paired.percent_ci95 if paired else None)),
                ]
        return values

    return _table(f"{metric.label}, best policy first", headings, rows, cells)


def _details(comparison: Comparison) -> str:
    parts = comparison.setup.terms

    def cells(row: Row) -> list[str]:
        times = row.decision_ms or {}
        return [
            *(part.number(row.terms.get(part.name)) for part in parts),
            *(formats.milliseconds(times.get(name)) for name in ("p50", "p99")),
            formats.count(row.parameters),
            formats.count(row.bytes),
        ]

    headings = [
        "policy",
        *(part.label for part in parts),
        *("decision, median (ms)", "decision, 99th percentile (ms)", "parameters", "bytes"),
    ]
    return _table(f"Means over all {comparison.task.noun}s; decisions one at a time", headings, comparison.rows, cells)


def _table(caption: str, headings: Sequence[str], rows: Sequence[Row], cells: Any) -> str:
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    lines = []
    for row in rows:
        broken = escape(row.policy).replace("(", "<wbr>(")
        name = f'<th scope="row">{broken}{escape(row.label.removeprefix(row.policy))}</th>'
        if row.error:
            lines.append(f'<tr class="failed">{name}<td colspan="{len(headings) - 1}">{escape(row.error)}</td></tr>')
        else:
            lines.append(f"<tr>{name}{''.join(f'<td>{cell}</td>' for cell in cells(row))}</tr>")
    body = "\n".join(lines)
    return (
        f'<div class="scroll" tabindex="0"><table><caption>{escape(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _reference(comparison: Comparison) -> str:
    """The policy that the others are compared with, in two words at most."""
    return str(comparison.reference) if comparison.reference_is_fixed else "best"


def _range(text: str) -> str:
    return f'<span class="range">{text}</span>'


def _notes(comparison: Comparison) -> str:
    notes = [note for note in table.notes(comparison) if not note.startswith("failed: ")]
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<ul class="notes">{items}</ul>' if items else ""


def _figure(plot: Plot) -> str:
    data = base64.b64encode(plot.png).decode("ascii")
    alt = escape(f"{plot.title}. {plot.alt}", quote=True)
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{alt}">'
        f"<figcaption>{escape(plot.caption)} <code>{escape(plot.name)}.csv</code></figcaption></figure>\n"
    )


def _help(comparison: Comparison) -> str:
    metric, groups = comparison.setup.metric, comparison.setup.groups
    noun, nouns = comparison.task.noun, f"{comparison.task.noun}s"
    drawn = f"{groups.noun}s" if groups else nouns
    together = ""
    if groups:
        together = f" {nouns.capitalize()} of one {groups.noun} resemble each other, so they are drawn together. "
        together += groups.caveat
    entries = {
        "mean, interval": f"{metric.label}, averaged over the {nouns}. The 95 % interval is a percentile "
        f"bootstrap over {drawn} ({RESAMPLES} resamples, fixed seed): how far the mean would move with "
        f"other {drawn} of the same kind.{together}",
        "interquartile mean": f"The mean of the middle half of the {nouns}: a few very good or very bad ones "
        "move it less.",
    }
    if comparison.reference:
        role = "" if comparison.reference_is_fixed else ", the best baseline"
        entries[f"minus {_reference(comparison)}"] = (
            f"Difference to {comparison.reference}{role}, {noun} by {noun}. Because both "
            f"played the same {nouns}, this interval is usually narrower than the two separate ones suggest: "
            "look here, not at whether those overlap. An interval with 0 in it leaves open which is better."
        )
    if comparison.in_percent:
        entries[f"minus {_reference(comparison)}, %"] = (
            f"The mean divided by that of {comparison.reference}, minus 1; the bootstrap of the interval draws "
            f"{drawn} in pairs, too. Long {nouns} weigh more than in a mean of ratios."
        )
    if comparison.task.anchors and any(row.normalised is not None for row in comparison.rows):
        zero, one = comparison.task.anchors
        entries["normalised"] = (
            f"{zero} is 0 and {one} is 1: the share of the possible improvement that a policy reaches. It "
            "makes data sets comparable, where the raw metric depends on the workload."
        )
    if any(row.skill is not None for row in comparison.rows):
        entries["skill"] = comparison.task.skill_meaning
    if any(row.privileged for row in comparison.rows):
        entries["*"] = "Knows the future, which no deployed policy does: a bound, not a rival."
    if comparison.assumptions:
        entries["\N{DAGGER}"] = (
            f"Needs {'; '.join(comparison.assumptions)}. The other policies do without: where that is not at hand, "
            "compare them with each other."
        )
    entries.update({part.label: part.meaning for part in comparison.setup.terms})
    entries["decision"] = (
        "Wall time of one decision at a time on the processor named above, after a warm-up and apart from "
        "scoring. A policy that plans once has its work in the 99th percentile."
    )
    entries["parameters, bytes"] = "Numbers that a decision needs, and the size of the files that ship; - for a rule."
    return (
        "<dl>"
        + "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>\n" for name, text in entries.items())
        + "</dl>"
    )
