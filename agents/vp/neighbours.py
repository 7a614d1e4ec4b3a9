"""The motion of previous viewers who looked at the same thing."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.vp.damped_velocity import DampedVelocity
from agents.vp.predictor import PREVIOUS_VIEWERS, Predictor, displacements, horizon_of, viewers_of
from netenvs.vp.previous_viewers import playback_index
from netenvs.vp.sphere import great_circle_deg, wrap_deg


class Neighbours(Predictor):
    """The head moves as the nearest previous viewers moved at that time of the video: their weighted median.

    Of the previous viewers (training users, never the own user), the ``viewers`` nearest ones vote, per angle and
    step, with how they moved from the same instant on: exp(-distance / ``scale_deg``) votes each, distance being the
    mean great circle over the last ``samples`` samples. The viewer's own ``damped-velocity`` has ``own_votes``. The
    path is the last sample plus the weighted median, the value that the mean absolute error asks for.

    A k-nearest-neighbours predictor in the manner of CUB360 (Ban et al., ICME 2018), which takes a weighted mean. The
    defaults have the least error on the validation split of jin2022 (7.797 degrees; static 8.446) of 10 to 42
    viewers, 3 to 6 samples, scales of 10 to 20 degrees and 1 to 2 own votes.
    """

    assumption = PREVIOUS_VIEWERS
    min_history = 2

    def __init__(self, viewers: int = 20, samples: int = 4, scale_deg: float = 15.0, own_votes: float = 1.5):
        for name, count in (("viewers", viewers), ("samples", samples)):
            if not isinstance(count, int) or count < 1:
                raise ValueError(f"{name} must be a whole number from 1 up, not {count!r}")
        for name, value in (("scale_deg", scale_deg), ("own_votes", own_votes)):
            if not value > 0:
                raise ValueError(f"{name} must be positive, not {value!r}")
        self.viewers, self.samples = viewers, samples
        self.scale_deg, self.own_votes = float(scale_deg), float(own_votes)
        self._own = DampedVelocity()

    def act_batch(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        history, horizon = self.observed(observations), horizon_of(infos)
        known = viewers_of(infos, self.name)
        past = min(self.samples, history.shape[1])
        index = playback_index(observations["time_s"][:, 0])
        angles, present = known.paths(infos["video"], index, past, horizon, exclude_users=infos["user"])
        distance = great_circle_deg(angles[:, :, :past], history[:, None, -past:]).mean(axis=2)
        distance[~present[:, :, :past].all(axis=2)] = np.inf
        nearest = np.argsort(distance, axis=1, kind="stable")[:, : self.viewers]
        window = np.arange(len(history))[:, None]
        angles, present = angles[window, nearest], present[window, nearest]
        votes = np.exp(-distance[window, nearest] / self.scale_deg)[:, :, None] * present[:, :, past:]
        moves = displacements(angles[:, :, past:], angles[:, :, past - 1 : past])

        last = history[:, -1:]
        own_move = displacements(self._own.predict(history, horizon), last)
        moves = np.concatenate([own_move[:, None], moves], axis=1)
        votes = np.concatenate([np.full((len(history), 1, horizon), self.own_votes), votes], axis=1)
        return wrap_deg(last + weighted_median(moves, votes[..., None])).astype(np.float32)


def weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(k, ...) from values (k, n, ...) and weights that broadcast to them: the lowest value with half of the weight."""
    order = np.argsort(values, axis=1, kind="stable")
    weight_up_to = np.take_along_axis(np.broadcast_to(weights, values.shape), order, axis=1).cumsum(axis=1)
    place = (weight_up_to >= weight_up_to[:, -1:] / 2).argmax(axis=1)[:, None]
    return np.take_along_axis(values, np.take_along_axis(order, place, axis=1), axis=1)[:, 0]
