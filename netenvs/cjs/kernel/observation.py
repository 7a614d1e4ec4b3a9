"""The padded observation, made from what a scheduler sees; actions that are impossible, made possible."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from netenvs.cjs.kernel.episode import can_decline, is_over, step_row
from netenvs.cjs.kernel.schedulers import decide
from netenvs.cjs.kernel.stages import committable
from netenvs.cjs.kernel.state import COMMON, NONE, READY, borrow, cluster_of
from netenvs.cjs.kernel.views import pool_of, row_of, utilisation, view_jobs, view_stages
from netenvs.compiled import kernel

STAGE_FEATURES = 8
JOB_FEATURES = 5
CLUSTER_FEATURES = 3
HIGHEST = 1e6
"""Upper bound of every feature; what would exceed it is cut off."""

OUTCOME = np.dtype(
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
        # not in `info`
        ("reward", np.float64),
        ("terminated", np.bool_),
        ("truncated", np.bool_),
        ("can_decline", np.bool_),
        ("now_ms", np.float64),
        ("source_stage", np.int64),  # id of the stage whose executors are on offer, NONE = of no stage
        ("source_executors", np.int64),  # in the pool on offer
    ],
    align=True,
)
"""What a row has come to: the scalar columns of ``info``, and more."""
INFO_COLUMNS: tuple[str, ...] = (OUTCOME.names or ())[:9]


class Offer(NamedTuple):
    """The scalars of a decision, besides jobs and stages."""

    now_ms: float
    source_job: int  # id of the job in the system whose executors are on offer, NONE = none or common pool
    committable: int
    can_decline: bool


class Observation(NamedTuple):
    """The padded observations of a batch; all zeros where there is nothing. See ``netenvs.cjs.env.CJSEnv``."""

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
def write_outcome(options, cluster, outcome):
    """All but ``truncated_view`` and ``invalid_action``."""
    state = cluster.state[0]
    outcome.time_s = state.now_ms / 1000.0
    outcome.jobs_in_system = state.num_active
    outcome.jobs_done = state.num_done
    outcome.mean_jct_s = state.jct_ms / state.num_done / 1000.0 if state.num_done > 0 else 0.0
    outcome.source_job = NONE
    outcome.source_stage = NONE
    outcome.source_executors = 0
    outcome.can_decline = False
    if state.source != NONE:
        pool = cluster.pools[state.source]
        outcome.source_executors = pool.executors
        outcome.can_decline = can_decline(cluster)
        if pool.job != NONE and cluster.jobs[pool.job].active:
            outcome.source_job = cluster.jobs[pool.job].id
            if pool.stage != NONE:
                outcome.source_stage = pool.stage - cluster.jobs[pool.job].first_stage
    outcome.committable = committable(cluster, state.source)
    outcome.utilisation = utilisation(options, cluster)
    outcome.reward = state.reward
    outcome.terminated = state.terminated
    outcome.truncated = state.truncated
    outcome.now_ms = state.now_ms


@kernel
def observe_rows(workload, options, batch, jobs, stages, out, outcomes):
    """Write observations into zeroed ``out`` and OUTCOME (rows,); ``jobs`` and ``stages`` are room for views."""
    workload = borrow(workload)
    for row in range(len(batch.state)):
        cluster = cluster_of(batch, row)
        outcome = outcomes[row]
        write_outcome(options, cluster, outcome)
        view_jobs(workload, options, cluster, jobs)
        num_stages = view_stages(workload, options, cluster, stages)
        offer = Offer(outcome.now_ms, outcome.source_job, outcome.committable, outcome.can_decline)
        outcome.truncated_view = fill_observation(
            workload, options.num_executors, offer, jobs[: outcome.jobs_in_system], stages[:num_stages], out, row
        )


@kernel
def make_possible(mask, max_stages, action):
    """Replace an impossible action, int64 (2,), by the nearest possible one; returns whether it was impossible.

    In place of a stage that is not schedulable (or of a decline that would leave jobs unfinished) comes the
    schedulable stage with the nearest number, of two equally near ones the lower; if there is none, a decline.
    Executors are cut to those on offer.
    """
    wanted = action[0]
    invalid = mask[wanted] == 0
    if invalid:
        action[0] = COMMON
        for distance in range(1, max_stages + 1):
            if wanted > distance and mask[wanted - distance]:
                action[0] = wanted - distance
                break
            if wanted + distance <= max_stages and mask[wanted + distance]:
                action[0] = wanted + distance
                break
    if action[0] == COMMON:
        action[1] = 0
    while action[1] > 0 and not mask[1 + max_stages + action[1]]:
        action[1] -= 1
        invalid = True
    return invalid


@kernel
def act_rows(workload, options, batch, action_mask, actions, autoreset, jobs, stages, out, outcomes):
    """One action in every row, int64 (rows, 2), changed where it is impossible; then ``observe_rows``.

    ``action_mask`` and OUTCOME (rows,) are those of the last ``observe_rows``; ``autoreset`` as in ``step_row``.
    Returns whether a row is not READY: then nothing was observed.
    """
    borrowed = borrow(workload)
    max_stages = action_mask.shape[1] - 1 - options.num_executors
    unfinished = False
    for row in range(len(actions)):
        cluster = cluster_of(batch, row)
        outcomes[row].invalid_action = False
        if not is_over(cluster.state[0]):
            outcomes[row].invalid_action = make_possible(action_mask[row], max_stages, actions[row])
        stage = pool_of(options, cluster, actions[row, 0])
        step_row(borrowed, options, cluster, stage, actions[row, 1] + 1, autoreset)
        unfinished |= cluster.state[0].status != READY
    if not unfinished:
        observe_rows(workload, options, batch, jobs, stages, out, outcomes)
    return unfinished


@kernel
def decide_actions(workload, options, batch, rule, actions):
    """Write the decisions of a ``Rule`` as actions, int64 (rows, 2); (0, 0) in rows that are over."""
    workload = borrow(workload)
    for row in range(len(actions)):
        actions[row, 0], actions[row, 1] = 0, 0
        if is_over(batch.state[row]) or batch.state[row].status != READY:
            continue
        cluster = cluster_of(batch, row)
        stage, executors = decide(workload, options, cluster, rule)
        if stage != COMMON:
            actions[row, 0] = row_of(options, cluster, stage)
            actions[row, 1] = executors - 1
