"""What jobs, stages and executors do when something happens: the rules of ``netenvs.cjs.cluster``."""

from __future__ import annotations

import numpy as np

from netenvs.cjs.jobs import FIRST, FRESH, LARGEST, REST
from netenvs.cjs.kernel.calendar import after
from netenvs.cjs.kernel.chance import (
    FIRST_STAGE_POSITION,
    LEVEL_NUMBER,
    SAMPLE_NUMBER,
    arriving_template,
    interarrival_ms,
)
from netenvs.cjs.kernel.slots import fill_slot, take_slot
from netenvs.cjs.kernel.stages import is_complete, is_frontier, is_ready, job_pool
from netenvs.cjs.kernel.state import ACTIVE, COMMON, GHOSTS, INTERVAL, LAST_LEVEL, LEVEL, NONE
from netenvs.compiled import kernel
from netenvs.random import uniform

# ----------------------------------------------------------------------------------------------------- events


@kernel
def given_arrival_ms(workload, options, state):
    """The same where the workload has the arrivals; the stretch of recorded ones begins at 0."""
    place = state.first_arrival + state.num_arrived
    if place >= len(workload.arrival_ms):
        return np.inf
    if not options.recorded:
        return workload.arrival_ms[place]
    time_ms = workload.arrival_ms[place] - workload.arrival_ms[state.first_arrival]
    return np.inf if state.num_arrived == options.num_jobs or time_ms >= options.time_limit_ms else time_ms


@kernel
def draw_next_arrival(workload, options, state):
    """When the next job arrives, after ``num_arrived`` ones, the last of them now."""
    index = state.num_arrived
    if len(workload.arrival_ms) > 0:
        state.next_arrival_ms = given_arrival_ms(workload, options, state)
        return
    time_ms = 0.0
    if index > 0:
        time_ms = state.now_ms + interarrival_ms(state.key, state.episode, index - 1, options.mean_interarrival_ms)
    if index == options.num_jobs or time_ms >= options.time_limit_ms:
        time_ms = np.inf
    state.next_arrival_ms = time_ms


@kernel
def job_arrived(workload, options, cluster):
    state, slots = cluster.state[0], cluster.slots
    state.now_ms = state.next_arrival_ms
    if len(workload.arrival_ms) > 0:
        template = workload.arrival_template[state.first_arrival + state.num_arrived]
    else:
        template = arriving_template(state.key, state.episode, state.num_arrived, len(workload.stage_offset) - 1)
    slot = take_slot(options, cluster)
    fill_slot(workload, options, cluster, slot, template)
    slots[ACTIVE, state.num_active] = slot
    state.num_active += 1
    slots[INTERVAL, state.num_interval] = slot
    state.num_interval += 1
    state.num_arrived += 1
    draw_next_arrival(workload, options, state)
    if cluster.pools[COMMON].executors > 0:
        state.source = COMMON


@kernel
def executor_arrived(workload, options, cluster, executor):
    stage = np.int64(cluster.executors[executor].stage)
    slot = np.int64(cluster.pools[stage].job)
    cluster.pools[stage].moving -= 1
    cluster.executors[executor].job = slot
    cluster.jobs[slot].local_executors += 1
    enter(cluster, executor, job_pool(options, slot))
    place(workload, options, cluster, executor, stage)


@kernel
def task_completed(workload, options, cluster, executor):
    """The end of a task where the stage has no task left to start; ``advance`` handles all other ends."""
    number = np.int64(cluster.executors[executor].stage)
    stage = cluster.pools[number]
    stage.completed += 1
    frontier_changed = False
    if is_complete(stage):
        frontier_changed = complete_stage(workload, options, cluster, number)
    release(workload, options, cluster, executor, number, frontier_changed)


@kernel
def complete_stage(workload, options, cluster, stage):
    slot = cluster.pools[stage].job
    job = cluster.jobs[slot]
    job.incomplete -= 1
    if job.incomplete == 0:
        park_all(options, cluster, job_pool(options, slot))
        complete_job(options, cluster, slot)
    number = cluster.pools[stage].stage
    for edge in range(workload.child_offset[number], workload.child_offset[number + 1]):
        child = stage + workload.children[edge] - number
        if is_frontier(workload.parent_offset, workload.parents, cluster.pools, child):
            return True
    return False


@kernel
def complete_job(options, cluster, slot):
    """Remove a job from the system; its slot lives on as long as somebody refers to it."""
    state, slots = cluster.state[0], cluster.slots
    job = cluster.jobs[slot]
    job.active = False
    job.completion_ms = state.now_ms
    state.jct_ms += job.completion_ms - job.arrival_ms
    kept = 0
    for position in range(state.num_active):
        if slots[ACTIVE, position] != slot:
            slots[ACTIVE, kept] = slots[ACTIVE, position]
            kept += 1
    state.num_active = kept
    slots[GHOSTS, state.num_ghosts] = slot
    state.num_ghosts += 1
    state.num_done += 1
    if options.record_jobs:
        entry = cluster.job_log[state.jobs_logged]
        entry.job = job.id
        entry.template = job.template
        entry.arrival_ms = job.arrival_ms
        entry.completion_ms = job.completion_ms
        state.jobs_logged += 1


