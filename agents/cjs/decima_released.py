"""Decima, the graph neural network that schedules the stages of Spark jobs, with the weights released for it.

``DecimaReleased`` is the released policy; ``DecimaScheduler`` decides with weights of one's own::

    from agents.cjs.decima_released import DecimaNet, DecimaScheduler

    policy = DecimaScheduler(DecimaNet(weights), mode="sampled")
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import leaky_relu, linear

from agents.cjs.scheduler import Decision, Scheduler
from agents.pretrained import one_thread
from netenvs import datasets
from netenvs.cjs.cluster_view import ClusterView
from netenvs.cjs.jobs import JobSet
from netenvs.datasets.decima_weights import PACKED
from netenvs.spec import unknown_name

DATASET = "decima-weights"
MODES = ("greedy", "sampled")
JOB_FEATURES = 3  # the first node features: equal at all stages of a job
NODE_FEATURES = 5
TASKS_SCALE = 200.0  # tasks
WORK_SCALE_MS = 1e5
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


class Graph(NamedTuple):
    """The incomplete stages of n, of all j jobs in the system, as one graph with e edges.

    A stage's *height* is the number of edges of the longest path from it to an end of its job. Nodes are in order
    of height, lowest first, and inside a height in order of jobs and stages.
    """

    nodes: Tensor
    """float64 (n, 5): executors that its job may get / N, +1 if its job's executors are on offer else -1, its job's
    supply / N, tasks to start / 200, tasks to start x recent duration / 100 s."""
    jobs: Tensor
    """float64 (j, 3): the first three node features, in order of arrival."""
    job: Tensor
    """int64 (n,): position of each node's job."""
    parent: Tensor
    """int64 (e,): node that an edge leaves; edges are in order of their parents."""
    child: Tensor
    """int64 (e,): node that it enters, lower than its parent."""
    node_offset: list[int]
    """Nodes of height h are [node_offset[h], node_offset[h + 1])."""
    edge_offset: list[int]
    """Edges whose parent has height h are [edge_offset[h], edge_offset[h + 1])."""
    schedulable: Tensor
    """int64 (s,): the nodes in ``view.schedulable``, in its order."""
    limits: list[int]
    """(j,): executors that a stage of the job may be given now."""


class Embedding(NamedTuple):
    """What the network makes of a graph of n stages and j jobs."""

    nodes: Tensor
    """float64 (n, 16)."""
    jobs: Tensor
    """float64 (j, 16)."""
    cluster: Tensor
    """float64 (16,)."""


def make_graph(view: ClusterView, heights: np.ndarray) -> Graph:
    """The graph of a view; ``heights`` are those of the workload, see ``stage_heights``.

    Children of an incomplete stage are incomplete, so the heights of stages do not change while a job runs.
    """
    jobs, stages, job_set = view.job_array, view.stage_array, view.job_set
    own = jobs["id"] == (-1 if view.source is None else view.source.id)
    limits = np.minimum(np.maximum(view.num_executors - jobs["supply"], 0), view.committable)
    limits[own] = view.committable
    job_features = np.stack(
        [limits / view.num_executors, np.where(own, 1.0, -1.0), jobs["supply"] / view.num_executors], axis=1
    )

    job_of_row = np.repeat(np.arange(len(jobs)), jobs["num_stages"])
    number_of_row = job_set.stage_offset[jobs["template"]][job_of_row] + stages["id"]  # among those of all templates
    rows = np.flatnonzero(stages["remaining"] + stages["running"] > 0)
    rows = rows[np.argsort(heights[number_of_row[rows]], kind="stable")]
    node_of_row = np.zeros(len(stages), dtype=np.int64)
    node_of_row[rows] = np.arange(len(rows))
    job, number = job_of_row[rows], number_of_row[rows]
    remaining = stages["remaining"][rows]
    work = remaining * stages["recent_ms"][rows]

    begin = job_set.child_offset[number]
    count = job_set.child_offset[number + 1] - begin
    parent = np.repeat(np.arange(len(rows)), count)
    edge = np.arange(len(parent)) + np.repeat(begin - np.cumsum(count) + count, count)
    child = node_of_row[rows[parent] + job_set.children[edge] - number[parent]]

    height = heights[number]
    levels = np.arange(height[-1] + 2)
    return Graph(
        torch.from_numpy(np.column_stack([job_features[job], remaining / TASKS_SCALE, work / WORK_SCALE_MS])),
        torch.from_numpy(job_features),
        torch.from_numpy(job),
        torch.from_numpy(parent),
        torch.from_numpy(child),
        np.searchsorted(height, levels).tolist(),
        np.searchsorted(height[parent], levels).tolist(),
        torch.from_numpy(node_of_row[np.flatnonzero(stages["schedulable"] & (stages["row"] > 0))]),
        limits.tolist(),
    )


