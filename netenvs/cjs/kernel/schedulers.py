"""Heuristics that decide inside the kernel: ``netenvs.cjs.rules`` says what they do."""

from __future__ import annotations

import math

import numpy as np

from netenvs.cjs.kernel.episode import can_decline
from netenvs.cjs.kernel.stages import committable, demand, find_stage, is_complete, is_frontier, is_ready, job_pool
from netenvs.cjs.kernel.state import ACTIVE, COMMON, NONE
from netenvs.cjs.kernel.views import visible_jobs
from netenvs.cjs.rules import (
    ARRIVAL,
    BY_REMAINING_WORK,
    BY_TOTAL_WORK,
    EQUAL,
    REMAINING_PATH,
    REMAINING_WORK,
    SHARE,
    TOLERANCE,
    TOTAL_WORK,
    WORK_UNIT_MS,
)
from netenvs.compiled import kernel


@kernel
def decide(workload, options, cluster, rule):
    """(stage, executors) of a ``Rule``; (COMMON, 0) = decline."""
    if rule.order == ARRIVAL:
        return decide_by_arrival(workload, options, cluster, rule)
    return decide_by_size(workload, options, cluster, rule)


@kernel
def decide_by_arrival(workload, options, cluster, rule):
    state, jobs, active = cluster.state[0], cluster.jobs, cluster.slots[ACTIVE]
    offered = np.int64(committable(cluster, state.source))
    visible = visible_jobs(options, cluster)
    own = source_job(cluster)
    # jobs are numbered as they arrive, so that this one stands before the first that has no rows
    if own != NONE and visible > 0 and jobs[own].id <= jobs[active[visible - 1]].id:
        stage = find_stage(workload, options, cluster, own)
        if stage != NONE:
            return stage, offered
    cap = most_executors(workload, options, cluster, rule, own, 0.0)
    for position in range(visible):
        slot = np.int64(active[position])
        if slot != own and jobs[slot].supply < cap:
            stage = find_stage(workload, options, cluster, slot)
            if stage != NONE:
                return stage, min(offered, cap - np.int64(jobs[slot].supply))
    return np.int64(COMMON), np.int64(0)


@kernel
def decide_by_size(workload, options, cluster, rule):
    held = held_executors(workload, options, cluster, rule)
    if rule.sharing != SHARE or rule.share < 1:
        stage, executors = smallest(workload, options, cluster, rule, held, True)
        if stage != NONE:
            return stage, executors
    stage, executors = smallest(workload, options, cluster, rule, held, False)
    if stage == NONE and held > 0 and not can_decline(cluster):
        stage, executors = smallest(workload, options, cluster, rule, 0, False)
    if stage == NONE:
        return np.int64(COMMON), np.int64(0)
    return stage, executors


@kernel
def smallest(workload, options, cluster, rule, held, capped):
    """(stage, executors) of the smallest job with a schedulable stage, NONE = none; ``held`` for the source's job."""
    state, jobs, pools, active = cluster.state[0], cluster.jobs, cluster.pools, cluster.slots[ACTIVE]
    parent_offset, parents = workload.parent_offset, workload.parents
    offered = np.int64(committable(cluster, state.source))
    own = source_job(cluster)
    weights = sum_of_weights(workload, options, cluster, rule) if capped else 0.0
    chosen, chosen_executors = np.int64(NONE), np.int64(0)
    least, at_frontier, longest_ms = np.inf, False, 0.0
    for position in range(visible_jobs(options, cluster)):
        slot = np.int64(active[position])
        executors = offered if slot == own else offered - held
        if capped:
            free = most_executors(workload, options, cluster, rule, slot, weights) - np.int64(jobs[slot].supply)
            executors = min(executors, free + offered if slot == own else free)
        if executors <= 0:
            continue
        size = job_size(workload, options, cluster, rule.order, slot)
        if slot == own:
            size *= rule.own_factor
        if size > least:
            continue
        first = job_pool(options, slot) + 1
        for stage in range(first, first + jobs[slot].num_stages):
            if not pools[stage].schedulable:
                continue
            frontier = is_frontier(parent_offset, parents, pools, stage)
            path_ms = workload.critical_path_ms[pools[stage].stage] if rule.longest_path_first else 0.0
            if size == least and (frontier < at_frontier or (frontier == at_frontier and path_ms <= longest_ms)):
                continue
            least, at_frontier, longest_ms = size, frontier, path_ms
            chosen, chosen_executors = np.int64(stage), min(executors, np.int64(demand(pools[stage])))
    if chosen != NONE and not at_frontier:
        chosen_executors = np.int64(math.ceil(rule.early * chosen_executors))
    return chosen, chosen_executors


