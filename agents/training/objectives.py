"""Objectives of policy gradients."""

from __future__ import annotations

import torch
from torch import Tensor


def clipped_surrogate(log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """What proximal policy optimisation makes as large as it can, (S,).

    The lesser of ratio times advantage, and of the same with the ratio of probabilities kept within ``clip`` of 1
    (Schulman et al., *Proximal Policy Optimization Algorithms*, 2017, equation 7).

    Arguments:
        log_prob, old_log_prob: of what was done, (S,), by the policy now, and as it was when it did it.
        advantage: of that, (S,).
    """
    ratio = (log_prob - old_log_prob).exp()
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
