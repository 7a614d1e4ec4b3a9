"""The nearest of the places that most previous viewers look at."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.vp.predictor import PREVIOUS_VIEWERS, Predictor, horizon_of, viewers_of
from netenvs.vp.heat_maps import PITCH_DEG, YAW_DEG
from netenvs.vp.previous_viewers import playback_index
from netenvs.vp.sphere import view_vectors

CELLS_DEG = np.stack(np.broadcast_arrays(0.0, PITCH_DEG[:, None], YAW_DEG), axis=-1).reshape(-1, 3)
"""float64 (648, 3): roll 0, pitch and yaw of every cell of a heat map."""


class SaliencyPeak(Predictor):
    """At every step the head is at the peak of the previous viewers' heat map that is nearest to where it is now.

    Of the local maxima of the map at t + s only the ``peaks`` highest count. The baseline of TRACK (Romero Rondon et
    al., IEEE TPAMI 2021, ``Saliency_only_baseline.py``), which has maps of 256 x 256 cells; those of
    ``netenvs.vp.heat_maps`` have 18 x 36, so predictions are centres of 10 degree cells. Roll stays as it is; at
    instants of which no viewer's path is known, the head stays.
    """

    assumption = PREVIOUS_VIEWERS

    def __init__(self, peaks: int = 5):
        if not isinstance(peaks, int) or peaks < 1:
            raise ValueError(f"peaks must be a whole number from 1 up, not {peaks!r}")
        self.peaks = peaks

    def act_batch(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        last, horizon = self.observed(observations)[:, -1], horizon_of(infos)
        known = viewers_of(infos, self.name)
        first = playback_index(observations["time_s"][:, 0]) + 1
        maps = known.heat_maps(infos["video"], first, horizon, exclude_user=infos["user"])
        heights = np.where(local_maxima(maps), maps, 0.0).reshape(len(last), horizon, -1)
        cells = np.argsort(-heights, axis=2, kind="stable")[:, :, : self.peaks]
        nearness = np.sum(view_vectors(last)[:, None, None] * view_vectors(CELLS_DEG)[cells], axis=-1)
        nearness[np.take_along_axis(heights, cells, axis=2) == 0] = -np.inf
        best = nearness.argmax(axis=2)[..., None]
        path = CELLS_DEG[np.take_along_axis(cells, best, axis=2)[..., 0]]
        path[..., 0] = last[:, None, 0]
        nobody = heights.max(axis=2) == 0
        return np.where(nobody[..., None], last[:, None], path).astype(np.float32)


def local_maxima(maps: np.ndarray) -> np.ndarray:
    """bool (..., rows, columns): cells above 0 that no neighbour of the eight is above; columns go round."""
    highest = np.maximum(np.maximum(np.roll(maps, 1, axis=-1), np.roll(maps, -1, axis=-1)), maps)
    around = highest.copy()
    around[..., 1:, :] = np.maximum(around[..., 1:, :], highest[..., :-1, :])
    around[..., :-1, :] = np.maximum(around[..., :-1, :], highest[..., 1:, :])
    return (maps > 0) & (maps >= around)
