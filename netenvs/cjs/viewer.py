"""Pictures of a Spark cluster: who worked for which job when, as pixels, as a figure or as columns; one step as a line.

Everything here is a function of the logs of an episode: ``TASK_LOG`` and ``JOB_LOG`` of ``netenvs.cjs.kernel``.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.path import Path

INK, MUTED, GRID, SYSTEM = "#1f2933", "#66727f", "#d9dee4", "#1769aa"
# fmt: off
JOB_COLOURS = (
    "#0072B2", "#117733", "#56B4E9", "#882255", "#FFAABB", "#332288",
    "#CC6677", "#F0E442", "#99DDFF", "#DDCC77", "#CC79A7", "#999933",
)
# fmt: on
"""Twelve colours from the palettes of Okabe and Ito (2008) and of Paul Tol (muted, light), chosen and ordered for all
kinds of sight: in CIELAB any two are 18 apart and neighbours 46, to normal sight and to protanopes and deuteranopes as
simulated by Machado et al. (2009)."""

WIDTH, HEIGHT = 1200, 800  # pixels, at 100 per inch; multiples of 16, as video codecs like them
LEFT, RIGHT, TOP, BOTTOM = 72, 20, 40, 50  # margins
LEAST_JOBS_HEIGHT, BETWEEN = 130, 36  # of the lower panel, and between the panels
MOST_GANTT_HEIGHT = HEIGHT - TOP - BOTTOM - LEAST_JOBS_HEIGHT - BETWEEN
AXIS_WIDTH = WIDTH - LEFT - RIGHT
TALLEST_ROW = 60
LOWEST_SEPARATE_ROW, SHARE_OF_ROW = 4, 0.84  # from this height of a row on, the bar takes so much of it
LOWEST_NUMBERED_ROW, LARGEST_NUMBER, MOST_NUMBERS = 9, 13, 250  # from this height on, bars carry job numbers

UNITS = (("s", 1e3, 600e3), ("min", 60e3, 4 * 3600e3), ("h", 3600e3, 4 * 86400e3), ("days", 86400e3, math.inf))
"""Name, length in ms, axes up to this length use it."""

ROUNDING_MS = 1e-6
"""What is less than this after ``now_ms`` happened at that time: seconds do not always give the same ms."""


def line(
    time_s: float, jobs_in_system: int, jobs_done: int, committable: int, num_executors: int, source: str = ""
) -> str:
    """The state at a decision in one line of text.

    ``committable`` of ``num_executors`` executors are on offer; ``source`` says where they come from (``"job 3"``).
    """
    origin = f" from {source}" if source else ""
    return (
        f"{time_s:.1f} s: {jobs_in_system} {'job' if jobs_in_system == 1 else 'jobs'} in the system, "
        f"{jobs_done} done, {committable} of {num_executors} executors on offer{origin}"
    )


def gantt_columns(tasks: np.ndarray) -> dict[str, np.ndarray]:
    """The bars of the Gantt chart as columns, by executor and time: tasks without a pause between them are one bar.

    ``tasks``: TASK_LOG (tasks,). Returns ``executor`` and ``job``, int64, ``start_s`` and ``end_s``, float64, all
    (bars,). Time between two bars of an executor is time without a task: waiting, or moving to another job.
    """
    bars = _bars(tasks)
    return {
        "executor": bars["executor"],
        "job": bars["job"],
        "start_s": bars["start_ms"] / 1000.0,
        "end_s": bars["end_ms"] / 1000.0,
    }


def episode_figure(tasks: np.ndarray, jobs: np.ndarray, num_executors: int, now_ms: float, title: str = "") -> Figure:
    """What every executor did (a Gantt chart, one row each), and jobs in the system, from the beginning to ``now_ms``.

    ``tasks``: TASK_LOG (tasks,), in order of start, as logged. ``jobs``: JOB_LOG (jobs,) of all jobs that have
    arrived, in any order, ``completion_ms`` inf for those not done. Both may run beyond ``now_ms``: the picture shows
    what had happened by then, and a job has the same colour in all pictures of an episode. The area under the lower
    line is the time that jobs have spent in the system, the sum of rewards with its sign changed (at ``beta`` 0).

    ValueError: a task of a job that is not among ``jobs`` or of an executor that does not exist, or an impossible
    ``num_executors`` or ``now_ms``.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    _check(tasks, num_executors, now_ms)
    tasks = tasks[: np.searchsorted(tasks["start_ms"], now_ms)]
    jobs = jobs[jobs["arrival_ms"] <= now_ms + ROUNDING_MS]
    end_ms = now_ms if now_ms > 0 else 1000.0
    unit, unit_ms = next((name, length) for name, length, longest in UNITS if end_ms <= longest)

    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100, facecolor="white")
    gantt_height = min(MOST_GANTT_HEIGHT, TALLEST_ROW * num_executors)
    gantt_bottom = HEIGHT - TOP - gantt_height
    gantt = _panel(figure, gantt_bottom, gantt_height)
    system = _panel(figure, BOTTOM, gantt_bottom - BETWEEN - BOTTOM, sharex=gantt)
    _draw_gantt(gantt, tasks, jobs, num_executors, now_ms, end_ms, unit_ms)
    _draw_jobs_in_system(system, jobs, now_ms, unit_ms)
    gantt.set_title(title if len(title) <= 90 else title[:89] + "…", loc="left", fontsize=11, color=INK)
    system.set(xlabel=f"time ({unit})", xlim=(0, end_ms / unit_ms))
    system.xaxis.set_major_locator(MaxNLocator(12, steps=[1, 2, 5, 10]))
    for axes in (gantt, system):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK)
    return figure


