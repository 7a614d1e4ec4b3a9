"""Definitions that follow from the state of stages and pools, those of ``netenvs.cjs.entities``."""

from __future__ import annotations

import numpy as np

from netenvs.cjs.kernel.state import ACTIVE, NONE
from netenvs.compiled import kernel


@kernel
def job_pool(options, slot):
    """Pool of the job in a slot; its stages have the pools that follow."""
    return 1 + slot * options.stride


@kernel
def committable(cluster, pool):
    """Executors of a pool that are not promised yet, busy ones included; 0 for NONE."""
    if pool == NONE:
        return 0
    return cluster.pools[pool].executors - cluster.pools[pool].committed


@kernel
def demand(stage):
    """Executors that a stage (a POOL record) can use beyond those at work, in flight or promised."""
    return stage.remaining - stage.moving - stage.promised


@kernel
def is_complete(stage):
    return stage.completed == stage.num_tasks


@kernel
def is_ready(parent_offset, parents, pools, stage):
    """It has demand, and its parents need no more executors; ``stage`` is the number of its pool."""
    if demand(pools[stage]) <= 0:
        return False
    number = pools[stage].stage
    for edge in range(parent_offset[number], parent_offset[number + 1]):
        if demand(pools[stage + parents[edge] - number]) > 0:
            return False
    return True


@kernel
def is_frontier(parent_offset, parents, pools, stage):
    """Its tasks may start: not complete itself, all parents complete; ``stage`` is the number of its pool."""
    if is_complete(pools[stage]):
        return False
    number = pools[stage].stage
    for edge in range(parent_offset[number], parent_offset[number + 1]):
        if not is_complete(pools[stage + parents[edge] - number]):
            return False
    return True


@kernel
def is_terminated(state):
    """All jobs are done, and none arrives any more."""
    return state.num_done == state.num_arrived and state.next_arrival_ms == np.inf


@kernel
def find_schedulable(workload, options, cluster):
    """Mark the schedulable stages of the jobs in the system; returns whether there are any.

    A job that already gets all N executors is left out, unless it is the source's.
    """
    # Arrays are taken out of the tuples once: numba counts references at every attribute access.
    state, jobs, pools, active = cluster.state[0], cluster.jobs, cluster.pools, cluster.slots[ACTIVE]
    parent_offset, parents = workload.parent_offset, workload.parents
    exempt = NONE if state.source == NONE else pools[state.source].job
    found = 0
    for position in range(state.num_active):
        slot = np.int64(active[position])
        first = job_pool(options, slot) + 1
        open_to_more = slot == exempt or jobs[slot].supply < options.num_executors
        for stage in range(first, first + jobs[slot].num_stages):
            pools[stage].schedulable = (
                open_to_more and pools[stage].selected != state.round and is_ready(parent_offset, parents, pools, stage)
            )
            found += pools[stage].schedulable
    state.num_schedulable = found
    return found > 0


@kernel
def first_schedulable(workload, options, cluster, slot, frontier_only):
    """The first schedulable stage of a job, NONE = none."""
    pools, parent_offset, parents = cluster.pools, workload.parent_offset, workload.parents
    first = job_pool(options, slot) + 1
    for stage in range(first, first + cluster.jobs[slot].num_stages):
        if pools[stage].schedulable and (not frontier_only or is_frontier(parent_offset, parents, pools, stage)):
            return stage
    return NONE


@kernel
def find_stage(workload, options, cluster, slot):
    """A job's first schedulable stage of the frontier, else its first schedulable one, NONE = none."""
    stage = first_schedulable(workload, options, cluster, slot, True)
    return stage if stage != NONE else first_schedulable(workload, options, cluster, slot, False)
