"""Angles as networks read them."""

from __future__ import annotations

import torch
from torch import Tensor

MIRROR = (-1.0, 1.0, -1.0)
"""Factor of roll, pitch and yaw when left and right change places."""

UPSIDE_DOWN = (-1.0, -1.0, 1.0)
"""Factor of roll, pitch and yaw when up and down change places."""


def wrap(angles_deg: Tensor) -> Tensor:
    """The same angles in [-180, 180), but for rounding.

    It needs room for one array only: at play most of the time goes into asking for memory.
    """
    turns = (angles_deg + 180.0).div_(360.0).floor_()
    return turns.mul_(-360.0).add_(angles_deg)


def compress(degrees: Tensor) -> Tensor:
    """asinh(x / 3), to 1e-6: linear for small movements, logarithmic for large ones."""
    if degrees.requires_grad:
        return torch.asinh(degrees / 3)
    size = degrees.abs().div_(3)  # the same, much quicker
    return size.square().add_(1).sqrt_().add_(size).log_().mul_(degrees.sign())
