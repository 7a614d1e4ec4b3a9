"""Losses of distillation against torch's distributions, and finite wherever choices are masked."""

import pytest
import torch
from torch.distributions import Categorical, Laplace, Normal, kl_divergence

from agents.sequence.net import MASKED
from agents.training.objectives import clipped_surrogate
from distill.training import losses


def logits(rows=5, choices=7, seed=0):
    return torch.randn(rows, choices, generator=torch.Generator().manual_seed(seed))


def test_divergence_is_that_of_torch():
    student, teacher = logits(seed=1), logits(seed=2)
    expected = kl_divergence(Categorical(logits=teacher), Categorical(logits=student))
    torch.testing.assert_close(losses.divergence(student, teacher), expected)
    warm = kl_divergence(Categorical(logits=teacher / 3), Categorical(logits=student / 3))
    torch.testing.assert_close(losses.divergence(student, teacher, 3.0), 9 * warm)
    assert torch.equal(losses.divergence(teacher, teacher), torch.zeros(5))


@pytest.mark.parametrize("value", [MASKED, -torch.inf])
def test_masked_choices_keep_losses_and_gradients_finite(value):
    student, teacher = logits(seed=1), logits(seed=2)
    student[:, 3:], teacher[:, 3:] = value, value
    student.requires_grad_()
    found = losses.divergence(student, teacher)
    found.sum().backward()
    assert found.isfinite().all()
    assert student.grad.isfinite().all()
    few = kl_divergence(Categorical(logits=teacher[:, :3]), Categorical(logits=student[:, :3]))
    torch.testing.assert_close(found, few)


def test_components_that_do_not_matter_count_nothing():
    student, teacher = [logits(seed=1), logits(seed=2)], [logits(seed=3), logits(seed=4)]
    parts = [losses.divergence(ours, theirs) for ours, theirs in zip(student, teacher, strict=True)]
    torch.testing.assert_close(losses.decision_divergence(student, teacher), parts[0] + parts[1])
    counts = torch.tensor([[True, row > 1] for row in range(5)])
    found = losses.decision_divergence(student, teacher, counts=counts)
    torch.testing.assert_close(found[:2], parts[0][:2])
    torch.testing.assert_close(found[2:], (parts[0] + parts[1])[2:])


@pytest.mark.parametrize(("name", "kind"), [("gaussian", Normal), ("laplace", Laplace)])
def test_means_and_scales_diverge_as_distributions_do(name, kind):
    one, other = (logits(4, 6, seed).reshape(4, 2, 3) for seed in (1, 2))
    scales = [0.3 * logits(4, 6, seed).reshape(4, 2, 3) for seed in (3, 4)]
    expected = kl_divergence(kind(other, scales[1].exp()), kind(one, scales[0].exp())).flatten(1).mean(dim=1)
    torch.testing.assert_close(losses.location_scale_divergence(one - other, *scales, name), expected)


def test_objectives_weigh_the_teacher():
    one, two = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0])
    torch.testing.assert_close(losses.supervised(one, two, 0.5), torch.tensor([2.5, 4.5]))
    old = torch.tensor([0.5, 0.5, 0.5, 0.5]).log()
    new = torch.tensor([0.9, 0.9, 0.1, 0.55]).log()
    advantage = torch.tensor([1.0, -1.0, -1.0, 2.0])
    found = losses.supervised(-clipped_surrogate(new, old, advantage, 0.2), torch.ones(4), 0.1)
    torch.testing.assert_close(found, 0.1 - torch.tensor([1.2, -1.8, -0.8, 2.2]))


def test_the_teachers_weight_decays():
    assert losses.decayed(2.0, 0.0) == 2.0
    assert losses.decayed(2.0, 0.5) == pytest.approx(0.2)
    assert losses.decayed(2.0, 1.0) == losses.decayed(2.0, 3.0) == pytest.approx(0.02)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="temperature must be positive"):
        losses.divergence(logits(), logits(), 0.0)
    with pytest.raises(ValueError, match="gaussian or laplace"):
        losses.location_scale_divergence(logits(), logits(), logits(), "cauchy")
