"""NetLLM's offline recipe: imitate what is in pools, conditioned on the return to go."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from agents.sequence.net import TaskNet
from agents.sequence.policy import SequencePolicy
from distill.pools.pool import Pool
from distill.pools.shards import PoolError
from distill.recipe import training_recipe
from distill.training.labelled_sequences import Labelled
from distill.training.phase import Phase
from distill.training.pool_sequences import labelled, quantiles

CONTEXT = 20  # steps of a window (NetLLM adaptive_bitrate_streaming/run_plm.py and cluster_job_scheduling, --w)
BATCH = 32  # windows of an optimiser step (--grad-accum-steps, with batches of one)
LEARNING_RATE = 1e-4  # (--lr)
WARMUP = 2000  # optimiser steps (--warmup-steps)
EPOCHS = 80  # (--num-epochs)
TARGETS = (0.5, 0.75, 0.9, 1.0)
"""Quantiles of the returns of a pool's episodes that a policy may begin with; the paper takes the highest."""


def phases(pools: Sequence[Pool]) -> tuple[Phase, ...]:
    """The paper's: an iteration is a pass over the pools."""
    steps = max(1, sum(pool.num_steps for pool in pools) // CONTEXT // BATCH)
    total = EPOCHS * steps
    return (Phase("clone", EPOCHS, steps, keep=0, learning_rate=LEARNING_RATE, warmup=min(WARMUP, total // 10)),)


class Cloning:
    """A ``Source`` that learns the logged actions of pools: cross-entropy; of paths the squared error.

    Arguments:
        pools: of the net's task.
        net: whose steps they become.
        scale: (mean, spread) of returns.
        context: steps of a window; windows lie within episodes.
        validate: figures of a policy on validation data.

    ``ValueError``, one line, for a net with paths whose task has no ``TrainingRecipe.path_label``.
    """

    def __init__(
        self,
        pools: Sequence[Pool],
        net: TaskNet,
        scale: tuple[float, float],
        context: int,
        validate: Callable[[SequencePolicy], dict[str, float]],
    ):
        self._pools, self._net, self._scale, self._context = pools, net, scale, context
        self.validate = validate
        self._path_label = training_recipe(net.task).path_label if net.continuous else ""
        if net.continuous and not self._path_label:
            raise ValueError(f"{net.task}: its recipe names no path_label, so there are no paths to imitate")

    def gather(self, phase: Phase, iteration: int, policy: SequencePolicy) -> Labelled | None:
        """All that is in the pools, in the first iteration."""
        if iteration:
            return None
        data = labelled(self._pools, self._net, self._scale)
        if self._net.continuous and self._path_label not in data.targets:
            raise PoolError(f"{self._pools[0].folder}: no column {self._path_label} to learn from; collect it anew")
        return data.windows(self._context)

    def loss(self, phase: Phase, outputs: list[Tensor], targets: dict[str, Tensor]) -> Tensor:
        """float32 (S,)."""
        if self._net.continuous:
            away = self._net.apart(outputs[0], targets[self._path_label]) / self._net.path_unit
            return away.square().mean(dim=tuple(range(1, away.dim())))
        losses = [
            cross_entropy(logits, targets["action"][:, component], reduction="none")
            for component, logits in enumerate(outputs)
        ]
        return torch.stack(losses).sum(dim=0)

    def targets(self) -> list[float]:
        """Normalised returns to go."""
        return sorted(set(quantiles(self._pools, TARGETS, self._scale)))
