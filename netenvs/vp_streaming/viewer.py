"""Pictures of tiled streaming: what was fetched of a chunk and what is seen of it, and the episode so far.

The map is the equirectangular frame as in ``netenvs.vp.viewer``. Viewports are the boxes by which tiles count as seen;
one that goes over yaw +-180 goes on at the other edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netenvs.vp import sphere
from netenvs.vp.viewer import path_on_sphere, split_at_seam

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2933", "#66727f", "#d9dee4"
SEEN, HOLE, STALL = "#D55E00", "#c8102e", "#c8102e"
LIGHT, DARK = "#eef4f9", "#0b4f85"  # the lowest and the highest rate
QUALITY, FETCHED, WASTED, BUFFER = "#0072B2", "#56B4E9", "#9aa5b1", "#2e8540"

WIDTH, HEIGHT = 1200, 928  # pixels, at 100 per inch; multiples of 16, as video codecs like them
LEFT, RIGHT, TOP, BOTTOM = 72, 28, 58, 48  # margins
MAP_WIDTH = WIDTH - LEFT - RIGHT
MAP_HEIGHT = 480
PANELS = 3
BETWEEN_MAP, BETWEEN = 58, 16


class Scene(NamedTuple):
    """The newest chunk, and the episode up to it."""

    title: str
    chunk: int
    """Its number, from 0."""
    levels: np.ndarray
    """int (tile rows, tile columns): what was fetched of it, 0 = nothing, r = the r-th rate."""
    watched: np.ndarray
    """float (5, 3): roll, pitch, yaw in degrees while it is watched."""
    fov_deg: tuple[float, float]
    rates_mbps: np.ndarray
    """float (levels,)."""
    log: Mapping[str, np.ndarray]
    """Info columns, float (chunks,) each."""


def line(scene: Scene) -> str:
    """The newest chunk in one line of text."""
    last = {name: column[-1] for name, column in scene.log.items()}
    stall = f"stall {last['stall_s']:.2f} s" if last["stall_s"] > 0 else "no stall"
    hole = f"a hole in sight for {last['viewport_stall_s']:.1f} s" if last["viewport_stall_s"] > 0 else "no hole"
    return (
        f"{scene.title}, chunk {scene.chunk}: quality {last['quality']:.2f}, {last['fetched_mbyte']:.2f} Mbyte "
        f"({last['wasted_mbyte']:.2f} out of sight) in {last['delay_ms'] / 1000:.2f} s, "
        f"buffer {last['buffer_s']:.1f} s, {stall}, {hole}"
    )


def episode_figure(scene: Scene) -> Figure:
    """The newest chunk on the map; below it quality, data and buffer of all chunks so far."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100, facecolor="white")
    _draw_map(_panel(figure, HEIGHT - TOP - MAP_HEIGHT, MAP_HEIGHT), scene)
    room = HEIGHT - TOP - MAP_HEIGHT - BETWEEN_MAP - BOTTOM
    height = (room - BETWEEN * (PANELS - 1)) / PANELS
    panels = [_panel(figure, BOTTOM + (PANELS - 1 - i) * (height + BETWEEN), height) for i in range(PANELS)]
    _draw_episode(panels, scene)
    return figure


