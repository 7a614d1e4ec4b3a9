"""Pictures of a cluster: that they show what happened, and how."""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import to_hex, to_rgb

from netenvs.cjs import kernel, viewer
from netenvs.cjs.reference import ReferenceSimulator
from netenvs.cjs.workload import load_workload

# the kinds of sight of the palette test: Machado et al. (2009), severity 1.0, on linear RGB
SIGHT = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


def task_log(*tasks):
    """(job, executor, start in s, duration in s) each, in order of start."""
    log = np.zeros(len(tasks), kernel.TASK_LOG)
    for record, (job, executor, start_s, duration_s) in zip(log, tasks, strict=True):
        record["job"], record["executor"] = job, executor
        record["start_ms"], record["duration_ms"] = start_s * 1000.0, duration_s * 1000.0
    return log


def job_log(*jobs):
    """(arrival in s, completion in s) of jobs 0, 1, ..."""
    log = np.zeros(len(jobs), kernel.JOB_LOG)
    for number, (arrival_s, completion_s) in enumerate(jobs):
        log[number] = number, 0, arrival_s * 1000.0, completion_s * 1000.0
    return log


# two executors; job 1 waits for 2 s; executor 0 goes from job 0 to job 1 without a pause, then pauses
TASKS = task_log((0, 0, 0, 2), (0, 1, 1, 5), (0, 0, 2, 2), (1, 0, 4, 3), (1, 0, 8, 4))
JOBS = job_log((0, 6), (2, 12))


@pytest.fixture(scope="module")
def episode(scheduling):
    """A simulated episode, with its rewards."""
    simulator = ReferenceSimulator(load_workload("synthetic"), num_executors=4, num_jobs=20, record=True)
    simulator.reset(seed=0)
    rewards = scheduling.play(simulator, scheduling.schedulers["fair"](0))
    jobs = [(job.arrival_ms / 1000.0, job.completion_ms / 1000.0) for job in simulator.jobs]
    tasks = np.array([tuple(task) for task in simulator.tasks], kernel.TASK_LOG)
    return SimpleNamespace(tasks=tasks, jobs=job_log(*jobs), num_executors=4, now_ms=simulator.now_ms, rewards=rewards)


def bars_of(figure):
    """Extents (left, right, top, bottom) in data coordinates and colours of the bars."""
    (bars,) = [c for c in figure.axes[0].collections if type(c) is PolyCollection]
    corners = np.array([path.vertices[:4] for path in bars.get_paths()]).reshape(-1, 4, 2)
    extents = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)[:, [0, 2, 1, 3]]
    return extents, [to_hex(colour).upper() for colour in bars.get_facecolors()]


def numbers_of(figure):
    """Positions (time, executor) of the job numbers."""
    return np.concatenate(
        [np.zeros((0, 2)), *(c.get_offsets() for c in figure.axes[0].collections if type(c) is PathCollection)]
    )


def notes_of(figure):
    return [" ".join(text.get_text() for text in axes.texts) for axes in figure.axes]


def test_line_of_text():
    text = viewer.line(83.44, 4, 16, 12, 50, "job 3")
    assert text == "83.4 s: 4 jobs in the system, 16 done, 12 of 50 executors on offer from job 3"
    assert viewer.line(0.0, 1, 0, 10, 10) == "0.0 s: 1 job in the system, 0 done, 10 of 10 executors on offer"


def test_columns_join_tasks_of_a_job_without_a_pause():
    columns = viewer.gantt_columns(TASKS)
    assert {name: column.tolist() for name, column in columns.items()} == {
        "executor": [0, 0, 0, 1],
        "job": [0, 1, 1, 0],
        "start_s": [0, 4, 8, 1],
        "end_s": [4, 7, 12, 6],
    }
    assert [column.dtype for column in columns.values()] == [np.int64, np.int64, np.float64, np.float64]
    assert [len(column) for column in viewer.gantt_columns(TASKS[:0]).values()] == [0] * 4


