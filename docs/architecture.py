"""Draw ``docs/architecture.png``: the floors, and where what is known of a task stands on each of them."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

FLOORS = [
    ("netenvs", "environments, data sets", "netenvs/<task>/", "Task", "#dbe7f3"),
    ("agents", "policies, sequence models", "agents/<task>/", "AgentTask", "#e2efda"),
    ("distill", "pools, teaching, distilling", "distill/recipes/<task>/", "Recipe", "#fdf0d5"),
    ("benchmarks", "comparing, speed, ablation", "benchmarks/tasks/<task>.py", "TaskComparison", "#f6dfdf"),
]
"""Package, what it holds, where a task's file is, the record in it, colour; from the ground up."""
INK = "#22303c"


def box(axes: plt.Axes, x: float, y: float, width: float, height: float, colour: str) -> None:
    """A box with round corners."""
    shape = FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0,rounding_size=0.12", fc=colour, ec=INK, lw=1)
    axes.add_patch(shape)


def draw(path: Path) -> None:
    """Write the picture."""
    matplotlib.use("Agg")
    figure, axes = plt.subplots(figsize=(9, 5.2), dpi=130)
    for floor, (package, holds, place, record, colour) in enumerate(FLOORS):
        y = 1.25 * floor
        box(axes, 0, y, 3.7, 0.9, colour)
        axes.text(0.2, y + 0.58, package, weight="bold", fontsize=13, color=INK, va="center")
        axes.text(0.2, y + 0.25, holds, fontsize=10, color=INK, va="center")
        box(axes, 4.6, y, 4.4, 0.9, "white")
        axes.text(4.8, y + 0.58, place, family="monospace", fontsize=10.5, color=INK, va="center")
        axes.text(4.8, y + 0.25, f"record {record}", fontsize=10, color=INK, va="center")
        axes.plot([3.7, 4.6], [y + 0.45] * 2, color=INK, lw=1, ls=":")
        if floor:
            arrow = FancyArrowPatch((1.85, y), (1.85, y - 0.35), arrowstyle="-|>", mutation_scale=14, color=INK)
            axes.add_patch(arrow)
            axes.text(2.0, y - 0.18, "imports", fontsize=9, color=INK, va="center")
    top = 1.25 * len(FLOORS)
    axes.text(0, top - 0.1, "shared code, written for any task", fontsize=10.5, style="italic", color=INK)
    axes.text(4.6, top - 0.1, "what is known of one task", fontsize=10.5, style="italic", color=INK)
    axes.set(xlim=(-0.1, 9.1), ylim=(-0.1, top + 0.2))
    axes.axis("off")
    figure.savefig(path, bbox_inches="tight", facecolor="white")


if __name__ == "__main__":
    draw(Path(__file__).with_suffix(".png"))