@kernel
def release(workload, options, cluster, executor, stage, frontier_changed):
    state = cluster.state[0]
    cluster.executors[executor].busy = False
    commitment = np.int64(cluster.pools[stage].first)
    if commitment != NONE:
        keep_commitment(workload, options, cluster, executor, commitment, NONE)
    else:
        cluster.executors[executor].last_stage = NONE
        if frontier_changed:
            park(options, cluster, stage, executor)
    if frontier_changed:
        state.source = job_pool(options, np.int64(cluster.pools[stage].job))
    elif commitment == NONE:
        state.source = stage


# ------------------------------------------------------------------------------------------------- commitments


@kernel
def add_commitment(cluster, destination, executors):
    state, pools, commitments = cluster.state[0], cluster.pools, cluster.commitments
    source = pools[state.source]
    commitment = source.first
    while commitment != NONE and commitments[commitment].destination != destination:
        commitment = commitments[commitment].next
    if commitment == NONE:
        commitment = state.free_commitment
        state.free_commitment = commitments[commitment].next
        commitments[commitment].destination = destination
        commitments[commitment].executors = 0
        commitments[commitment].next = NONE
        if source.first == NONE:
            source.first = commitment
        else:
            commitments[source.last].next = commitment
        source.last = commitment
    commitments[commitment].executors += executors
    source.committed += executors
    if destination != COMMON:
        pools[destination].promised += executors
        if pools[destination].job != source.job:
            cluster.jobs[pools[destination].job].supply += executors


@kernel
def keep_commitment(workload, options, cluster, executor, commitment, previous):
    """``previous`` stands before ``commitment`` in the list of the executor's pool; NONE = it is the first."""
    state, pools, commitments = cluster.state[0], cluster.pools, cluster.commitments
    pool = np.int64(cluster.executors[executor].pool)
    source = pools[pool]
    destination = np.int64(commitments[commitment].destination)
    commitments[commitment].executors -= 1
    if commitments[commitment].executors == 0:
        following = commitments[commitment].next
        if previous == NONE:
            source.first = following
        else:
            commitments[previous].next = following
        if source.last == commitment:
            source.last = previous
        commitments[commitment].next = state.free_commitment
        state.free_commitment = commitment
    source.committed -= 1
    if destination == COMMON:
        park(options, cluster, pool, executor)
        return
    pools[destination].promised -= 1
    if pools[destination].job != source.job:
        cluster.jobs[pools[destination].job].supply -= 1
    place(workload, options, cluster, executor, destination)


# ---------------------------------------------------------------------------------------------- idle executors


@kernel
def place(workload, options, cluster, executor, stage):
    pools, who = cluster.pools, cluster.executors[executor]
    if pools[stage].remaining == 0:
        stage = backup_stage(workload, options, cluster, executor)
        if stage == NONE:
            park(options, cluster, np.int64(who.pool), executor)
            return
    if who.job != pools[stage].job:
        send(options, cluster, executor, stage)
    elif not is_frontier(workload.parent_offset, workload.parents, pools, stage):
        who.last_stage = NONE
        enter(cluster, executor, job_pool(options, np.int64(pools[stage].job)))
    else:
        enter(cluster, executor, stage)
        start_task(workload, options, cluster, executor, stage)


@kernel
def last_candidate(workload, options, cluster, slot):
    """The last stage of a job that is ready and was not chosen in this round, NONE = none."""
    state, pools = cluster.state[0], cluster.pools
    parent_offset, parents = workload.parent_offset, workload.parents
    first = job_pool(options, slot) + 1
    for stage in range(first + cluster.jobs[slot].num_stages - 1, first - 1, -1):
        if pools[stage].selected != state.round and is_ready(parent_offset, parents, pools, stage):
            return stage
    return NONE


@kernel
def backup_stage(workload, options, cluster, executor):
    own = np.int64(cluster.executors[executor].job)
    if own != NONE:
        stage = last_candidate(workload, options, cluster, own)
        if stage != NONE:
            return stage
    for position in range(cluster.state[0].num_active - 1, -1, -1):
        slot = np.int64(cluster.slots[ACTIVE, position])
        if slot != own and cluster.jobs[slot].supply < options.num_executors:
            stage = last_candidate(workload, options, cluster, slot)
            if stage != NONE:
                return stage
    return NONE


@kernel
def stays_when_parked(cluster, pool):
    """Nobody leaves the common pool, or a job that has tasks to start."""
    slot = cluster.pools[pool].job
    return slot == NONE or (cluster.pools[pool].stage == NONE and cluster.jobs[slot].remaining > 0)


