"""What a task brings to the training of a sequence policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from agents.sequence.policy import SequencePolicy
from distill.training.labelled_sequences import Labelled

OFFLINE, ON_POLICY, IMPROVE = "offline", "on-policy", "improve"
"""Phases of a student: the teacher acts; the student acts; it learns from its own returns."""


@dataclass(frozen=True)
class Phase:
    """A stretch of a training."""

    name: str
    """Of the source's ways to learn."""
    iterations: int
    """Times that new sequences are gathered."""
    steps: int
    """Optimiser steps after each."""
    keep: int
    """Sequences of so many last iterations are learned from; 0: of all."""
    learning_rate: float
    """Highest one of the phase; it rises linearly over ``warmup`` steps and falls along a cosine."""
    warmup: int = 0
    """Optimiser steps."""
    last_rate: float = 0.0
    """Share of the learning rate that is left at the end of the phase."""


class Source(Protocol):
    """Sequences to learn from, the loss on them, and what chooses the weights.

    All of it depends on its arguments and on what the source was made with alone: a killed training goes on to the
    same weights.
    """

    def gather(self, phase: Phase, iteration: int, policy: SequencePolicy) -> Labelled | None:
        """New sequences in the iteration of a training; None: there are none. ``policy`` is the one in training."""

    def loss(self, phase: Phase, outputs: list[Tensor], targets: dict[str, Tensor]) -> Tensor:
        """float32 (S,): loss of each step."""

    def validate(self, policy: SequencePolicy) -> dict[str, float]:
        """Figures on validation data, of which ``valid`` chooses the weights: higher is better."""

    def targets(self) -> list[float]:
        """Returns to go that a policy may begin with, normalised; empty without return conditioning."""
