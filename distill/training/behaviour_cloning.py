"""NetLLM's offline recipe: imitate what is in pools, conditioned on the return to go."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from agents.sequence.net import TaskNet
from agents.sequence.policy import SequencePolicy
from agents.vp.angles import wrap
from distill.pools.pool import Pool
from distill.pools.shards import PoolError
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
PATH_UNIT_DEG = 10.0


def phases(pools: Sequence[Pool]) -> tuple[Phase, ...]:
    """The paper's: an iteration is a pass over the pools."""
    steps = max(1, sum(pool.num_steps for pool in pools) // CONTEXT // BATCH)
    total = EPOCHS * steps
    return (Phase("clone", EPOCHS, steps, keep=0, learning_rate=LEARNING_RATE, warmup=min(WARMUP, total // 10)),)


class Cloning:
    """A ``Source`` that learns the logged actions of pools: cross-entropy; for paths the wrapped squared error.

    Arguments:
        pools: of the net's task.
        net: whose steps they become.
        scale: (mean, spread) of returns.
        context: steps of a window; windows lie within episodes.
        validate: figures of a policy on validation data.
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

    def gather(self, phase: Phase, iteration: int, policy: SequencePolicy) -> Labelled | None:
        """All that is in the pools, in the first iteration."""
        if iteration:
            return None
        data = labelled(self._pools, self._net, self._scale)
        if self._net.continuous and "actual_path" not in data.targets:
            raise PoolError(f"{self._pools[0].folder}: no column actual_path to learn from; collect it anew")
        return data.windows(self._context)

    def loss(self, phase: Phase, outputs: list[Tensor], targets: dict[str, Tensor]) -> Tensor:
        """float32 (S,)."""
        if self._net.continuous:
            away = wrap(outputs[0] - targets["actual_path"]) / PATH_UNIT_DEG
            return away.square().mean(dim=(1, 2))
        losses = [
            cross_entropy(logits, targets["action"][:, component], reduction="none")
            for component, logits in enumerate(outputs)
        ]
        return torch.stack(losses).sum(dim=0)

    def targets(self) -> list[float]:
        """Normalised returns to go."""
        return sorted(set(quantiles(self._pools, TARGETS, self._scale)))