def test_columns_of_an_episode(episode):
    columns = viewer.gantt_columns(episode.tasks)
    executor, start_s, end_s = columns["executor"], columns["start_s"], columns["end_s"]
    assert len(executor) < len(episode.tasks) / 5, "most tasks follow one of their job"
    assert (end_s - start_s).sum() == pytest.approx(episode.tasks["duration_ms"].sum() / 1000.0)
    same = executor[1:] == executor[:-1]
    assert np.all(start_s[1:][same] >= end_s[:-1][same]), "an executor has one task at a time"
    moved = same & (columns["job"][1:] != columns["job"][:-1])
    assert np.all((start_s[1:] - end_s[:-1])[moved] > 1.9999), "moving takes 2 s"
    assert set(columns["job"]) == set(range(20))


def test_bars_show_who_works_when():
    figure = viewer.episode_figure(TASKS, JOBS, 2, 12_000.0)
    extents, colours = bars_of(figure)
    assert extents[:, 0] == pytest.approx([0, 4, 8, 1])
    assert extents[:, 1] == pytest.approx([4, 7, 12, 6], abs=0.011), "touching bars end a hairline earlier"
    assert (extents[:, 2] + extents[:, 3]) / 2 == pytest.approx([0, 0, 0, 1])
    assert np.all(extents[:, 3] - extents[:, 2] < 1), "rows are apart"
    first, second = viewer.JOB_COLOURS[:2]
    assert colours == [first, second, second, first]
    gantt = figure.axes[0]
    assert gantt.get_xlim() == (0, 12) and gantt.get_ylim() == (1.5, -0.5), "executor 0 is on top"
    assert numbers_of(figure).tolist() == [[3.5, 1], [10, 0], [2, 0], [5.5, 0]], "the longest of both jobs, the others"
    assert notes_of(figure) == [
        "executors at work 67 % of the time",
        "2 jobs arrived, 2 done, mean completion time 8.0 s",
    ]


def test_picture_of_a_time_shows_nothing_later():
    figure = viewer.episode_figure(TASKS, JOBS, 2, 5000.0, "half-way")
    extents, _ = bars_of(figure)
    assert extents[:, 0] == pytest.approx([0, 4, 1])
    assert extents[:, 1] == pytest.approx([4, 5, 5], abs=0.005), "what is running is cut"
    assert figure.axes[0].get_xlim() == (0, 5)
    assert notes_of(figure) == ["executors at work 90 % of the time", "2 jobs arrived, 0 done"]
    assert figure.axes[0].get_title(loc="left") == "half-way"
    then = np.array(JOBS)
    then["completion_ms"] = math.inf
    running = viewer.frame(TASKS[:4], then, 2, 5000.0, "half-way")
    assert np.array_equal(running, viewer.frame(TASKS, JOBS, 2, 5000.0, "half-way"))


def test_jobs_in_the_system():
    (line,) = viewer.episode_figure(TASKS, JOBS[::-1], 2, 12_000.0).axes[1].lines
    assert line.get_drawstyle() == "steps-post"
    assert line.get_xdata().tolist() == [0, 2, 6, 12]
    assert line.get_ydata().tolist() == [1, 2, 1, 0]
    (line,) = viewer.episode_figure(TASKS[:1], job_log((0, 2), (2, 9)), 2, 4000.0).axes[1].lines
    assert line.get_xdata().tolist() == [0, 2, 4]
    assert line.get_ydata().tolist() == [1, 1, 1], "one goes as one comes; the other stays"


def test_time_may_have_been_rounded():
    jobs = job_log((0, 4), (4, math.inf))
    figure = viewer.episode_figure(TASKS[:1], jobs, 2, np.nextafter(4000.0, 0))
    assert notes_of(figure)[1] == "2 jobs arrived, 1 done, mean completion time 4.0 s"
    assert figure.axes[1].lines[0].get_ydata().tolist() == [1, 1]


def test_area_under_the_line_is_the_reward(episode):
    figure = viewer.episode_figure(episode.tasks, episode.jobs, 4, episode.now_ms)
    (line,) = figure.axes[1].lines
    unit_s = {"time (s)": 1, "time (min)": 60}[figure.axes[1].get_xlabel()]
    area = np.sum(np.diff(line.get_xdata()) * line.get_ydata()[:-1]) * unit_s
    assert area == pytest.approx(-sum(episode.rewards))
    x, y = figure.axes[1].collections[0].get_paths()[0].vertices.T
    assert abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2 * unit_s == pytest.approx(area), "it is shaded"


