"""Episodes, decision rounds and rewards: the rules of ``netenvs.cjs.reference``."""

from __future__ import annotations

import math

import numpy as np

from netenvs.cjs.kernel.calendar import pop_event, replace_first_event
from netenvs.cjs.kernel.chance import first_recorded
from netenvs.cjs.kernel.cluster import (
    add_commitment,
    begin_task,
    draw_next_arrival,
    executor_arrived,
    is_idle_in,
    job_arrived,
    keep_commitment,
    park_all,
    task_completed,
)
from netenvs.cjs.kernel.slots import clear_pool, has_room
from netenvs.cjs.kernel.stages import committable, demand, find_schedulable, first_schedulable, is_terminated, job_pool
from netenvs.cjs.kernel.state import ACTIVE, COMMON, DEADLOCK, INTERVAL, NONE, PAUSED, READY
from netenvs.compiled import kernel

# --------------------------------------------------------------------------------------------- decision rounds


@kernel
def open_round(workload, options, cluster):
    state = cluster.state[0]
    if committable(cluster, state.source) == 0:
        return False
    if find_schedulable(workload, options, cluster):
        return True
    park_all(options, cluster, state.source)
    state.source = NONE
    return False


@kernel
def close_round(workload, options, cluster):
    state, pools, commitments = cluster.state[0], cluster.pools, cluster.commitments
    source = state.source
    left = committable(cluster, source)
    if left > 0:
        add_commitment(cluster, COMMON, left)
    executor = 0
    previous = np.int64(NONE)
    commitment = np.int64(pools[source].first)
    while commitment != NONE:
        following = np.int64(commitments[commitment].next)
        count = commitments[commitment].executors
        kept = 0
        while kept < count and executor < options.num_executors:
            if is_idle_in(cluster, executor, source):
                keep_commitment(workload, options, cluster, executor, commitment, previous)
                kept += 1
            executor += 1
        if kept < count:
            previous = commitment
        commitment = following
    state.source = NONE
    state.num_schedulable = 0
    state.round += 1
    pools[source].offered = state.offer
    state.num_offered += 1


@kernel
def forget_offers(state):
    """An event has happened: every pool may be offered again."""
    if state.num_offered > 0:
        state.offer += 1
        state.num_offered = 0


@kernel
def offer_idle_executors(workload, options, cluster):
    state = cluster.state[0]
    if state.num_waiting > 0:
        for position in range(state.num_active + 1):
            pool = np.int64(COMMON)
            if position < state.num_active:
                pool = job_pool(options, np.int64(cluster.slots[ACTIVE, position]))
            if committable(cluster, pool) == 0 or cluster.pools[pool].offered == state.offer:
                continue
            state.source = pool
            if find_schedulable(workload, options, cluster) and frontier_is_schedulable(workload, options, cluster):
                return True
    state.source = NONE
    state.num_schedulable = 0
    return False


@kernel
def frontier_is_schedulable(workload, options, cluster):
    """Can a task of a schedulable stage start now?"""
    for position in range(cluster.state[0].num_active):
        slot = np.int64(cluster.slots[ACTIVE, position])
        if first_schedulable(workload, options, cluster, slot, True) != NONE:
            return True
    return False


@kernel
def begin_interval(cluster):
    """The jobs in the system now, and those that arrive until the next decision, count for the reward."""
    state = cluster.state[0]
    state.begin_ms = state.now_ms
    state.num_interval = state.num_active
    for position in range(state.num_active):  # one by one: of slices, numba compiles messages about their shapes, too
        cluster.slots[INTERVAL, position] = cluster.slots[ACTIVE, position]


@kernel
def end_interval(options, cluster):
    """At a decision, or at the end: pay the reward."""
    state = cluster.state[0]
    state.reward = -job_seconds(options, cluster)
    state.terminated = is_terminated(state)
    state.truncated = not state.terminated and state.now_ms >= options.time_limit_ms


