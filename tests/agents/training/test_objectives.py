"""The clipped objective at its corners."""

import pytest
import torch

from agents.training.objectives import clipped_surrogate


def test_gains_are_clipped_and_losses_are_not():
    ratio = torch.tensor([0.5, 0.9, 1.5, 0.5, 1.1, 1.5])
    advantage = torch.tensor([1.0, 1.0, 1.0, -1.0, -1.0, -1.0])
    old = torch.full((6,), -2.0)
    found = clipped_surrogate(old + ratio.log(), old, advantage, clip=0.2)
    assert found.tolist() == pytest.approx([0.5, 0.9, 1.2, -0.8, -1.1, -1.5])


def test_the_gradient_vanishes_beyond_the_clip():
    log_prob = torch.tensor([0.5, 0.0], requires_grad=True)
    clipped_surrogate(log_prob, torch.zeros(2), torch.ones(2), 0.2).sum().backward()
    assert log_prob.grad.tolist() == [0.0, 1.0]
