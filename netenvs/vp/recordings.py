"""Head-motion recordings as flat arrays, and the windows that the published protocol cuts from them.

All angles are degrees in the order roll, pitch, yaw, as published: yaw wraps at +-180, nothing is unwrapped.
Samples come at 5 Hz, nominally; ``time_s`` says when each was really taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from netenvs.records import ArrayRecord

RATE_HZ = 5.0
TRIM_HEAD, TRIM_TAIL, STEP = 30, 60, 15
"""Samples left out at either end of a recording, and between windows: constants of NetLLM's protocol."""
MAX_GAP_S = 0.6
"""Longer pauses between samples are gaps in a recording."""


class Split(NamedTuple):
    """Videos and users of a split, in the order of the published lists; users and videos of splits are disjoint."""

    videos: tuple[int, ...]
    users: tuple[int, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Recordings(ArrayRecord):
    """One recording per (video, user); every array is read-only."""

    name: str
    offset: np.ndarray
    """int64 (recordings + 1,): samples of recording i are ``[offset[i], offset[i + 1])``."""
    angles_deg: np.ndarray
    """float32 (samples, 3): roll, pitch, yaw."""
    time_s: np.ndarray
    """float64 (samples,): playback time of the video, from about 0."""
    video: np.ndarray
    """int32 (recordings,), ascending; recordings are in order of (video, user)."""
    user: np.ndarray
    """int32 (recordings,)."""
    splits: Mapping[str, Split] = field(compare=False)
    """``train``, ``valid``, ``test``."""

    def __len__(self) -> int:
        """Number of recordings."""
        return len(self.video)

    def __repr__(self) -> str:
        return f"<Recordings {self.name!r}: {len(self)} recordings, {len(self.time_s)} samples>"


class Windows(NamedTuple):
    """Windows of one split, in the order video, user, time of the split's lists."""

    history: np.ndarray
    """float32 (windows, history, 3): the last observed samples, oldest first."""
    future: np.ndarray
    """float32 (windows, horizon, 3): the samples that follow."""
    recording: np.ndarray
    """int64 (windows,): number of the recording."""
    sample: np.ndarray
    """int64 (windows,): position in the recording of the first future sample, NetLLM's ``timestep``."""
    video: np.ndarray
    """int32 (windows,)."""
    user: np.ndarray
    """int32 (windows,)."""
    time_s: np.ndarray
    """float64 (windows,): playback time of the last observed sample."""
    valid: np.ndarray
    """bool (windows,): no gap longer than ``MAX_GAP_S`` inside."""
