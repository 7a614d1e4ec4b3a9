"""Slots: where jobs in the system are kept."""

from __future__ import annotations

import numpy as np

from netenvs.cjs.kernel.stages import job_pool
from netenvs.cjs.kernel.state import FREE, GHOSTS, NONE
from netenvs.compiled import kernel
from netenvs.random import hash64


@kernel
def is_referred_to(options, cluster, slot):
    """Is an executor at, in flight to or promised to this job, or does it offer executors?"""
    state, pools = cluster.state[0], cluster.pools
    if cluster.jobs[slot].local_executors > 0:
        return True
    if state.source != NONE and pools[state.source].job == slot:
        return True
    first = job_pool(options, slot) + 1
    for stage in range(first, first + cluster.jobs[slot].num_stages):
        if pools[stage].moving > 0 or pools[stage].promised > 0:
            return True
    return False


@kernel
def free_slots(options, cluster):
    """Free the slots of jobs that are done, were rewarded and are not referred to any more."""
    state, slots = cluster.state[0], cluster.slots
    kept = 0
    for position in range(state.num_ghosts):
        slot = np.int64(slots[GHOSTS, position])
        if cluster.jobs[slot].rewarded and not is_referred_to(options, cluster, slot):
            slots[FREE, state.num_free] = slot
            state.num_free += 1
        else:
            slots[GHOSTS, kept] = slot
            kept += 1
    state.num_ghosts = kept


@kernel
def has_room(options, cluster):
    """Is there room for a job that arrives or is completed?"""
    state = cluster.state[0]
    if options.record_jobs and state.jobs_logged == len(cluster.job_log):
        return False
    if state.num_free > 0 or state.slots_touched < len(cluster.jobs):
        return True
    free_slots(options, cluster)
    return state.num_free > 0


@kernel
def take_slot(options, cluster):
    """A slot for a job that arrives; ``has_room`` has found that there is one."""
    free_slots(options, cluster)
    state = cluster.state[0]
    if state.num_free > 0:
        state.num_free -= 1
        return np.int64(cluster.slots[FREE, state.num_free])
    state.slots_touched += 1
    return state.slots_touched - 1


@kernel
def clear_pool(pool, job, stage):
    """An empty pool without commitments."""
    pool.job = job
    pool.stage = stage
    pool.recent_ms = 0.0
    pool.num_tasks = 0
    pool.remaining = 0
    pool.completed = 0
    pool.moving = 0
    pool.promised = 0
    pool.executors = 0
    pool.committed = 0
    pool.first = NONE
    pool.last = NONE
    pool.selected = NONE
    pool.offered = NONE
    pool.schedulable = False


@kernel
def fill_slot(workload, options, cluster, slot, template):
    """A job at the beginning of its life."""
    state, pools = cluster.state[0], cluster.pools
    job = cluster.jobs[slot]
    job.id = state.num_arrived
    job.arrival_ms = state.now_ms
    job.completion_ms = np.inf
    job.stream = hash64(state.key, state.episode, job.id)
    job.remaining = 0
    job.first_stage = workload.stage_offset[template]
    job.template = template
    job.num_stages = workload.stage_offset[template + 1] - job.first_stage
    job.incomplete = job.num_stages
    job.local_executors = 0
    job.supply = 0
    job.active = True
    job.rewarded = False
    own = job_pool(options, slot)
    clear_pool(pools[own], slot, NONE)
    for index in range(job.num_stages):
        number = job.first_stage + index
        stage = pools[own + 1 + index]
        clear_pool(stage, slot, number)
        stage.num_tasks = workload.num_tasks[number]
        stage.remaining = workload.num_tasks[number]
        stage.recent_ms = workload.rough_ms[number]
        job.remaining += workload.num_tasks[number]
