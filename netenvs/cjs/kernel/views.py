"""What a scheduler sees, as arrays."""

from __future__ import annotations

import numpy as np

from netenvs.cjs.kernel.stages import demand, is_complete, is_frontier, is_ready, job_pool
from netenvs.cjs.kernel.state import ACTIVE, COMMON
from netenvs.compiled import kernel


@kernel
def view_jobs(workload, options, cluster, views):
    """Fill JOB_VIEW (jobs in the system,), in order of arrival; returns how many stages they have."""
    total = 0
    for position in range(cluster.state[0].num_active):
        slot = np.int64(cluster.slots[ACTIVE, position])
        job, view = cluster.jobs[slot], views[position]
        view.id = job.id
        view.template = job.template
        view.pool = job_pool(options, slot)
        view.num_stages = job.num_stages
        view.supply = job.supply
        view.arrival_ms = job.arrival_ms
        view.saturated = job.remaining == 0
        view.remaining_work_ms = 0.0
        for stage in range(view.pool + 1, view.pool + 1 + job.num_stages):
            pool = cluster.pools[stage]
            view.remaining_work_ms += (pool.num_tasks - pool.completed) * pool.recent_ms
        total += job.num_stages
    return total


@kernel
def visible_jobs(options, cluster):
    """How many of the jobs in the system, the oldest ones, have rows in an observation."""
    rows = 0
    most = min(cluster.state[0].num_active, options.max_jobs)
    for position in range(most):
        rows += cluster.jobs[cluster.slots[ACTIVE, position]].incomplete
        if rows > options.max_stages:
            return position
    return most


@kernel
def view_stages(workload, options, cluster, views):
    """Fill STAGE_VIEW (stages of the jobs in the system,): jobs in order of arrival, stages ascending."""
    index = 0
    rows = 0
    visible = visible_jobs(options, cluster)
    for position in range(cluster.state[0].num_active):
        slot = np.int64(cluster.slots[ACTIVE, position])
        job = cluster.jobs[slot]
        own = job_pool(options, slot)
        for number in range(job.num_stages):
            stage, view = cluster.pools[own + 1 + number], views[index]
            view.job = job.id
            view.id = number
            view.pool = own + 1 + number
            view.remaining = stage.remaining
            view.running = stage.num_tasks - stage.remaining - stage.completed
            view.completed = stage.completed
            view.demand = demand(stage)
            view.row = 0
            if position < visible and not is_complete(stage):
                rows += 1
                view.row = rows
            view.recent_ms = stage.recent_ms
            view.rough_ms = workload.rough_ms[stage.stage]
            view.critical_path_ms = workload.critical_path_ms[stage.stage]
            view.ready = is_ready(workload.parent_offset, workload.parents, cluster.pools, view.pool)
            view.frontier = is_frontier(workload.parent_offset, workload.parents, cluster.pools, view.pool)
            view.schedulable = stage.schedulable
            index += 1
    return index


@kernel
def pool_of(options, cluster, row):
    """Number of the pool of the stage in a row (1 and more) of the observation; COMMON for 0."""
    if row == 0:
        return np.int64(COMMON)
    for position in range(cluster.state[0].num_active):
        slot = np.int64(cluster.slots[ACTIVE, position])
        job = cluster.jobs[slot]
        if row > job.incomplete:
            row -= job.incomplete
            continue
        stage = job_pool(options, slot)
        while row > 0:
            stage += 1
            row -= not is_complete(cluster.pools[stage])
        return stage
    return np.int64(COMMON)


@kernel
def row_of(options, cluster, pool):
    """Row of the observation of a stage that is not complete; the inverse of ``pool_of``."""
    row = 0
    slot = np.int64(cluster.pools[pool].job)
    for position in range(cluster.state[0].num_active):
        if cluster.slots[ACTIVE, position] == slot:
            break
        row += cluster.jobs[cluster.slots[ACTIVE, position]].incomplete
    for stage in range(job_pool(options, slot) + 1, pool + 1):
        row += not is_complete(cluster.pools[stage])
    return row


@kernel
def utilisation(options, cluster):
    """Share of executor time spent on tasks since the beginning of the episode."""
    state = cluster.state[0]
    work_ms = state.work_ms
    for index in range(state.num_events):
        if cluster.executors[cluster.events[index].executor].busy:
            work_ms -= cluster.events[index].time_ms - state.now_ms
    return work_ms / (state.now_ms * options.num_executors) if state.now_ms > 0 else 0.0
