"""How Decima's network learns from rollouts: proximal policy optimisation, or imitation of an expert."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing  # type: ignore[import-untyped]

from agents.cjs.decima.graph import Graph, collate
from agents.cjs.decima.network import DecimaNet
from agents.cjs.decima.rollout import Rollout, effect_log_prob
from agents.training.fit import descend
from agents.training.objectives import clipped_surrogate


class SumOfMessages(MessagePassing):
    """Sums over children by torch-geometric's message passing, the ``sum_by_parent`` of a network in training."""

    def __init__(self) -> None:
        super().__init__(aggr="sum")
        _remove_generated(type(self))

    def forward(self, messages: Tensor, edges: Tensor, size: int) -> Tensor:
        """(p, 16), see ``network.SumByParent``."""
        sums: Tensor = self.propagate(edges, x=messages, size=(len(messages), size))
        return sums

    def message(self, x_j: Tensor) -> Tensor:
        return x_j


def _remove_generated(layer: type[MessagePassing]) -> None:
    """Remove the temporary file that torch-geometric has written code of the class into, imported, and left there.

    Outside of the class, in whose source torch-geometric looks for the arguments of ``propagate``.
    """
    written = Path(sys.modules[layer.propagate.__module__].__file__ or "")
    if written.parent == Path(tempfile.gettempdir()):
        written.unlink(missing_ok=True)


@dataclass(frozen=True)
class Update:
    """One rollout's worth of learning."""

    epochs: int
    minibatch: int
    """Decisions."""
    clip: float
    target_kl: float
    """An update ends before its epochs do at 1.5 times this divergence from the policy that played."""
    entropy: float
    max_grad_norm: float = 0.5


def improve(
    network: DecimaNet,
    optimiser: torch.optim.Optimizer,
    rollout: Rollout,
    advantage: np.ndarray,
    update: Update,
    rng: np.random.Generator,
) -> dict[str, float]:
    """PPO on a rollout with advantages float (d,); returns entropy, divergence and the part of the epochs done."""
    weight = torch.from_numpy(advantage.astype(np.float32))
    old = torch.from_numpy(rollout.log_prob)
    stages, executors = torch.from_numpy(rollout.stages), torch.from_numpy(rollout.executors)

    def loss(graph: Graph, rows: Tensor) -> tuple[Tensor, dict[str, float]]:
        log_prob, entropy = evaluate(network, graph, stages[rows], executors[rows])
        gain = clipped_surrogate(log_prob, old[rows], weight[rows], update.clip).mean()
        apart = (log_prob - old[rows]).detach()
        divergence = ((apart.exp() - 1) - apart).mean()  # Schulman's estimator k3
        figures = {"entropy": float(entropy.mean().detach()), "kl": float(divergence)}
        return -gain - update.entropy * entropy.mean(), figures

    return _descend(network, optimiser, rollout, np.arange(len(old)), loss, update, rng)


def imitate(
    network: DecimaNet,
    optimiser: torch.optim.Optimizer,
    rollout: Rollout,
    update: Update,
    rng: np.random.Generator,
) -> dict[str, float]:
    """One step for each minibatch towards the expert's decisions, where it made one; returns the mean loss."""
    expert = torch.from_numpy(rollout.expert)

    def loss(graph: Graph, rows: Tensor) -> tuple[Tensor, dict[str, float]]:
        log_prob, _ = evaluate(network, graph, expert[rows, 0], expert[rows, 1])
        return -log_prob.mean(), {"imitation": float(-log_prob.mean().detach())}

    return _descend(network, optimiser, rollout, np.flatnonzero(rollout.expert[:, 0] >= 0), loss, update, rng)


def evaluate(network: DecimaNet, graph: Graph, stages: Tensor, executors: Tensor) -> tuple[Tensor, Tensor]:
    """(d,) each: log-probability of the decisions' effects, and entropy / log(N x stages) of stage and executors."""
    embedding = network.embed(graph)
    stage_log_prob = network.stage_scores(graph, embedding).log_softmax(dim=1)
    executor_log_prob = network.executor_scores(graph, embedding, stages).log_softmax(dim=1)
    demand = graph.choice_demand[graph.choice_offset[:-1] + stages]
    log_prob = stage_log_prob.gather(1, stages[:, None])[:, 0] + effect_log_prob(executor_log_prob, executors, demand)
    size = torch.bincount(graph.job_decision[graph.node_job], minlength=len(stages)) * graph.num_executors
    entropy = (_entropy(stage_log_prob) + _entropy(executor_log_prob)) / size.clamp(min=2).log()
    return log_prob, entropy


def _entropy(log_prob: Tensor) -> Tensor:
    finite = log_prob.masked_fill(log_prob == -torch.inf, 0.0)
    return -(log_prob.exp() * finite).sum(dim=1)


def _descend(
    network: DecimaNet,
    optimiser: torch.optim.Optimizer,
    rollout: Rollout,
    numbers: np.ndarray,
    loss: Callable[[Graph, Tensor], tuple[Tensor, dict[str, float]]],
    update: Update,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Gradient steps on minibatches of the decisions ``numbers``, in random order; mean figures."""
    batches = max(1, round(len(numbers) / update.minibatch))
    total: dict[str, float] = {}
    done = 0
    for _ in range(update.epochs):
        for rows in np.array_split(rng.permutation(numbers), batches):
            value, figures = loss(collate(rollout.decisions, rows), torch.from_numpy(rows))
            total = {name: total.get(name, 0.0) + figure for name, figure in figures.items()}
            done += 1
            if figures.get("kl", 0.0) > 1.5 * update.target_kl:
                break
            descend(optimiser, value, update.max_grad_norm)
        else:
            continue
        break
    return {name: figure / done for name, figure in total.items()} | {"steps": done}
