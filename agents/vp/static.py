"""Standing still."""

from __future__ import annotations

import numpy as np

from agents.vp.predictor import Predictor


class Static(Predictor):
    """The head stays where it was last seen: p[t + s] = x[t].

    The yardstick of every table; it beats the extrapolations that the literature compares with.
    """

    def predict(self, history: np.ndarray, horizon: int) -> np.ndarray:
        return np.repeat(history[:, -1:], horizon, axis=1)
