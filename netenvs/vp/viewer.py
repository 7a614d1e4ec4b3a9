"""Pictures of viewport prediction: one decision on the map of the video, as pixels or a figure, and as a line of text.

The map is the equirectangular frame: yaw from left to right, pitch from top to bottom, so that what is up in the
installed data sets is up here. Lines go the short way round the sphere, and on at the other side of the map.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netenvs.vp import sphere
from netenvs.vp.recordings import RATE_HZ

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2933", "#66727f", "#d9dee4"
ACTUAL, PREDICTED = "#0072B2", "#D55E00"  # blue and vermilion of Okabe and Ito (2008): unlike to all kinds of sight
OBSERVED = "#4b5763"
HEAT = ("#ffffff", "#efe9c8", "#d9c979")  # light, so that lines stand out on it

WIDTH, HEIGHT = 1200, 800  # pixels, at 100 per inch; multiples of 16, as video codecs like them
LEFT, RIGHT, TOP, BOTTOM = 72, 28, 40, 48  # margins
MAP_WIDTH = WIDTH - LEFT - RIGHT
MAP_HEIGHT = MAP_WIDTH // 2
BETWEEN = 52
ERRORS_HEIGHT = HEIGHT - TOP - MAP_HEIGHT - BETWEEN - BOTTOM
NOTE: dict[str, Any] = {"color": MUTED, "fontsize": 9}
TINT_ROWS = 540
POINTS_PER_EDGE = 200
POINTS_PER_STEP = 12


class Scene(NamedTuple):
    """One decision: what was observed, predicted and true. Angles are roll, pitch, yaw in degrees."""

    title: str
    history: np.ndarray
    """float (history, 3)."""
    predicted: np.ndarray | None
    """float (horizon, 3); None before the decision."""
    actual: np.ndarray | None
    """float (horizon, 3); None before the decision."""
    heat_map: np.ndarray | None
    """float (18, 36): where previous viewers look, row 0 at pitch -85, column 0 at yaw -175; None for none."""
    errors_deg: np.ndarray
    """float (decisions, horizon): great-circle distances of all decisions of the episode, this one the last."""


def line(scene: Scene) -> str:
    """The decision in one line of text."""
    _, pitch, yaw = scene.history[-1]
    seen = f"{scene.title}: looking to pitch {pitch:.1f}, yaw {yaw:.1f} deg"
    if scene.predicted is None or scene.actual is None:
        return seen
    errors = sphere.great_circle_deg(scene.predicted, scene.actual)
    still = sphere.great_circle_deg(scene.history[-1], scene.actual)
    return (
        f"{seen}; prediction off by {errors.mean():.1f} deg on average, {errors[-1]:.1f} after "
        f"{len(errors) / RATE_HZ:.1f} s (standing still: {still.mean():.1f}, {still[-1]:.1f})"
    )


def decision_figure(scene: Scene) -> Figure:
    """The decision on the map, with the viewports at the end of the horizon, and its error at each step.

    Below the lines lies the heat map of the previous viewers, the mean over the horizon.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100, facecolor="white")
    world = _panel(figure, HEIGHT - TOP - MAP_HEIGHT, MAP_HEIGHT)
    errors = _panel(figure, BOTTOM, ERRORS_HEIGHT)
    _draw_map(world, scene)
    _draw_errors(errors, scene)
    return figure


