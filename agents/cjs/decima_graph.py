"""Many clusters at a decision as one graph for Decima's network, straight from padded observations.

``pack`` takes what the network needs out of the observations of ``netenvs/CJS-v0``, ``collate`` makes one graph of any
of the decisions packed, height by height, and ``join`` puts the steps of a rollout end to end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents.cjs.decima_released import JOB_FEATURES, NODE_FEATURES
from netenvs.compiled import kernel


class Decisions(NamedTuple):
    """d decisions with n incomplete stages of j jobs and e edges between them, end to end."""

    node_offset: np.ndarray
    """int64 (d + 1,): the stages of decision i are [node_offset[i], node_offset[i + 1]), in order of jobs and ids."""
    job_offset: np.ndarray
    """int64 (d + 1,): its jobs, in order of arrival."""
    edge_offset: np.ndarray
    """int64 (d + 1,): its edges."""
    nodes: np.ndarray
    """float32 (n, 5): executors that its job may get / N, +1 if its job's executors are on offer else -1, its job's
    supply / N, tasks to start / 200, tasks to start x recent duration / 100 s."""
    node_job: np.ndarray
    """int32 (n,): the stage's job among those of the decision."""
    height: np.ndarray
    """int32 (n,): edges of the longest path from the stage to an end of its job."""
    demand: np.ndarray
    """int32 (n,): executors that a stage can use; 0 for those that cannot be chosen now."""
    jobs: np.ndarray
    """float32 (j, 3): the first three node features."""
    limits: np.ndarray
    """int32 (j,): executors that a stage of the job may be given now."""
    edges: np.ndarray
    """int32 (e, 2): (parent, child) among the stages of the decision."""
    num_executors: np.ndarray
    """int32 (d,): N of each decision."""


class Graph(NamedTuple):
    """d decisions as one graph: n stages in order of height, lowest first, then of decisions, jobs and ids."""

    nodes: Tensor
    """float32 (n, 5), see ``Decisions``."""
    node_job: Tensor
    """int64 (n,): position of each stage's job."""
    jobs: Tensor
    """float32 (j, 3)."""
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
    """int64 (s,): row of the observation, from 1: what the first component of an action says."""
    choice_demand: Tensor
    """int64 (s,): executors that they can use."""
    choice_offset: Tensor
    """int64 (d + 1,): the choices of a decision."""
    limits: Tensor
    """int64 (j,): executors that a stage of the job may be given."""
    num_executors: Tensor
    """int64 (d,): N of each decision."""


def pack(observations: Mapping[str, np.ndarray], rows: np.ndarray, num_executors: int) -> Decisions:
    """The decisions of ``rows``, int (d,), of padded observations of clusters with ``num_executors``.

    Each of the rows must have a stage to choose, see ``can_choose``.
    """
    return Decisions(
        *_pack(
            observations["stages"],
            observations["stage_job"],
            observations["stage_mask"],
            observations["edges"],
            observations["edge_mask"],
            observations["jobs"],
            observations["job_mask"],
            np.ascontiguousarray(rows, dtype=np.int64),
            num_executors,
        )
    )


def can_choose(observations: Mapping[str, np.ndarray]) -> np.ndarray:
    """bool (rows,): where a stage may be chosen (``max_jobs`` may hide all of them)."""
    stages = observations["stages"]
    return np.asarray(stages[:, :, SCHEDULABLE].any(axis=1))


def join(parts: Sequence[Decisions]) -> Decisions:
    """The decisions of several steps, end to end."""
    zero = [np.zeros(1, np.int64)]
    offsets = [np.cumsum(np.concatenate(zero + [np.diff(part[field]) for part in parts])) for field in range(3)]
    return Decisions(*offsets, *(np.concatenate([part[field] for part in parts]) for field in range(3, 11)))


def collate(decisions: Decisions, chosen: np.ndarray | None = None) -> Graph:
    """The decisions numbered in ``chosen``, int (d,), default all of them, as one graph."""
    numbers = np.arange(len(decisions.num_executors)) if chosen is None else chosen
    arrays = _collate(*decisions, np.ascontiguousarray(numbers, dtype=np.int64))
    tensors: list[Any] = [torch.from_numpy(array) for array in arrays]
    tensors[6:8] = [arrays[6].tolist(), arrays[7].tolist()]
    return Graph(*tensors)


# Features of padded observations, see CJSEnv.
REMAINING, DEMAND, WORK, SCHEDULABLE = 0, 2, 4, 6
SUPPLY, LIMIT, IS_SOURCE = 0, 1, 2


