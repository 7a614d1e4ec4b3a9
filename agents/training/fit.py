"""Optimiser steps, and the loop of a training that keeps the weights with the lowest figure in validation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from agents.training.average import MovingAverage
from agents.training.run import Run


def scheduled(optimiser: Optimizer, rate: Callable[[int], float], step: int = 0) -> LambdaLR:
    """Give ``optimiser`` the learning rate ``rate(step)``, and after each ``step`` of the schedule the next one."""
    for group in optimiser.param_groups:
        group["initial_lr"] = 1.0  # which torch multiplies with what the function gives
    return LambdaLR(optimiser, rate, last_epoch=step - 1)


def descend(optimiser: Optimizer, loss: Tensor, clip_norm: float = 0.0) -> None:
    """One step down the gradient of ``loss``, which is scaled down to ``clip_norm`` (0: never)."""
    optimiser.zero_grad()
    loss.backward()
    if clip_norm:
        nn.utils.clip_grad_norm_([value for group in optimiser.param_groups for value in group["params"]], clip_norm)
    optimiser.step()


@dataclass(frozen=True, kw_only=True)
class Course:
    """How long a training is, and what happens when."""

    steps: int
    rate: Callable[[int], float]
    """Learning rate of a step, numbered from 0."""
    validate_every: int
    """Steps; after the last one, too."""
    validate_first: bool = False
    """Whether the initial weights are validated."""
    save_every: int = 0
    """Steps between checkpoints besides those after validations; 0: there are no others."""
    clip_norm: float = 0.0
    """Gradients are scaled down to this norm; 0: never."""
    average: float = 0.0
    """Decay of the moving average of the weights, which is what is validated and kept; 0: the weights themselves."""


def run_course(
    model: nn.Module,
    optimiser: Optimizer,
    course: Course,
    loss: Callable[[int], Tensor],
    validate: Callable[[nn.Module, int, float], dict[str, float]],
    run: Run,
) -> int:
    """Train ``model`` in place, or go on with its training, to its best validated weights; the step they are of.

    Arguments:
        optimiser: of the parameters of ``model``.
        loss: of the step with this number; it must depend on that and the weights alone. The model is in training mode.
        validate: figures of a model in evaluation mode after so many steps with this mean loss since the last
            validation, of which ``valid`` chooses the weights: lower is better.
        run: has just been entered.
    """
    average = MovingAverage(model, course.average, averaged=2) if course.average else None
    kept: Any = model if average is None else average.module
    state: dict[str, Any] = {"step": 0, "loss_sum": 0.0, "best": None}
    saved = run.resume()
    if saved is not None:
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        state = {name: saved[name] for name in state}
        if average is not None:
            kept.load_state_dict(saved["average"])
            average.n_averaged += state["step"]
    schedule = scheduled(optimiser, course.rate, state["step"])

    def record(since: int) -> None:
        best = min((point["valid"] for point in run.curve), default=math.inf)
        mean_loss = state["loss_sum"] / since if since else 0.0
        run.record(state["step"], **validate(kept.eval(), state["step"], mean_loss))
        if run.curve[-1]["valid"] < best:
            state["best"] = {name: value.clone() for name, value in kept.state_dict().items()}
        state["loss_sum"] = 0.0

    def save() -> None:
        weights = None if average is None else kept.state_dict()
        run.save({**state, "model": model.state_dict(), "optimiser": optimiser.state_dict(), "average": weights})

    if saved is None and course.validate_first:
        record(0)
    while state["step"] < course.steps:
        model.train()
        value = loss(state["step"])
        descend(optimiser, value, course.clip_norm)
        schedule.step()
        state["step"] += 1
        state["loss_sum"] += float(value.detach())
        run.advance(state["step"])
        if average is not None:
            average.update_parameters(model)
        if state["step"] % course.validate_every == 0 or state["step"] == course.steps:
            record((state["step"] - 1) % course.validate_every + 1)
            save()
        elif course.save_every and state["step"] % course.save_every == 0:
            save()
    model.load_state_dict(state["best"])
    model.eval()
    return int(min(run.curve, key=lambda point: point["valid"])["step"])
