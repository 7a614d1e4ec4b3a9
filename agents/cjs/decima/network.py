"""Decima's network for any number of clusters at once, in the version of spark-sched-sim and NetLLM."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from agents.cjs.decima.decisions import JOB_FEATURES, NODE_FEATURES
from agents.cjs.decima.graph import Graph
from netenvs.spec import unknown_name

EMBEDDING = 16
NETWORKS = {  # multi-layer perceptron, named as in the state dict -> width of its layers
    "encoder.node_encoder.mlp_prep": (NODE_FEATURES, 32, 16, EMBEDDING),
    "encoder.node_encoder.mlp_msg": (EMBEDDING, 32, 16, EMBEDDING),
    "encoder.node_encoder.mlp_update": (EMBEDDING, 32, 16, EMBEDDING),
    "encoder.dag_encoder.mlp": (NODE_FEATURES + EMBEDDING, 32, 16, EMBEDDING),
    "encoder.global_encoder.mlp": (EMBEDDING, 32, 16, EMBEDDING),
    "stage_policy_network.mlp_score": (NODE_FEATURES + 3 * EMBEDDING, 64, 64, 1),
    "exec_policy_network.mlp_score": (JOB_FEATURES + 2 * EMBEDDING + 1, 64, 64, 1),
}
LAYERS = (0, 2, 4)  # numbers of the dense layers in the state dict, the others are activations
SHAPES = {
    f"{network}.{layer}.{kind}": shape
    for network, widths in NETWORKS.items()
    for layer, (inputs, outputs) in zip(LAYERS, pairwise(widths), strict=True)
    for kind, shape in (("weight", (outputs, inputs)), ("bias", (outputs,)))
}
"""Shape of every array of the state dict by name: 42 arrays, 20,802 parameters."""
NEGATIVE_SLOPE = 0.2
TIE = 1e-9  # of logits: alike jobs score alike up to the order of additions, and the first one is taken
MODES = ("greedy", "median", "sampled")
"""How scores become decisions: the best stage and number, the best stage and the median number, or both drawn."""

SumByParent = Callable[[Tensor, Tensor, int], Tensor]
"""(messages (n, 16), edges int64 (2, e) from stages to parents, number of parents p) -> their sums (p, 16)."""


class Perceptron(nn.Sequential):
    """Dense layers and activations, without what torch does around each call and each look-up of a weight.

    For one decision that would be a sixth of the time.
    """

    def forward(self, values: Tensor) -> Tensor:
        """What the last layer gives."""
        for layer in self:
            own: Any = layer._parameters
            values = nn.functional.linear(values, own["weight"], own["bias"]) if own else layer.forward(values)
        return values


def perceptron(network: str, activation: Callable[[], nn.Module]) -> Perceptron:
    """One of ``NETWORKS``; its dense layers get the numbers 0, 2 and 4, as in the released state dict."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(NETWORKS[network]):
        layers += [nn.Linear(inputs, outputs), activation()]
    return Perceptron(*layers[:-1])


def _leaky_relu() -> nn.Module:
    return nn.LeakyReLU(NEGATIVE_SLOPE)


def sum_by_parent(messages: Tensor, edges: Tensor, size: int) -> Tensor:
    """A ``SumByParent`` in plain torch."""
    return messages.new_zeros(size, messages.shape[1]).index_add(0, edges[1], messages[edges[0]])