def stage_heights(jobs: JobSet) -> np.ndarray:
    """int64 (stages,): edges of the longest path from each stage of each template to an end of its job."""
    parent = np.repeat(np.arange(len(jobs.num_tasks)), np.diff(jobs.child_offset))
    heights = np.zeros(len(jobs.num_tasks), dtype=np.int64)
    while True:
        higher = heights.copy()
        np.maximum.at(higher, parent, heights[jobs.children] + 1)
        if np.array_equal(higher, heights):
            return heights
        heights = higher


class DecimaNet:
    """The policy network, in the version of spark-sched-sim and NetLLM.

    Stages send messages to their parents, from the ends of the jobs upwards, so that a stage knows of the work
    behind it; sums over stages and over jobs describe jobs and the cluster. One head scores stages, the other one
    numbers of executors. N enters as a divisor only: the network decides for clusters of any size.

    It calculates in double precision. The weights are single precision, but single precision sums depend on the
    machine's order of additions by up to 1e-6, enough to change a sampled decision now and then.

    Arguments:
        weights: an array (or tensor) for each name of ``SHAPES``, in its shape. ``ValueError``, one line, for an
            array that is missing, unknown, of another shape or not finite.
    """

    def __init__(self, weights: Mapping[str, np.ndarray | Tensor]):
        if unknown := sorted(set(weights) - set(SHAPES)):
            raise ValueError(f"Decima network: unknown array {unknown[0]!r}; agents.cjs.decima_released.SHAPES has all")
        arrays = {name: _checked(name, weights, shape) for name, shape in SHAPES.items()}
        self.parameters = sum(array.numel() for array in arrays.values())
        self._layers = {
            network: [(arrays[f"{network}.{layer}.weight"], arrays[f"{network}.{layer}.bias"]) for layer in LAYERS]
            for network in NETWORKS
        }

    def embed(self, graph: Graph) -> Embedding:
        """Embeddings of stages, jobs and cluster."""
        nodes = self._embed_nodes(graph)
        summands = self._encode("encoder.dag_encoder.mlp", torch.cat([graph.nodes, nodes], dim=1))
        jobs = summands.new_zeros(len(graph.jobs), EMBEDDING).index_add(0, graph.job, summands)
        return Embedding(nodes, jobs, self._encode("encoder.global_encoder.mlp", jobs).sum(dim=0))

    def stage_scores(self, graph: Graph, embedding: Embedding) -> Tensor:
        """float64 (s,): logits of the schedulable stages."""
        nodes = graph.schedulable
        jobs = graph.job[nodes]
        cluster = embedding.cluster.expand(len(nodes), EMBEDDING)
        inputs = torch.cat([graph.nodes[nodes], embedding.nodes[nodes], embedding.jobs[jobs], cluster], dim=1)
        return self._score("stage_policy_network.mlp_score", inputs)

    def executor_scores(self, graph: Graph, embedding: Embedding, job: int, num_executors: int) -> Tensor:
        """float64 (limit,): logits of giving 1, 2, ... executors of a cluster's ``num_executors`` to a stage of job.

        ``job`` is its position in the graph.
        """
        limit = graph.limits[job]
        context = torch.cat([graph.jobs[job], embedding.jobs[job], embedding.cluster]).expand(limit, -1)
        number = torch.arange(limit, dtype=torch.float64).unsqueeze(1) / num_executors
        return self._score("exec_policy_network.mlp_score", torch.cat([context, number], dim=1))

    def _embed_nodes(self, graph: Graph) -> Tensor:
        """Height by height: a stage's own features plus what its children's messages say.

        As published, stages without children get no features of their own added, and if no stage has a child, there
        is no message passing at all.
        """
        own = self._encode("encoder.node_encoder.mlp_prep", graph.nodes)
        if not len(graph.parent):
            return own
        begin = graph.node_offset[1]
        embedded = [self._encode("encoder.node_encoder.mlp_update", own[:begin])]
        messages = self._encode("encoder.node_encoder.mlp_msg", embedded[0])
        for height in range(1, len(graph.node_offset) - 1):
            begin, end = graph.node_offset[height : height + 2]
            edges = slice(*graph.edge_offset[height : height + 2])
            inbox = own.new_zeros(end - begin, EMBEDDING)
            inbox = inbox.index_add(0, graph.parent[edges] - begin, messages[graph.child[edges]])
            embedded.append(own[begin:end] + self._encode("encoder.node_encoder.mlp_update", inbox))
            if end < len(own):  # the highest stages have no parents
                messages = torch.cat([messages, self._encode("encoder.node_encoder.mlp_msg", embedded[-1])])
        return torch.cat(embedded)

    def _encode(self, network: str, x: Tensor) -> Tensor:
        first, second, last = self._layers[network]
        return linear(leaky_relu(linear(leaky_relu(linear(x, *first), NEGATIVE_SLOPE), *second), NEGATIVE_SLOPE), *last)

    def _score(self, network: str, x: Tensor) -> Tensor:
        first, second, last = self._layers[network]
        return linear(linear(linear(x, *first).tanh(), *second).tanh(), *last).squeeze(1)


