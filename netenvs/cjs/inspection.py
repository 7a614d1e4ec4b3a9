"""What ``python -m netenvs inspect`` says of cluster workloads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from netenvs.cjs.jobs import JobSet, Template
from netenvs.cjs.workload import read_jobs
from netenvs.inspection.drawing import BLUE, GREY, INK, draw_shares, short, style
from netenvs.inspection.record import Inspection, count, duration, number, spec_of, spread
from netenvs.readers.reader import AUTO

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


DOT_POINTS = 26
"""Room for the largest stage and some air, in points; where there is less all are drawn smaller."""


def inspect(path: str, *, format: str = AUTO, strict: bool = False, **options: Any) -> Inspection:
    """Jobs of a file or folder. Raises ``ValueError``; see ``Inspection``."""
    jobs, reading = read_jobs(path, format, strict, **options)
    stages = np.diff(jobs.stage_offset)
    tasks = np.add.reduceat(jobs.num_tasks.astype(np.int64), jobs.stage_offset[:-1])
    work_s, critical_s = _work_s(jobs), _critical_s(jobs)
    facts = [
        ("stages", f"{count(len(jobs.num_tasks), 'stages')}; a job {spread(stages)}"),
        ("edges", f"{count(len(jobs.parents), 'edges')} between stages, in all jobs"),
        ("tasks", f"{count(int(tasks.sum()), 'tasks')}; a job {spread(tasks)}"),
        ("task durations", f"{spread(jobs.rough_ms / 1000)} s (mean of each stage)"),
        ("critical path", f"{spread(critical_s)} s a job (longest chain of stages, a task of each)"),
        ("work", f"{duration(float(work_s.sum()))} of one executor; a job {spread(work_s)} s"),
    ]
    arrival_ms = getattr(jobs, "arrival_ms", None)
    play: dict[str, Any] = {"workload": spec_of(path, format, strict, options)}
    if arrival_ms is not None and len(arrival_ms) > 1 and arrival_ms[-1] > arrival_ms[0]:
        over_s = float(arrival_ms[-1] - arrival_ms[0]) / 1000
        busy = float(work_s.mean()) * (len(jobs) - 1) / over_s
        facts.append(("arrivals", f"recorded over {duration(over_s)}; they keep {number(busy)} executors busy"))
        play["arrivals"] = "recorded"
    return Inspection(
        found=count(len(jobs), "jobs"),
        play=play,
        reading=reading,
        facts=facts,
        draw=partial(_draw, jobs=jobs, work_s=work_s, critical_s=critical_s),
    )


def _work_s(jobs: JobSet) -> np.ndarray:
    """Tasks times mean duration, float64 (jobs,), s."""
    work: np.ndarray = np.add.reduceat(jobs.num_tasks * jobs.rough_ms, jobs.stage_offset[:-1]) / 1000
    return work


def _critical_s(jobs: JobSet) -> np.ndarray:
    """Longest path of each job, float64 (jobs,), s."""
    longest: np.ndarray = np.maximum.reduceat(jobs.critical_path_ms, jobs.stage_offset[:-1]) / 1000
    return longest


def _draw(figure: Figure, jobs: JobSet, work_s: np.ndarray, critical_s: np.ndarray) -> None:
    stages = np.diff(jobs.stage_offset)
    middle = int(np.argsort(stages, kind="stable")[len(stages) * 3 // 4])
    if len(jobs) == 1:
        _draw_graph(figure, figure.subplots(), jobs.template(0))
        return
    parts = figure.add_gridspec(2, 2)
    graph, work, path = (figure.add_subplot(part) for part in (parts[0, :], parts[1, 0], parts[1, 1]))
    _draw_graph(figure, graph, jobs.template(middle))
    for axes, values, title in ((work, work_s, "work (s of one executor)"), (path, critical_s, "critical path (s)")):
        if values.min() > 0 and values.max() > 20 * np.median(values):
            axes.set_xscale("log")
        draw_shares(axes, values)
        style(axes, "share of the jobs with no more than", title, "share")


def _draw_graph(figure: Figure, axes: Axes, job: Template) -> None:
    """Stages from left to right in the order in which they can run, as large as they have tasks."""
    depth = np.zeros(len(job), dtype=np.int64)
    for stage in range(len(job)):
        parents = job.parents(stage)
        depth[stage] = depth[parents].max() + 1 if len(parents) else 0
    height = np.zeros(len(job))
    for level in range(depth.max() + 1):
        row = np.flatnonzero(depth == level)
        height[row] = np.arange(len(row)) - (len(row) - 1) / 2
    thin = float(np.clip(200 / max(1, len(job.edges)), 0.2, 1.0))
    for parent, child in job.edges:
        axes.plot(depth[[parent, child]], height[[parent, child]], color=GREY, lw=thin, zorder=1)
    box, across, along = axes.get_window_extent(), depth.max() + 1, np.bincount(depth).max()
    room_points = min(box.width / across, box.height / along) * 72 / figure.dpi
    area = min(1.0, room_points / DOT_POINTS) ** 2 * (40 + 500 * np.sqrt(job.num_tasks / job.num_tasks.max()))
    axes.scatter(depth, height, s=area, color=BLUE, zorder=2)
    if np.bincount(depth).max() <= 3 and depth.max() <= 8:
        for stage in range(len(job)):
            axes.annotate(
                f"{job.num_tasks[stage]} x {number(job.rough_ms[stage] / 1000, 2)} s",
                (depth[stage], height[stage]),
                (0, -6 - np.sqrt(area[stage]) / 2),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=8,
                color=INK,
            )
    axes.margins(0.08, 0.35)
    axes.set_axis_off()
    title = f"{short(job.name)}: {count(len(job), 'stages')}, the larger the more tasks"
    axes.set_title(title, loc="left", fontsize=10, color=INK)
