"""DYNAMIC: what the player dash.js does unless it is told otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.abr.dash_rules import SAFETY, BolaLadder, InsufficientBuffer, carried, shrunk, steady
from agents.abr.ewma import EwmaThroughput
from agents.policy import BatchPolicy, grow_rows


class Dynamic(BatchPolicy):
    """The default of dash.js: the throughput while the buffer is low, BOLA when it is not.

    Spiteri, Sitaraman, Sparacio, MMSys 2018, section 4, and ``Dynamic`` of their simulator Sabre. The throughput rule
    plays the highest level under 0.9 of the estimate (``EwmaThroughput``). BOLA takes over at ``low_buffer_s`` = 10 s
    of buffer where its level is not lower, and hands back under 10 s where it is lower. Its parameters are those of
    dash.js: lowest level up to 10 s, highest from 10 s + 2 s a level on (``stable_buffer_s`` if that is more), no
    steps up that the throughput does not carry. The rule against stalls (``InsufficientBuffer``) limits both, as in
    dash.js.

    Deviations: the throughput includes the round trip (as in dash.js; Sabre has it apart); there is no placeholder
    buffer (see ``bola-e``); nothing is abandoned half-way, and BOLA never waits: pausing is the player's part here.
    Where the player's buffer holds less than BOLA's highest level asks for, BOLA's seconds shrink by that ratio.
    """

    def __init__(self, low_buffer_s: float = 10.0, stable_buffer_s: float = 12.0):
        if not (low_buffer_s >= 0 and stable_buffer_s > 0):
            raise ValueError("low_buffer_s must be 0 or more and stable_buffer_s positive")
        self.low_buffer_s, self.stable_buffer_s = float(low_buffer_s), float(stable_buffer_s)
        self._throughput = EwmaThroughput()
        self._insufficient = InsufficientBuffer()
        self._on_bola = np.zeros(0, dtype=np.bool_)

    def reset_rows(self, rows: np.ndarray, seeds: Sequence[int | None]) -> None:
        for part in (self._throughput, self._insufficient):
            part.clear(rows)
        self._on_bola = grow_rows(self._on_bola, rows)
        self._on_bola[rows] = False

    def act_batch(self, observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
        rows, video = infos["row"], infos["video"]
        bitrates, buffer_s = video.bitrates_kbps, np.asarray(infos["buffer_s"])
        mbps = self._throughput.push(rows, infos["throughput_mbps"], np.asarray(infos["delay_ms"]) / 1000.0)
        limit = self._insufficient.highest(rows, bitrates, video.chunk_duration_s, buffer_s, mbps)
        safe = carried(bitrates, SAFETY * mbps)

        short = shrunk(infos, BolaLadder.target_s(len(bitrates), self.stable_buffer_s))
        bola = BolaLadder.of(bitrates, self.stable_buffer_s).level(buffer_s / short)
        bola = np.minimum(steady(bola, safe, np.searchsorted(bitrates, infos["bitrate_kbps"])), limit)
        safe = np.minimum(safe, limit)

        low, lower = buffer_s < self.low_buffer_s, bola < safe
        on_bola = np.where(self._on_bola[rows], ~(low & lower), ~low & ~lower)
        self._on_bola[rows] = on_bola
        return np.where(on_bola, bola, safe)