def _checked(name: str, weights: Mapping[str, np.ndarray | Tensor], shape: tuple[int, ...]) -> Tensor:
    if name not in weights:
        raise ValueError(f"Decima network: the array {name!r} is missing")
    array = torch.as_tensor(weights[name]).to(torch.float64)
    if tuple(array.shape) != shape:
        raise ValueError(f"Decima network: the array {name!r} has the shape {tuple(array.shape)}, it must be {shape}")
    if not bool(array.isfinite().all()):
        raise ValueError(f"Decima network: the array {name!r} has values that are not finite")
    return array


class DecimaScheduler(Scheduler):
    """Decides with a ``DecimaNet``: first the stage, then how many executors it gets.

    Arguments:
        net: the network.
        mode: ``"greedy"`` takes the best stage and number, ``"sampled"`` draws both from the network's softmax, with
            one random number each. With ``rng="netllm"`` they come from the environment's ``shared_random``, as in
            the published experiments, else from a stream of the policy's own that ``reset`` seeds.
    """

    def __init__(self, net: DecimaNet, mode: str = "greedy"):
        if mode not in MODES:
            raise ValueError(unknown_name("mode", str(mode), MODES))
        self.net = net
        self.mode = mode
        self.parameters = net.parameters
        self.bytes = 4 * net.parameters
        self._own_stream = random.Random()
        self._shared_stream: random.Random | None = None
        self._heights: tuple[JobSet | None, np.ndarray] = (None, np.zeros(0, dtype=np.int64))

    def bind(self, env: gym.Env) -> None:
        """Share the environment's stream of random numbers, if it has one."""
        self._shared_stream = getattr(env.unwrapped, "shared_random", None)

    def reset(self, seed: int | None = None) -> None:
        if seed is not None:
            self._own_stream = random.Random(seed)

    def decide(self, view: ClusterView) -> Decision:
        if self._heights[0] is not view.job_set:
            self._heights = view.job_set, stage_heights(view.job_set)
        with torch.inference_mode(), one_thread():
            graph = make_graph(view, self._heights[1])
            embedding = self.net.embed(graph)
            choice = self._choose(self.net.stage_scores(graph, embedding))
            job = int(graph.job[graph.schedulable[choice]])
            executors = 1 + self._choose(self.net.executor_scores(graph, embedding, job, view.num_executors))
        return Decision(view.schedulable[choice], executors)

    def _choose(self, logits: Tensor) -> int:
        if self.mode == "greedy":
            return int(torch.nonzero(logits >= logits.max() - TIE)[0])
        stream = self._own_stream if self._shared_stream is None else self._shared_stream
        return stream.choices(range(len(logits)), logits.softmax(dim=0).tolist())[0]


class DecimaReleased(DecimaScheduler):
    """The released Decima: ``mode`` ``"greedy"`` or ``"sampled"`` (as its results were published).

    Mao et al., "Learning Scheduling Algorithms for Data Processing Clusters", SIGCOMM 2019. Weights: data set
    ``decima-weights``, trained with PPO on 50 executors and TPC-H jobs in spark-sched-sim
    (github.com/ArchieGertsman/spark-sched-sim, ``models/decima/model.pt``), the same file in NetLLM (Wu et al.,
    SIGCOMM 2024; github.com/duowuyms/NetLLM), whose decisions it reproduces.
    """

    def __init__(self, mode: str = "greedy"):
        with datasets.reading(DATASET) as folder, np.load(folder / PACKED, allow_pickle=False) as weights:
            net = DecimaNet(weights)
        super().__init__(net, mode)
