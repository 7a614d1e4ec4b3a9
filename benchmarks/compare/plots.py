"""Plots of a comparison, each with the columns it was drawn from.

One style for all of them; colours that colour-blind readers can tell apart (Okabe and Ito, *Color Universal
Design*, 2008), with names beside the curves. Policies far worse than the rest, such as ``random``, do
not set the scale: an arrow and their numbers stand at the edge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from scipy.optimize import isotonic_regression

from agents.policy import Policy
from agents.rollout import Episode, binds, play
from benchmarks import formats
from benchmarks.compare.evaluate import Comparison, Row
from benchmarks.drawing import ACCENT, DASHES, PALETTE, SOFT, WIDTH, Plot, beside, style, to_png
from benchmarks.tasks.setup import Metric, TaskComparison
from netenvs.tasks import Task

SHORT_LABEL = 14
"""Characters that fit on one line under a panel of ``terms``."""
FAR_FROM_REFERENCE = 3.0
"""In ``relative``: this many times further to the worse side of the reference than the best policy is to the better."""
FAR = 5.0
"""Off the scale is what lies this many times further from the best policy than the median policy does."""


def draw(comparison: Comparison) -> list[Plot]:
    """Every plot of a comparison, none if no policy has results."""
    if not comparison.good_rows:
        return []
    with style():
        plots = [means(comparison), relative(comparison), profile(comparison), distribution(comparison)]
        plots += [terms(comparison), _example(comparison)]
    return [plot for plot in plots if plot]


def far_rows(comparison: Comparison) -> set[str]:
    """Policies that are off the scale: their means would squash the others together."""
    sign = 1.0 if comparison.setup.metric.better == "higher" else -1.0
    values = {row.policy: sign * row.value for row in comparison.good_rows}
    best, median = max(values.values()), float(np.median(list(values.values())))
    if best == median:
        return set()
    return {name for name, value in values.items() if best - value > FAR * (best - median)}


def means(comparison: Comparison) -> Plot:
    """A dot for each policy's mean and a line for its 95 % interval, best on top."""
    rows, metric = comparison.good_rows, comparison.setup.metric
    texts = [f"{metric.number(row.mean):>7} {metric.interval(row.ci95) if row.ci95 else ''}" for row in rows]
    dots = [_Dot(row, row.value, row.ci95, text) for row, text in zip(rows, texts, strict=True)]
    far = far_rows(comparison)
    figure, axes = _dot_chart(comparison, dots, f"{metric.label}, {metric.better} is better", far)
    normalised = _normalised_axis(comparison, axes)
    title = _title(figure, f"{comparison.setup.dataset}: mean and 95 % interval")
    caption = f"Mean and 95 % bootstrap interval over {comparison.drawn}."
    if normalised and comparison.how.anchors:
        zero, one = comparison.how.anchors
        caption += f" Upper axis: {zero} = 0, {one} = 1."
    return Plot(
        name="mean",
        title=title,
        caption=caption + _dot_notes(comparison, far),
        alt="; ".join(f"{row.policy} {metric.number(row.mean)} {metric.interval(row.ci95)}" for row in rows),
        png=to_png(figure),
        columns={
            "policy": [row.policy for row in rows],
            "mean": [row.mean for row in rows],
            "ci95_low": [row.ci95[0] if row.ci95 else None for row in rows],
            "ci95_high": [row.ci95[1] if row.ci95 else None for row in rows],
            "normalised": [row.normalised for row in rows],
        },
    )


