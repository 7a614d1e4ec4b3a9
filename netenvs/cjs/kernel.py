"""The ``fast`` engine: a batch of Spark clusters under a stage scheduler, as numba functions on flat arrays.

The rules are those of ``ReferenceSimulator`` with ``rng="native"``, event by event: each rule is a function with
the name it has there, whose docstring is not repeated here. What differs is how state is kept.

* A cluster is one row of every array of :class:`Batch`. A job in the system occupies a *slot*; when it is done
  and nothing refers to it any more, its slot is given to a later job. Memory follows the number of jobs in the
  system, not the number of jobs of the episode; when slots run out, a row pauses until there are more.
* *Pools* are numbered: 0 is the common pool; slot k has its job's pool at ``1 + k * stride``, followed by those of
  its stages (``stride`` = 1 + stages of the largest template). A stage is known by the number of its pool, also
  in decisions; 0 in place of a stage means "decline".
* The calendar is a binary heap ordered by (time, order of insertion). An executor has one event at most: the end
  of its task if it is busy, its arrival if it is in flight. Job arrivals are not in the heap, but drawn one
  ahead; at equal times they come first, as in the reference, which schedules them all at the beginning.

Functions named ``..._rows`` and ``..._of_row`` take a batch, all others one row of it (:class:`Cluster`) or parts
of one. Times are in ms. Python code uses them through ``netenvs.cjs.fast``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba.core import cgutils
from numba.extending import intrinsic

from netenvs.cjs.jobs import FIRST, FRESH, LARGEST, LEVELS, REST
from netenvs.cjs.random_streams import (
    FIRST_STAGE_POSITION,
    LEVEL_NUMBER,
    SAMPLE_NUMBER,
    arriving_template,
    interarrival_ms,
)
from netenvs.random import hash64, kernel, uniform

COMMON = 0
"""Number of the common pool; as the stage of a decision: decline."""
NONE = -1
"""No pool, job, stage or commitment."""

LEVEL = np.array(LEVELS, dtype=np.int64)
LAST_LEVEL = len(LEVELS) - 1

# status of a row
READY = 0  # at a decision, or over
PAUSED = 1  # no free slot, or a log is full: give it more room and resume
DEADLOCK = 2  # jobs are unfinished, but nothing will ever happen again

# rows of `Batch.slots`
ACTIVE = 0  # jobs in the system, in order of arrival
INTERVAL = 1  # jobs that count for the next reward: in the system when the interval began, then those that arrived
GHOSTS = 2  # jobs that are done, but whose slot may still be referred to
FREE = 3  # slots to use again

# caps of `decide_rows`, besides fixed numbers of executors
FAIR = 0  # N / jobs in the system, rounded up

STATE = np.dtype(
    [
        ("key", np.uint64),  # random stream
        ("episode", np.int64),  # episodes begun with this key, minus one
        ("now_ms", np.float64),
        ("next_arrival_ms", np.float64),  # inf = no job arrives any more
        ("reward", np.float64),  # of the last step, seconds
        ("jct_ms", np.float64),  # sum of completion times of the jobs done
        ("work_ms", np.float64),  # sum of durations of the tasks started
        ("begin_ms", np.float64),  # when the interval that is rewarded next began
        ("inserted", np.int64),  # events inserted into the calendar so far
        ("num_tasks", np.int64),  # tasks started
        ("num_decisions", np.int64),
        ("num_arrived", np.int64),
        ("num_done", np.int64),
        ("tasks_logged", np.int64),
        ("jobs_logged", np.int64),
        ("source", np.int64),  # pool that offers executors, NONE = none
        ("num_schedulable", np.int64),
        ("num_events", np.int64),  # in the calendar
        ("num_waiting", np.int64),  # executors in the common pool and in pools of jobs
        ("num_offered", np.int64),  # pools offered since the last event
        ("offer", np.int64),  # number of the current set of such pools
        ("round", np.int64),  # number of the decision round
        ("num_active", np.int64),  # lengths of the lists in `Batch.slots`
        ("num_interval", np.int64),
        ("num_ghosts", np.int64),
        ("num_free", np.int64),
        ("slots_touched", np.int64),  # slots from here on were not used in this episode
        ("free_commitment", np.int64),  # head of the list of unused commitments
        ("status", np.int64),  # READY, PAUSED or DEADLOCK
        ("starting", np.bool_),  # jobs that arrive at 0 are still being admitted
        ("terminated", np.bool_),
        ("truncated", np.bool_),
        ("invalid_action", np.bool_),  # the last decision was not possible and was replaced
    ],
    align=True,
)
"""One cluster."""

JOB = np.dtype(
    [
        ("id", np.int64),  # in order of arrival
        ("arrival_ms", np.float64),
        ("completion_ms", np.float64),
        ("stream", np.uint64),  # random stream of its tasks
        ("remaining", np.int64),  # tasks not started yet
        ("first_stage", np.int64),  # number of its stage 0 in the workload
        ("template", np.int32),
        ("num_stages", np.int32),
        ("incomplete", np.int32),  # stages that are not complete
        ("local_executors", np.int32),
        ("supply", np.int32),
        ("active", np.bool_),  # in the system
        ("rewarded", np.bool_),  # done, and the reward for it was paid
    ],
    align=True,
)
"""One job slot."""

POOL = np.dtype(
    [
        ("recent_ms", np.float64),  # duration of the task started last
        ("job", np.int32),  # slot, NONE for the common pool
        ("stage", np.int32),  # number in the workload, NONE for the common pool and pools of jobs
        ("num_tasks", np.int32),
        ("remaining", np.int32),  # tasks not started
        ("completed", np.int32),  # tasks done
        ("moving", np.int32),  # executors in flight to the stage
        ("promised", np.int32),  # executors of any pool that are committed to the stage
        ("executors", np.int32),  # in the pool
        ("committed", np.int32),  # executors of the pool that are committed to somewhere
        ("first", np.int32),  # oldest commitment of the pool's executors, NONE = none
        ("last", np.int32),
        ("selected", np.int32),  # decision round in which the stage was chosen last
        ("offered", np.int32),  # set of pools (`offer`) to which the pool was added last
        ("schedulable", np.bool_),  # may be chosen in the decision at hand; valid for jobs in the system
    ],
    align=True,
)
"""One pool, with its stage if it is one of a stage: 64 bytes."""

EXECUTOR = np.dtype(
    [
        ("pool", np.int32),  # NONE = in flight
        ("job", np.int32),  # slot of the job that it is local to
        ("last_stage", np.int32),  # pool of the stage of its last task, NONE = idle since
        ("stage", np.int32),  # pool of the stage that it is busy for or in flight to
        ("busy", np.bool_),
    ],
    align=True,
)

EVENT = np.dtype([("time_ms", np.float64), ("inserted", np.int64), ("executor", np.int64)])

COMMITMENT = np.dtype([("destination", np.int32), ("executors", np.int32), ("next", np.int32)])

TASK_LOG = np.dtype(
    [
        ("job", np.int64),
        ("stage", np.int32),
        ("executor", np.int32),
        ("start_ms", np.float64),
        ("duration_ms", np.float64),
        ("local_executors", np.int32),
        ("wave", np.int32),
    ],
    align=True,
)
"""One task, the fields of ``entities.TaskRecord``."""

JOB_LOG = np.dtype(
    [("job", np.int64), ("template", np.int64), ("arrival_ms", np.float64), ("completion_ms", np.float64)]
)
"""One job that is done."""

JOB_VIEW = np.dtype(
    [
        ("id", np.int64),
        ("template", np.int64),
        ("pool", np.int64),  # its stages have the numbers pool + 1, pool + 2, ...
        ("num_stages", np.int64),
        ("supply", np.int64),
        ("arrival_ms", np.float64),
        ("remaining_work_ms", np.float64),  # sum over stages: tasks not done x recent duration
        ("saturated", np.bool_),
    ],
    align=True,
)
"""What a scheduler sees of one job in the system."""

STAGE_VIEW = np.dtype(
    [
        ("job", np.int64),  # id
        ("id", np.int64),
        ("pool", np.int64),  # its number in a decision
        ("remaining", np.int64),
        ("running", np.int64),
        ("completed", np.int64),
        ("demand", np.int64),
        ("recent_ms", np.float64),
        ("ready", np.bool_),
        ("frontier", np.bool_),
        ("schedulable", np.bool_),
    ],
    align=True,
)
"""What a scheduler sees of one stage of a job in the system, complete or not."""


class Workload(NamedTuple):
    """Job templates (see ``JobSet``) and, if they are given, the arrivals of every episode."""

    stage_offset: np.ndarray  # int64 (templates + 1,)
    num_tasks: np.ndarray  # int32 (stages,)
    rough_ms: np.ndarray  # float64 (stages,)
    parent_offset: np.ndarray  # int64 (stages + 1,)
    parents: np.ndarray  # int32 (edges,)
    child_offset: np.ndarray  # int64 (stages + 1,)
    children: np.ndarray  # int32 (edges,)
    durations_ms: np.ndarray  # int32 (samples,)
    cell_start: np.ndarray  # int64 (stages, 3 waves, 9 columns)
    cell_count: np.ndarray  # int32 (stages, 3 waves, 9 columns)
    arrival_ms: np.ndarray  # float64 (arrivals,), ascending from 0; empty = arrivals are drawn
    arrival_template: np.ndarray  # int64 (arrivals,)


class Options(NamedTuple):
    """Rules and sizes; the same names and units as the arguments of ``ReferenceSimulator``."""

    num_executors: int
    num_jobs: int  # NONE = as many as arrive before the time limit
    mean_interarrival_ms: float
    moving_delay_ms: float
    warmup_delay_ms: float
    work_conserving: bool
    time_limit_ms: float  # inf = none
    beta: float  # 1/s
    stride: int  # pools of a slot: 1 + stages of the largest template
    record_tasks: bool
    record_jobs: bool


class Batch(NamedTuple):
    """State of a batch of clusters, one row each."""

    state: np.ndarray  # STATE (rows,)
    jobs: np.ndarray  # JOB (rows, slots)
    pools: np.ndarray  # POOL (rows, 1 + slots * stride)
    executors: np.ndarray  # EXECUTOR (rows, N)
    events: np.ndarray  # EVENT (rows, N), a heap
    commitments: np.ndarray  # COMMITMENT (rows, N + 1), linked lists
    slots: np.ndarray  # int32 (rows, 4, slots): the lists ACTIVE, INTERVAL, GHOSTS, FREE
    task_log: np.ndarray  # TASK_LOG (rows, room), room 0 unless record_tasks
    job_log: np.ndarray  # JOB_LOG (rows, room), room 0 unless record_jobs


class Cluster(NamedTuple):
    """One row of a batch."""

    state: np.ndarray  # STATE (1,)
    jobs: np.ndarray
    pools: np.ndarray
    executors: np.ndarray
    events: np.ndarray
    commitments: np.ndarray
    slots: np.ndarray
    task_log: np.ndarray
    job_log: np.ndarray


@intrinsic
def borrowed(typingctx, array):
    """The same array, without its reference counter; valid while somebody else holds a reference.

    numba counts references atomically whenever a tuple of arrays is passed on, which was two thirds of the running
    time. The arguments of a kernel outlive its call, so nothing below the functions on batches has to count.
    """

    def codegen(context, builder, signature, arguments):
        found = context.make_array(signature.args[0])(context, builder, arguments[0])
        found.meminfo = cgutils.get_null_value(found.meminfo.type)
        found.parent = cgutils.get_null_value(found.parent.type)
        return found._getvalue()

    return array(array), codegen


@kernel
def cluster_of(batch, row):
    """One row of the batch; the arrays are borrowed views."""
    return Cluster(
        borrowed(batch.state[row : row + 1]),
        borrowed(batch.jobs[row]),
        borrowed(batch.pools[row]),
        borrowed(batch.executors[row]),
        borrowed(batch.events[row]),
        borrowed(batch.commitments[row]),
        borrowed(batch.slots[row]),
        borrowed(batch.task_log[row]),
        borrowed(batch.job_log[row]),
    )


@kernel
def borrow(workload):
    """The workload with borrowed arrays."""
    return Workload(
        borrowed(workload.stage_offset),
        borrowed(workload.num_tasks),
        borrowed(workload.rough_ms),
        borrowed(workload.parent_offset),
        borrowed(workload.parents),
        borrowed(workload.child_offset),
        borrowed(workload.children),
        borrowed(workload.durations_ms),
        borrowed(workload.cell_start),
        borrowed(workload.cell_count),
        borrowed(workload.arrival_ms),
        borrowed(workload.arrival_template),
    )


# ----------------------------------------------------------------------------------------------- calendar


@kernel
def comes_before(time_ms, inserted, other):
    """Order of the calendar: time, then insertion."""
    return time_ms < other.time_ms or (time_ms == other.time_ms and inserted < other.inserted)


@kernel
def copy_event(events, source, target):
    """Copy one entry of the heap over another one."""
    events[target].time_ms = events[source].time_ms
    events[target].inserted = events[source].inserted
    events[target].executor = events[source].executor


@kernel
def set_event(events, index, time_ms, inserted, executor):
    """Write one entry of the heap."""
    events[index].time_ms = time_ms
    events[index].inserted = inserted
    events[index].executor = executor


@kernel
def push_event(events, size, time_ms, inserted, executor):
    """Insert into a heap of ``size`` entries; there is room, as an executor has one event at most."""
    index = size
    while index > 0:
        parent = (index - 1) >> 1
        if not comes_before(time_ms, inserted, events[parent]):
            break
        copy_event(events, parent, index)
        index = parent
    set_event(events, index, time_ms, inserted, executor)


@kernel
def replace_first_event(events, size, time_ms, inserted, executor):
    """Remove the first of ``size`` (1 or more) entries and insert another one."""
    index = 0
    child = 1
    while child < size:
        if child + 1 < size and comes_before(events[child + 1].time_ms, events[child + 1].inserted, events[child]):
            child += 1
        if comes_before(time_ms, inserted, events[child]):
            break
        copy_event(events, child, index)
        index = child
        child = 2 * index + 1
    set_event(events, index, time_ms, inserted, executor)


@kernel
def pop_event(events, size):
    """Remove the first of ``size`` (1 or more) entries."""
    last = events[size - 1]
    if size > 1:
        replace_first_event(events, size - 1, last.time_ms, last.inserted, last.executor)


@kernel
def after(cluster, delay_ms, executor):
    """Schedule the one event of an executor."""
    state = cluster.state[0]
    push_event(cluster.events, state.num_events, state.now_ms + delay_ms, state.inserted, executor)
    state.inserted += 1
    state.num_events += 1


# ------------------------------------------------------------------------------------- definitions (entities)


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


# ------------------------------------------------------------------------------------------- schedulable stages


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
        slot = active[position]
        first = job_pool(options, slot) + 1
        open_to_more = slot == exempt or jobs[slot].supply < options.num_executors
        for stage in range(first, first + jobs[slot].num_stages):
            pools[stage].schedulable = (
                open_to_more and pools[stage].selected != state.round and is_ready(parent_offset, parents, pools, stage)
            )
            found += pools[stage].schedulable
    state.num_schedulable = found
    return found > 0


# ------------------------------------------------------------------------------------------------------ slots


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
        slot = slots[GHOSTS, position]
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


# ----------------------------------------------------------------------------------------------------- events


@kernel
def draw_next_arrival(workload, options, state):
    """When the next job arrives, after ``num_arrived`` ones, the last of them now."""
    index = state.num_arrived
    if len(workload.arrival_ms) > 0:
        state.next_arrival_ms = workload.arrival_ms[index] if index < len(workload.arrival_ms) else np.inf
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
        template = workload.arrival_template[state.num_arrived]
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
    stage = cluster.executors[executor].stage
    slot = cluster.pools[stage].job
    cluster.pools[stage].moving -= 1
    cluster.executors[executor].job = slot
    cluster.jobs[slot].local_executors += 1
    enter(cluster, executor, job_pool(options, slot))
    place(workload, options, cluster, executor, stage)


@kernel
def task_completed(workload, options, cluster, executor):
    """The end of a task where the stage has no task left to start; ``advance`` handles all other ends."""
    number = cluster.executors[executor].stage
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
    commitment = cluster.pools[stage].first
    if commitment != NONE:
        keep_commitment(workload, options, cluster, executor, commitment, NONE)
    else:
        cluster.executors[executor].last_stage = NONE
        if frontier_changed:
            park(options, cluster, stage, executor)
    if frontier_changed:
        state.source = job_pool(options, cluster.pools[stage].job)
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
    pool = cluster.executors[executor].pool
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
            park(options, cluster, who.pool, executor)
            return
    if who.job != pools[stage].job:
        send(options, cluster, executor, stage)
    elif not is_frontier(workload.parent_offset, workload.parents, pools, stage):
        who.last_stage = NONE
        enter(cluster, executor, job_pool(options, pools[stage].job))
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
    slot = cluster.pools[pool].job
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
        slot = cluster.slots[ACTIVE, position]
        if first_schedulable(workload, options, cluster, slot, True) != NONE:
            return True
    return False


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
def begin_interval(cluster):
    """The jobs in the system now, and those that arrive until the next decision, count for the reward."""
    state = cluster.state[0]
    state.begin_ms = state.now_ms
    state.num_interval = state.num_active
    cluster.slots[INTERVAL, : state.num_active] = cluster.slots[ACTIVE, : state.num_active]


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
            if state.num_offered == 0 or not options.work_conserving:
                state.status = DEADLOCK
                return False
            forget_offers(state)
            continue
        if state.tasks_logged > most_logged:
            state.status = PAUSED
            return False
        executor = events[0].executor
        stage = executors[executor].stage
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
def commit(workload, options, cluster, stage, executors):
    """One decision: commit executors of the source to a schedulable stage, or decline (COMMON)."""
    state, pools = cluster.state[0], cluster.pools
    state.num_decisions += 1
    state.reward = 0.0
    if stage == COMMON:
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
def reset_rows(workload, options, batch, mask):
    """Begin an episode in every row of ``mask``, bool (rows,), with its key and episode."""
    workload = borrow(workload)
    for row in range(len(mask)):
        if mask[row]:
            cluster = cluster_of(batch, row)
            begin_episode(workload, options, cluster)
            resume(workload, options, cluster)


@kernel
def resume_rows(workload, options, batch):
    """Run on in rows that were paused, after they were given more room."""
    workload = borrow(workload)
    for row in range(len(batch.state)):
        if batch.state[row].status == PAUSED:
            resume(workload, options, cluster_of(batch, row))


@kernel
def step_rows(workload, options, batch, stages, executors, autoreset):
    """One decision in every row; returns how many rows are over now, or not READY.

    ``stages`` int64 (rows,): number of a stage's pool, 0 = decline; ``executors`` int64 (rows,): 1 and more. What
    is not possible is replaced by the nearest possible decision and marked in ``invalid_action``. In a row that
    is over, ``autoreset`` begins the next episode; otherwise such a row stays as it is, with reward 0.
    """
    workload = borrow(workload)
    count = 0
    for row in range(len(stages)):
        cluster = cluster_of(batch, row)
        state = cluster.state[0]
        if not is_over(state):
            if state.status == READY:
                commit_possible(workload, options, cluster, stages[row], executors[row])
        elif autoreset:
            state.episode += 1
            begin_episode(workload, options, cluster)
            resume(workload, options, cluster)
        else:
            state.reward = 0.0
        count += is_over(state) or state.status != READY
    return count


# -------------------------------------------------------------------------------------------------- schedulers


@kernel
def find_stage(workload, options, cluster, slot):
    """A job's first schedulable stage of the frontier, else its first schedulable one, NONE = none."""
    stage = first_schedulable(workload, options, cluster, slot, True)
    return stage if stage != NONE else first_schedulable(workload, options, cluster, slot, False)