@kernel
def park(options, cluster, pool, executor):
    """Park one executor of a pool."""
    if stays_when_parked(cluster, pool):
        return
    slot = np.int64(cluster.pools[pool].job)
    if cluster.jobs[slot].remaining > 0:
        enter(cluster, executor, job_pool(options, slot))
    else:
        enter(cluster, executor, COMMON)
        leave_job(cluster, executor)


@kernel
def park_all(options, cluster, pool):
    """Park all idle executors of a pool."""
    if stays_when_parked(cluster, pool):
        return
    for executor in range(options.num_executors):
        if is_idle_in(cluster, executor, pool):
            park(options, cluster, pool, executor)


@kernel
def send(options, cluster, executor, stage):
    pools, jobs, who = cluster.pools, cluster.jobs, cluster.executors[executor]
    enter(cluster, executor, NONE)
    who.stage = stage
    pools[stage].moving += 1
    jobs[pools[stage].job].supply += 1
    if who.job != NONE:
        jobs[who.job].supply -= 1
        leave_job(cluster, executor)
    after(cluster, options.moving_delay_ms, executor)


@kernel
def enter(cluster, executor, pool):
    """Change the pool; NONE = in flight."""
    state, pools, who = cluster.state[0], cluster.pools, cluster.executors[executor]
    if who.pool != NONE:
        pools[who.pool].executors -= 1
        state.num_waiting -= pools[who.pool].stage == NONE
    who.pool = pool
    if pool != NONE:
        pools[pool].executors += 1
        state.num_waiting += pools[pool].stage == NONE


@kernel
def leave_job(cluster, executor):
    who = cluster.executors[executor]
    if who.job != NONE:
        cluster.jobs[who.job].local_executors -= 1
    who.job = NONE
    who.last_stage = NONE


@kernel
def is_idle_in(cluster, executor, pool):
    return cluster.executors[executor].pool == pool and not cluster.executors[executor].busy


# ------------------------------------------------------------------------------------------------------- tasks


@kernel
def start_task(workload, options, cluster, executor, stage):
    duration_ms = begin_task(
        workload.cell_start,
        workload.cell_count,
        workload.durations_ms,
        options,
        cluster.state[0],
        cluster.jobs,
        cluster.pools,
        cluster.executors,
        cluster.task_log,
        executor,
        stage,
    )
    after(cluster, duration_ms, executor)


@kernel
def begin_task(cell_start, cell_count, durations_ms, options, state, jobs, pools, executors, task_log, executor, stage):
    """All of ``start_task`` but scheduling its end; returns the duration. The hot path calls it with bare arrays."""
    who, where = executors[executor], pools[stage]
    job = jobs[where.job]
    task = where.num_tasks - where.remaining
    where.remaining -= 1
    job.remaining -= 1
    wave = REST
    if who.last_stage == NONE:
        wave = FRESH
    elif who.last_stage != stage:
        wave = FIRST
    index = where.stage - job.first_stage
    duration_ms = task_duration(
        cell_start, cell_count, durations_ms, options, job.stream, where.stage, index, task, job.local_executors, wave
    )
    if options.record_tasks:
        entry = task_log[state.tasks_logged]
        entry.job = job.id
        entry.stage = index
        entry.executor = executor
        entry.start_ms = state.now_ms
        entry.duration_ms = duration_ms
        entry.local_executors = job.local_executors
        entry.wave = wave
        state.tasks_logged += 1
    who.last_stage = stage
    who.stage = stage
    who.busy = True
    where.recent_ms = duration_ms
    state.num_tasks += 1
    state.work_ms += duration_ms
    return duration_ms


@kernel
def task_duration(cell_start, cell_count, durations_ms, options, stream, number, index, task, local, wave):
    """``number`` is the stage's in the workload, ``index`` the one in its job."""
    column = executor_level(options, stream, index, task, local)
    added_ms = 0.0
    used = wave
    if cell_count[number, used, column] == 0:
        if wave == FRESH:
            added_ms = options.warmup_delay_ms
        used = FIRST
        if cell_count[number, used, column] == 0:
            used = FRESH
    chance = uniform(stream, FIRST_STAGE_POSITION + index, 2 * task + SAMPLE_NUMBER)
    return durations_ms[cell_start[number, used, column] + int(chance * cell_count[number, used, column])] + added_ms


@kernel
def executor_level(options, stream, index, task, local):
    """Column of the cell tables for a number of local executors."""
    if local > LEVEL[LAST_LEVEL]:
        # the published table ends one entry early
        return LARGEST if local == options.num_executors else LAST_LEVEL
    right = 0
    while LEVEL[right] < local:
        right += 1
    if local == LEVEL[right] or right == 0:
        return right
    left = right - 1
    chance = uniform(stream, FIRST_STAGE_POSITION + index, 2 * task + LEVEL_NUMBER)
    point = 1 + int(chance * (LEVEL[right] - LEVEL[left]))
    return left if point <= local - LEVEL[left] else right