@kernel
def _pack(stages, stage_job, stage_mask, edges, edge_mask, jobs, job_mask, rows, num_executors):
    node_offset = np.zeros(len(rows) + 1, np.int64)
    job_offset = np.zeros(len(rows) + 1, np.int64)
    edge_offset = np.zeros(len(rows) + 1, np.int64)
    for i in range(len(rows)):
        node_offset[i + 1] = node_offset[i] + _filled(stage_mask[rows[i]])
        job_offset[i + 1] = job_offset[i] + _filled(job_mask[rows[i]])
        edge_offset[i + 1] = edge_offset[i] + _filled(edge_mask[rows[i]])
    nodes = np.empty((node_offset[-1], NODE_FEATURES), np.float32)
    node_job = np.empty(node_offset[-1], np.int32)
    height = np.zeros(node_offset[-1], np.int32)
    demand = np.zeros(node_offset[-1], np.int32)
    job_features = np.empty((job_offset[-1], JOB_FEATURES), np.float32)
    limits = np.empty(job_offset[-1], np.int32)
    pairs = np.empty((edge_offset[-1], 2), np.int32)
    for i in range(len(rows)):
        row = rows[i]
        for position in range(job_offset[i + 1] - job_offset[i]):
            seen, features = jobs[row, position], job_features[job_offset[i] + position]
            features[0] = seen[LIMIT]
            features[1] = 1.0 if seen[IS_SOURCE] else -1.0
            features[2] = seen[SUPPLY]
            limits[job_offset[i] + position] = np.int32(seen[LIMIT] * num_executors + 0.5)
        first = node_offset[i]
        for stage in range(node_offset[i + 1] - first):
            seen, job = stages[row, stage], stage_job[row, stage]
            nodes[first + stage, :JOB_FEATURES] = job_features[job_offset[i] + job]
            nodes[first + stage, 3] = seen[REMAINING]
            nodes[first + stage, 4] = seen[WORK]
            node_job[first + stage] = job
            if seen[SCHEDULABLE]:
                demand[first + stage] = np.int32(seen[DEMAND] * num_executors + 0.5)
        # edges are in order of their children, which have greater numbers than their parents
        for edge in range(edge_offset[i + 1] - edge_offset[i] - 1, -1, -1):
            parent, child = edges[row, edge, 0], edges[row, edge, 1]
            pairs[edge_offset[i] + edge, 0], pairs[edge_offset[i] + edge, 1] = parent, child
            height[first + parent] = max(height[first + parent], height[first + child] + 1)
    sizes = np.full(len(rows), num_executors, np.int32)
    return (
        node_offset,
        job_offset,
        edge_offset,
        nodes,
        node_job,
        height,
        demand,
        job_features,
        limits,
        pairs,
        sizes,
    )


@kernel
def _filled(mask):
    """Rows in use: they stand in front."""
    count = 0
    while count < len(mask) and mask[count]:
        count += 1
    return count


@kernel
def _collate(
    node_offset,
    job_offset,
    edge_offset,
    nodes,
    node_job,
    height,
    demand,
    jobs,
    limits,
    edges,
    num_executors,
    chosen,
):
    num_nodes, num_jobs, num_edges, num_choices, num_lonely, heights = 0, 0, 0, 0, 0, 1
    for number in chosen:
        begin, end = node_offset[number], node_offset[number + 1]
        num_nodes += end - begin
        num_jobs += job_offset[number + 1] - job_offset[number]
        num_edges += edge_offset[number + 1] - edge_offset[number]
        if edge_offset[number + 1] == edge_offset[number]:
            num_lonely += end - begin
        for node in range(begin, end):
            num_choices += demand[node] > 0
            heights = max(heights, height[node] + 1)
    first_node = np.zeros(heights + 1, np.int64)
    first_edge = np.zeros(heights + 1, np.int64)
    for number in chosen:
        for node in range(node_offset[number], node_offset[number + 1]):
            first_node[height[node] + 1] += 1
        for edge in range(edge_offset[number], edge_offset[number + 1]):
            first_edge[height[node_offset[number] + edges[edge, 0]] + 1] += 1
    first_node, first_edge = np.cumsum(first_node), np.cumsum(first_edge)

    out_nodes = np.empty((num_nodes, NODE_FEATURES), np.float32)
    out_node_job = np.empty(num_nodes, np.int64)
    out_jobs = np.empty((num_jobs, JOB_FEATURES), np.float32)
    out_limits = np.empty(num_jobs, np.int64)
    job_decision = np.empty(num_jobs, np.int64)
    lonely = np.empty(num_lonely, np.int64)
    out_edges = np.empty((2, num_edges), np.int64)
    choices = np.empty(num_choices, np.int64)
    choice_decision = np.empty(num_choices, np.int64)
    choice_index = np.empty(num_choices, np.int64)
    choice_row = np.empty(num_choices, np.int64)
    choice_demand = np.empty(num_choices, np.int64)
    choice_offset = np.zeros(len(chosen) + 1, np.int64)
    sizes = np.empty(len(chosen), np.int64)
    place = np.empty(num_nodes, np.int64)  # of the stages of the decision at hand
    next_node, next_edge = first_node.copy(), first_edge.copy()
    at_job, at_lonely, at_choice = 0, 0, 0
    for i in range(len(chosen)):
        number = chosen[i]
        begin, begin_edges, end_edges = node_offset[number], edge_offset[number], edge_offset[number + 1]
        for node in range(begin, node_offset[number + 1]):
            at = next_node[height[node]]
            next_node[height[node]] += 1
            place[node - begin] = at
            out_nodes[at] = nodes[node]
            out_node_job[at] = at_job + node_job[node]
            if begin_edges == end_edges:
                lonely[at_lonely] = at
                at_lonely += 1
            if demand[node] > 0:
                choices[at_choice] = at
                choice_decision[at_choice] = i
                choice_index[at_choice] = at_choice - choice_offset[i]
                choice_row[at_choice] = 1 + node - begin
                choice_demand[at_choice] = demand[node]
                at_choice += 1
        choice_offset[i + 1] = at_choice
        for edge in range(begin_edges, end_edges):
            parent, child = edges[edge]
            at = next_edge[height[begin + parent]]
            next_edge[height[begin + parent]] += 1
            out_edges[0, at], out_edges[1, at] = place[child], place[parent]
        for job in range(job_offset[number], job_offset[number + 1]):
            out_jobs[at_job] = jobs[job]
            out_limits[at_job] = limits[job]
            job_decision[at_job] = i
            at_job += 1
        sizes[i] = num_executors[number]
    return (
        out_nodes,
        out_node_job,
        out_jobs,
        job_decision,
        lonely,
        out_edges,
        first_node,
        first_edge,
        choices,
        choice_decision,
        choice_index,
        choice_row,
        choice_demand,
        choice_offset,
        out_limits,
        sizes,
    )
