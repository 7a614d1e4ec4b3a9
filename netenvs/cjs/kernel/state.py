"""The arrays that a batch of clusters consists of, and how a kernel takes one row of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba.core import cgutils
from numba.extending import intrinsic

from netenvs.cjs.jobs import LEVELS
from netenvs.compiled import kernel

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
        ("first_arrival", np.int64),  # recorded arrival that the episode begins with
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
        ("row", np.int64),  # of the observation, from 1; 0 = it has none
        ("recent_ms", np.float64),
        ("rough_ms", np.float64),  # mean of all measured durations
        ("critical_path_ms", np.float64),  # longest path of rough_ms to the end of the job, its own included
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
    critical_path_ms: np.ndarray  # float64 (stages,): longest path of rough_ms to the end of the job
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
    """Rules and sizes; those of ``netenvs.cjs.options.CJSOptions`` have the names and units that they have there."""

    num_executors: int
    num_jobs: int  # NONE = as many as arrive before the time limit
    mean_interarrival_ms: float
    recorded: bool  # arrivals are a stretch of the workload's own, not all of them
    moving_delay_ms: float
    warmup_delay_ms: float
    work_conserving: bool
    time_limit_ms: float  # inf = none
    beta: float  # 1/s
    stride: int  # pools of a slot: 1 + stages of the largest template
    max_jobs: int  # jobs in the system whose stages have rows in an observation, the oldest ones
    max_stages: int  # rows
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
        borrowed(workload.critical_path_ms),
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