def frame(scene: Scene) -> np.ndarray:
    """``episode_figure`` as pixels, uint8 (928, 1200, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(episode_figure(scene))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def viewport_boxes(angles_deg: np.ndarray, fov_deg: tuple[float, float]) -> list[tuple[float, float, float, float]]:
    """The viewport of one sample, (3,), as boxes on the map: yaw and pitch of the corner, width and height, degrees.

    Two boxes where it goes over yaw +-180, and none of them over the poles.
    """
    width, height = fov_deg
    pitch, yaw = float(angles_deg[1]), float(sphere.wrap_deg(angles_deg[2]))
    top, bottom = max(pitch - height / 2, -90.0), min(pitch + height / 2, 90.0)
    left, right = yaw - width / 2, yaw + width / 2
    if width >= 360:
        return [(-180.0, top, 360.0, bottom - top)]
    parts = [(left, right)]
    if left < -180:
        parts = [(-180.0, right), (left + 360, 180.0)]
    elif right > 180:
        parts = [(left, 180.0), (-180.0, right - 360)]
    return [(begin, top, end - begin, bottom - top) for begin, end in parts]


def _panel(figure: Figure, bottom: float, height: float) -> Axes:
    """A panel of full width at a height in pixels."""
    return figure.add_axes((LEFT / WIDTH, bottom / HEIGHT, MAP_WIDTH / WIDTH, height / HEIGHT))


def _colours(levels: int) -> list[Any]:
    """Of level 0, white, and of each rate, from light to dark."""
    from matplotlib.colors import LinearSegmentedColormap

    scale = LinearSegmentedColormap.from_list("rates", (LIGHT, DARK))
    return [(1.0, 1.0, 1.0, 1.0), *(scale(share) for share in np.linspace(0, 1, levels))]


def _draw_map(axes: Axes, scene: Scene) -> None:
    from matplotlib.colors import ListedColormap
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch, Rectangle

    rows, columns = scene.levels.shape
    colours = _colours(len(scene.rates_mbps))
    axes.imshow(
        scene.levels,
        extent=(-180, 180, 90, -90),
        cmap=ListedColormap(colours),
        vmin=-0.5,
        vmax=len(colours) - 0.5,
        interpolation="nearest",
        aspect="auto",
        zorder=0,
    )
    axes.set(xlim=(-180, 180), ylim=(90, -90), ylabel="pitch (deg)", xlabel="yaw (deg)")
    axes.set_xticks(range(-180, 181, 45))
    axes.set_yticks(range(-90, 91, 30))
    axes.tick_params(colors=INK)
    for edge in np.linspace(-180, 180, columns + 1)[1:-1]:
        axes.axvline(edge, color=GRID, lw=0.7, zorder=1)
    for edge in np.linspace(-90, 90, rows + 1)[1:-1]:
        axes.axhline(edge, color=GRID, lw=0.7, zorder=1)

    seen = sphere.tile_masks(scene.watched, rows, columns, scene.fov_deg).any(axis=0)
    holes = seen & (scene.levels == 0)
    for row, column in np.argwhere(holes).tolist():
        place = (-180 + column * 360 / columns, -90 + row * 180 / rows)
        axes.add_patch(
            Rectangle(place, 360 / columns, 180 / rows, fill=False, hatch="xx", edgecolor=HOLE, lw=0, zorder=2)
        )
    for sample, width in ((scene.watched[0], 1.2), (scene.watched[-1], 2.2)):
        for x, y, across, down in viewport_boxes(sample, scene.fov_deg):
            _draw_box(axes, x, y, across, down, width)
    for number, part in enumerate(split_at_seam(path_on_sphere(scene.watched))):
        axes.plot(part[:, 0], part[:, 1], color=SEEN, lw=2.2, zorder=4, label="gaze" if number == 0 else None)
    end = split_at_seam(sphere.view_vectors(scene.watched[-1:]))[0]
    axes.scatter(end[:, 0], end[:, 1], s=64, color=SEEN, edgecolors="white", linewidths=0.8, zorder=5, clip_on=False)

    title = f"{scene.title}, chunk {scene.chunk}"
    axes.set_title(title if len(title) <= 120 else title[:119] + "…", loc="left", fontsize=11, color=INK, pad=24)
    handles: list[Any] = [
        Patch(facecolor=colour, edgecolor=MUTED, lw=0.6, label="not fetched" if level == 0 else f"{rate:g} Mbit/s")
        for level, (colour, rate) in enumerate(zip(colours, [0, *scene.rates_mbps], strict=True))
    ]
    handles.append(Line2D([], [], color=SEEN, lw=2.2, label="gaze; viewport at its start (thin) and end"))
    if holes.any():
        handles.append(Patch(facecolor="white", hatch="xxxx", edgecolor=HOLE, lw=0, label="hole in sight"))
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=len(handles),
        frameon=False,
        fontsize=9,
        borderaxespad=0.2,
        handlelength=1.4,
        columnspacing=1.4,
        labelcolor=INK,
    )


def _draw_box(axes: Axes, x: float, y: float, across: float, down: float, width: float) -> None:
    """A part of a viewport; the edge of the map is no edge of the viewport."""
    corners = [((x, y), (x + across, y)), ((x, y + down), (x + across, y + down))]
    corners += [((at, y), (at, y + down)) for at in (x, x + across) if -180 < at < 180]
    for (x0, y0), (x1, y1) in corners:
        axes.plot([x0, x1], [y0, y1], color=SEEN, lw=width, zorder=3, solid_capstyle="projecting")


def _draw_episode(panels: list[Axes], scene: Scene) -> None:
    from matplotlib.ticker import MaxNLocator

    log = scene.log
    quality, data, buffer = panels
    chunks = np.arange(len(log["quality"]))
    quality.plot(chunks, log["quality"], color=QUALITY, lw=1.8, marker="o", ms=3, label="quality in sight")
    quality.fill_between(
        chunks,
        log["quality"] - log["quality_spread"],
        log["quality"] + log["quality_spread"],
        color=QUALITY,
        alpha=0.18,
        lw=0,
        label="spread over its tiles",
    )
    quality.set_ylabel("quality")

    in_sight = log["fetched_mbyte"] - log["wasted_mbyte"]
    data.bar(chunks, in_sight, color=FETCHED, width=0.8, label="seen")
    data.bar(chunks, log["wasted_mbyte"], bottom=in_sight, color=WASTED, width=0.8, label="fetched, not seen")
    data.set_ylabel("Mbyte")
    data.set_ylim(0, max(float(log["fetched_mbyte"].max()), 0.1) * 1.35)

    buffer.plot(chunks, log["buffer_s"], color=BUFFER, lw=1.8, label="buffer")
    stalls, holes = log["stall_s"], log["viewport_stall_s"]
    buffer.bar(chunks, stalls, color=STALL, width=0.8, label="stall")
    buffer.bar(chunks, holes, bottom=stalls, color="white", edgecolor=HOLE, hatch="xxxx", lw=0, label="hole in sight")
    highest = max(float(log["buffer_s"].max()), float((stalls + holes).max()), 1.0)
    buffer.set(ylabel="s", xlabel="chunk (s of the video)", ylim=(0, highest * 1.35))
    for axes in panels:
        axes.set_xlim(-0.6, max(len(chunks), 10) - 0.4)
        axes.tick_params(colors=INK, labelbottom=axes is buffer)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.grid(color=GRID, lw=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(
            loc="upper right", frameon=False, fontsize=9, labelcolor=INK, borderaxespad=0.1, ncols=3, handlelength=1.4
        )
    low, high = quality.get_ylim()
    quality.set_ylim(low, high + 0.3 * (high - low))
