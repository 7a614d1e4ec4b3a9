"""What the pictures of all tasks have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, MUTED, GRID = "#1f2933", "#66727f", "#d9dee4"
BLUE, ORANGE, GREY = "#1769aa", "#c8541a", "#9aa5b1"


def style(axes: Axes, title: str, xlabel: str, ylabel: str) -> None:
    """Title, names of the axes, a light grid."""
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_xlabel(xlabel, color=INK)
    axes.set_ylabel(ylabel, color=INK)
    axes.grid(color=GRID, lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=9)


def short(name: str, most: int = 44) -> str:
    """The last part of a path, in the middle shortened to ``most`` characters."""
    name = name.rsplit("/", 1)[-1]
    return name if len(name) <= most else f"{name[: most // 2 - 1]}…{name[-(most - most // 2) :]}"


def draw_shares(axes: Axes, values: np.ndarray, weights: np.ndarray | None = None) -> None:
    """How large a share lies at or below each value: a step function from 0 to 1 over values (n,), weights (n,)."""
    order = np.argsort(values, kind="stable")
    weight = np.ones(len(values)) if weights is None else weights[order]
    share = np.cumsum(weight) / weight.sum()
    axes.step(np.append(values[order[0]], values[order]), np.append(0.0, share), where="post", color=BLUE, lw=1.6)
    axes.set_ylim(0, 1.02)
