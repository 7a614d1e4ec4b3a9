"""Losses of viewports."""

from __future__ import annotations

from torch import Tensor

from agents.vp.angles import wrap
from distill.training.losses import location_scale_divergence


def path_divergence(
    student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor], distribution: str = "gaussian"
) -> Tensor:
    """KL(teacher || student) of paths in degrees, (S,): mean over steps and axes, differences of means wrapped.

    Arguments:
        student, teacher: (mean, log of the scale), (S, steps, axes) each.
        distribution: see ``location_scale_divergence``.
    """
    return location_scale_divergence(wrap(student[0] - teacher[0]), student[1], teacher[1], distribution)
