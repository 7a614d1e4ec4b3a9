"""The loop of trainings, learning rates and averages against what they are by definition."""

import copy

import pytest
import torch

from agents.training import Run
from agents.training.average import MovingAverage
from agents.training.fit import Course, descend, run_course, scheduled


def test_rates_are_those_of_the_function_to_the_bit_from_any_step_on():
    def rate(step):
        return 0.1 / (3 + step)

    for first in (0, 4):
        optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=0.7)
        schedule = scheduled(optimiser, rate, first)
        for step in range(first, first + 5):
            assert optimiser.param_groups[0]["lr"] == rate(step)
            optimiser.step()
            schedule.step()


@pytest.mark.parametrize("averaged", [1, 2])
def test_young_averages_forget_faster(averaged):
    model = torch.nn.Linear(3, 2)
    average = MovingAverage(model, 0.6, averaged)
    expected = copy.deepcopy(model)
    for number in range(averaged, averaged + 20):
        with torch.no_grad():
            for kept, value in zip(expected.parameters(), model.parameters(), strict=True):
                value += torch.randn_like(value)
                kept.lerp_(value, 1 - min(0.6, number / (9 + number)))
        average.update_parameters(model)
    for kept, value in zip(expected.parameters(), average.module.parameters(), strict=True):
        assert torch.equal(kept, value)


def test_a_step_follows_the_clipped_gradient():
    weight = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    optimiser = torch.optim.SGD([weight], lr=1.0)
    descend(optimiser, (weight * torch.tensor([30.0, 40.0])).sum(), clip_norm=1.0)
    assert weight.detach() == pytest.approx(torch.tensor([2.4, 3.2]))
    descend(optimiser, weight.sum())
    assert weight.detach() == pytest.approx(torch.tensor([1.4, 2.2]))


def course(**changes):
    return Course(**{"steps": 7, "rate": lambda step: 0.5 / (1 + step), "validate_every": 3, "average": 0.5, **changes})


def train(folder, stop=None, **changes):
    """Fit one number to those that steps draw; what was kept, and the run."""
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)

    def loss(step):
        if step == stop:
            raise KeyboardInterrupt
        return (model.weight - step % 3).square().sum()

    def validate(kept, step, mean_loss):
        return {"loss": mean_loss, "valid": float((kept.weight.detach() - 1).square())}

    with Run(folder, {}, 7) as run:
        kept = run_course(model, torch.optim.Adam(model.parameters()), course(**changes), loss, validate, run)
    return kept, model.weight.item(), run.curve


def test_the_best_weights_are_kept_and_a_killed_training_goes_on_to_the_same_bits(tmp_path):
    kept, weight, curve = train(tmp_path / "whole", save_every=2, validate_first=True)
    assert [point["step"] for point in curve] == [0, 3, 6, 7]
    best = min(curve, key=lambda point: point["valid"])
    assert kept == best["step"] and best["valid"] == pytest.approx((weight - 1) ** 2)
    for stop in (1, 3, 5, 6):
        folder = tmp_path / str(stop)
        with pytest.raises(KeyboardInterrupt):
            train(folder, stop, save_every=2, validate_first=True)
        assert train(folder, save_every=2, validate_first=True) == (kept, weight, curve)
    assert [point["step"] for point in train(tmp_path / "other", average=0.0)[2]] == [3, 6, 7]
