"""What ``python -m netenvs inspect`` says of bandwidth traces and of videos."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from netenvs.abr import generators
from netenvs.abr.trace_files import READERS as TRACE_READERS
from netenvs.abr.traces import read_traces
from netenvs.abr.video_files import READERS as VIDEO_READERS
from netenvs.abr.video_files import group
from netenvs.abr.videos import read_videos
from netenvs.abr.workload import TraceSet, Video
from netenvs.inspection.drawing import BLUE, GREY, MUTED, ORANGE, draw_shares, short, style
from netenvs.inspection.record import Inspection, count, duration, number, percent, spec_of, spread
from netenvs.readers.errors import InputError
from netenvs.readers.reader import AUTO, NotRecognised
from netenvs.readers.sources import list_sources

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LADDER_MBPS = np.array(generators.BITRATES_KBPS) / 1000.0


MOST_DRAWN = 400
"""Of a longer trace the first segments are drawn; more would be one area."""


def inspect(path: str, *, format: str = AUTO, strict: bool = False, **options: Any) -> Inspection:
    """Traces or videos, of both the kind that leaves less out. Raises ``ValueError``; see ``Inspection``."""
    of_video, of_traces = (
        any(format == reader.name for reader in readers) for readers in (VIDEO_READERS, TRACE_READERS)
    )
    if format != AUTO and not of_video:
        return _inspect_traces(path, format, strict, options)
    try:
        videos = _inspect_videos(path, format, strict, options)
    except ValueError as error:
        if of_traces or (format == AUTO and not _is_video(path)):
            return _inspect_no_videos(path, format, strict, options, error)
        raise
    if format != AUTO or not videos.reading.skipped:
        return videos
    try:
        traces = _inspect_traces(path, format, strict, options)
    except ValueError:
        return videos
    of_both = (traces, videos) if traces.skipped_share <= videos.skipped_share else (videos, traces)
    names = ", ".join(f"--format {name}" for name in of_both[1].reading.formats)
    return replace(of_both[0], facts=[("also in it", f"{of_both[1].found}, which {names} shows"), *of_both[0].facts])


def _inspect_no_videos(
    path: str, format: str, strict: bool, options: dict[str, Any], of_video: ValueError
) -> Inspection:
    """Traces; where it has none either, the error of a reader that took the file is raised, if there is one."""
    try:
        return _inspect_traces(path, format, strict, options)
    except ValueError as error:
        if isinstance(of_video, NotRecognised) or str(of_video) == str(error):
            raise
        if isinstance(error, NotRecognised):
            raise of_video from None
        raise InputError(f"{error}; or, as a video, {str(of_video).removeprefix(f'{path}: ')}") from None


def _is_video(path: str) -> bool:
    """Whether formats of videos that are like nothing else recognise all; ``json`` is like a list of periods, too."""
    with contextlib.suppress(ValueError):
        particular = [reader for reader in VIDEO_READERS if reader.name != "json"]
        return all(any(reader.sniff(source) for reader in particular) for source in group(list_sources(path)))
    return False


def _inspect_traces(path: str, format: str, strict: bool, options: dict[str, Any]) -> Inspection:
    traces, reading = read_traces(path, format, strict, **options)
    step_s, mbps = _segments(traces)
    means = np.array([_mean(*_one(traces, index)) for index in range(len(traces))])
    mean = _mean(step_s, mbps)
    deviation = np.sqrt(np.sum(step_s * (mbps - mean) ** 2) / np.sum(step_s))
    low, high = LADDER_MBPS[0], LADDER_MBPS[-1]
    below, above = (float(step_s[part].sum() / step_s.sum()) for part in (mbps < low, mbps > high))
    lengths_s = np.array([float(_one(traces, index)[0].sum()) for index in range(len(traces))])
    facts = [
        ("mean", f"{number(mean)} Mbit/s" + (f"; of single traces {spread(means)}" if len(traces) > 1 else "")),
        ("variation", f"coefficient {number(deviation / mean)} (standard deviation over mean, by time)"),
        ("below the ladder", f"{percent(below)} of the time under its lowest level, {number(low)} Mbit/s"),
        ("above the ladder", f"{percent(above)} of the time over its highest level, {number(high)} Mbit/s"),
        ("length", f"{duration(float(lengths_s.sum()))} in all; a trace {spread(lengths_s)} s"),
        (
            "a sample every",
            f"{number(float(np.median(step_s)))} s (median; the longest lasts {number(step_s.max())} s)",
        ),
    ]
    latency = getattr(traces, "latency_ms", None)
    if latency is not None:
        facts.append(("round trip", f"{spread(latency)} ms, as recorded"))
    return Inspection(
        found=count(len(traces), "bandwidth traces"),
        play={"traces": spec_of(path, format, strict, options)},
        reading=reading,
        facts=facts,
        draw=partial(_draw_traces, traces=traces, means=means),
    )


def _one(traces: TraceSet, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Duration in s and bandwidth in Mbit/s of each segment, float64 (length - 1,); the first bandwidth is not used."""
    time_s, mbps = traces.trace(index)
    return np.diff(time_s), mbps[1:]


def _segments(traces: TraceSet) -> tuple[np.ndarray, np.ndarray]:
    found = [_one(traces, index) for index in range(len(traces))]
    return np.concatenate([step for step, _ in found]), np.concatenate([mbps for _, mbps in found])


