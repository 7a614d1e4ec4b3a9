"""What ``python -m netenvs inspect`` says of head-motion recordings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from netenvs.inspection.drawing import BLUE, ORANGE, short, style
from netenvs.inspection.record import Inspection, count, duration, number, percent, spec_of, spread
from netenvs.readers.reader import AUTO
from netenvs.vp import sphere
from netenvs.vp.recordings import MAX_GAP_S, RATE_HZ, TIME_SLACK_S, TRIM_HEAD, TRIM_TAIL, Recordings, windows
from netenvs.vp.workload import read_recordings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELL_DEG = 10


def inspect(path: str, *, format: str = AUTO, strict: bool = False, **options: Any) -> Inspection:
    """Recordings of a file or folder. Raises ``ValueError``; see ``Inspection``."""
    recordings, reading = read_recordings(path, format, strict, **options)
    lengths_s = np.array([_span_s(recordings, index) for index in range(len(recordings))])
    steps_s, speeds = _motion(recordings)
    gaps = steps_s > MAX_GAP_S + TIME_SLACK_S
    roll, pitch, yaw = recordings.angles_deg.T
    facts = [
        (
            "who and what",
            f"{count(len(set(recordings.user.tolist())), 'users')} in "
            f"{count(len(set(recordings.video.tolist())), 'videos')}",
        ),
        ("length", f"{duration(float(lengths_s.sum()))} in all; a recording {spread(lengths_s)} s"),
        ("rate", f"{number(RATE_HZ)} Hz, to which they were brought"),
        ("gaps", f"{count(int(gaps.sum()), 'gaps')} of more than {MAX_GAP_S} s" if gaps.any() else "none"),
        ("yaw", _range(yaw)),
        ("pitch", _range(pitch)),
        ("roll", _range(roll)),
    ]
    if len(speeds):
        still, fast = float((speeds < 1).mean()), np.percentile(speeds, 95)
        facts.append(
            (
                "speed",
                f"median {number(float(np.median(speeds)))}, 95 % below {number(fast)} deg/s; "
                f"{percent(still)} of the time under 1 deg/s",
            )
        )
    for name, split in recordings.splits.items():
        if split.videos and split.users:
            sizes = (
                (len(split.videos), "videos"),
                (len(split.users), "users"),
                (_num_windows(recordings, name), "windows"),
            )
            facts.append((f"split {name}", ", ".join(count(many, what) for many, what in sizes)))
    if not _num_windows(recordings, "test"):
        reading.note(f"no recording of the split test lasts {(TRIM_HEAD + TRIM_TAIL) / RATE_HZ:g} s, as windows need")
    return Inspection(
        found=count(len(recordings), "head-motion recordings"),
        play={"dataset": spec_of(path, format, strict, options)},
        reading=reading,
        facts=facts,
        draw=partial(_draw, recordings=recordings),
    )


def _num_windows(recordings: Recordings, split: str) -> int:
    return len(windows(recordings, split).recording)


def _range(degrees: np.ndarray) -> str:
    least, low, high, most = (number(round(float(angle), 3)) for angle in np.percentile(degrees, [0, 5, 95, 100]))
    return f"{least} deg throughout" if least == most else f"{least} to {most} deg; 5 % to 95 %: {low} to {high}"


def _span_s(recordings: Recordings, index: int) -> float:
    time_s = recordings.time_s[recordings.offset[index] : recordings.offset[index + 1]]
    return float(time_s[-1] - time_s[0]) if len(time_s) else 0.0


def _motion(recordings: Recordings) -> tuple[np.ndarray, np.ndarray]:
    """Steps between samples in s, and, but for gaps, great-circle speeds in deg/s, float64 each."""
    inside = np.ones(max(0, len(recordings.time_s) - 1), dtype=bool)
    inside[recordings.offset[1:-1] - 1] = False
    steps_s = np.diff(recordings.time_s)[inside]
    moved_deg = sphere.great_circle_deg(recordings.angles_deg[:-1], recordings.angles_deg[1:])[inside]
    usual = (steps_s > 0) & (steps_s <= MAX_GAP_S + TIME_SLACK_S)
    return steps_s, moved_deg[usual] / steps_s[usual]


def _draw(figure: Figure, recordings: Recordings) -> None:
    lengths = np.diff(recordings.offset)
    middle = int(np.argsort(lengths, kind="stable")[len(lengths) // 2])
    part = slice(recordings.offset[middle], recordings.offset[middle + 1])
    sky, over_time = figure.subplots(2, 1, height_ratios=[3, 2])
    _, pitch, yaw = recordings.angles_deg.astype(np.float64).T
    bins = np.arange(-180, 181, CELL_DEG), np.arange(-90, 91, CELL_DEG)
    looks, _, _ = np.histogram2d(sphere.wrap_deg(yaw), np.clip(pitch, -90, 90), bins)
    image = sky.imshow(
        100 * looks.T / looks.sum(), origin="lower", extent=(-180, 180, -90, 90), cmap="YlGnBu", aspect="equal"
    )
    figure.colorbar(image, ax=sky, label="% of the time")
    sky.set_xticks(range(-180, 181, 60))
    sky.set_yticks(range(-90, 91, 45))
    style(sky, f"where they look, in cells of {CELL_DEG} degrees", "yaw (deg)", "pitch (deg)")
    name = f"video {recordings.video[middle]}, user {recordings.user[middle]}"
    for angle, colour, label in ((yaw, BLUE, "yaw"), (pitch, ORANGE, "pitch")):
        over_time.plot(recordings.time_s[part], angle[part], ".", ms=3, color=colour, label=label)
    over_time.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.1)
    style(over_time, short(name), "time (s)", "deg")
