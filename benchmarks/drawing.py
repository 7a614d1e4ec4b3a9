"""The look of all pictures.

Colours are those that colour-blind readers can tell apart (Okabe and Ito, *Color Universal Design*, 2008; Tol, *Colour
Schemes*, 2021).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, SOFT, GRID, ACCENT = "#1f2933", "#5b6770", "#d9dee4", "#0072b2"
PALETTE = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#56b4e9", "#e69f00"),
    *("#882255", "#999933", "#7f7f7f", "#332288", "#44aa99"),  # Tol, Colour Schemes, 2021: muted
)
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "white",
    "savefig.dpi": 160,
}
WIDTH = 9.0  # inches


@contextmanager
def style() -> Iterator[None]:
    """The project's look, inside the block."""
    look: dict[Any, Any] = {**matplotlib.rcParamsDefault, **STYLE, "backend": matplotlib.rcParams["backend"]}
    with matplotlib.rc_context(look):
        yield


@dataclass(frozen=True)
class Plot:
    """A picture, what it says, and its data."""

    name: str
    """Of its files, without ending."""
    title: str
    caption: str
    alt: str
    """The picture in words, for those who do not see it."""
    png: bytes
    columns: Mapping[str, Sequence[Any]]


def beside(axes: Axes, i: int, text: str) -> None:
    """Numbers to the right of row ``i``."""
    axes.annotate(
        text,
        xy=(1.0, i),
        xycoords=axes.get_yaxis_transform(),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        family="monospace",
        fontsize=9,
        annotation_clip=False,
    )


def to_png(figure: Figure) -> bytes:
    """A figure as PNG, the same bytes for the same figure."""
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