@kernel
def decide_capped(workload, options, cluster, cap):
    """(stage, executors): the source's own job first, then jobs in order of arrival, each up to ``cap`` executors.

    ``cap=FAIR`` is the published ``fair``, ``cap=ceil(N / 2)`` the published ``fifo``, ``cap=N`` is ``fifo-full``.
    """
    state, jobs, active = cluster.state[0], cluster.jobs, cluster.slots[ACTIVE]
    offered = np.int64(committable(cluster, state.source))
    own = cluster.pools[state.source].job
    if own != NONE and jobs[own].active:
        stage = find_stage(workload, options, cluster, own)
        if stage != NONE:
            return stage, offered
    limit = (options.num_executors + state.num_active - 1) // state.num_active if cap == FAIR else cap
    for position in range(state.num_active):
        slot = active[position]
        if slot != own and jobs[slot].supply < limit:
            stage = find_stage(workload, options, cluster, slot)
            if stage != NONE:
                return stage, min(offered, limit - np.int64(jobs[slot].supply))
    return np.int64(COMMON), np.int64(0)


@kernel
def decide_rows(workload, options, batch, cap, stages, executors):
    """Write the decisions of ``decide_capped`` into int64 (rows,) arrays; (0, 0) in rows that are over."""
    workload = borrow(workload)
    for row in range(len(stages)):
        stages[row], executors[row] = 0, 0
        if not is_over(batch.state[row]) and batch.state[row].status == READY:
            stages[row], executors[row] = decide_capped(workload, options, cluster_of(batch, row), cap)


