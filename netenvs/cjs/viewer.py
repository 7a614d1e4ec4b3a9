"""Pictures of a Spark cluster: who worked for which job when, as pixels, as a figure or as columns; one step as a line.

Everything here is a function of the logs of an episode: ``TASK_LOG`` and ``JOB_LOG`` of ``netenvs.cjs.kernel``.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MUTED, GRID, SYSTEM = "#1f2933", "#66727f", "#d9dee4", "#1769aa"
JOB_COLOURS = (
    "#0072b2 #f0e442 #882255 #56b4e9 #117733 #ffaabb #332288 #ddcc77 #cc6677 #99ddff #999933 #cc79a7".upper().split()
)
"""Twelve colours of the palettes of Okabe and Ito (2008) and of Paul Tol (muted, light). Chosen together: no two are
closer than 18 in CIELAB, neither for normal sight nor for protanopia or deuteranopia as simulated by Machado et al.
(2009); in this order neighbours are further apart."""

WIDTH, HEIGHT = 900, 600  # pixels, at 100 per inch
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 40, 46  # margins
JOBS_HEIGHT, BETWEEN = 100, 34  # of the lower panel, and between the panels
GANTT_HEIGHT = HEIGHT - TOP - BOTTOM - JOBS_HEIGHT - BETWEEN
AXIS_WIDTH = WIDTH - LEFT - RIGHT
TALLEST_BAR = 44
LABELLED_ROW = 7.5  # lower rows carry no job numbers
SHARE_OF_ROW = 0.84
MOST_LABELS = 160

UNITS = (("s", 1e3, 600e3), ("min", 60e3, 4 * 3600e3), ("h", 3600e3, 4 * 86400e3), ("days", 86400e3, math.inf))
"""Name, length in ms, axes up to this length use it."""


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
    bars = _bars(tasks, math.inf, 0.0)
    return {
        "executor": bars["executor"],
        "job": bars["job"],
        "start_s": bars["start_ms"] / 1000.0,
        "end_s": bars["end_ms"] / 1000.0,
    }


def episode_figure(tasks: np.ndarray, jobs: np.ndarray, num_executors: int, now_ms: float, title: str = "") -> Figure:
    """What every executor did (a Gantt chart, one row each), and jobs in the system, from the beginning to ``now_ms``.

    ``tasks``: TASK_LOG (tasks,). ``jobs``: JOB_LOG (jobs,) of all jobs that have arrived, ``completion_ms`` inf for
    those not done. Both may run beyond ``now_ms``: a picture shows what had happened by then, and a job keeps its
    colour in all pictures of an episode. The area under the lower line is the sum of the times that jobs have
    spent in the system, the reward with its sign changed.

    ValueError: a task of a job that is not among ``jobs``, or of an executor that does not exist.
    """
    from matplotlib.figure import Figure

    _check(tasks, jobs, num_executors)
    jobs = np.sort(jobs[jobs["arrival_ms"] <= now_ms], order=["arrival_ms", "job"])
    end_ms = now_ms if now_ms > 0 else 1000.0
    unit, unit_ms = next((name, length) for name, length, longest in UNITS if end_ms <= longest)

    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100, facecolor="white")
    gantt = figure.add_axes(
        (LEFT / WIDTH, 1 - (TOP + GANTT_HEIGHT) / HEIGHT, AXIS_WIDTH / WIDTH, GANTT_HEIGHT / HEIGHT)
    )
    system = figure.add_axes((LEFT / WIDTH, BOTTOM / HEIGHT, AXIS_WIDTH / WIDTH, JOBS_HEIGHT / HEIGHT), sharex=gantt)
    _draw_gantt(gantt, tasks, jobs, num_executors, now_ms, end_ms, unit_ms)
    _draw_jobs_in_system(system, jobs, now_ms, unit_ms)
    gantt.set_title(title, loc="left", fontsize=11, color=INK)
    system.set(xlabel=f"time ({unit})", xlim=(0, end_ms / unit_ms))
    for axes in (gantt, system):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK)
    return figure


def frame(tasks: np.ndarray, jobs: np.ndarray, num_executors: int, now_ms: float, title: str = "") -> np.ndarray:
    """``episode_figure`` as pixels, uint8 (600, 900, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(episode_figure(tasks, jobs, num_executors, now_ms, title))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def job_colours(jobs: np.ndarray) -> dict[int, str]:
    """A colour for every job, JOB_LOG (jobs,): the one with the fewest jobs in the system at the job's arrival, of
    these the one not given for longest. Jobs that share a colour are therefore far apart in time, unless more than
    twelve are in the system at once. A job's colour depends on what happened before its arrival alone.
    """
    colours: dict[int, str] = {}
    in_use = [0] * len(JOB_COLOURS)
    given = [-1] * len(JOB_COLOURS)
    in_system: list[tuple[float, int]] = []
    for number, job in enumerate(np.sort(jobs, order=["arrival_ms", "job"])):
        while in_system and in_system[0][0] <= job["arrival_ms"]:
            in_use[heapq.heappop(in_system)[1]] -= 1
        colour = min(range(len(JOB_COLOURS)), key=lambda c: (in_use[c], given[c], c))
        in_use[colour] += 1
        given[colour] = number
        heapq.heappush(in_system, (float(job["completion_ms"]), colour))
        colours[int(job["job"])] = JOB_COLOURS[colour]
    return colours


def _bars(tasks: np.ndarray, now_ms: float, pause_ms: float) -> dict[str, np.ndarray]:
    """Tasks by executor and time up to ``now_ms``; those of one job with no longer pause between them made one."""
    tasks = tasks[tasks["start_ms"] < now_ms]
    tasks = tasks[np.lexsort((tasks["start_ms"], tasks["executor"]))]
    end_ms = np.minimum(tasks["start_ms"] + tasks["duration_ms"], now_ms)
    apart = (
        (tasks["executor"][1:] != tasks["executor"][:-1])
        | (tasks["job"][1:] != tasks["job"][:-1])
        | (tasks["start_ms"][1:] > end_ms[:-1] + pause_ms)
    )
    first = np.flatnonzero(np.append(True, apart)[: len(tasks)])
    last = np.flatnonzero(np.append(apart, True)[-len(tasks) :]) if len(tasks) else first
    return {
        "executor": tasks["executor"][first].astype(np.int64),
        "job": tasks["job"][first].astype(np.int64),
        "start_ms": tasks["start_ms"][first],
        "end_ms": end_ms[last],
    }
