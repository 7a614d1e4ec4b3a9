"""The rules that the bitrate policies of the player dash.js are made of.

Spiteri, Sitaraman, Sparacio, *From Theory to Practice: Improving Bitrate Adaptation in the DASH Reference Player*,
MMSys 2018, with the constants of dash.js (``BolaRule``, ``ThroughputRule``, ``InsufficientBufferRule``) and of the
authors' simulator Sabre. As in a player, chunks have their nominal sizes, bitrate times duration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from agents.policy import grow_rows
from netenvs.abr.kernel import DRAIN_STEP_MS

SAFETY = 0.9  # share of the estimated throughput that is spent
MINIMUM_BUFFER_S = 10.0  # BOLA plays the lowest level below it
BUFFER_PER_LEVEL_S = 2.0  # the buffer at which it plays the highest is at least 10 s + 2 s a level
FIRST_SHARE, LEAST_SHARE = 0.9, 0.5  # of the buffered time in which a chunk must come: 0.9, 0.81, ... 0.5


def shrunk(infos: dict[str, Any], target_s: float) -> np.ndarray:
    """By how much a player's buffer falls short of ``target_s`` seconds when it is full, at most 1, float64 (k,).

    A player that pauses may be half a second, ``DRAIN_STEP_MS``, below what its buffer holds.
    """
    return np.minimum((infos["buffer_cap_s"] - DRAIN_STEP_MS / 1000.0) / target_s, 1.0)


def carried(bitrates_kbps: np.ndarray, throughput_mbps: np.ndarray) -> np.ndarray:
    """The highest level whose bitrate the throughput carries, 0 where there is none: int64 (k,) from float64 (k,)."""
    return np.maximum(np.searchsorted(bitrates_kbps, throughput_mbps * 1000.0, side="right") - 1, 0)


def steady(bola: np.ndarray, carried_level: np.ndarray, last: np.ndarray) -> np.ndarray:
    """BOLA-O: BOLA's level (k,), but a step up ends at the level that is carried, so that it need not be taken back."""
    held = np.maximum(carried_level, last)
    return np.where(bola > last, np.minimum(bola, held), bola)


class InsufficientBuffer:
    """The rule against stalls: the next chunk must come in a share of the time that is buffered.

    The share is 0.9 in the first decision of an episode, and a tenth less in each that follows, down to a half.
    """

    def __init__(self) -> None:
        self._share = np.zeros(0)

    def clear(self, rows: np.ndarray) -> None:
        self._share = grow_rows(self._share, rows)
        self._share[rows] = FIRST_SHARE

    def highest(
        self,
        rows: np.ndarray,
        bitrates_kbps: np.ndarray,
        chunk_duration_s: float,
        buffer_s: np.ndarray,
        throughput_mbps: np.ndarray,
    ) -> np.ndarray:
        """The highest level that it allows, int64 (k,), in one decision of each of ``rows``; arguments are (k,)."""
        share = self._share[rows]
        self._share[rows] = np.maximum(share * FIRST_SHARE, LEAST_SHARE)
        return carried(bitrates_kbps, share * buffer_s * throughput_mbps / chunk_duration_s)


@dataclass(frozen=True)
class BolaLadder:
    """BOLA for one ladder: it plays the level m with the largest (Vp (v_m + gp) - buffer) / bitrate_m.

    v_m = 1 + ln(bitrate_m / lowest bitrate). Vp and gp are such that the lowest level is left at 10 s of buffer at the
    earliest and the highest reached at ``target_s`` at the latest. All arrays are float64 (levels,).
    """

    bitrates: np.ndarray
    utility: np.ndarray
    gp: float
    vp: float

    @classmethod
    def of(cls, bitrates_kbps: np.ndarray, buffer_s: float) -> Self:
        """For a ladder in kbit/s and a buffer of that many seconds, or of 10 s + 2 s a level if that is more."""
        bitrates = np.asarray(bitrates_kbps, dtype=np.float64)
        utility = 1.0 + np.log(bitrates / bitrates[0])
        span = float(utility[-1]) - 1.0 or 1.0  # of a single level nothing matters
        vp = (cls.target_s(len(bitrates), buffer_s) - MINIMUM_BUFFER_S) / span
        return cls(bitrates, utility, MINIMUM_BUFFER_S / vp, vp)

    @staticmethod
    def target_s(levels: int, buffer_s: float) -> float:
        """Seconds of buffer at which the highest of so many levels is played."""
        return max(buffer_s, MINIMUM_BUFFER_S + BUFFER_PER_LEVEL_S * levels)

    def level(self, buffer_s: np.ndarray) -> np.ndarray:
        """The level at a buffer, int64 (k,) from seconds (k,); of equal levels the higher one."""
        score = (self.vp * (self.utility + self.gp) - np.asarray(buffer_s)[:, None]) / self.bitrates
        return len(self.bitrates) - 1 - np.argmax(score[:, ::-1], axis=1)

    def least_buffer_s(self) -> np.ndarray:
        """From how many seconds on each level is preferred to all that are lower; 0 of the lowest."""
        least = np.zeros(len(self.bitrates))
        for high in range(1, len(self.bitrates)):
            b, u = self.bitrates[:high], self.utility[:high]
            even = (self.bitrates[high] * u - b * self.utility[high]) / (self.bitrates[high] - b)
            least[high] = max(0.0, float((self.vp * (self.gp + even)).max()))
        return least

    def most_buffer_s(self) -> np.ndarray:
        """Over how many seconds BOLA would wait before it downloads a chunk of each level."""
        return self.vp * (self.utility + self.gp)