@kernel
def source_job(cluster):
    """Slot of the job in the system whose executors are on offer, NONE = none."""
    slot = np.int64(cluster.pools[cluster.state[0].source].job)
    return slot if slot != NONE and cluster.jobs[slot].active else np.int64(NONE)


@kernel
def held_executors(workload, options, cluster, rule):
    """How many of the source's executors are not for other jobs."""
    own = source_job(cluster)
    if own == NONE or rule.hold == 0:
        return np.int64(0)
    pools = cluster.pools
    needed = np.int64(0)
    first = job_pool(options, own) + 1
    for stage in range(first, first + cluster.jobs[own].num_stages):
        if not is_ready(workload.parent_offset, workload.parents, pools, stage):
            needed += max(demand(pools[stage]), 0)
    return np.int64(rule.hold * min(np.int64(pools[cluster.state[0].source].executors), needed))


@kernel
def job_size(workload, options, cluster, order, slot):
    """What jobs are ordered by, ms."""
    pools = cluster.pools
    first = job_pool(options, slot) + 1
    size_ms = 0.0
    for number in range(first, first + cluster.jobs[slot].num_stages):
        stage = pools[number]
        if order == TOTAL_WORK:
            size_ms += stage.num_tasks * workload.rough_ms[stage.stage]
        elif order == REMAINING_WORK:
            running = stage.num_tasks - stage.remaining - stage.completed
            size_ms += (stage.remaining + 0.5 * running) * workload.rough_ms[stage.stage]
        elif order == REMAINING_PATH and not is_complete(stage):
            size_ms = max(size_ms, workload.critical_path_ms[stage.stage])
    return size_ms


@kernel
def weight(workload, options, cluster, rule, slot):
    return max(job_size(workload, options, cluster, TOTAL_WORK, slot), 1.0) ** rule.growth


@kernel
def sum_of_weights(workload, options, cluster, rule):
    """What the weight of one job is compared with; 0 for rules without."""
    total = 0.0
    if rule.sharing == BY_TOTAL_WORK:
        for position in range(cluster.state[0].num_active):
            total += weight(workload, options, cluster, rule, np.int64(cluster.slots[ACTIVE, position]))
    return total


@kernel
def most_executors(workload, options, cluster, rule, slot, weights):
    """How many of the executors a job may have."""
    size = options.num_executors
    num_jobs = cluster.state[0].num_active
    if rule.sharing == EQUAL:
        return np.int64((size + num_jobs - 1) // num_jobs)
    if rule.sharing == BY_TOTAL_WORK:
        share = weight(workload, options, cluster, rule, slot) / weights
        return max(np.int64(math.ceil(size * share - TOLERANCE)), 1)
    if rule.sharing == BY_REMAINING_WORK:
        work_ms = job_size(workload, options, cluster, REMAINING_WORK, slot)
        share = rule.share * (work_ms / WORK_UNIT_MS) ** rule.growth * np.float64(num_jobs) ** rule.crowding
        return np.int64(max(min(size * share, np.float64(size)) + 0.5, 1.0))
    return np.int64(math.ceil(rule.share * size - TOLERANCE))