class NodeEncoder(nn.Module):
    """Stages tell their parents about themselves and what comes after them, height by height."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp_prep = perceptron("encoder.node_encoder.mlp_prep", _leaky_relu)
        self.mlp_msg = perceptron("encoder.node_encoder.mlp_msg", _leaky_relu)
        self.mlp_update = perceptron("encoder.node_encoder.mlp_update", _leaky_relu)
        self.sum_by_parent: SumByParent = sum_by_parent

    def forward(self, graph: Graph) -> Tensor:
        """(n, 16): embeddings of the stages; as published, those of decisions without edges pass no messages."""
        own = self.mlp_prep(graph.nodes)
        last = len(graph.node_offset) - 2
        ends = self.mlp_update(own[: graph.node_offset[1]])
        if len(graph.lonely):  # they are ends all
            ends = ends.index_copy(0, graph.lonely, own[graph.lonely])
        embedded = [ends]
        messages = self.mlp_msg(ends) if last > 0 else ends
        for height in range(1, last + 1):
            begin, end = graph.node_offset[height : height + 2]
            children, parents = graph.edges[:, graph.edge_offset[height] : graph.edge_offset[height + 1]]
            inbox = self.sum_by_parent(messages, torch.stack([children, parents - begin]), end - begin)
            embedded.append(own[begin:end] + self.mlp_update(inbox))
            if height < last:
                messages = torch.cat([messages, self.mlp_msg(embedded[-1])])
        return torch.cat(embedded)


class DagEncoder(nn.Module):
    """Sums over the stages of each job."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = perceptron("encoder.dag_encoder.mlp", _leaky_relu)

    def forward(self, graph: Graph, nodes: Tensor) -> Tensor:
        """(j, 16): embeddings of the jobs."""
        summands = self.mlp(torch.cat([graph.nodes, nodes], dim=1))
        return summands.new_zeros(len(graph.jobs), EMBEDDING).index_add(0, graph.node_job, summands)