@kernel
def play_rows(workload, options, batch, cap, most):
    """Let ``decide_capped`` play each row to its end, or for ``most`` decisions a row; returns the decisions made.

    Rows that pause stop earlier. ``state.reward`` is that of the last decision.
    """
    workload = borrow(workload)
    played = 0
    for row in range(len(batch.state)):
        cluster = cluster_of(batch, row)
        state = cluster.state[0]
        begun = state.num_decisions
        while state.num_decisions - begun < most and not is_over(state) and state.status == READY:
            stage, executors = decide_capped(workload, options, cluster, cap)
            commit(workload, options, cluster, stage, executors)
        played += state.num_decisions - begun
    return played


# ------------------------------------------------------------------------------------------- what a scheduler sees


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
def view_stages(workload, options, cluster, views):
    """Fill STAGE_VIEW (stages of the jobs in the system,): jobs in order of arrival, stages ascending."""
    index = 0
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
            view.recent_ms = stage.recent_ms
            view.ready = is_ready(workload.parent_offset, workload.parents, cluster.pools, view.pool)
            view.frontier = is_frontier(workload.parent_offset, workload.parents, cluster.pools, view.pool)
            view.schedulable = stage.schedulable
            index += 1


@kernel
def view_jobs_of_row(workload, options, batch, row, views):
    return view_jobs(borrow(workload), options, cluster_of(batch, row), views)


@kernel
def view_stages_of_row(workload, options, batch, row, views):
    view_stages(borrow(workload), options, cluster_of(batch, row), views)


@kernel
def utilisation_of_row(options, batch, row):
    """Share of executor time spent on tasks since the beginning of the episode."""
    cluster = cluster_of(batch, row)
    state = cluster.state[0]
    work_ms = state.work_ms
    for index in range(state.num_events):
        if cluster.executors[cluster.events[index].executor].busy:
            work_ms -= cluster.events[index].time_ms - state.now_ms
    return work_ms / (state.now_ms * options.num_executors) if state.now_ms > 0 else 0.0
