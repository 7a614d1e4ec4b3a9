"""A straight line through the history."""

from __future__ import annotations

import numpy as np

from agents.vp.predictor import Predictor
from netenvs.vp.sphere import unwrap_yaw, wrap_deg


class LinearRegression(Predictor):
    """The least-squares line of each angle over the history goes on.

    NetLLM's baseline (``viewport_prediction``, SIGCOMM 2024), which fits anew after each predicted step; points on
    the line do not move it, so one fit gives the same path: slope b = sum((i - m) x[i]) / sum((i - m)^2) with m the
    mean of the sample numbers i, and p[j] = mean(x) + b (j - m). On angles as recorded, like ``velocity``.
    """

    min_history = 2

    def predict(self, history: np.ndarray, horizon: int) -> np.ndarray:
        samples = history.shape[1]
        centred = np.arange(samples + horizon) - (samples - 1) / 2
        observed, ahead = centred[:samples, None], centred[samples:, None]
        slope = np.sum(observed * history, axis=1, keepdims=True) / np.sum(observed**2)
        return history.mean(axis=1, keepdims=True) + slope * ahead


class LinearRegressionUnwrapped(LinearRegression):
    """``linear-regression`` on yaw continued over +-180 degrees; the path is wrapped in the end."""

    def predict(self, history: np.ndarray, horizon: int) -> np.ndarray:
        return wrap_deg(super().predict(unwrap_yaw(history), horizon))
