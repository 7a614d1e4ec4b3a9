"""Constant velocity."""

from __future__ import annotations

import numpy as np

from agents.vp.predictor import Predictor
from netenvs.vp.sphere import unwrap_yaw, wrap_deg


class Velocity(Predictor):
    """The mean velocity of the history goes on: p[t + s] = x[t] + s (x[t] - x[t - h + 1]) / (h - 1).

    NetLLM's baseline (``viewport_prediction``, SIGCOMM 2024), on angles as recorded: a yaw that crosses +-180 counts as
    a turn by nearly 360 degrees. At the published command's batch size of 64 the original scores one sample of each
    batch only; the numbers here are those of batch size 1.
    """

    min_history = 2

    def predict(self, history: np.ndarray, horizon: int) -> np.ndarray:
        velocity = (history[:, -1:] - history[:, :1]) / (history.shape[1] - 1)
        return history[:, -1:] + velocity * np.arange(1, horizon + 1)[:, None]


class VelocityUnwrapped(Velocity):
    """``velocity`` on yaw continued over +-180 degrees; the path is wrapped in the end."""

    def predict(self, history: np.ndarray, horizon: int) -> np.ndarray:
        return wrap_deg(super().predict(unwrap_yaw(history), horizon))