def relative(comparison: Comparison) -> Plot | None:
    """Differences to the task's own reference, of the same episodes, with their intervals, best on top.

    In percent of the reference's mean where the metric says so.
    """
    metric, reference = comparison.setup.metric, comparison.reference
    rows = [row for row in comparison.good_rows if row.paired] if comparison.reference_is_fixed else []
    if not rows:
        return None
    dots = [_difference(row, metric, comparison.in_percent) for row in rows]
    what = (
        f"{metric.label}: % above or below {reference}"
        if comparison.in_percent
        else f"{metric.label} minus {reference}"
    )
    sign = 1.0 if metric.better == "lower" else -1.0
    gain = -min(sign * dot.value for dot in dots)
    far = {dot.row.policy for dot in dots if sign * dot.value > FAR_FROM_REFERENCE * gain > 0} | far_rows(comparison)
    figure, axes = _dot_chart(comparison, dots, f"{what}, {metric.better} is better", far)
    low, high = axes.get_xlim()
    room = 0.3 * (high - low) if far else 0.0  # so that arrows do not point at the line of the reference
    axes.set_xlim(min(low, 0.0 if sign > 0 else -room), max(high, room if sign > 0 else 0.0))
    axes.axvline(0, color=SOFT, lw=1.2, zorder=1)
    drawn = f"{comparison.drawn}, and the bootstrap draws " + (
        "them in place of single " + f"{comparison.how.noun}s" if comparison.setup.groups else "pairs of them"
    )
    ratio = "Ratio of the two means, minus 1. " if comparison.in_percent else ""
    return Plot(
        name="relative",
        title=_title(figure, f"{comparison.setup.dataset}: difference to {reference} and 95 % interval"),
        caption=f"{ratio}Every policy has met the same {drawn}: an interval without 0 tells a policy apart from "
        f"{reference}.{_dot_notes(comparison, far)}",
        alt="; ".join(f"{dot.row.policy} {dot.text.strip()}{' %' * comparison.in_percent}" for dot in dots),
        png=to_png(figure),
        columns={
            "policy": [dot.row.policy for dot in dots],
            "percent" if comparison.in_percent else "difference": [dot.value for dot in dots],
            "ci95_low": [dot.ci95[0] if dot.ci95 else None for dot in dots],
            "ci95_high": [dot.ci95[1] if dot.ci95 else None for dot in dots],
        },
    )


