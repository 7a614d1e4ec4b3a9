"""Times of a table as playback times of the video."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netenvs.readers.reading import Reading
from netenvs.readers.units import SECONDS, clock_s
from netenvs.vp.recordings import MAX_GAP_S

LONGEST_S = 36_000.0
"""A later time is one of the day."""
FASTEST_S = 0.004
"""Headsets write a row every 4 ms, 250 Hz, at most."""
USUAL_FPS = 30.0
_SMALLER = ("ms", "us", "ns")


def playback_s(
    fields: Sequence[str],
    name: str,
    reading: Reading,
    unit: str | None = None,
    fps: float | None = None,
    first_frame: int = 0,
) -> np.ndarray:
    """Playback times in s, float64 (rows,), NaN where there is none.

    Without a unit times are seconds, unless a row every so many would be too few, and milliseconds, microseconds or
    nanoseconds would be as usual. Times of the day count from the first row.

    Arguments:
        fields: of the column.
        name: of the file.
        reading: gets a note for what is assumed.
        unit: key of ``SECONDS``; None: nothing says it.
        fps: frames per second, where the column counts frames; 0: ``USUAL_FPS``.
        first_frame: the number of the first frame.
    """
    if fps is not None:
        if not fps:
            reading.note(f"times are frame numbers, taken for {USUAL_FPS:g} frames a second; fps= says otherwise")
        return (clock_s(fields, "s") - first_frame) / (fps or USUAL_FPS)
    time_s = clock_s(fields, unit)
    finite = time_s[np.isfinite(time_s)]
    if not len(finite):
        return time_s
    step_s = _step_s(finite)
    if unit is None and step_s > MAX_GAP_S:
        for smaller in _SMALLER:
            if FASTEST_S <= step_s * SECONDS[smaller] <= MAX_GAP_S:
                text = f"times are taken for {smaller}, as s they would be too far apart; time_unit= says otherwise"
                reading.note(text, f"{name}: a row every {step_s:.4g}")
                time_s, finite = time_s * SECONDS[smaller], finite * SECONDS[smaller]
                break
    if abs(np.median(finite)) > LONGEST_S:
        reading.note("times of the day count from the first row of each file", f"{name}: {fields[0]}")
        time_s = time_s - finite[0]
    return time_s


def _step_s(time_s: np.ndarray) -> float:
    """The usual step forward."""
    steps = np.diff(time_s)
    return float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