def test_pixels():
    tasks = task_log((0, 0, 0, 40), (1, 0, 40, 30), (1, 0, 70, 30))
    jobs = job_log((0, 40), (0, 100))
    image = viewer.frame(tasks, jobs, 2, 100_000.0)
    assert image.shape == (800, 1200, 3) and image.dtype == np.uint8

    def pixel(time_s, executor):
        figure = viewer.episode_figure(tasks, jobs, 2, 100_000.0)
        x, y = figure.axes[0].transData.transform((time_s, executor))
        return image[800 - int(y), int(x)]

    first, second = (np.round(255 * np.array(to_rgb(colour))) for colour in viewer.JOB_COLOURS[:2])
    for time_s, colour in ((1, first), (39, first), (41, second), (69.9, second), (70, second), (99, second)):
        assert np.array_equal(pixel(time_s, 0.3), colour)
    assert np.all(pixel(39.96, 0.3) > np.maximum(first, second)), "a hairline between jobs"
    assert np.all(pixel(50, 1) == 255) and np.all(pixel(50, 0.5) == 255), "idle, and between rows"


def test_numbers_can_be_read():
    tasks = task_log(*((job, job, job, 20) for job in range(12)))
    figure = viewer.episode_figure(tasks, job_log(*[(0, 40)] * 12), 12, 40_000.0)
    (numbers,) = [c for c in figure.axes[0].collections if type(c) is PathCollection]
    colours = dict(enumerate(bars_of(figure)[1]))
    assert len(numbers.get_facecolors()) == 12 == len(set(colours.values()))

    def luminance(colour):  # WCAG 2
        code = np.array(to_rgb(colour))
        return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    for (_, executor), ink in zip(numbers.get_offsets(), numbers.get_facecolors(), strict=True):
        darker, lighter = sorted([luminance(ink), luminance(colours[round(executor)])])
        assert (lighter + 0.05) / (darker + 0.05) > 4, "contrast"


def test_pauses_of_less_than_half_a_pixel_are_not_drawn():
    # 1108 pixels for 100 s
    tasks = task_log((0, 0, 0, 20), (0, 0, 20.04, 20), (0, 0, 40.1, 60))
    extents, _ = bars_of(viewer.episode_figure(tasks, job_log((0, 101)), 1, 100_000.0))
    assert extents[:, 0] == pytest.approx([0, 40.1])
    assert len(viewer.gantt_columns(tasks)["job"]) == 3


def test_frames_differ_as_the_episode_goes_on(episode):
    times_ms = [0.0, 30_000.0, 60_000.0, episode.now_ms / 2, episode.now_ms]
    frames = [viewer.frame(episode.tasks, episode.jobs, 4, time_ms) for time_ms in times_ms]
    assert {frame.shape for frame in frames} == {(800, 1200, 3)}
    assert all(not np.array_equal(a, b) for a, b in itertools.pairwise(frames))
    assert np.array_equal(frames[-1], viewer.frame(episode.tasks, episode.jobs, 4, episode.now_ms))


def colours_by_job(tasks, jobs, num_executors, now_ms):
    """Colours of the bars of a figure by job, through the order of the bars (no job ever pauses here)."""
    figure = viewer.episode_figure(tasks, jobs, num_executors, now_ms)
    order = np.lexsort((tasks["start_ms"], tasks["executor"]))
    return dict(zip(tasks["job"][order].tolist(), bars_of(figure)[1], strict=True))


def test_jobs_at_work_at_the_same_time_differ_in_colour():
    rng = np.random.default_rng(0)
    # ten executors, one job after the other on each
    tasks, jobs = [], []
    for executor in range(10):
        end = float(rng.uniform(0, 100))
        while end < 1000:
            start, end = end, end + float(rng.uniform(20, 200))
            tasks.append((start, end, executor))
    tasks.sort()
    jobs = job_log(*((0.0, end) for _, end, _ in tasks))
    log = task_log(*((job, executor, start, end - start) for job, (start, end, executor) in enumerate(tasks)))
    colours = colours_by_job(log, jobs, 10, 1_500_000.0)
    assert set(colours.values()) == set(viewer.JOB_COLOURS)
    for (a, (start, end, _)), (b, (other_start, other_end, _)) in itertools.combinations(enumerate(tasks), 2):
        if start < other_end and other_start < end:
            assert colours[a] != colours[b]