def _mean(step_s: np.ndarray, mbps: np.ndarray) -> float:
    return float(np.sum(step_s * mbps) / np.sum(step_s))


def _draw_traces(figure: Figure, traces: TraceSet, means: np.ndarray) -> None:
    middle = int(np.argsort(means, kind="stable")[len(means) // 2])
    parts = figure.add_gridspec(2, 2)
    over_time = figure.add_subplot(parts[0, :])
    share = figure.add_subplot(parts[1, 0] if len(means) > 1 else parts[1, :])
    whole_s, whole_mbps = traces.trace(middle)
    time_s, mbps = whole_s[: MOST_DRAWN + 1], whole_mbps[: MOST_DRAWN + 1]
    over_time.stairs(mbps[1:], time_s - time_s[0], color=BLUE, lw=1, baseline=None)
    _mark_ladder(over_time.axhline)
    over_time.set_xlim(0, time_s[-1] - time_s[0])
    over_time.set_ylim(0, max(float(np.percentile(mbps[1:], 99)) * 1.3, LADDER_MBPS[-1] * 1.1))
    which = "" if len(means) == 1 else " (of medium mean)"
    part = f", its first {duration(time_s[-1] - time_s[0])}" if len(time_s) < len(whole_s) else ""
    style(over_time, f"{short(traces.names[middle], 24)}{which}{part}", "time (s)", "Mbit/s")
    over_time.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.1, ncols=2)
    step_s, every = _segments(traces)
    _draw_values(share, every, step_s)
    style(share, "share of the time with no more than", "Mbit/s", "share")
    if len(means) > 1:
        single = figure.add_subplot(parts[1, 1])
        _draw_values(single, means, None)
        style(single, "share of the traces with a mean of no more than", "Mbit/s", "share")


def _draw_values(axes: Axes, mbps: np.ndarray, weights: np.ndarray | None) -> None:
    if mbps.max() > 20 * max(float(np.median(mbps)), 1e-3):
        axes.set_xscale("symlog", linthresh=max(float(np.median(mbps)) / 10, 1e-3))
    draw_shares(axes, mbps, weights)
    _mark_ladder(axes.axvline)


def _mark_ladder(line: Any) -> None:
    """The lowest and the highest level of the default ladder."""
    for mbps, colour, which in ((LADDER_MBPS[0], ORANGE, "default ladder: lowest"), (LADDER_MBPS[-1], GREY, "highest")):
        line(mbps, color=colour, lw=1, ls="--", label=f"{which} level")


def _inspect_videos(path: str, format: str, strict: bool, options: dict[str, Any]) -> Inspection:
    videos, reading = read_videos(path, format, strict, **options)
    first, levels = videos[0], sorted({video.num_levels for video in videos})
    if len(levels) > 1:
        have = ", ".join(map(str, levels))
        reading.note(f"one environment takes videos with the same number of levels, these have {have}: give some alone")
    facts = []
    for video in videos[:5]:
        name = "ladder" if len(videos) == 1 else short(video.name, 16)
        facts.append((name, f"{', '.join(map(str, video.bitrates_kbps.tolist()))} kbit/s"))
    ratio = np.concatenate([_real_kbps(video).mean(axis=0) / video.bitrates_kbps for video in videos])
    variation = np.concatenate([_real_kbps(video).std(axis=0) / _real_kbps(video).mean(axis=0) for video in videos])
    chunks, seconds = (np.array([getattr(v, name) for v in videos]) for name in ("num_chunks", "chunk_duration_s"))
    facts += [
        ("chunks", f"{spread(chunks)}{', ' if len(videos) == 1 else ' a video; of '}{spread(seconds)} s each"),
        ("length", duration(float(np.sum(chunks * seconds)))),
        ("sizes", f"mean bitrate over the level's own {spread(ratio)}"),
        ("variation", f"{spread(variation)} of the sizes of a level (standard deviation over mean)"),
    ]
    return Inspection(
        found=count(len(videos), "videos"),
        play={"video": spec_of(path, format, strict, options)},
        reading=reading,
        facts=facts,
        draw=partial(_draw_video, video=first),
    )


def _real_kbps(video: Video) -> np.ndarray:
    """Size over duration, float64 (chunks played, levels)."""
    return video.chunk_sizes[: video.num_chunks] * 8 / 1000.0 / video.chunk_duration_s


def _draw_video(figure: Figure, video: Video) -> None:
    from matplotlib.ticker import FuncFormatter

    axes = figure.subplots()
    start_s = np.arange(video.num_chunks + 1) * video.chunk_duration_s
    for level, kbps in enumerate(_real_kbps(video).T):
        axes.stairs(kbps / 1000.0, start_s, color=BLUE, lw=1.3, baseline=None)
        axes.axhline(video.bitrates_kbps[level] / 1000.0, color=MUTED, lw=0.7, ls="--")
    axes.set_yscale("log")
    plain = FuncFormatter(lambda value, _: number(value))
    axes.yaxis.set_major_formatter(plain)
    axes.yaxis.set_minor_formatter(plain)
    axes.set_xlim(0, start_s[-1])
    style(axes, f"{short(video.name)}: bitrate of each chunk, and of its level (dashed)", "time (s)", "Mbit/s")
