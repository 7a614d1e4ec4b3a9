"""BOLA-E: BOLA that starts fast and comes through trouble, by a buffer that is not there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.abr.dash_rules import SAFETY, BolaLadder, InsufficientBuffer, carried, shrunk, steady
from agents.abr.ewma import EwmaThroughput
from agents.policy import BatchPolicy, grow_rows


class BolaE(BatchPolicy):
    """BOLA-E: BOLA over the buffer and a placeholder buffer, with a rule against stalls.

    Spiteri, Sitaraman, Sparacio, MMSys 2018, section 3, and ``BolaEnh`` of their simulator Sabre. The first decision is
    the throughput's (0.9 of ``EwmaThroughput``), and the placeholder is what BOLA lacks to decide the same. Then BOLA
    sees buffer plus placeholder, which grows by the player's pauses and shrinks where BOLA would wait; after each
    chunk it is held between what the level played asks for and where BOLA would wait for it. The rule against stalls
    (``InsufficientBuffer``) may choose lower, and the placeholder then shrinks to that level's. The lowest level is
    played up to 10 s, the highest from ``buffer_s`` on (25 s, Sabre's default, or 10 s + 2 s a level if that is more).

    Deviations: steps up end at what the throughput carries (BOLA-O, as in dash.js; Sabre's default goes one level
    further); the throughput includes the round trip; nothing is abandoned or replaced; BOLA never waits; and where the
    player's buffer holds less than that, all seconds shrink by that ratio.
    """

    def __init__(self, buffer_s: float = 25.0):
        if not buffer_s > 0:
            raise ValueError("buffer_s must be positive: the player's buffer in seconds")
        self.buffer_s = float(buffer_s)
        self._throughput = EwmaThroughput()
        self._insufficient = InsufficientBuffer()
        self._placeholder = np.zeros(0)

    def reset_rows(self, rows: np.ndarray, seeds: Sequence[int | None]) -> None:
        for part in (self._throughput, self._insufficient):
            part.clear(rows)
        self._placeholder = grow_rows(self._placeholder, rows)
        self._placeholder[rows] = np.nan  # of an episode that has not decided yet

    def act_batch(self, observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
        rows, video = infos["row"], infos["video"]
        bitrates, real_s, delay_s = video.bitrates_kbps, np.asarray(infos["buffer_s"]), infos["delay_ms"] / 1000.0
        ladder = BolaLadder.of(bitrates, self.buffer_s)
        least, most = ladder.least_buffer_s(), ladder.most_buffer_s()
        mbps = self._throughput.push(rows, infos["throughput_mbps"], delay_s)
        safe = carried(bitrates, SAFETY * mbps)
        last = np.searchsorted(bitrates, infos["bitrate_kbps"])
        short = shrunk(infos, BolaLadder.target_s(len(bitrates), self.buffer_s))
        buffer_s, paused_s = real_s / short, infos["sleep_ms"] / 1000.0 / short

        first = np.isnan(self._placeholder[rows])
        spent_s = delay_s - infos["rebuffer_s"] - video.chunk_duration_s  # from the buffer, by the last chunk
        before_s = (real_s + spent_s) / short + paused_s
        placeholder = np.minimum(self._placeholder[rows], np.maximum(most[last] - before_s, 0.0))
        placeholder = np.where(infos["rebuffer_s"] > 0, placeholder, np.maximum(placeholder, least[last] - before_s))
        placeholder = np.maximum(placeholder, 0.0) + paused_s
        placeholder = np.where(first, np.maximum(least[safe] - buffer_s, 0.0), placeholder)

        level = np.where(first, safe, steady(ladder.level(buffer_s + placeholder), safe, last))
        waits_s = np.maximum(buffer_s + placeholder - most[level], 0.0)
        placeholder = np.maximum(placeholder - waits_s, 0.0)
        limit = self._insufficient.highest(rows, bitrates, video.chunk_duration_s, real_s, mbps)
        least_there = np.maximum(least[np.minimum(limit, level)] - buffer_s, 0.0)
        self._placeholder[rows] = np.where(limit < level, np.minimum(placeholder, least_there), placeholder)
        return np.minimum(level, limit)
