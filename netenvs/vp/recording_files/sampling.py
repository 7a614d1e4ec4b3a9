"""Recordings of any rate at the multiples of 0.2 s."""

from __future__ import annotations

import numpy as np

from netenvs.readers.errors import InputError
from netenvs.vp.recording_files.heads import Motion
from netenvs.vp.recordings import MAX_GAP_S, RATE_HZ, TIME_SLACK_S


def sampled(name: str, time_s: np.ndarray, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Times, float64 (samples,), multiples of 0.2 s between the first and the last row, and angles there.

    Nothing is invented inside a pause of more than ``MAX_GAP_S``: those samples are left out, so that the times show
    the gap and ``Windows.valid`` marks it. There must be two rows; raises :class:`InputError` where there are too few
    of them for that.
    """
    usual = np.median(np.diff(time_s))
    if usual > MAX_GAP_S + TIME_SLACK_S:
        raise InputError(f"{name}: a row every {usual:g} s is too few; give one every {MAX_GAP_S} s or more")
    first, last = np.ceil((time_s[0] - TIME_SLACK_S) * RATE_HZ), np.floor((time_s[-1] + TIME_SLACK_S) * RATE_HZ)
    grid_s = np.clip(np.arange(first, last + 1) / RATE_HZ, time_s[0], time_s[-1])
    after = np.clip(np.searchsorted(time_s, grid_s), 1, len(time_s) - 1)
    from_row_s = np.minimum(np.abs(grid_s - time_s[after - 1]), np.abs(grid_s - time_s[after]))
    in_gap = time_s[after] - time_s[after - 1] > MAX_GAP_S + TIME_SLACK_S
    grid_s = grid_s[~in_gap | (from_row_s < TIME_SLACK_S)]
    if not len(grid_s):
        raise InputError(f"{name}: no sample at 5 Hz lies in its {time_s[-1] - time_s[0]:g} s")
    return grid_s, motion(grid_s)