def frame(tasks: np.ndarray, jobs: np.ndarray, num_executors: int, now_ms: float, title: str = "") -> np.ndarray:
    """``episode_figure`` as pixels, uint8 (800, 1200, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(episode_figure(tasks, jobs, num_executors, now_ms, title))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _bars(tasks: np.ndarray) -> dict[str, np.ndarray]:
    """executor, job, start_ms, end_ms, (bars,) each: tasks by executor and time, made one where a job goes on."""
    order = np.lexsort((tasks["start_ms"], tasks["executor"]))
    executor, job, start_ms = (tasks[name][order] for name in ("executor", "job", "start_ms"))
    end_ms = start_ms + tasks["duration_ms"][order]
    return _joined({"executor": executor.astype(np.int64), "job": job, "start_ms": start_ms, "end_ms": end_ms}, 0.0)


def _joined(bars: dict[str, np.ndarray], pause_ms: float) -> dict[str, np.ndarray]:
    """The bars, made one where a job goes on after no longer a pause."""
    executor, job, start_ms, end_ms = bars["executor"], bars["job"], bars["start_ms"], bars["end_ms"]
    apart = np.ones(len(job) + 1, np.bool_)  # is there a border before the bar? one after the last one, too
    apart[1:-1] = (executor[1:] != executor[:-1]) | (job[1:] != job[:-1]) | (start_ms[1:] > end_ms[:-1] + pause_ms)
    first, last = apart[:-1], apart[1:]
    return {"executor": executor[first], "job": job[first], "start_ms": start_ms[first], "end_ms": end_ms[last]}


def _colours(bars: dict[str, np.ndarray], jobs: np.ndarray) -> dict[int, str]:
    """A colour for every job that has started, chosen in order of start: another one than that of the job before it
    on its first executor; of these, one that the fewest jobs at work have; of these, the one not given for longest.

    So a job's colour does not depend on what happens later, up to twelve jobs at work at the same time differ, and
    so do jobs that follow each other.
    """
    completion_ms = dict(zip(jobs["job"].tolist(), jobs["completion_ms"].tolist(), strict=True))
    order = np.lexsort((bars["executor"], bars["start_ms"], bars["job"]))
    first_bars = order[np.unique(bars["job"][order], return_index=True)[1]]
    numbers = range(len(JOB_COLOURS))
    at_work, given = [0 for _ in numbers], [-1 for _ in numbers]
    ends: list[tuple[float, int]] = []
    chosen: dict[int, int] = {}
    for bar in first_bars[np.lexsort((bars["executor"][first_bars], bars["start_ms"][first_bars]))].tolist():
        job, start_ms = int(bars["job"][bar]), bars["start_ms"][bar]
        if job not in completion_ms:
            raise ValueError(
                f"a task of job {job}, which is not among the jobs: give those in the system too, completion_ms inf"
            )
        while ends and ends[0][0] <= start_ms:
            at_work[heapq.heappop(ends)[1]] -= 1
        follows = bar > 0 and bars["executor"][bar - 1] == bars["executor"][bar]
        taken = chosen[int(bars["job"][bar - 1])] if follows else None
        colour = min(numbers, key=lambda number: (number == taken, at_work[number], given[number]))
        at_work[colour] += 1
        given[colour] = len(chosen)
        heapq.heappush(ends, (completion_ms[job], colour))
        chosen[job] = colour
    return {job: JOB_COLOURS[colour] for job, colour in chosen.items()}


def _check(tasks: np.ndarray, num_executors: int, now_ms: float) -> None:
    if not 0 <= now_ms < math.inf:
        raise ValueError(f"now_ms must be a time since the beginning of the episode, not {now_ms}")
    if num_executors < 1:
        raise ValueError(f"num_executors must be 1 or more, not {num_executors}")
    if len(tasks) and tasks["executor"].max() >= num_executors:
        raise ValueError(f"a task of executor {tasks['executor'].max()}, but num_executors is {num_executors}")


def _panel(figure: Figure, bottom: float, height: float, **options: Any) -> Axes:
    """A panel of full width at a height in pixels."""
    return figure.add_axes((LEFT / WIDTH, bottom / HEIGHT, AXIS_WIDTH / WIDTH, height / HEIGHT), **options)


def _draw_gantt(
    axes: Axes, tasks: np.ndarray, jobs: np.ndarray, num_executors: int, now_ms: float, end_ms: float, unit_ms: float
) -> None:
    """One row an executor, number 0 on top; of more executors than pixels, one in so many."""
    from matplotlib.collections import PolyCollection
    from matplotlib.ticker import MaxNLocator

    one_in = math.ceil(num_executors / MOST_GANTT_HEIGHT)
    row = one_in * min(MOST_GANTT_HEIGHT / num_executors, TALLEST_ROW)
    pixel_ms = end_ms / AXIS_WIDTH
    bars = _bars(tasks)
    colours = _colours(bars, jobs)
    drawn = bars["executor"] % one_in == 0
    bars = _joined({name: column[drawn] for name, column in bars.items()}, pixel_ms / 2)
    bars["end_ms"] = np.minimum(bars["end_ms"], now_ms)

    left, right = bars["start_ms"] / unit_ms, _with_hairlines(bars, pixel_ms) / unit_ms
    middle = bars["executor"] + (one_in - 1) / 2
    half = one_in * (SHARE_OF_ROW if row >= LOWEST_SEPARATE_ROW else 1.0) / 2
    corners: Any = np.empty((len(middle), 4, 2))
    corners[:, :, 0] = np.stack([left, left, right, right], axis=1)
    corners[:, :, 1] = np.stack([middle - half, middle + half, middle + half, middle - half], axis=1)
    faces = [colours[job] for job in bars["job"].tolist()]
    axes.add_collection(
        PolyCollection(corners, facecolors=faces, linewidths=0, antialiased=row >= LOWEST_SEPARATE_ROW), autolim=False
    )
    if row >= LOWEST_NUMBERED_ROW:
        _number_bars(axes, bars, colours, min(0.75 * row, LARGEST_NUMBER), unit_ms, pixel_ms)

    axes.set(ylabel="executor" if one_in == 1 else f"executor (1 in {one_in} drawn)", ylim=(num_executors - 0.5, -0.5))
    axes.yaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.tick_params(axis="x", labelbottom=False)
    if now_ms > 0:
        work_ms = np.minimum(tasks["duration_ms"], now_ms - tasks["start_ms"]).sum()
        _note(axes, f"executors at work {100 * work_ms / (num_executors * now_ms):.0f} % of the time")


def _with_hairlines(bars: dict[str, np.ndarray], pixel_ms: float) -> np.ndarray:
    """Ends of the bars in ms, brought forward by up to a pixel where the next bar would touch."""
    executor, start_ms, end_ms = bars["executor"], bars["start_ms"], bars["end_ms"]
    touches = np.zeros(len(executor), np.bool_)
    touches[:-1] = (executor[1:] == executor[:-1]) & (start_ms[1:] < end_ms[:-1] + pixel_ms)
    return end_ms - np.where(touches, np.minimum(0.8 * pixel_ms, 0.3 * (end_ms - start_ms)), 0.0)


def _number_bars(
    axes: Axes, bars: dict[str, np.ndarray], colours: dict[int, str], size: float, unit_ms: float, pixel_ms: float
) -> None:
    """Numbers of the jobs, ``size`` pixels high, in bars with room: in the longest one of every job first, and so on.

    As paths: they are drawn several times faster than texts.
    """
    from matplotlib.collections import PathCollection
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    pixels = (bars["end_ms"] - bars["start_ms"]) / pixel_ms
    digits = 1 + np.floor(np.log10(np.maximum(bars["job"], 1)))
    roomy = np.flatnonzero(pixels > size * (0.64 * digits + 0.5))
    roomy = roomy[np.lexsort((-pixels[roomy], bars["job"][roomy]))]
    _, first, count = np.unique(bars["job"][roomy], return_index=True, return_counts=True)
    place_in_job = np.arange(len(roomy)) - np.repeat(first, count)
    roomy = roomy[np.lexsort((-pixels[roomy], place_in_job))][:MOST_NUMBERS]

    jobs = bars["job"][roomy].tolist()
    numbers = {job: _centred(TextPath((0, 0), str(job), size=size)) for job in set(jobs)}
    middle = (bars["start_ms"][roomy] + bars["end_ms"][roomy]) / 2 / unit_ms
    collection = PathCollection(
        [numbers[job] for job in jobs],
        offsets=np.stack([middle, bars["executor"][roomy]], axis=1),
        offset_transform=axes.transData,
        facecolors=["white" if _is_dark(colours[job]) else INK for job in jobs],
        linewidths=0,
    )
    collection.set_transform(Affine2D().scale(1 / 100) + axes.figure.dpi_scale_trans)
    axes.add_collection(collection, autolim=False)


def _centred(path: Path) -> Path:
    """The path with the middle of its extent at the origin."""
    from matplotlib.transforms import Affine2D

    outline = np.asarray(path.vertices)[np.asarray(path.codes) != path.CLOSEPOLY]
    x, y = (outline.min(axis=0) + outline.max(axis=0)) / 2
    return path.transformed(Affine2D().translate(-x, -y))


def _draw_jobs_in_system(axes: Axes, jobs: np.ndarray, now_ms: float, unit_ms: float) -> None:
    from matplotlib.ticker import MaxNLocator

    done = jobs[jobs["completion_ms"] <= now_ms + ROUNDING_MS]
    times_ms = np.minimum(np.concatenate([[0.0], jobs["arrival_ms"], done["completion_ms"], [now_ms]]), now_ms)
    change = np.concatenate([[0], np.ones(len(jobs), np.int64), -np.ones(len(done), np.int64), [0]])
    times_ms, order = np.unique(times_ms, return_inverse=True)
    count = np.cumsum(np.bincount(order, weights=change)).astype(np.int64)
    axes.plot(times_ms / unit_ms, count, color=SYSTEM, lw=1.4, drawstyle="steps-post")
    axes.fill_between(times_ms / unit_ms, count, color=SYSTEM, alpha=0.15, lw=0, step="post")
    axes.set(ylabel="jobs in system", ylim=(0, max(count.max() * 1.15, 1.15)))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    axes.grid(color=GRID, lw=0.6)
    axes.set_axisbelow(True)
    note = f"{len(jobs)} {'job' if len(jobs) == 1 else 'jobs'} arrived, {len(done)} done"
    if len(done):
        note += f", mean completion time {(done['completion_ms'] - done['arrival_ms']).mean() / 1000.0:.1f} s"
    _note(axes, note)


def _note(axes: Axes, text: str) -> None:
    """A small remark at the upper right, above the panel."""
    axes.annotate(
        text,
        (1.0, 1.0),
        (0, 6),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        color=MUTED,
        fontsize=9,
    )


def _is_dark(colour: str) -> bool:
    """Is white on it easier to read than ink? By relative luminance (WCAG 2)."""
    linear = [((int(colour[at : at + 2], 16) / 255 + 0.055) / 1.055) ** 2.4 for at in (1, 3, 5)]
    luminance: float = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return luminance < 0.22
