"""The padded observation, made from what a scheduler sees; actions that are impossible, made possible."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from netenvs.cjs.kernel.episode import can_decline
from netenvs.cjs.kernel.stages import committable
from netenvs.cjs.kernel.state import COMMON, NONE, borrow, cluster_of
from netenvs.cjs.kernel.views import pool_of, row_of, utilisation, view_jobs, view_stages
from netenvs.compiled import kernel

STAGE_FEATURES = 8
JOB_FEATURES = 5
CLUSTER_FEATURES = 3
HIGHEST = 1e6
"""Upper bound of every feature; what would exceed it is cut off."""

INFO = np.dtype(
    [
        ("time_s", np.float64),
        ("jobs_in_system", np.int64),
        ("jobs_done", np.int64),
        ("mean_jct_s", np.float64),
        ("source_job", np.int64),
        ("committable", np.int64),
        ("utilisation", np.float64),
        ("truncated_view", np.bool_),
        ("invalid_action", np.bool_),
    ],
    align=True,
)
"""The scalar columns of ``info`` in one row."""


class Offer(NamedTuple):
    """The scalars of a decision, besides jobs and stages."""

    now_ms: float
    source_job: int  # id of the job in the system whose executors are on offer, NONE = none or common pool
    committable: int
    can_decline: bool


class Observation(NamedTuple):
    """The padded observations of a batch; all zeros where there is nothing. See ``ClusterEnv``."""

    stages: np.ndarray  # float32 (rows, max_stages, 8)
    stage_job: np.ndarray  # int32 (rows, max_stages)
    stage_mask: np.ndarray  # int8 (rows, max_stages)
    edges: np.ndarray  # int32 (rows, max_edges, 2)
    edge_mask: np.ndarray  # int8 (rows, max_edges)
    jobs: np.ndarray  # float32 (rows, max_jobs, 5)
    job_mask: np.ndarray  # int8 (rows, max_jobs)
    cluster: np.ndarray  # float32 (rows, 3)
    action_mask: np.ndarray  # int8 (rows, 1 + max_stages + N)


@kernel
def bounded(value):
    """A feature inside its bounds."""
    return np.float32(min(max(value, 0.0), HIGHEST))


@kernel
def fill_observation(workload, num_executors, offer, jobs, stages, out, row):
    """Write row ``row`` of ``out`` (zeros) from JOB_VIEW (jobs,) and STAGE_VIEW (stages,).

    Returns whether something was left out for want of room.
    """
    size = np.float64(num_executors)
    truncated = False
    something = False
    num_edges = 0
    index = 0
    for position in range(len(jobs)):
        job = jobs[position]
        listed = False
        first = workload.stage_offset[job.template]
        for index_in_job in range(job.num_stages):
            stage = stages[index + index_in_job]
            if stage.row == 0:
                continue
            listed = True
            at = stage.row - 1
            features = out.stages[row, at]
            features[0] = bounded(stage.remaining / 200.0)
            features[1] = bounded(stage.running / size)
            features[2] = bounded(stage.demand / size)
            features[3] = bounded(stage.recent_ms / 10_000.0)
            features[4] = bounded(stage.remaining * stage.recent_ms / 100_000.0)
            features[5] = bounded(stage.critical_path_ms / 100_000.0)
            features[6] = stage.schedulable
            features[7] = stage.frontier
            out.stage_job[row, at] = position
            out.stage_mask[row, at] = 1
            out.action_mask[row, stage.row] = stage.schedulable
            something |= stage.schedulable
            number = first + index_in_job
            for edge in range(workload.parent_offset[number], workload.parent_offset[number + 1]):
                parent = stages[index + workload.parents[edge] - first]
                if parent.row == 0:  # complete
                    continue
                if num_edges == out.edge_mask.shape[1]:
                    truncated = True
                    break
                out.edges[row, num_edges, 0] = parent.row - 1
                out.edges[row, num_edges, 1] = at
                out.edge_mask[row, num_edges] = 1
                num_edges += 1
        index += job.num_stages
        if not listed:
            truncated = True
            break
        is_source = job.id == offer.source_job
        cap = offer.committable if is_source else min(max(num_executors - job.supply, 0), offer.committable)
        features = out.jobs[row, position]
        features[0] = bounded(job.supply / size)
        features[1] = bounded(cap / size)
        features[2] = is_source
        features[3] = bounded((offer.now_ms - job.arrival_ms) / 100_000.0)
        features[4] = bounded(job.remaining_work_ms / 1_000_000.0)
        out.job_mask[row, position] = 1
    out.cluster[row, 0] = bounded(offer.committable / size)
    out.cluster[row, 1] = bounded(len(jobs) / out.job_mask.shape[1])
    out.cluster[row, 2] = offer.source_job != NONE
    begin = 1 + out.stage_mask.shape[1]
    out.action_mask[row, 0] = offer.can_decline or not something
    out.action_mask[row, begin : begin + max(offer.committable, 1)] = 1
    return truncated


@kernel
def find_offer(cluster):
    """The scalars of a decision."""
    state = cluster.state[0]
    source_job = NONE
    if state.source != NONE:
        slot = cluster.pools[state.source].job
        if slot != NONE and cluster.jobs[slot].active:
            source_job = cluster.jobs[slot].id
    offered = committable(cluster, state.source)
    return Offer(state.now_ms, source_job, offered, state.source != NONE and can_decline(cluster))


@kernel
def observe_rows(workload, options, batch, jobs, stages, out, info):
    """Write observations into zeroed ``out`` and INFO (rows,); ``jobs`` and ``stages`` are room for views."""
    workload = borrow(workload)
    for row in range(len(batch.state)):
        cluster = cluster_of(batch, row)
        state, columns = cluster.state[0], info[row]
        view_jobs(workload, options, cluster, jobs)
        num_stages = view_stages(workload, options, cluster, stages)
        offer = find_offer(cluster)
        truncated = fill_observation(
            workload, options.num_executors, offer, jobs[: state.num_active], stages[:num_stages], out, row
        )
        columns.time_s = state.now_ms / 1000.0
        columns.jobs_in_system = state.num_active
        columns.jobs_done = state.num_done
        columns.mean_jct_s = state.jct_ms / state.num_done / 1000.0 if state.num_done > 0 else 0.0
        columns.source_job = offer.source_job
        columns.committable = offer.committable
        columns.utilisation = utilisation(options, cluster)
        columns.truncated_view = truncated


@kernel
def make_possible(action_mask, max_stages, actions, invalid):
    """Replace impossible actions, int64 (rows, 2), by the nearest possible ones and mark them in bool (rows,).

    In place of a stage that is not schedulable (or of a decline that would leave jobs unfinished) comes the
    schedulable stage with the nearest number, of two equally near ones the lower; if there is none, a decline.
    Executors are cut to those on offer.
    """
    for row in range(len(actions)):
        mask = action_mask[row]
        wanted = actions[row, 0]
        invalid[row] = not mask[wanted]
        if invalid[row]:
            actions[row, 0] = COMMON
            for distance in range(1, max_stages + 1):
                if wanted > distance and mask[wanted - distance]:
                    actions[row, 0] = wanted - distance
                    break
                if wanted + distance <= max_stages and mask[wanted + distance]:
                    actions[row, 0] = wanted + distance
                    break
        if actions[row, 0] == COMMON:
            actions[row, 1] = 0
        while not mask[1 + max_stages + actions[row, 1]]:
            actions[row, 1] -= 1
            invalid[row] = True


@kernel
def decisions_of_actions(options, batch, actions, stages, executors):
    """Translate possible actions, int64 (rows, 2), into pools and executors, int64 (rows,) each."""
    for row in range(len(actions)):
        stages[row], executors[row] = COMMON, 0
        if actions[row, 0] > 0:
            stages[row] = pool_of(options, cluster_of(batch, row), actions[row, 0])
            executors[row] = actions[row, 1] + 1


@kernel
def actions_of_decisions(options, batch, stages, executors, actions):
    """The inverse."""
    for row in range(len(actions)):
        actions[row, 0], actions[row, 1] = 0, 0
        if stages[row] != COMMON:
            actions[row, 0] = row_of(options, cluster_of(batch, row), stages[row])
            actions[row, 1] = executors[row] - 1


@kernel
def offer_in_row(batch, row):
    return find_offer(cluster_of(batch, row))
