"""Tables and pictures of an ablation: a Markdown report, and PNG files beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from benchmarks import formats
from benchmarks.drawing import ACCENT, DASHES, INK, PALETTE, SOFT, WIDTH, style, to_png
from netenvs.files import write_atomically

REPORT = "ablation.md"
ROW_INCHES, LEAST_INCHES = 0.34, 2.6


def write(results: Mapping[str, Any], folder: Path) -> list[str]:
    """Write the report and its pictures; returns its lines."""
    lines = [
        f"# Ablation: {results['cells']} cells, {results['cpu_min']:.1f} CPU minutes",
        "",
        f"Scale `{results['scale']['name']}`; "
        + ("installed traces" if results["installed"] else "generated traces: `netllm-abr` is not installed")
        + "; means over seeds, 95 % bootstrap intervals in brackets; QoE per chunk.",
    ]
    for name, answer in results["sections"].items():
        picture = folder / f"{name}.png"
        with style():
            write_atomically(picture, to_png(draw(answer)))
        lines += ["", f"## {name}: {answer['question']}", "", *table(answer["rows"])]
        lines += ["", *(f"{note}\n" for note in answer["notes"]), f"![{answer['question']}]({picture.name})"]
    write_atomically(folder / REPORT, "\n".join(lines) + "\n")
    return [*lines, "", f"written to {folder}: ablation.json, {REPORT}, a picture of each section"]


def table(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Lines of a Markdown table; a column for each name that occurs."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = ["| " + " | ".join(["", *columns]) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        lines.append("| " + " | ".join([name, *(text(row.get(column)) for column in columns)]) + " |")
    return lines


def text(value: Any) -> str:
    """A figure as ``mean [low, high]``, with how many seeds are censored; a number; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, Mapping):
        return f"{value:g}"
    decimals = 1 if value["mean"] is not None and abs(value["mean"]) >= 10 else 3
    words = [formats.number(value["mean"], decimals=decimals)]
    if value["ci95"]:
        words.append(formats.interval(tuple(value["ci95"]), decimals=decimals))
    if value.get("censored"):
        words.append(f"({value['censored']} of {len(value['values'])} censored)")
    return " ".join(words)


def draw(answer: Mapping[str, Any]) -> Picture:
    """Curves over steps, and over seconds where there are any, beside a dot with its interval for each arm."""
    curves, rows = answer["curves"], answer["rows"]
    timed = any("seconds" in curve for curve in curves.values())
    panels = len(answer["drawn"]) + bool(curves) + timed
    height = max(LEAST_INCHES + ROW_INCHES * len(rows), 3.6)
    picture = Picture(figsize=(WIDTH + 2.6 * (panels - 1), height), layout="constrained")
    axes = picture.subplots(1, panels, squeeze=False)[0]
    if curves:
        _curves(axes[0], curves, "step", "optimiser steps")
    if timed:
        _curves(axes[1], curves, "seconds", "CPU s, first weights included")
    for place, column in enumerate(answer["drawn"]):
        _dots(axes[place - len(answer["drawn"])], rows, column, names=place == 0, coloured=bool(curves))
    if curves:
        handles, names = axes[0].get_legend_handles_labels()
        picture.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    return picture


def _curves(axes: Axes, curves: Mapping[str, Mapping[str, Any]], x: str, label: str) -> None:
    for number, (name, curve) in enumerate(curves.items()):
        dashes = DASHES[number // len(PALETTE) % len(DASHES)]
        axes.plot(curve[x], curve["kl"], label=name, color=PALETTE[number % len(PALETTE)], linestyle=dashes, lw=1.6)
    axes.set(yscale="log", xlabel=label, title="KL to teacher, held-out sessions")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _dots(axes: Axes, rows: Mapping[str, Mapping[str, Any]], column: str, names: bool, coloured: bool) -> None:
    """A dot for each arm's mean, a line for its interval, a tick for each seed."""
    for place, row in enumerate(rows.values()):
        found, color = row[column], PALETTE[place % len(PALETTE)] if coloured else ACCENT
        if found["ci95"]:
            axes.plot(found["ci95"], [place, place], color=color, lw=2.2, alpha=0.45, solid_capstyle="round")
        axes.plot(found["values"], [place] * len(found["values"]), "|", color=SOFT, ms=8)
        axes.plot(found["mean"], place, "o", color=color, ms=6)
    axes.set(title=column[0].upper() + column[1:])
    axes.set_yticks(range(len(rows)), list(rows) if names else [""] * len(rows), color=INK)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="y", visible=False)