def frame(scene: Scene) -> np.ndarray:
    """``decision_figure`` as pixels, uint8 (800, 1200, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(decision_figure(scene))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def viewport_outline(angles_deg: np.ndarray, fov_deg: tuple[float, float] = sphere.FOV_DEG) -> np.ndarray:
    """The edge of what a camera of this field of view shows, float64 (n, 3) unit vectors, closed.

    The edges are arcs of great circles through the four corners. The camera looks along ``view_vectors`` of the angles
    (3,); roll turns it about this axis, from the direction of growing yaw to that of growing pitch.
    """
    width, height = (math.tan(math.radians(extent) / 2) for extent in fov_deg)
    along = np.linspace(-1.0, 1.0, POINTS_PER_EDGE)
    edge = np.ones_like(along)
    right = width * np.concatenate([along, edge, -along, -edge])
    down = height * np.concatenate([-edge, along, edge, -along])
    return _turned(np.stack([right, down, np.ones_like(right)], axis=-1), angles_deg)


def in_viewport(
    vectors: np.ndarray, angles_deg: np.ndarray, fov_deg: tuple[float, float] = sphere.FOV_DEG
) -> np.ndarray:
    """Which directions, unit vectors (..., 3), the camera of ``viewport_outline`` shows, bool (...)."""
    right, down, ahead = np.moveaxis(vectors @ _turned(np.eye(3), angles_deg).T, -1, 0)
    width, height = (math.tan(math.radians(extent) / 2) for extent in fov_deg)
    inside: np.ndarray = (np.abs(right) <= width * ahead) & (np.abs(down) <= height * ahead)
    return inside


def split_at_seam(vectors: np.ndarray) -> list[np.ndarray]:
    """A line on the sphere as lines on the map: (yaw, pitch) in degrees, float64 (n, 2) each.

    Where the line crosses yaw +-180, one ends at the edge of the map and the next begins at the other.
    """
    yaw = np.degrees(np.arctan2(vectors[:, 0], vectors[:, 2]))
    pitch = np.degrees(np.arctan2(vectors[:, 1], np.hypot(vectors[:, 0], vectors[:, 2])))
    points = np.stack([yaw, pitch], axis=-1)
    lines, begin = [], 0
    ends: list[np.ndarray] = []
    for i in np.flatnonzero(np.abs(np.diff(yaw)) > 180.0).tolist():
        side = math.copysign(180.0, yaw[i])
        beyond = yaw[i + 1] + 2 * side  # the next point, had the map gone on
        share = (side - yaw[i]) / (beyond - yaw[i]) if beyond != yaw[i] else 0.0
        crossing = pitch[i] + share * (pitch[i + 1] - pitch[i])
        lines.append(np.concatenate([*ends, points[begin : i + 1], [[side, crossing]]]))
        ends, begin = [np.array([[-side, crossing]])], i + 1
    lines.append(np.concatenate([*ends, points[begin:]]))
    return lines


def path_on_sphere(angles_deg: np.ndarray) -> np.ndarray:
    """Unit vectors along a path of angles (n, 3), with arcs of great circles between its samples."""
    vectors = sphere.view_vectors(angles_deg)
    share = np.linspace(0.0, 1.0, POINTS_PER_STEP, endpoint=False)[None, :, None]
    between = (1.0 - share) * vectors[:-1, None] + share * vectors[1:, None]
    points = np.concatenate([between.reshape(-1, 3), vectors[-1:]])
    length = np.linalg.norm(points, axis=-1)
    known = length > 1e-9  # between antipodes there is no shortest way
    directions: np.ndarray = points[known] / length[known, None]
    return directions


def _turned(vectors: np.ndarray, angles_deg: np.ndarray) -> np.ndarray:
    """Directions seen from a head (right, down, ahead) as directions of the video, unit vectors (n, 3)."""
    roll, pitch, yaw = np.radians(np.asarray(angles_deg, dtype=np.float64))
    right, down, ahead = (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).T
    right, down = right * np.cos(roll) - down * np.sin(roll), right * np.sin(roll) + down * np.cos(roll)
    down, ahead = down * np.cos(pitch) + ahead * np.sin(pitch), ahead * np.cos(pitch) - down * np.sin(pitch)
    right, ahead = right * np.cos(yaw) + ahead * np.sin(yaw), ahead * np.cos(yaw) - right * np.sin(yaw)
    return np.stack([right, down, ahead], axis=-1)


def _panel(figure: Figure, bottom: float, height: float) -> Axes:
    """A panel of full width at a height in pixels."""
    return figure.add_axes((LEFT / WIDTH, bottom / HEIGHT, MAP_WIDTH / WIDTH, height / HEIGHT))


def _draw_map(axes: Axes, scene: Scene) -> None:
    axes.set(xlim=(-180, 180), ylim=(90, -90), ylabel="pitch (deg)")
    axes.set_xlabel("yaw (deg)", loc="left")
    axes.set_xticks(range(-180, 181, 45))
    axes.set_yticks(range(-90, 91, 30))
    axes.tick_params(colors=INK)
    axes.grid(color=GRID, lw=0.6)
    axes.set_axisbelow(True)
    axes.set_title(
        scene.title if len(scene.title) <= 70 else scene.title[:69] + "…", loc="left", fontsize=11, color=INK
    )
    if scene.heat_map is not None:
        _draw_heat(axes, scene.heat_map)

    now = scene.history[-1:]
    _draw_path(axes, scene.history, OBSERVED, "observed")
    if scene.predicted is None or scene.actual is None:
        _draw_viewport(axes, now[0], OBSERVED)
        note = "outline: the viewport now, "
    else:
        _draw_viewport(axes, scene.actual[-1], ACTUAL)
        _draw_viewport(axes, scene.predicted[-1], PREDICTED, linestyle=(0, (5, 3)))
        _draw_path(axes, np.concatenate([now, scene.actual]), ACTUAL, "what the viewer did")
        _draw_path(axes, np.concatenate([now, scene.predicted]), PREDICTED, "prediction")
        note = f"outlines: viewports {len(scene.actual) / RATE_HZ:.1f} s ahead, "
    note += "{:.0f} x {:.0f} deg".format(*sphere.FOV_DEG)
    if scene.heat_map is not None:
        note = f"shade: where previous viewers looked; {note}"
    axes.annotate(note, (1, 0), (0, -32), xycoords="axes fraction", textcoords="offset points", ha="right", **NOTE)
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=3,
        frameon=False,
        fontsize=9,
        borderaxespad=0.2,
        handlelength=1.8,
        labelcolor=INK,
    )


def _draw_heat(axes: Axes, heat_map: np.ndarray) -> None:
    """Smooth, also over the seam: a column of the other side is added at each edge."""
    from matplotlib.colors import LinearSegmentedColormap

    cell = 360.0 / heat_map.shape[1]
    padded = np.pad(np.pad(heat_map, ((0, 0), (1, 1)), mode="wrap"), ((1, 1), (0, 0)), mode="edge")
    axes.imshow(
        padded,
        extent=(-180 - cell, 180 + cell, 90 + cell, -90 - cell),
        cmap=LinearSegmentedColormap.from_list("heat", HEAT),
        vmin=0.0,
        vmax=max(float(heat_map.max()), 1e-9),
        interpolation="bilinear",
        aspect="auto",
        zorder=0,
    )
    axes.set(xlim=(-180, 180), ylim=(90, -90))


def _draw_viewport(axes: Axes, angles_deg: np.ndarray, colour: str, **style: Any) -> None:
    """Its outline, and a tint of the inside, which around a pole is not easily seen otherwise."""
    from matplotlib.colors import to_rgba

    half = 180.0 / TINT_ROWS / 2
    pitch, yaw = np.arange(-90 + half, 90, 2 * half), np.arange(-180 + half, 180, 2 * half)
    cells = np.stack(np.broadcast_arrays(0.0, pitch[:, None], yaw), axis=-1)
    tint = np.zeros((*cells.shape[:2], 4))
    tint[in_viewport(sphere.view_vectors(cells), angles_deg)] = to_rgba(colour, 0.09)
    axes.imshow(tint, extent=(-180, 180, 90, -90), aspect="auto", zorder=1)
    _draw_line(axes, viewport_outline(angles_deg), colour, lw=1.6, **style)


def _draw_path(axes: Axes, angles_deg: np.ndarray, colour: str, label: str) -> None:
    """The path, a dot every second from its beginning, a larger one at its end."""
    _draw_line(axes, path_on_sphere(angles_deg), colour, lw=2.2, label=label)
    every_s = sphere.view_vectors(angles_deg[:: round(RATE_HZ)])
    for vectors, size in ((every_s, 22), (sphere.view_vectors(angles_deg[-1:]), 64)):
        points = np.concatenate([split_at_seam(vector[None])[0] for vector in vectors])
        axes.scatter(
            points[:, 0],
            points[:, 1],
            s=size,
            color=colour,
            edgecolors="white",
            linewidths=0.8,
            zorder=4,
            clip_on=False,
        )


def _draw_line(axes: Axes, vectors: np.ndarray, colour: str, **style: Any) -> None:
    for number, part in enumerate(split_at_seam(vectors)):
        if number:
            style.pop("label", None)  # one entry in the legend
        axes.plot(part[:, 0], part[:, 1], color=colour, solid_capstyle="round", zorder=3, **style)


def _draw_errors(axes: Axes, scene: Scene) -> None:
    from matplotlib.ticker import MaxNLocator

    horizon = scene.errors_deg.shape[1]
    ahead_s = np.arange(1, horizon + 1) / RATE_HZ
    axes.set(xlabel="time ahead (s)", ylabel="error (deg)", xlim=(0, horizon / RATE_HZ))
    axes.tick_params(colors=INK)
    axes.grid(color=GRID, lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    highest = 1.0
    if scene.predicted is not None and scene.actual is not None:
        lines = [
            (sphere.great_circle_deg(scene.predicted, scene.actual), PREDICTED, 2.2, "prediction"),
            (sphere.great_circle_deg(scene.history[-1], scene.actual), INK, 1.2, "standing still"),
        ]
        if len(scene.errors_deg) > 1:
            mean = scene.errors_deg.mean(axis=0)
            lines.append((mean, MUTED, 1.2, f"prediction, mean of {len(scene.errors_deg)}"))
        for errors, colour, width, label in lines:
            axes.plot(ahead_s, errors, color=colour, lw=width, label=label, linestyle="--" if colour == MUTED else "-")
            highest = max(highest, float(errors.max()))
        axes.legend(loc="upper left", frameon=False, fontsize=9, labelcolor=INK, borderaxespad=0.1, ncols=3)
    else:
        axes.annotate("no prediction yet", (0.5, 0.5), xycoords="axes fraction", ha="center", **NOTE)
    axes.set_ylim(0, highest * 1.35)
    axes.yaxis.set_major_locator(MaxNLocator(3))