def test_jobs_that_follow_each_other_differ_in_colour():
    # two jobs at work of every colour
    tasks = [
        (24 * turn + executor, executor, 100 * turn + executor, 100) for turn in range(4) for executor in range(24)
    ]
    jobs = job_log(*((0, start + duration) for _, _, start, duration in tasks))
    colours = colours_by_job(task_log(*tasks), jobs, 24, 430_000.0)
    assert all(colours[job] != colours[job + 24] for job in range(72))
    for first in range(73):
        counts = [sum(colours[job] == colour for job in range(first, first + 24)) for colour in viewer.JOB_COLOURS]
        assert min(counts) >= 1 and max(counts) <= 3, "colours are shared evenly"


def test_colours_are_given_in_order_of_start():
    tasks = task_log((7, 1, 0, 2), (3, 2, 4, 1), (5, 3, 6, 1), (3, 0, 8, 1))
    jobs = job_log((0, 9), (0, 9), (0, 9))
    jobs["job"] = 3, 5, 7
    first, second, third = viewer.JOB_COLOURS[:3]
    assert bars_of(viewer.episode_figure(tasks, jobs, 4, 10_000.0))[1] == [second, first, second, third]


def test_a_job_keeps_its_colour(episode):
    """Whatever is known of what happens later."""
    bars = viewer.gantt_columns(episode.tasks)
    middle_ms = episode.now_ms / 2
    known = episode.jobs[episode.jobs["arrival_ms"] <= middle_ms]
    known["completion_ms"][known["completion_ms"] > middle_ms] = math.inf
    now = viewer.episode_figure(episode.tasks, known, 4, middle_ms)
    later = viewer.episode_figure(episode.tasks, episode.jobs, 4, episode.now_ms)
    assert len(bars["job"]) >= len(bars_of(later)[0])

    def colours(figure):
        return {
            (int(bars["job"][i]), colour)
            for (left, right, top, bottom), colour in zip(*bars_of(figure), strict=True)
            for i in np.flatnonzero(bars["executor"] == round((top + bottom) / 2))
            if np.isclose(bars["start_s"][i], left * {"time (s)": 1, "time (min)": 60}[figure.axes[1].get_xlabel()])
        }

    assert len(colours(now)) == len(np.unique(episode.tasks["job"][episode.tasks["start_ms"] < middle_ms]))
    assert len(colours(later)) == 20
    assert colours(now) <= colours(later)


@pytest.mark.parametrize("sight", SIGHT)
def test_colours_can_be_told_apart(sight):
    def lab(colour):
        code = np.array(to_rgb(colour))
        linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
        seen = np.clip(np.array(SIGHT[sight]) @ linear, 0, 1)
        to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
        x, y, z = np.cbrt(np.array(to_xyz) @ seen / [0.95047, 1, 1.08883])  # the linear part is for near black only
        return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])

    colours = [lab(colour) for colour in viewer.JOB_COLOURS]
    assert len(colours) == 12
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(colours, 2)) > 18
    assert min(np.linalg.norm(a - b) for a, b in itertools.pairwise([*colours, colours[0]])) > 46
    assert min(np.linalg.norm(a - lab("white")) for a in colours) > 20


@pytest.mark.parametrize(
    ("end_s", "label", "end"),
    [(600, "s", 600), (601, "min", 601 / 60), (5 * 3600, "h", 5), (10 * 86400, "days", 10)],
)
def test_unit_of_time(end_s, label, end):
    tasks, jobs = task_log((0, 0, 0, end_s / 2)), job_log((0, end_s / 2))
    figure = viewer.episode_figure(tasks, jobs, 1, end_s * 1000.0)
    gantt, system = figure.axes
    assert system.get_xlabel() == f"time ({label})"
    assert gantt.get_xlim() == system.get_xlim() == pytest.approx((0, end))
    assert bars_of(figure)[0][0, 1] == pytest.approx(end / 2)
    assert system.lines[0].get_xdata().tolist() == pytest.approx([0, end / 2, end])
    assert system.collections[0].get_paths()[0].vertices[:, 0].max() == pytest.approx(end)