class GlobalEncoder(nn.Module):
    """Sums over the jobs of each cluster."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = perceptron("encoder.global_encoder.mlp", _leaky_relu)

    def forward(self, graph: Graph, jobs: Tensor) -> Tensor:
        """(d, 16): embeddings of the clusters."""
        clusters = jobs.new_zeros(len(graph.num_executors), EMBEDDING)
        return clusters.index_add(0, graph.job_decision, self.mlp(jobs))


class Embedding(NamedTuple):
    """What the network makes of a graph of n stages and j jobs in d decisions."""

    nodes: Tensor
    """float (n, 16)."""
    jobs: Tensor
    """float (j, 16)."""
    clusters: Tensor
    """float (d, 16)."""


class Encoder(nn.Module):
    """Embeddings of stages, jobs and clusters."""

    def __init__(self) -> None:
        super().__init__()
        self.node_encoder = NodeEncoder()
        self.dag_encoder = DagEncoder()
        self.global_encoder = GlobalEncoder()

    def forward(self, graph: Graph) -> Embedding:
        nodes = self.node_encoder(graph)
        jobs = self.dag_encoder(graph, nodes)
        return Embedding(nodes, jobs, self.global_encoder(graph, jobs))


class Head(nn.Module):
    """A perceptron that scores."""

    def __init__(self, network: str):
        super().__init__()
        self.mlp_score = perceptron(network, nn.Tanh)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """(rows,): scores of rows whose parts stand side by side in ``inputs``."""
        scores: Tensor = self.mlp_score(torch.cat(list(inputs), dim=1)).squeeze(1)
        return scores


class DecimaNet(nn.Module, PyTorchModelHubMixin):
    """Scores of stages, and of numbers of executors for the stage chosen, in d clusters at once.

    Stages send messages to their parents, from the ends of the jobs upwards, so that a stage knows of the work
    behind it; sums over stages and over jobs describe jobs and the cluster. One head scores stages, the other one
    numbers of executors. N enters as a divisor only: the network decides for clusters of any size.

    Sums over children are ``encoder.node_encoder.sum_by_parent``: plain torch, as importing torch-geometric takes
    seconds, unless a training puts its message passing in their place.

    Arguments:
        weights: an array (or tensor) for each name of ``SHAPES``, in its shape; they are copied into double precision.
            ``ValueError``, one line, for an array that is missing, unknown, of another shape or not finite. None:
            random weights in single precision, as torch's generator gives them.
        mode: of ``MODES``, how it decides best.
    """

    def __init__(self, weights: Mapping[str, np.ndarray | Tensor] | None = None, mode: str = "greedy") -> None:
        super().__init__()
        if mode not in MODES:
            raise ValueError(unknown_name("mode", str(mode), MODES))
        self.mode = mode
        with contextlib.nullcontext() if weights is None else torch.device("meta"):  # where nothing is drawn
            self.encoder = Encoder()
            self.stage_policy_network = Head("stage_policy_network.mlp_score")
            self.exec_policy_network = Head("exec_policy_network.mlp_score")
        if weights is not None:
            self.load_state_dict(_checked(weights), assign=True)

    def embed(self, graph: Graph) -> Embedding:
        """Embeddings of stages, jobs and clusters."""
        embedding: Embedding = self.encoder(graph)
        return embedding

    def stage_scores(self, graph: Graph, embedding: Embedding) -> Tensor:
        """(d, most choices of a decision): logits of the choices, -inf where there are fewer."""
        nodes, jobs, clusters = embedding
        choices, decision = graph.choices, graph.choice_decision
        context = [graph.nodes[choices], nodes[choices], jobs[graph.node_job[choices]], clusters[decision]]
        scores = self.stage_policy_network(context)
        return _table(scores, decision, graph.choice_index, len(graph.num_executors))

    def executor_scores(self, graph: Graph, embedding: Embedding, stages: Tensor) -> Tensor:
        """(d, most executors): logits of giving 1, 2, ... executors to the stage chosen, -inf where it may not.

        ``stages`` int64 (d,): position of the stage chosen among the choices of each decision.
        """
        _, jobs, clusters = embedding
        job = graph.node_job[graph.choices[graph.choice_offset[:-1] + stages]]
        limits = graph.limits[job]
        decision = torch.repeat_interleave(limits)
        begin = limits.cumsum(0) - limits
        index = torch.arange(len(decision)) - begin[decision]
        number = (index.to(clusters.dtype) / graph.num_executors[decision]).unsqueeze(1)
        context = torch.cat([graph.jobs[job], jobs[job], clusters], dim=1)
        return _table(self.exec_policy_network([context[decision], number]), decision, index, len(job))


def median(log_prob: Tensor) -> Tensor:
    """int64 (d,): the first column of each row up to which half of the probability lies.

    Numbers of executors are in order, so that their median is near what the network gives on average, while the single
    most probable one need not be.
    """
    return (log_prob.exp().cumsum(dim=1) < 0.5 - TIE).sum(dim=1)


def _table(scores: Tensor, rows: Tensor, columns: Tensor, size: int) -> Tensor:
    """(size, most columns): the scores in their places, -inf elsewhere."""
    width = int(columns.max()) + 1
    table = scores.new_full((size, width), -torch.inf)
    return table.index_put((rows, columns), scores)


def _checked(weights: Mapping[str, np.ndarray | Tensor]) -> dict[str, Tensor]:
    """Copies in double precision; ``ValueError``, one line, for arrays that are not those of ``SHAPES``."""
    if unknown := sorted(set(weights) - set(SHAPES)):
        raise ValueError(f"Decima network: unknown array {unknown[0]!r}; agents.cjs.decima_released.SHAPES has all")
    return {name: _checked_array(name, weights, shape) for name, shape in SHAPES.items()}


def _checked_array(name: str, weights: Mapping[str, np.ndarray | Tensor], shape: tuple[int, ...]) -> Tensor:
    if name not in weights:
        raise ValueError(f"Decima network: the array {name!r} is missing")
    array = torch.as_tensor(weights[name]).detach().to(torch.float64, copy=True)
    if tuple(array.shape) != shape:
        raise ValueError(f"Decima network: the array {name!r} has the shape {tuple(array.shape)}, it must be {shape}")
    if not bool(array.isfinite().all()):
        raise ValueError(f"Decima network: the array {name!r} has values that are not finite")
    return array
