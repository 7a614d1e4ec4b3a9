"""``Recorded``: a user watching a video, as a reader hands it over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class AssumedDegrees(NamedTuple):
    """What angles were like that were taken for degrees because nothing said their unit."""

    largest: float
    """The largest of them, whatever its sign."""
    largest_pitch: float
    pitch_range: float
    yaw_range: float
    span_s: float
    """How long the recording is."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """One recording, sampled at 5 Hz, and what says which it is."""

    where: str
    """The file, for messages."""
    parts: tuple[str, ...]
    """Its path below the input."""
    time_s: np.ndarray
    """float64 (samples,)."""
    angles_deg: np.ndarray
    """float64 (samples, 3): roll, pitch, yaw."""
    user: str | None = None
    """Its name in the file; None: the path says it."""
    video: str | None = None
    user_first: bool = False
    """Whether files of this format lie in a folder of their user, and are called like the video."""
    assumed: AssumedDegrees | None = None
    by_order: tuple[float, float] | None = None
    """Over what range roll and yaw turn, where nothing but their order says which is which."""
