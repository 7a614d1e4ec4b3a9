"""A probability for each tile, and the levels with the highest expected quality that the link carries."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.vp.predictor import PREVIOUS_VIEWERS, displacements, viewers_of
from agents.vp_streaming.rates import RateBased
from agents.vp_streaming.tiled import CHUNK_SAMPLES, TiledPolicy
from netenvs.vp import sphere
from netenvs.vp.previous_viewers import playback_index

PAST = 4
"""Samples by which viewers are alike, as in ``neighbours``."""
PRICES = 64


class CrowdRate(TiledPolicy):
    """Tiles are fetched by how likely previous viewers' moves bring them into sight; the rate follows the throughput.

    Every previous viewer votes for the tiles that would be seen if the head moved as theirs did then, with
    exp(-d / ``scale_deg``) votes, d being the mean great circle between the last four samples of both; standing still
    has ``own_votes``. No tile has a probability below ``floor``. The levels are those of the highest expected quality
    for their size, see ``by_expected_quality``; that counts neither the spread of quality within the viewport nor its
    change. In the manner of 360ProbDASH (Xie et al., ACM MM 2017), which has Gaussian errors in place of viewers.

    The defaults have the highest QoE on the validation split of the generated recordings of ``own_votes`` 0.2, 0.5, 1
    and of ``floor`` 0.02, 0.1.
    """

    assumption = PREVIOUS_VIEWERS

    def __init__(self, own_votes: float = 0.2, scale_deg: float = 15.0, floor: float = 0.02, safety: float = 1.0):
        for name, value in (("own_votes", own_votes), ("scale_deg", scale_deg), ("floor", floor)):
            if not value > 0:
                raise ValueError(f"{name} must be positive, not {value!r}")
        self.own_votes, self.scale_deg, self.floor = float(own_votes), float(scale_deg), float(floor)
        self.rates = RateBased(safety)

    def options(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        probabilities = np.maximum(self.probabilities(observations, infos), self.floor)
        sizes = observations["tile_mbyte"].astype(np.float64)
        return by_expected_quality(probabilities, sizes, infos["rates_mbps"], infos["qoe"].utility[1:])

    def probabilities(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        """How likely each tile is in sight at a sample of the next chunk: float64 (k, tiles)."""
        history = observations["history"].astype(np.float64)
        last, past = history[:, -1], min(PAST, history.shape[1])
        steps = np.asarray(infos["lead"])[:, None] + np.arange(CHUNK_SAMPLES)
        index = playback_index(observations["time_s"][:, 0])
        known = viewers_of(infos, self.name).paths(
            infos["video"], index, past, int(steps.max()), exclude_users=infos["user"]
        )
        ahead = past - 1 + steps[:, None]
        future = np.take_along_axis(known.angles_deg, ahead[..., None], axis=2)
        present = known.present[:, :, :past].all(axis=2) & np.take_along_axis(known.present, ahead, axis=2).all(axis=2)
        distance = sphere.great_circle_deg(known.angles_deg[:, :, :past], history[:, None, -past:]).mean(axis=2)
        votes = np.where(present, np.exp(-distance / self.scale_deg), 0.0)

        moves = displacements(future, known.angles_deg[:, :, past - 1 : past])
        paths = last[:, None, None] + np.concatenate([np.zeros_like(moves[:, :1]), moves], axis=1)
        votes = np.concatenate([np.full((len(votes), 1), self.own_votes), votes], axis=1)
        grid = infos["grid"]
        shown = sphere.tile_masks(paths, grid.rows, grid.columns, infos["fov_deg"]).mean(axis=2)
        return np.einsum("kv,kvt->kt", votes / votes.sum(axis=1, keepdims=True), shown.reshape(*votes.shape, -1))


def by_expected_quality(
    probabilities: np.ndarray, tile_mbyte: np.ndarray, rates_mbps: tuple[float, ...], utility: np.ndarray
) -> np.ndarray:
    """Levels of all tiles at 64 prices of a Mbyte, from the highest to the lowest: int64 (k, 64, tiles).

    Each tile has the level that makes probability x quality - price x size the highest: no other levels of this size
    have more expected quality (Lagrange). ``probabilities``, above 0, and ``tile_mbyte``, the sizes at the lowest rate,
    are (k, tiles), ``utility`` is (levels,). At the highest price all tiles have level 1, at the lowest the last.
    """
    worth = probabilities[..., None] * utility
    sizes = np.maximum(tile_mbyte, 1e-9)[..., None] * (np.array(rates_mbps) / rates_mbps[0])
    steps = (np.diff(worth, axis=2) / np.diff(sizes, axis=2)).reshape(len(worth), -1)
    highest, lowest = steps.max(axis=1) * 1.001, steps.min(axis=1) / 1.001
    prices = np.geomspace(highest, lowest, PRICES, axis=1)
    return np.argmax(worth[:, None] - prices[..., None, None] * sizes[:, None], axis=3) + 1