@pytest.mark.parametrize("num_executors", [1, 50, 1500])
def test_empty_log(num_executors):
    figure = viewer.episode_figure(TASKS[:0], JOBS[:0], num_executors, 0.0)
    assert len(bars_of(figure)[0]) == 0 and len(numbers_of(figure)) == 0
    assert notes_of(figure) == ["", "0 jobs arrived, 0 done"]
    assert viewer.frame(TASKS[:0], JOBS[:0], num_executors, 0.0).shape == (800, 1200, 3)
    assert notes_of(viewer.episode_figure(TASKS, JOBS, 2, 0.0)) == ["", "1 job arrived, 0 done"]


def test_few_executors_leave_room():
    heights = []
    for num_executors in (1, 3, 50, 1500):
        figure = viewer.episode_figure(TASKS[:1], JOBS, num_executors, 12_000.0)
        gantt, system = (axes.get_position() for axes in figure.axes)
        assert gantt.y0 > system.y1, "the panels do not overlap"
        heights.append(round(gantt.height * 800))
    assert heights == [60, 180, 544, 544]


def test_many_executors():
    tasks = task_log(*((0, executor, 0, 10) for executor in range(1500)))
    figure = viewer.episode_figure(tasks, job_log((0, 10)), 1500, 20_000.0)
    extents, _ = bars_of(figure)
    assert len(extents) == 500 and np.all(extents[:, 3] - extents[:, 2] == 3), "one row stands for three"
    assert np.all(extents[1:, 2] == extents[:-1, 3]) and extents[0, 2] == -0.5
    assert figure.axes[0].get_ylabel() == "executor (1 in 3 drawn)"
    assert notes_of(figure)[0] == "executors at work 50 % of the time", "all of them count"
    assert len(numbers_of(figure)) == 0


def test_numbers_only_where_there_is_room():
    # of 1108 pixels for 100 s, 1 s has 11, which holds one digit in rows of at most 13 pixels
    tasks = task_log((5, 0, 0, 0.5), (5, 1, 0, 2), (123, 2, 0, 2), (123, 3, 0, 4))
    jobs = np.zeros(2, kernel.JOB_LOG)
    jobs["job"], jobs["completion_ms"] = (5, 123), 4000.0
    positions = numbers_of(viewer.episode_figure(tasks, jobs, 10, 100_000.0))
    assert sorted(positions.tolist()) == [[1, 1], [2, 3]]
    assert len(numbers_of(viewer.episode_figure(tasks, jobs, 61, 100_000.0))) == 0, "rows are too low"
    assert len(numbers_of(viewer.episode_figure(tasks, jobs, 50, 100_000.0))) == 3, "smaller numbers need less"


def test_numbers_are_limited_and_every_job_comes_first():
    tasks = task_log(*((executor % 2, executor, 20 * turn, 10) for turn in range(10) for executor in range(50)))
    tasks["job"][-1], tasks["duration_ms"][-1] = 2, 8000.0
    jobs = job_log((0, 200), (0, 200), (0, 200))
    positions = numbers_of(viewer.episode_figure(tasks, jobs, 50, 200_000.0))
    assert len(positions) == 250
    assert [184.0, 49.0] in positions.tolist(), "job 2 has but one bar, a short one"


def test_long_title_is_cut():
    title = viewer.episode_figure(TASKS, JOBS, 2, 12_000.0, "x" * 200).axes[0].get_title(loc="left")
    assert title == "x" * 89 + "…"


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="a task of job 1, which is not among the jobs"):
        viewer.episode_figure(TASKS, JOBS[:1], 2, 12_000.0)
    with pytest.raises(ValueError, match="a task of executor 1, but num_executors is 1"):
        viewer.episode_figure(TASKS, JOBS, 1, 12_000.0)
    with pytest.raises(ValueError, match="num_executors must be 1 or more, not 0"):
        viewer.frame(TASKS[:0], JOBS, 0, 12_000.0)
    for now_ms in (-1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="now_ms must be a time since the beginning"):
            viewer.frame(TASKS, JOBS, 2, now_ms)
