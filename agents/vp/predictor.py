"""What viewport predictors have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.policy import BatchPolicy
from netenvs.vp.previous_viewers import PreviousViewers
from netenvs.vp.sphere import wrap_deg

PREVIOUS_VIEWERS = "at least 10 logged viewers of the same video"
"""The assumption of predictors that use previous viewers."""


class Predictor(BatchPolicy):
    """A policy that continues a path of head rotation: subclasses write ``predict``.

    Angles are degrees in the order roll, pitch, yaw. Paths are scored as they are given: an angle beyond +-180 counts
    as such in the mean absolute error.
    """

    min_history: int = 1
    """Observed samples it cannot do without."""

    def predict(self, history: np.ndarray, horizon: int) -> np.ndarray:
        """Paths (k, horizon, 3) that follow the histories, float64 (k, h, 3), oldest sample first."""
        raise NotImplementedError(f"{type(self).__name__} does not define predict(history, horizon)")

    def act_batch(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        return self.predict(self.observed(observations), horizon_of(infos)).astype(np.float32)

    def observed(self, observations: Any) -> np.ndarray:
        """The histories as float64 (k, h, 3). Raises ``ValueError`` if they are too short."""
        history = np.asarray(observations["history"], dtype=np.float64)
        if history.shape[1] < self.min_history:
            raise ValueError(
                f"{self.name} needs {self.min_history} observed samples, not {history.shape[1]}: "
                f"set history={self.min_history}"
            )
        return history


def horizon_of(infos: dict[str, Any]) -> int:
    """Number of steps to predict, the same for all rows."""
    return int(np.max(infos["horizon"]))


def viewers_of(infos: dict[str, Any], name: str) -> PreviousViewers:
    """The previous viewers whom the policy ``name`` asks for. Raises ``ValueError`` where there are none."""
    if infos.get("previous_viewers") is None:
        raise ValueError(f"{name} needs previous viewers, and this data set has none: its training split has no users")
    return infos["previous_viewers"]


def displacements(to: np.ndarray, start: np.ndarray) -> np.ndarray:
    """How the head must turn from ``start`` to ``to``, (..., 3) each: the short way round in roll and yaw, degrees."""
    turn = np.asarray(to, dtype=np.float64) - start
    turn[..., 0] = wrap_deg(turn[..., 0])
    turn[..., 2] = wrap_deg(turn[..., 2])
    return turn
