"""How much may be fetched: the rate of the viewport from the throughput of past chunks, or from the buffer."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.abr.throughput import harmonic_mean

CHUNK_S = 1.0
PAST_CHUNKS = 5


def zone_levels(ring: np.ndarray, levels: int, margin: int) -> np.ndarray:
    """Levels of all tiles for every level of the viewport, int64 (k, levels, tiles), of ``viewport_rings`` (k, tiles).

    The viewport has level 1 ... ``levels``, the ``margin`` rings of tiles around it one level less, all others the
    lowest; nothing is left out.
    """
    inside = np.arange(1, levels + 1)[:, None]
    around = np.maximum(inside - 1, 1)
    ring = ring[:, None]
    return np.where(ring == 0, inside, np.where(ring <= margin, around, 1))


def sizes_mbyte(choices: np.ndarray, tile_mbyte: np.ndarray, rates_mbps: tuple[float, ...]) -> np.ndarray:
    """Sizes of chunks whose tiles have the levels ``choices`` (k, n, tiles): float64 (k, n).

    ``tile_mbyte`` (k, tiles) are the sizes of tiles at the lowest rate.
    """
    factor = np.concatenate([[0.0], np.array(rates_mbps) / rates_mbps[0]])
    return np.sum(factor[choices] * tile_mbyte.astype(np.float64)[:, None], axis=2)


def highest_affordable(sizes: np.ndarray, budget: np.ndarray) -> np.ndarray:
    """The last of ascending sizes (k, n) within the budget (k,), or the first: int64 (k,)."""
    return np.maximum(np.sum(sizes <= budget[:, None], axis=1) - 1, 0)


class RateBased:
    """What the harmonic mean of the last five throughputs carries in the duration of a chunk, times ``safety``.

    The "RB" rule of Pensieve (SIGCOMM 2017, section 5.1). Throughput is size over download time, round trip included.
    """

    def __init__(self, safety: float):
        if not safety > 0:
            raise ValueError(f"safety must be positive, the share of the estimate that is spent, not {safety!r}")
        self.safety = float(safety)

    def choose(self, observations: Any, sizes: np.ndarray) -> np.ndarray:
        """The number, int64 (k,), of the option that is chosen out of ascending sizes in Mbyte (k, n)."""
        past = observations["throughput_mbps"][:, -PAST_CHUNKS:].astype(np.float64)
        known = (past > 0).any(axis=1)
        mbps = np.zeros(len(past))
        mbps[known] = harmonic_mean(past[known])
        return highest_affordable(sizes, self.safety * mbps * CHUNK_S / 8)


class BufferBased:
    """The lowest under the reservoir, the highest over reservoir and cushion, linear between: BBA.

    Huang et al., *A Buffer-Based Approach to Rate Adaptation*, SIGCOMM 2014.
    """

    def __init__(self, reservoir_s: float, cushion_s: float):
        if not (reservoir_s >= 0 and cushion_s > 0):
            raise ValueError("reservoir_s must be 0 or more and cushion_s positive")
        self.reservoir_s, self.cushion_s = float(reservoir_s), float(cushion_s)

    def choose(self, observations: Any, sizes: np.ndarray) -> np.ndarray:
        """The number, int64 (k,), of the option that is chosen out of n, sizes (k, n)."""
        highest = sizes.shape[1] - 1
        level = highest * (observations["buffer_s"][:, 0].astype(np.float64) - self.reservoir_s) / self.cushion_s
        return np.clip(level, 0, highest).astype(np.int64)
