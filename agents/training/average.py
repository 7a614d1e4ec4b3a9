"""Moving averages of weights: torch's, with a decay that grows with their age."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class MovingAverage(AveragedModel):
    """Exponential moving average of the parameters of a module, ``module``; its buffers are as they are there.

    Young averages forget faster, so that the initial weights do not linger: where n parameters have been averaged, the
    initial ones included, the decay is n / (9 + n), and at most ``decay``.

    Arguments:
        model: its parameters are the first that are averaged; a copy of it becomes ``module``.
        decay: from 0 to below 1.
        averaged: how many the first ones count as.
    """

    def __init__(self, model: nn.Module, decay: float, averaged: int = 1):
        super().__init__(model, multi_avg_fn=functools.partial(_move, decay))
        self.n_averaged.fill_(averaged)  # torch replaces the averages where this is 0


def _move(decay: float, averages: Sequence[Tensor], new: Sequence[Tensor], averaged: Tensor | int) -> None:
    count = int(averaged)
    torch._foreach_lerp_(list(averages), list(new), 1 - min(decay, count / (9 + count)))
