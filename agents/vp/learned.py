"""What the learned predictors share: ensembles, and a policy around a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from agents.pretrained import load, one_thread
from agents.vp.angles import wrap
from agents.vp.predictor import Predictor, horizon_of
from netenvs.vp.previous_viewers import PreviousViewers, playback_index

HISTORY, HORIZON = 10, 20
"""Samples at 5 Hz that the networks read and predict."""


class Ensemble(nn.Module, PyTorchModelHubMixin):
    """Mean of networks that were trained with different seeds, each mirrored and not.

    ``scale`` (20, 3) multiplies the displacements: 1, or what suits the validation split, see ``fit_scale``.
    Subclasses say what a member is.
    """

    scale: Tensor
    needs_viewers = True
    """False for networks that see the own motion only."""

    def __init__(self, members: list[nn.Module]):
        super().__init__()
        self.members = nn.ModuleList(members)
        self.register_buffer("scale", torch.ones(HORIZON, 3))

    def member_displacement(self, member: nn.Module, history: Tensor, context: Any) -> Tensor:
        """Displacement from the last sample, float32 (k, 20, 3) degrees, as one member predicts it."""
        raise NotImplementedError

    def context(self, viewers: PreviousViewers, video: np.ndarray, index: np.ndarray, user: np.ndarray) -> Any:
        """What members see of previous viewers around the instants ``index`` (k,)."""
        raise NotImplementedError

    def displacement(self, history: Tensor, context: Any) -> Tensor:
        """Displacement from the last sample, float32 (k, 20, 3) degrees."""
        return self.scale * torch.stack([self.member_displacement(m, history, context) for m in self.members]).mean(0)


class LearnedPredictor(Predictor):
    """Plays an ``Ensemble``; reads the last 10 samples and predicts 20 steps.

    It calculates in double precision: single precision sums depend on the size of the batch.

    A longer horizon repeats the last predicted sample, a shorter one is cut off. ``ValueError``, one line, for a
    folder of weights that cannot be used, for a history of less than 10 samples, and for infos without previous
    viewers, if it needs them.
    """

    policy: str
    """Registered name, in the ``config.json`` of its folders."""
    ensemble: type[Ensemble]
    shipped: Path
    assumption: str | None = None
    min_history = HISTORY

    def __init__(self, folder: str = ""):
        self.model, self.bytes = load(self.ensemble, Path(folder) if folder else self.shipped, self.policy)
        self.model.double()
        self.parameters = sum(value.numel() for value in self.model.state_dict().values())
        if not self.model.needs_viewers:
            self.assumption = None

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """The predictor with the weights of a folder."""
        return cls(str(folder))

    def act_batch(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        if self.model.needs_viewers and infos.get("previous_viewers") is None:
            raise ValueError(f"{self.policy} needs previous viewers, and this data set has none")
        last = torch.from_numpy(np.ascontiguousarray(self.observed(observations)[:, -HISTORY:]))
        with torch.inference_mode(), one_thread():
            context = None
            if self.model.needs_viewers:
                index = playback_index(np.asarray(observations["time_s"]).reshape(-1))
                context = self.model.context(
                    infos["previous_viewers"], np.asarray(infos["video"]), index, np.asarray(infos["user"])
                )
            path = absolute(last, self.model.displacement(last, context)).numpy()
        steps = np.minimum(np.arange(horizon_of(infos)), HORIZON - 1)
        return path[:, steps].astype(np.float32)


def absolute(history: Tensor, displacement: Tensor) -> Tensor:
    """Path in degrees, roll and yaw in [-180, 180), pitch in [-90, 90], of displacements from the last sample."""
    path = wrap(history[:, -1:] + displacement)
    path[..., 1] = (history[:, -1:, 1] + displacement[..., 1]).clamp(-90, 90)
    return path


def fit_scale(displacement: Tensor, actual: Tensor) -> Tensor:
    """float32 (20, 3): one factor an axis and second that makes the mean absolute error of displacements least.

    Both are (n, 20, 3). Training users move more than others, so that what a network learns from them is too much.
    """
    scale = torch.ones(displacement.shape[1:])
    for second in torch.arange(displacement.shape[1]).split(5):
        for axis in range(3):
            x, y = displacement[:, second, axis], actual[:, second, axis]
            factors = torch.arange(0.5, 1.2001, 0.01)
            errors = torch.stack([wrap(y - factor * x).abs().mean() for factor in factors])
            scale[second, axis] = factors[errors.argmin()]
    return scale
