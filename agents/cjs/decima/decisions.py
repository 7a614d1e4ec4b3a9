"""What Decima's network knows of clusters at decisions, end to end: from padded observations, or from a view.

``pack`` takes it out of the observations of ``netenvs/CJS-v0`` in single precision, ``of_view`` out of a scheduler's
``ClusterView`` in double precision, and ``join`` puts the steps of a rollout end to end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from netenvs.cjs.cluster_view import ClusterView
from netenvs.cjs.jobs import JobSet
from netenvs.compiled import kernel

JOB_FEATURES = 3  # the first node features: equal at all stages of a job
NODE_FEATURES = 5
TASKS_SCALE = 200.0  # tasks
WORK_SCALE_MS = 1e5


class Decisions(NamedTuple):
    """d decisions with n incomplete stages of j jobs and e edges between them, end to end."""

    node_offset: np.ndarray
    """int64 (d + 1,): the stages of decision i are [node_offset[i], node_offset[i + 1]), in order of jobs and ids."""
    job_offset: np.ndarray
    """int64 (d + 1,): its jobs, in order of arrival."""
    edge_offset: np.ndarray
    """int64 (d + 1,): its edges."""
    nodes: np.ndarray
    """float (n, 5): executors that its job may get / N, +1 if its job's executors are on offer else -1, its job's
    supply / N, tasks to start / 200, tasks to start x recent duration / 100 s."""
    node_job: np.ndarray
    """int32 (n,): the stage's job among those of the decision."""
    height: np.ndarray
    """int32 (n,): edges of the longest path from the stage to an end of its job."""
    demand: np.ndarray
    """int32 (n,): executors that a stage can use; 0 for those that cannot be chosen now."""
    jobs: np.ndarray
    """float (j, 3): the first three node features."""
    limits: np.ndarray
    """int32 (j,): executors that a stage of the job may be given now."""
    edges: np.ndarray
    """int32 (e, 2): (parent, child) among the stages of the decision."""
    num_executors: np.ndarray
    """int32 (d,): N of each decision."""


class Padded(NamedTuple):
    """The parts of padded observations that are looked at, see ``CJSEnv``; the first axis is that of the clusters."""

    stages: np.ndarray
    stage_job: np.ndarray
    stage_mask: np.ndarray
    edges: np.ndarray
    edge_mask: np.ndarray
    jobs: np.ndarray
    job_mask: np.ndarray


# Features of padded observations, see CJSEnv.
REMAINING, DEMAND, WORK, SCHEDULABLE = 0, 2, 4, 6
SUPPLY, LIMIT, IS_SOURCE = 0, 1, 2


def pack(observations: Mapping[str, np.ndarray], rows: np.ndarray, num_executors: int) -> Decisions:
    """The decisions of ``rows``, int (d,), of padded observations of clusters with ``num_executors``.

    Each of the rows must have a stage to choose, see ``can_choose``.
    """
    padded = Padded(*(observations[name] for name in Padded._fields))
    return Decisions(*_pack(padded, np.ascontiguousarray(rows, dtype=np.int64), num_executors))


def can_choose(observations: Mapping[str, np.ndarray]) -> np.ndarray:
    """bool (rows,): where a stage may be chosen (``max_jobs`` may hide all of them)."""
    stages = observations["stages"]
    return np.asarray(stages[:, :, SCHEDULABLE].any(axis=1))