def profile(comparison: Comparison) -> Plot | None:
    """Means at each place inside an episode, and under them the differences to the reference; a curve per policy."""
    of, rows, reference = comparison.setup.profile, comparison.good_rows, comparison.reference
    if of is None:
        return None
    curves = {row.policy: np.mean([of.values(episode) for episode in row.episodes], axis=0) for row in rows}
    panels = {of.label: curves}
    if reference:
        panels[f"the same, minus {reference}"] = {name: curve - curves[reference] for name, curve in curves.items()}
    figure = Figure(figsize=(WIDTH, 0.6 + len(panels) * max(3.4, 0.9 + 0.2 * len(rows))), layout="constrained")
    cut: list[str] = []
    for axes, (label, shown) in zip(
        np.ravel(figure.subplots(len(panels), 1, sharex=True)), panels.items(), strict=True
    ):
        axes.set(xlim=(0, of.at[-1]), ylabel=label)
        low, high = _padded([0.0, *(bound for curve in shown.values() for bound in (curve.min(), curve.max()))], 0.04)
        if shown is curves:
            low = 0.0
        else:  # as far to the worse side as the best ones go to the better one
            cut = _cut_off(shown, of.better)
            kept = [bound for name, curve in shown.items() if name not in cut for bound in (curve.min(), curve.max())]
            low, high = _padded([0.0, *kept], 0.04)
            axes.axhline(0, color=SOFT, lw=1.2, zorder=1)
        axes.set_ylim(low, high)
        ends = {}
        for i, row in enumerate(rows):
            color, dash = PALETTE[i % len(PALETTE)], DASHES[i // len(PALETTE) % len(DASHES)]
            curve = shown[row.policy]
            axes.plot(of.at, curve, color=color, ls=dash, lw=1.9, zorder=4 - i / 100)
            if shown is curves or row.policy not in cut:
                ends[row.label] = (float(curve[-1]), color)
        _label_ends(axes, ends)
    axes.set_xlabel(of.at_label)
    title = _title(figure, f"{comparison.setup.dataset}: {of.title}")
    caption = f"Mean over {comparison.sample} at each step; {of.better} is better."
    if reference:
        caption += f" Lower panel: difference to {reference}."
    if cut:
        caption += f" Cut off there: {', '.join(cut)}."
    middle = len(of.at) // 2
    return Plot(
        name="profile",
        title=title,
        caption=caption + _marks(comparison),
        alt="; ".join(
            f"{name}: " + ", ".join(f"{formats.number(curve[k])} at {of.at[k]:g}" for k in (0, middle, -1))
            for name, curve in curves.items()
        ),
        png=to_png(figure),
        columns={
            "policy": [name for name in curves for _ in of.at],
            of.at_name: [at for _ in curves for at in of.at.tolist()],
            of.name: [value for curve in curves.values() for value in curve.tolist()],
        },
    )


def distribution(comparison: Comparison) -> Plot:
    """Share of the episodes, or of what they are made of, at or below each value; one curve per policy."""
    rows, metric, of = comparison.good_rows, comparison.setup.metric, comparison.setup.distribution
    if of is None:
        name, label, item = metric.name, f"{metric.label}, per {comparison.how.noun}", comparison.how.noun
        sample = {row.policy: np.sort(row.scores) for row in rows}
    else:
        name, label, item = of.name, of.label, of.item
        sample = {row.policy: np.sort(np.concatenate([of.values(e) for e in row.episodes])) for row in rows}
    far = far_rows(comparison)
    pooled = np.concatenate([sample[row.policy] for row in rows if row.policy not in far])
    low_tail, high_tail = np.percentile(pooled, [5, 95])
    margin = 0.35 * (high_tail - low_tail)
    low, high = _padded([max(pooled.min(), low_tail - margin), min(pooled.max(), high_tail + margin)], 0.02)
    figure = Figure(figsize=(WIDTH, max(4.6, 1.6 + 0.26 * len(rows))), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(low, high), ylim=(0, 1), xlabel=label, ylabel=f"share of {item}s")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    cut = 0
    heights = np.linspace(0.93, 0.07, len(rows)) if len(rows) > 1 else [0.5]
    for i, (row, height) in enumerate(zip(rows, heights, strict=True)):
        values = sample[row.policy]
        cut += int(np.count_nonzero((values < low) | (values > high)))
        share = np.arange(1, len(values) + 1) / len(values)
        color, dash = PALETTE[i % len(PALETTE)], DASHES[i // len(PALETTE) % len(DASHES)]
        x = [min(low, values[0]) - 1, *values, max(high, values[-1]) + 1]
        axes.step(x, [0.0, *share, 1.0], where="post", color=color, ls=dash, lw=1.9, zorder=4 - i / 100)
        _label_curve(axes, row.label, float(height), float(values[np.searchsorted(share, height)]), color)
    title = _title(
        figure,
        f"{comparison.setup.dataset}: distribution over {formats.plural(len(sample[rows[0].policy]), item)}",
    )
    caption = (
        f"Share of {item}s with at most this value; a curve further to the "
        f"{'right' if metric.better == 'higher' else 'left'} is better. A dot ties a name to its curve."
    )
    if cut:
        caption += f" {cut} of {sum(map(len, sample.values()))} values lie outside the axis."
    return Plot(
        name="cdf",
        title=title,
        caption=caption,
        alt="; ".join(
            f"{policy}: quartiles " + ", ".join(map(formats.number, np.percentile(values, [25, 50, 75])))
            for policy, values in sample.items()
        ),
        png=to_png(figure),
        columns={
            "policy": [policy for policy, values in sample.items() for _ in values],
            name: [value for values in sample.values() for value in values.tolist()],
            "share": [(k + 1) / len(values) for values in sample.values() for k in range(len(values))],
        },
    )


def terms(comparison: Comparison) -> Plot | None:
    """The terms beside the metric: one panel per term, one bar per policy."""
    rows, parts = comparison.good_rows, comparison.setup.terms
    if not parts:
        return None
    far = far_rows(comparison)
    figure = Figure(figsize=(WIDTH, 1.3 + 0.34 * len(rows)), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(parts), sharey=True))
    for part, axes in zip(parts, panels, strict=True):
        values = [row.terms[part.name] for row in rows]
        longest = max([row.terms[part.name] for row in rows if row.policy not in far], default=0.0)
        top = longest * 1.32 or 1.0
        for i, (row, value) in enumerate(zip(rows, values, strict=True)):
            outside = value > longest  # then the bar runs to the end of the axis, past all others
            color = SOFT if row.privileged else ACCENT
            axes.barh(i, top if outside else value, height=0.62, color=color)
            text = part.number(value) if value else "0"
            if outside:
                axes.text(
                    top * 0.98, i, f"{text} \N{RIGHTWARDS ARROW}", va="center", ha="right", fontsize=9, color="white"
                )
            else:
                axes.text(value + top * 0.02, i, text, va="center", fontsize=9)
        label = part.label if len(part.label) <= SHORT_LABEL else part.label.replace(" (", "\n(")
        label += f"\n{part.better} is better" if part.better else ""
        axes.set(xlim=(0, top), ylim=(len(rows) - 0.5, -0.5), xlabel=label)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=3)
    panels[0].set_yticks(range(len(rows)), [row.label for row in rows])
    title = _title(figure, f"{comparison.setup.dataset}: {comparison.how.terms_title}")
    caption = f"Means over all {comparison.how.noun}s, in the order of the main metric."
    if any(row.privileged for row in rows):
        caption += " Grey: knows the future."
    if far:
        caption += " A bar with an arrow is longer than the axis."
    caption += _marks(comparison)
    return Plot(
        name="terms",
        title=title,
        caption=caption,
        alt="; ".join(
            f"{row.policy}: " + ", ".join(f"{part.label} {part.number(row.terms[part.name])}" for part in parts)
            for row in rows
        ),
        png=to_png(figure),
        columns={
            "policy": [row.policy for row in rows],
            **{part.name: [row.terms[part.name] for row in rows] for part in parts},
        },
    )


