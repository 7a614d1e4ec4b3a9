"""Many clusters at decisions as one graph for Decima's network, height by height."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents.cjs.decima.decisions import Decisions
from netenvs.compiled import kernel


class Graph(NamedTuple):
    """d decisions as one graph: n stages in order of height, lowest first, then of decisions, jobs and ids."""

    nodes: Tensor
    """float (n, 5), see ``Decisions``."""
    node_job: Tensor
    """int64 (n,): position of each stage's job."""
    jobs: Tensor
    """float (j, 3)."""
    job_decision: Tensor
    """int64 (j,): the decision that a job belongs to."""
    lonely: Tensor
    """int64 (l,): stages of decisions without any edge."""
    edges: Tensor
    """int64 (2, e): children and their parents, in order of the parents."""
    node_offset: list[int]
    """Stages of height h are [node_offset[h], node_offset[h + 1])."""
    edge_offset: list[int]
    """Edges whose parent has height h are [edge_offset[h], edge_offset[h + 1])."""
    choices: Tensor
    """int64 (s,): the stages that may be chosen, in order of decisions, jobs and ids."""
    choice_decision: Tensor
    """int64 (s,): their decision."""
    choice_index: Tensor
    """int64 (s,): their position among the choices of their decision."""
    choice_row: Tensor
    """int64 (s,): number of the stage in its decision, from 1: the row of a padded observation, as actions say it."""
    choice_demand: Tensor
    """int64 (s,): executors that they can use."""
    choice_offset: Tensor
    """int64 (d + 1,): the choices of a decision."""
    limits: Tensor
    """int64 (j,): executors that a stage of the job may be given."""
    num_executors: Tensor
    """int64 (d,): N of each decision."""

    def double(self) -> Graph:
        """The same in double precision."""
        return self._replace(nodes=self.nodes.double(), jobs=self.jobs.double())


def collate(decisions: Decisions, chosen: np.ndarray | None = None) -> Graph:
    """The decisions numbered in ``chosen``, int (d,), default all of them, as one graph of their precision."""
    numbers = np.arange(len(decisions.num_executors)) if chosen is None else chosen
    arrays = _collate(decisions, np.ascontiguousarray(numbers, dtype=np.int64))
    tensors: list[Any] = [torch.from_numpy(array) for array in arrays]
    return Graph(*tensors)._replace(node_offset=arrays.node_offset.tolist(), edge_offset=arrays.edge_offset.tolist())


_ArrayGraph: Any = Graph
"""As the kernels fill it: with arrays."""


@kernel
def _collate(decisions, chosen):
    """An ``_ArrayGraph``."""
    graph = _room(decisions, chosen)
    next_node, next_edge = graph.node_offset.copy(), graph.edge_offset.copy()
    at_job, at_lonely = 0, 0
    for i in range(len(chosen)):
        number = chosen[i]
        place = _places(decisions, number, next_node)
        _put_stages(decisions, number, place, at_job, graph)
        _put_choices(decisions, number, place, i, graph)
        _put_edges(decisions, number, place, next_edge, graph)
        if decisions.edge_offset[number] == decisions.edge_offset[number + 1]:
            graph.lonely[at_lonely : at_lonely + len(place)] = place
            at_lonely += len(place)
        for job in range(decisions.job_offset[number], decisions.job_offset[number + 1]):
            graph.jobs[at_job] = decisions.jobs[job]
            graph.limits[at_job] = decisions.limits[job]
            graph.job_decision[at_job] = i
            at_job += 1
        graph.num_executors[i] = decisions.num_executors[number]
    return graph


@kernel
def _room(decisions, chosen):
    """The graph before anything is put in it, but for the offsets of heights."""
    nodes, jobs, edges, choices, lonely, heights = 0, 0, 0, 0, 0, 1
    for number in chosen:
        begin, end = decisions.node_offset[number], decisions.node_offset[number + 1]
        own_edges = decisions.edge_offset[number + 1] - decisions.edge_offset[number]
        nodes += end - begin
        jobs += decisions.job_offset[number + 1] - decisions.job_offset[number]
        edges += own_edges
        if own_edges == 0:
            lonely += end - begin
        for node in range(begin, end):
            choices += decisions.demand[node] > 0
            heights = max(heights, decisions.height[node] + 1)
    node_offset, edge_offset = _height_offsets(decisions, chosen, heights)
    return _ArrayGraph(
        np.empty((nodes, decisions.nodes.shape[1]), decisions.nodes.dtype),
        np.empty(nodes, np.int64),
        np.empty((jobs, decisions.jobs.shape[1]), decisions.jobs.dtype),
        np.empty(jobs, np.int64),
        np.empty(lonely, np.int64),
        np.empty((2, edges), np.int64),
        node_offset,
        edge_offset,
        np.empty(choices, np.int64),
        np.empty(choices, np.int64),
        np.empty(choices, np.int64),
        np.empty(choices, np.int64),
        np.empty(choices, np.int64),
        np.zeros(len(chosen) + 1, np.int64),
        np.empty(jobs, np.int64),
        np.empty(len(chosen), np.int64),
    )


@kernel
def _height_offsets(decisions, chosen, heights):
    """int64 (heights + 1,) each: where the stages of each height begin, and the edges whose parent has it."""
    nodes, edges = np.zeros(heights + 1, np.int64), np.zeros(heights + 1, np.int64)
    for number in chosen:
        begin = decisions.node_offset[number]
        for node in range(begin, decisions.node_offset[number + 1]):
            nodes[decisions.height[node] + 1] += 1
        for edge in range(decisions.edge_offset[number], decisions.edge_offset[number + 1]):
            edges[decisions.height[begin + decisions.edges[edge, 0]] + 1] += 1
    return np.cumsum(nodes), np.cumsum(edges)


@kernel
def _places(decisions, number, next_node):
    """int64: places in the graph of the stages of a decision; ``next_node``, by height, moves on."""
    begin = decisions.node_offset[number]
    place = np.empty(decisions.node_offset[number + 1] - begin, np.int64)
    for stage in range(len(place)):
        height = decisions.height[begin + stage]
        place[stage] = next_node[height]
        next_node[height] += 1
    return place


@kernel
def _put_stages(decisions, number, place, at_job, graph):
    begin = decisions.node_offset[number]
    for stage in range(len(place)):
        graph.nodes[place[stage]] = decisions.nodes[begin + stage]
        graph.node_job[place[stage]] = at_job + decisions.node_job[begin + stage]


@kernel
def _put_choices(decisions, number, place, i, graph):
    begin, at = decisions.node_offset[number], graph.choice_offset[i]
    for stage in range(len(place)):
        demand = decisions.demand[begin + stage]
        if demand > 0:
            graph.choices[at] = place[stage]
            graph.choice_decision[at] = i
            graph.choice_index[at] = at - graph.choice_offset[i]
            graph.choice_row[at] = 1 + stage
            graph.choice_demand[at] = demand
            at += 1
    graph.choice_offset[i + 1] = at


@kernel
def _put_edges(decisions, number, place, next_edge, graph):
    begin = decisions.node_offset[number]
    for edge in range(decisions.edge_offset[number], decisions.edge_offset[number + 1]):
        parent, child = decisions.edges[edge]
        height = decisions.height[begin + parent]
        at = next_edge[height]
        next_edge[height] += 1
        graph.edges[0, at], graph.edges[1, at] = place[child], place[parent]
