"""Pictures of a streaming session: one frame as pixels, one episode as a figure, one step as a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from netenvs.abr.records import TraceSet, Video

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, GRID = "#1f2933", "#d9dee4"
BANDWIDTH, BITRATE, BUFFER, STALL = "#9aa5b1", "#1769aa", "#2e8540", "#c8102e"


def line(log: Mapping[str, np.ndarray], trace_name: str, video: Video) -> str:
    """The newest chunk in one line of text."""
    last = {name: column[-1] for name, column in log.items()}
    stall = f"stall {last['rebuffer_s']:.2f} s" if last["rebuffer_s"] > 0 else "no stall"
    return (
        f"chunk {len(log['buffer_s'])}/{video.num_chunks} of {video.name} on {trace_name}: "
        f"{last['bitrate_kbps']:.0f} kbit/s, {last['delay_ms'] / 1000:.2f} s to download, "
        f"{last['throughput_mbps']:.2f} Mbit/s, buffer {last['buffer_s']:.1f} s, {stall}"
    )


def episode_figure(
    log: Mapping[str, np.ndarray], traces: TraceSet, trace: int, start_pointer: int, video: Video
) -> Figure:
    """Bandwidth and bitrate, buffer, and rebuffering over the time of one session.

    ``log``: info columns, float64 (chunks played,) each, as ``ABREnv.episode_log`` returns them. Time runs from
    the request of the first chunk; the position in the trace is exact but for round trips and delay noise, which
    do not advance the published trace clock.
    """
    from matplotlib.figure import Figure

    delay_s, sleep_s = log["delay_ms"] / 1000.0, log["sleep_ms"] / 1000.0
    finish = np.cumsum(delay_s + sleep_s) - sleep_s
    begin = finish - delay_s
    end_s = max(finish[-1] if len(finish) else 0.0, video.chunk_duration_s)

    figure = Figure(figsize=(9, 6), dpi=100, facecolor="white", layout="constrained")
    rates, buffer, stalls = figure.subplots(3, 1, sharex=True, height_ratios=[3, 2, 1])
    _bandwidth(rates, traces, trace, start_pointer, end_s)
    rates.hlines(log["bitrate_kbps"] / 1000.0, begin, finish, color=BITRATE, lw=3, label="bitrate of the chunk")
    top = max(float(np.max(log["bitrate_kbps"])) / 1000.0, _visible_bandwidth(rates)) * 1.1
    rates.set(ylabel="Mbit/s", ylim=(0, top))
    rates.set_title(f"{video.name} on {_short(traces.names[trace])}", loc="left", fontsize=11)
    rates.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), frameon=False, ncols=2, borderaxespad=0.1)

    # a download drains the buffer, perhaps to nothing before it ends; then the chunk enters; then a pause
    drained = np.maximum(log["buffer_s"] - video.chunk_duration_s + sleep_s, 0.0)
    empty = finish - log["rebuffer_s"]
    times = np.stack([empty, finish, finish, finish + sleep_s], axis=1).ravel()
    levels = np.stack([drained, drained, drained + video.chunk_duration_s, log["buffer_s"]], axis=1).ravel()
    buffer.plot(np.append(0.0, times), np.append(0.0, levels), color=BUFFER, lw=1.5)
    buffer.fill_between(np.append(0.0, times), np.append(0.0, levels), color=BUFFER, alpha=0.15, lw=0)
    buffer.set(ylabel="buffer (s)", ylim=(0, None))

    stalled = log["rebuffer_s"] > 0
    stalls.bar(
        (finish - log["rebuffer_s"])[stalled],
        log["rebuffer_s"][stalled],
        width=np.maximum(log["rebuffer_s"][stalled], end_s / 300),
        align="edge",
        color=STALL,
    )
    longest = float(log["rebuffer_s"].max(initial=0.0))
    stalls.set(ylabel="stall (s)", xlabel="time (s)", xlim=(0, end_s), ylim=(0, max(longest * 1.5, 1.0)))
    count = np.count_nonzero(stalled)
    stalls.text(
        0.995,
        0.95,
        f"{log['rebuffer_s'].sum():.2f} s in {count} stall{'' if count == 1 else 's'}, start-up included",
        transform=stalls.transAxes,
        ha="right",
        va="top",
        color=INK,
    )
    for axes in (rates, buffer, stalls):
        axes.grid(color=GRID, lw=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK)
    return figure


def frame(log: Mapping[str, np.ndarray], traces: TraceSet, trace: int, start_pointer: int, video: Video) -> np.ndarray:
    """The episode so far as pixels, uint8 (600, 900, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(episode_figure(log, traces, trace, start_pointer, video))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _short(name: str) -> str:
    """A trace's name without folders, cut to what fits beside the legend."""
    name = name.rsplit("/", 1)[-1]
    return name if len(name) <= 44 else name[:43] + "…"


def _bandwidth(axes: Any, traces: TraceSet, trace: int, start_pointer: int, end_s: float) -> None:
    """The trace from its start pointer on, going round as often as the session needs."""
    time_s, bandwidth = traces.trace(trace)
    start = time_s[start_pointer - 1]
    laps = int((start + end_s) // time_s[-1]) + 1
    edges = np.concatenate([[0.0], *(time_s[1:] + lap * time_s[-1] for lap in range(laps))])
    axes.stairs(np.tile(bandwidth[1:], laps), edges - start, color=BANDWIDTH, lw=1.2, label="bandwidth", baseline=None)


def _visible_bandwidth(axes: Any) -> float:
    """Largest bandwidth drawn, without rare peaks that would flatten everything else."""
    values = axes.patches[-1].get_data().values
    return float(min(values.max(), np.percentile(values, 99) * 1.5 + 0.1))