def _example(comparison: Comparison) -> Plot | None:
    """The median episode of the best policy that does not know the future."""
    how, metric = comparison.how, comparison.setup.metric
    best = next((row for row in comparison.good_rows if not row.privileged), None)
    if how.example is None or best is None or best.player is None:
        return None
    number = int(np.argsort(best.scores, kind="stable")[(len(best.scores) - 1) // 2])
    again = play_again(comparison.task, how, best.player, best.episodes[number], comparison.settings["options"])
    figure, columns = again.collected
    score = comparison.setup.score(again)
    which = ", ".join([*(f"{name} {value}" for name, value in again.spec.options.items()), f"seed {again.spec.seed}"])
    caption = (
        f"{how.example_note} {which.capitalize()}, {metric.label} {metric.number(score)}: the median {how.noun} of "
        f"{best.policy}, the best policy{_who_does_not_know(comparison)}."
    )
    if score != best.scores[number]:
        caption += (
            f" Played again for this picture; before, it had {metric.number(best.scores[number])}, so "
            "reset(seed) does not determine what this policy does."
        )
    return Plot(
        name="example",
        title=f"{comparison.setup.dataset}: one {how.noun} of {best.policy}",
        caption=caption,
        alt=f"{which}, {best.policy}, over time",
        png=to_png(figure),
        columns={name: values.tolist() for name, values in columns.items()},
    )


def play_again(
    task: Task, how: TaskComparison, policy: Policy, episode: Episode, options: Mapping[str, Any]
) -> Episode:
    """``episode`` in an environment that records it; ``collected`` holds its figure and columns.

    The recorded actions are played, so that it does not matter whether the policy would choose them again; but a
    policy that looks into the environment may draw from its random stream, and then only the policy itself
    brings about the same episode.
    """
    player = policy if binds(policy) else _Recording(policy, episode)
    example = how.example
    assert example is not None
    (again,) = play(
        player,
        task.default_id,
        [episode.spec],
        {**options, **how.example_options},
        collect=lambda world, _: example(world),
    )
    return again


class _Recording(Policy):
    """Acts as recorded."""

    def __init__(self, policy: Policy, episode: Episode):
        self.name = policy.name
        self.episode = episode

    def reset(self, seed: int | None = None) -> None:
        self.actions = iter(self.episode.actions)

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        return next(self.actions)


@dataclass(frozen=True)
class _Dot:
    """A line of a dot chart."""

    row: Row
    value: float
    ci95: tuple[float, float] | None
    text: str
    """To the right of it."""

    @property
    def bounds(self) -> tuple[float, float]:
        """The interval, or the value twice."""
        return self.ci95 or (self.value, self.value)


def _difference(row: Row, metric: Metric, in_percent: bool) -> _Dot:
    """A line of ``relative``."""
    paired = row.paired
    assert paired is not None
    if in_percent:
        interval = formats.percent_interval(paired.percent_ci95) if paired.percent_ci95 else ""
        return _Dot(row, paired.percent or 0.0, paired.percent_ci95, f"{formats.percent(paired.percent):>7} {interval}")
    interval = metric.interval(paired.ci95) if paired.ci95 else ""
    return _Dot(row, paired.mean, paired.ci95, f"{metric.signed(paired.mean):>7} {interval}")


def _dot_chart(comparison: Comparison, dots: Sequence[_Dot], label: str, off_scale: set[str]) -> tuple[Figure, Axes]:
    """A dot and a line for its interval a policy, first on top; an arrow for those ``off_scale``."""
    near = [dot for dot in dots if dot.row.policy not in off_scale]
    if not near:
        near, off_scale = list(dots), set()
    figure = Figure(figsize=(WIDTH, 1.5 + 0.36 * len(dots)), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=_padded([bound for dot in near for bound in dot.bounds], 0.04), xlabel=label)
    axes.set_ylim(len(dots) - 0.5, -0.5)
    axes.set_yticks(range(len(dots)), [dot.row.label for dot in dots])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    for i, dot in enumerate(dots):
        beside(axes, i, dot.text)
        if dot.row.policy in off_scale:
            _off_scale(axes, i, at_left=comparison.setup.metric.better == "higher")
            continue
        axes.plot(dot.bounds, [i, i], color=ACCENT, lw=2.2, solid_capstyle="butt")
        face = "white" if dot.row.privileged else ACCENT
        axes.plot(dot.value, i, "o", ms=7, mfc=face, mec=ACCENT, mew=1.6)
    return figure, axes


def _dot_notes(comparison: Comparison, far: set[str]) -> str:
    """What to say of the marks of a dot chart."""
    text = " Open circle: knows the future." if any(row.privileged for row in comparison.good_rows) else ""
    return text + (f" Off the scale, see the arrow: {', '.join(sorted(far))}." if far else "") + _marks(comparison)


def _marks(comparison: Comparison) -> str:
    """What a dagger says, where there is one."""
    needs = comparison.assumptions
    return f" \N{DAGGER} needs {'; '.join(needs)}." if needs else ""


def _title(figure: Figure, text: str) -> str:
    figure.suptitle(text, x=0.01, ha="left", fontweight="bold", fontsize=11)
    return text


def _who_does_not_know(comparison: Comparison) -> str:
    """A relative clause, where some policies do know the future."""
    return " that does not know the future" if any(row.privileged for row in comparison.rows) else ""


def _padded(values: Sequence[float], part: float) -> tuple[float, float]:
    low, high = float(min(values)), float(max(values))
    margin = (high - low) * part or max(abs(high) * 0.1, 0.1)
    return low - margin, high + margin


def _off_scale(axes: Axes, i: int, at_left: bool) -> None:
    edge, inside = (0.0, 0.05) if at_left else (1.0, 0.95)
    axes.annotate(
        "",
        xy=(edge, i),
        xytext=(inside, i),
        xycoords=axes.get_yaxis_transform(),
        arrowprops={"arrowstyle": "-|>", "color": ACCENT, "lw": 2.2, "shrinkA": 0, "shrinkB": 0},
    )
    axes.annotate(
        "off the scale",
        xy=(0.06 if at_left else 0.94, i),
        xycoords=axes.get_yaxis_transform(),
        va="center",
        ha="left" if at_left else "right",
        color=SOFT,
        fontsize=9,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
    )


def _normalised_axis(comparison: Comparison, axes: Axes) -> bool:
    """An upper axis on which the anchors are 0 and 1; whether there is one."""
    anchors = comparison.how.anchors
    found = {row.policy: row.value for row in comparison.good_rows if row.normalised is not None}
    if not anchors or not found:
        return False
    zero, one = (found[name] for name in anchors)

    def normalise(value: Any) -> Any:
        return (value - zero) / (one - zero)

    def restore(share: Any) -> Any:
        return share * (one - zero) + zero

    top = axes.secondary_xaxis("top", functions=(normalise, restore))
    top.set_xlabel("normalised")
    top.spines["top"].set_visible(True)
    for value in (zero, one):
        axes.axvline(value, color=SOFT, lw=1, ls=(0, (2, 2)), zorder=1)
    return True


def _cut_off(differences: Mapping[str, np.ndarray], better: str) -> list[str]:
    """Policies so far to the worse side of the reference that the others could not be told apart."""
    sign = 1.0 if better == "lower" else -1.0
    worst = {name: float((sign * curve).max()) for name, curve in differences.items()}
    gain = -min(float((sign * curve).min()) for curve in differences.values())
    return [name for name, value in worst.items() if 0 < gain < value]


def _label_ends(axes: Axes, ends: Mapping[str, tuple[float, str]]) -> None:
    """Names to the right of the axes, as near the ends of their curves, (value, colour) each, as they have room."""
    low, high = axes.get_ylim()
    names = sorted(ends, key=lambda name: ends[name][0])
    levels = np.array([(ends[name][0] - low) / (high - low) for name in names])
    lines = min(0.065, 1.0 / max(len(names) - 1, 1)) * np.arange(len(names))  # of the axis
    heights = np.clip(isotonic_regression(levels - lines).x, 0.0, 1.0 - lines[-1]) + lines
    for name, level, height in zip(names, levels, heights, strict=True):
        axes.plot([1.0, 1.03], [level, height], color=ends[name][1], lw=1.6, transform=axes.transAxes, clip_on=False)
        axes.annotate(name, xy=(1.04, height), xycoords="axes fraction", va="center", fontsize=9, annotation_clip=False)


def _label_curve(axes: Axes, name: str, height: float, x: float, color: str) -> None:
    """The name beside the axes at this height, and a thin line to the curve, which passes ``(x, height)``."""
    low, high = axes.get_xlim()
    on_axis = low <= x <= high
    begin = x if on_axis else high - 0.03 * (high - low)  # a stub in the margin ties colour and name otherwise
    axes.plot([begin, high], [height, height], color=color, lw=0.8 if on_axis else 2.5, zorder=2)
    if on_axis:
        axes.plot(x, height, "o", color=color, ms=5, zorder=5)
        text = name
    else:
        text = f"\N{LEFTWARDS ARROW} {name}" if x < low else f"{name} \N{RIGHTWARDS ARROW}"
    axes.annotate(
        text,
        xy=(1.0, height),
        xycoords="axes fraction",
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        annotation_clip=False,
    )
