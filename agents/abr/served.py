"""What policies that learned in worlds were trained for, and that they say so where a session is beyond it."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np

from netenvs.abr.qoe import QoE
from netenvs.abr.records import Video
from netenvs.abr.worlds import CHUNK_S, LEVELS, PENALTY, PUBLISHED_PENALTY

SLACK = 1.001


def beyond(video: Video, qoe: QoE) -> str | None:
    """What of a session is out of the range of worlds, for a message; None: nothing is.

    Bitrates and links are seen relative to each other, so that only their number, their duration and the objective have
    a range: 2 to 12 levels, chunks of 1 to 10 s, a second's stall at a tenth to ten times the range of the utility.
    """
    low, high = min(LEVELS), max(LEVELS)
    if not low <= video.num_levels <= high:
        return f"ladders of {low} to {high} levels, video {video.name!r} has {video.num_levels}"
    low_s, high_s = min(CHUNK_S), max(CHUNK_S)
    if not low_s / SLACK <= video.chunk_duration_s <= high_s * SLACK:
        return f"chunks of {low_s:g} to {high_s:g} s, those of video {video.name!r} last {video.chunk_duration_s:g} s"
    penalty = qoe.rebuffer_penalty / qoe.utility_range(video.num_chunks)
    if qoe.rebuffer_penalty != PUBLISHED_PENALTY and not PENALTY[0] / SLACK <= penalty <= PENALTY[1] * SLACK:
        ranges = "times the range of the utility"
        return f"a second's stall at {PENALTY[0]:g} to {PENALTY[1]:g} {ranges}, here it is {penalty:.3g} {ranges}"
    return None


class SaysItsRange:
    """Says once, as a warning, where a session is beyond what a policy was trained for; it plays on."""

    registered: ClassVar[str]
    _said = False

    def look(self, infos: dict[str, Any]) -> None:
        """At the sessions of a decision, of one video."""
        if self._said or not np.any(np.asarray(infos["chunk"]) == 1):
            return
        found = beyond(infos["video"], infos["qoe"])
        if found is not None:
            self._said = True
            warnings.warn(f"{self.registered} was trained for {found}: it plays beyond that", stacklevel=3)