@kernel
def job_seconds(options, cluster):
    """Seconds that the jobs of the interval spent in the system in it, discounted if ``beta`` > 0."""
    state = cluster.state[0]
    total = 0.0
    for position in range(state.num_interval):
        job = cluster.jobs[cluster.slots[INTERVAL, position]]
        start_ms = max(job.arrival_ms, state.begin_ms) - state.begin_ms
        end_ms = (state.now_ms if job.active else job.completion_ms) - state.begin_ms
        if options.beta == 0:
            total += end_ms - start_ms
        else:
            total += math.exp(-options.beta * start_ms / 1000.0) - math.exp(-options.beta * end_ms / 1000.0)
        if not job.active:
            job.rewarded = True
    return total / (1000.0 if options.beta == 0 else options.beta)


@kernel
def start(workload, options, cluster):
    """Admit the jobs that arrive at 0 and open the first round; see ``advance`` for what it returns."""
    state = cluster.state[0]
    while state.next_arrival_ms <= 0.0:
        if not has_room(options, cluster):
            state.status = PAUSED
            return False
        job_arrived(workload, options, cluster)
    state.starting = False
    begin_interval(cluster)
    if open_round(workload, options, cluster):
        return True
    return advance(workload, options, cluster)


@kernel
def advance(workload, options, cluster):
    """Run event by event until there is a decision to make, or all is done: True.

    False where that is not possible: ``status`` says why.
    """
    # Arrays are taken out of the tuples once: numba counts references at every attribute access.
    state, jobs, pools, executors = cluster.state[0], cluster.jobs, cluster.pools, cluster.executors
    events, task_log = cluster.events, cluster.task_log
    cell_start, cell_count, durations_ms = workload.cell_start, workload.cell_count, workload.durations_ms
    # until the next event but one, every executor can start one task
    most_logged = len(task_log) - options.num_executors - 1 if options.record_tasks else np.iinfo(np.int64).max
    while not is_terminated(state):
        if options.work_conserving and offer_idle_executors(workload, options, cluster):
            return True
        time_ms = events[0].time_ms if state.num_events > 0 else np.inf
        if state.num_events == 0 and state.next_arrival_ms == np.inf:
            forget_offers(state)
            if offer_idle_executors(workload, options, cluster):
                return True
            state.status = DEADLOCK
            return False
        if state.tasks_logged > most_logged:
            state.status = PAUSED
            return False
        executor = events[0].executor
        stage = np.int64(executors[executor].stage)
        if time_ms < state.next_arrival_ms and executors[executor].busy and pools[stage].remaining > 0:
            # The executor takes the stage's next task: nine of ten events, and none of them changes a pool.
            state.now_ms = time_ms
            pools[stage].completed += 1
            duration_ms = begin_task(
                cell_start,
                cell_count,
                durations_ms,
                options,
                state,
                jobs,
                pools,
                executors,
                task_log,
                executor,
                stage,
            )
            replace_first_event(events, state.num_events, time_ms + duration_ms, state.inserted, executor)
            state.inserted += 1
            forget_offers(state)
            continue
        if not has_room(options, cluster):
            state.status = PAUSED
            return False
        if state.next_arrival_ms <= time_ms:
            job_arrived(workload, options, cluster)
        else:
            state.now_ms = time_ms
            pop_event(events, state.num_events)
            state.num_events -= 1
            if executors[executor].busy:
                task_completed(workload, options, cluster, executor)
            else:
                executor_arrived(workload, options, cluster, executor)
        forget_offers(state)
        if open_round(workload, options, cluster):
            return True
    return True


# -------------------------------------------------------------------------------------------------- an episode


