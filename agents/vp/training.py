"""Training of the learned predictors: one loop that can be killed at any moment and goes on with the same numbers.

The random numbers of a step (mirroring, dropout) depend on the seed and the number of the step alone, and the order
of the examples on the seed and the epoch, so a checkpoint needs no state of a generator to resume bit by bit.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.training import Run
from agents.training.fit import Course, run_course


@dataclass(frozen=True)
class Schedule:
    """How a network is fitted; AdamW, linear warm-up, then cosine decay to zero or a constant learning rate."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    warmup_steps: int = 0
    cosine: bool = True
    average: float = 0.0
    """Decay of the exponential moving average of the weights, which is what is validated and kept; 0 = none."""
    clip_norm: float = 1.0
    """Gradients are scaled down to this norm; 0 = never."""
    checkpoint_steps: int = 50

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "checkpoint_steps"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name.replace('_', '-')} must be positive, not {getattr(self, name)}")

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of step ``step`` of ``steps``."""
        warm = min(1.0, (step + 1) / max(self.warmup_steps, 1))
        past = max(0.0, (step - self.warmup_steps) / max(steps - self.warmup_steps, 1))
        return self.learning_rate * warm * (0.5 * (1 + math.cos(math.pi * past)) if self.cosine else 1.0)


def fit(
    model: nn.Module,
    examples: int,
    loss: Callable[[nn.Module, Tensor], Tensor],
    validate: Callable[[nn.Module], dict[str, float]],
    schedule: Schedule,
    seed: int,
    folder: Path,
    settings: dict[str, Any],
) -> tuple[Run, int]:
    """Fit ``model`` in place to its best validated weights: the run, its curve with a point per epoch, and their step.

    Arguments:
        model: the network, initialised; its initial weights must depend on seed and data alone.
        examples: number of training examples.
        loss: mean loss of the examples with the numbers int64 (batch,); the model is in training mode and torch's
            global generator is seeded for the step.
        validate: figures of the model in evaluation mode, of which ``valid`` chooses the weights: lower is better.
        schedule: how to fit.
        seed: determines order, augmentation and dropout.
        folder: of the ``agents.training.Run``; a checkpoint found there is continued.
        settings: what else determines the result. ``ValueError`` if the checkpoint found was made with others.
    """
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, not {seed}")
    identity = {**settings, "schedule": asdict(schedule), "seed": seed, "examples": examples}
    batches = math.ceil(examples / schedule.batch_size)
    steps = batches * schedule.epochs

    @functools.lru_cache(maxsize=1)
    def order(epoch: int) -> np.ndarray:
        return np.random.default_rng([seed, epoch]).permutation(examples)

    def loss_of(step: int) -> Tensor:
        epoch, batch = divmod(step, batches)
        torch.manual_seed((seed << 32) + step)
        rows = order(epoch)[batch * schedule.batch_size : (batch + 1) * schedule.batch_size]
        return loss(model, torch.from_numpy(rows))

    def figures(kept: nn.Module, step: int, mean_loss: float) -> dict[str, float]:
        return {"epoch": step // batches - 1, "train_loss": mean_loss, **validate(kept)}

    optimiser = torch.optim.AdamW(model.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    course = Course(
        steps=steps,
        rate=lambda step: schedule.rate(step, steps),
        validate_every=batches,
        save_every=schedule.checkpoint_steps,
        clip_norm=schedule.clip_norm,
        average=schedule.average,
    )
    with Run(folder, identity, steps) as run, torch.random.fork_rng(devices=[]):
        kept = run_course(model, optimiser, course, loss_of, figures, run)
    return run, kept
