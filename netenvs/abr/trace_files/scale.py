"""Whether what was read lies on the scale of the task, and what to say where it does not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netenvs.abr.trace_files.samples import LinkTrace
from netenvs.readers.reading import Reading

LADDER_MBPS = (0.3, 4.3)
"""The ladder of Pensieve's video, which most of the literature plays."""
LOWEST_MBPS, HIGHEST_MBPS = 0.02, 500.0
"""Medians outside are far off the ladder: Mbit/s taken for kbit/s, or kbit/s for Mbit/s."""
UNUSUAL_MBPS, UNUSUAL_STEP_S = 100.0, 10.0
"""Medians and mean steps up to :data:`HIGHEST_MBPS` and :data:`LONGEST_STEP_S` are there, but where nothing names the
unit they are doubted: links of 3G have a few hundred kbit/s, and logs a row each 20 or 50 ms."""
SHORTEST_STEP_S, LONGEST_STEP_S = 0.0015, 60.0
"""Mean steps outside are in another unit: logs have steps of 0.1 to 60 s, and 100 ms is a common one."""


def typical(values: np.ndarray) -> float:
    """The median of what is above 0; 0 where nothing is."""
    above = values[values > 0]
    return float(np.median(above)) if len(above) else 0.0


def mean_step(times: np.ndarray) -> float:
    """Mean distance of rows, unit of ``times``; 0 where there are not two of them."""
    times = times[np.isfinite(times)]
    return float(np.ptp(times) / (len(times) - 1)) if len(times) > 1 else 0.0


def note_doubts(traces: Sequence[LinkTrace], reading: Reading) -> None:
    """Note, once for the whole input, which units were guessed, and which traces lie far off the task's scale."""
    _note_guesses(traces, reading)
    medians = np.array([typical(trace.bandwidth_mbps[1:]) for trace in traces])
    far_off = ((medians > HIGHEST_MBPS, "above", "kbit/s"), (medians < LOWEST_MBPS, "below", "Mbit/s"))
    for far, where, unit in far_off:
        if far.any():
            reading.note(
                f"{_share(far)} far {where} the ladder of {LADDER_MBPS[0]} to {LADDER_MBPS[1]} Mbit/s, with medians of "
                f"{_range(medians[far])} Mbit/s; if that is another unit, name it: unit={unit}"
            )
    steps = np.array([mean_step(trace.time_s) for trace in traces])
    for far, unit in ((steps > LONGEST_STEP_S, "ms"), (steps < SHORTEST_STEP_S, "s")):
        if far.any():
            reading.note(
                f"{_share(far)} in steps of {_range(steps[far])} s in the mean; if that is another unit, name it: "
                f"time_unit={unit}"
            )


def _note_guesses(traces: Sequence[LinkTrace], reading: Reading) -> None:
    guesses = [guess for trace in traces for guess in trace.guesses]
    for what, taken_for in dict.fromkeys((guess.what, guess.taken_for) for guess in guesses):
        values = np.array([g.value for g in guesses if (g.what, g.taken_for) == (what, taken_for)])
        figures, option = ("medians", "unit") if what == "bandwidth" else ("mean steps", "time_unit")
        reading.note(
            f"no unit of {what} is named in {len(values)} of {len(traces)} traces: {figures} of {_range(values)} are "
            f"taken for {taken_for}; if that is wrong, name it: {option}={_OTHER[taken_for]}"
        )


_OTHER = {"Mbit/s": "kbit/s", "kbit/s": "Mbit/s", "bit/s": "kbit/s", "s": "ms", "ms": "s", "us": "ms", "ns": "us"}
"""An example of another unit."""


def _share(far: np.ndarray) -> str:
    return f"{far.sum()} of {len(far)} traces {'lie' if far.sum() > 1 else 'lies'}"


def _range(values: np.ndarray) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:.4g}" if f"{low:.4g}" == f"{high:.4g}" else f"{low:.4g} to {high:.4g}"