def of_view(view: ClusterView, heights: np.ndarray) -> Decisions:
    """The decision of a view; ``heights`` are those of the workload, see ``stage_heights``.

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
    node_of_row = np.zeros(len(stages), dtype=np.int64)
    node_of_row[rows] = np.arange(len(rows))
    job, number = job_of_row[rows], number_of_row[rows]
    remaining = stages["remaining"][rows]
    work = remaining * stages["recent_ms"][rows]
    choosable = stages["schedulable"][rows] & (stages["row"][rows] > 0)

    begin = job_set.child_offset[number]
    count = job_set.child_offset[number + 1] - begin
    parent = np.repeat(np.arange(len(rows)), count)
    edge = np.arange(len(parent)) + np.repeat(begin - np.cumsum(count) + count, count)
    child = node_of_row[rows[parent] + job_set.children[edge] - number[parent]]
    return Decisions(
        node_offset=np.array([0, len(rows)]),
        job_offset=np.array([0, len(jobs)]),
        edge_offset=np.array([0, len(parent)]),
        nodes=np.column_stack([job_features[job], remaining / TASKS_SCALE, work / WORK_SCALE_MS]),
        node_job=job.astype(np.int32),
        height=heights[number].astype(np.int32),
        demand=np.where(choosable, stages["demand"][rows], 0).astype(np.int32),
        jobs=job_features,
        limits=limits.astype(np.int32),
        edges=np.stack([parent, child], axis=1).astype(np.int32),
        num_executors=np.array([view.num_executors], np.int32),
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


def join(parts: Sequence[Decisions]) -> Decisions:
    """The decisions of several steps, end to end."""
    zero = [np.zeros(1, np.int64)]
    offsets = [np.cumsum(np.concatenate(zero + [np.diff(part[field]) for part in parts])) for field in range(3)]
    return Decisions(*offsets, *(np.concatenate([part[field] for part in parts]) for field in range(3, 11)))


@kernel
def _pack(seen, rows, num_executors):
    node_offset = _offsets(seen.stage_mask, rows)
    job_offset = _offsets(seen.job_mask, rows)
    edge_offset = _offsets(seen.edge_mask, rows)
    packed = Decisions(
        node_offset,
        job_offset,
        edge_offset,
        np.empty((node_offset[-1], NODE_FEATURES), np.float32),
        np.empty(node_offset[-1], np.int32),
        np.zeros(node_offset[-1], np.int32),
        np.zeros(node_offset[-1], np.int32),
        np.empty((job_offset[-1], JOB_FEATURES), np.float32),
        np.empty(job_offset[-1], np.int32),
        np.empty((edge_offset[-1], 2), np.int32),
        np.full(len(rows), num_executors, np.int32),
    )
    for i in range(len(rows)):
        _pack_jobs(seen, rows[i], num_executors, i, packed)
        _pack_stages(seen, rows[i], num_executors, i, packed)
        _pack_edges(seen, rows[i], i, packed)
    return packed


@kernel
def _offsets(mask, rows):
    """int64 (rows + 1,): where the filled rows of each mask begin when they stand end to end."""
    offsets = np.zeros(len(rows) + 1, np.int64)
    for i in range(len(rows)):
        offsets[i + 1] = offsets[i] + _filled(mask[rows[i]])
    return offsets


@kernel
def _filled(mask):
    """Rows in use: they stand in front."""
    count = 0
    while count < len(mask) and mask[count]:
        count += 1
    return count


@kernel
def _pack_jobs(seen, row, num_executors, i, packed):
    first = packed.job_offset[i]
    for job in range(packed.job_offset[i + 1] - first):
        there, features = seen.jobs[row, job], packed.jobs[first + job]
        features[0] = there[LIMIT]
        features[1] = 1.0 if there[IS_SOURCE] else -1.0
        features[2] = there[SUPPLY]
        packed.limits[first + job] = np.int32(there[LIMIT] * num_executors + 0.5)


@kernel
def _pack_stages(seen, row, num_executors, i, packed):
    first, first_job = packed.node_offset[i], packed.job_offset[i]
    for stage in range(packed.node_offset[i + 1] - first):
        there, job = seen.stages[row, stage], seen.stage_job[row, stage]
        packed.nodes[first + stage, :JOB_FEATURES] = packed.jobs[first_job + job]
        packed.nodes[first + stage, 3] = there[REMAINING]
        packed.nodes[first + stage, 4] = there[WORK]
        packed.node_job[first + stage] = job
        if there[SCHEDULABLE]:
            packed.demand[first + stage] = np.int32(there[DEMAND] * num_executors + 0.5)


@kernel
def _pack_edges(seen, row, i, packed):
    """Edges, and with them the heights: edges are in order of their children, which have greater numbers."""
    first, first_edge, height = packed.node_offset[i], packed.edge_offset[i], packed.height
    for edge in range(packed.edge_offset[i + 1] - first_edge - 1, -1, -1):
        parent, child = seen.edges[row, edge, 0], seen.edges[row, edge, 1]
        packed.edges[first_edge + edge, 0], packed.edges[first_edge + edge, 1] = parent, child
        height[first + parent] = max(height[first + parent], height[first + child] + 1)