@kernel
def begin_episode(workload, options, cluster):
    """An empty cluster at time 0; key and episode stay."""
    state, slots = cluster.state[0], cluster.slots
    for slot in range(state.slots_touched):
        cluster.jobs[slot].active = False
    state.now_ms = 0.0
    state.reward = 0.0
    state.jct_ms = 0.0
    state.work_ms = 0.0
    state.begin_ms = 0.0
    state.inserted = 0
    state.num_tasks = 0
    state.num_decisions = 0
    state.first_arrival = 0
    if options.recorded:
        state.first_arrival = first_recorded(state.key, state.episode, len(workload.arrival_ms), options.num_jobs)
    state.num_arrived = 0
    state.num_done = 0
    state.tasks_logged = 0
    state.jobs_logged = 0
    state.source = COMMON
    state.num_schedulable = 0
    state.num_events = 0
    state.num_waiting = options.num_executors
    state.num_offered = 0
    state.offer = 0
    state.round = 0
    state.num_active = 0
    state.num_interval = 0
    state.num_ghosts = 0
    state.num_free = 0
    state.slots_touched = 0
    state.free_commitment = 0
    state.status = READY
    state.starting = True
    state.terminated = False
    state.truncated = False
    state.invalid_action = False
    slots[:] = NONE
    clear_pool(cluster.pools[COMMON], NONE, NONE)
    cluster.pools[COMMON].executors = options.num_executors
    for executor in range(options.num_executors):
        who = cluster.executors[executor]
        who.pool = COMMON
        who.job = NONE
        who.last_stage = NONE
        who.stage = NONE
        who.busy = False
    for commitment in range(len(cluster.commitments)):
        cluster.commitments[commitment].next = commitment + 1
    cluster.commitments[len(cluster.commitments) - 1].next = NONE
    draw_next_arrival(workload, options, state)


@kernel
def resume(workload, options, cluster):
    """Run on to the next decision; on success the interval is over."""
    state = cluster.state[0]
    state.status = READY
    if start(workload, options, cluster) if state.starting else advance(workload, options, cluster):
        end_interval(options, cluster)


@kernel
def is_over(state):
    return state.terminated or state.truncated


@kernel
def is_schedulable(options, cluster, stage):
    """Is ``stage``, any number, the pool of a stage that may be chosen now?"""
    if not COMMON < stage < len(cluster.pools):
        return False
    slot, index = divmod(stage - 1, options.stride)
    job = cluster.jobs[slot]
    return job.active and 1 <= index <= job.num_stages and cluster.pools[stage].schedulable


@kernel
def can_decline(cluster):
    state = cluster.state[0]
    return state.num_events > 0 or state.next_arrival_ms < np.inf or cluster.pools[state.source].committed > 0


@kernel
def commit(workload, options, cluster, stage, executors):
    """One decision: commit executors of the source to a schedulable stage, or decline (COMMON)."""
    state, pools = cluster.state[0], cluster.pools
    state.num_decisions += 1
    state.reward = 0.0
    if stage == COMMON:
        if not can_decline(cluster):
            state.status = DEADLOCK
            return
        add_commitment(cluster, COMMON, committable(cluster, state.source))
    else:
        add_commitment(cluster, stage, min(executors, demand(pools[stage])))
        pools[stage].selected = state.round
        find_schedulable(workload, options, cluster)
    if committable(cluster, state.source) > 0 and state.num_schedulable > 0:
        return
    close_round(workload, options, cluster)
    begin_interval(cluster)
    resume(workload, options, cluster)


@kernel
def commit_possible(workload, options, cluster, stage, executors):
    """Commit, after an impossible decision was replaced by the nearest possible one, and marked."""
    state = cluster.state[0]
    state.invalid_action = False
    if stage != COMMON:
        offered = committable(cluster, state.source)
        possible = min(max(executors, 1), offered) if is_schedulable(options, cluster, stage) else 0
        state.invalid_action = possible != executors
        if possible == 0:
            stage = COMMON
        executors = possible
    commit(workload, options, cluster, stage, executors)


@kernel
def step_row(workload, options, cluster, stage, executors, autoreset):
    """One decision; returns whether the row is over now, or not READY.

    If it is over already, ``autoreset`` begins the next episode; otherwise it stays as it is. The reward is 0 then.
    """
    state = cluster.state[0]
    if not is_over(state):
        if state.status == READY:
            commit_possible(workload, options, cluster, stage, executors)
    else:
        if autoreset:
            state.episode += 1
            begin_episode(workload, options, cluster)
            resume(workload, options, cluster)
        state.reward = 0.0
    return is_over(state) or state.status != READY
