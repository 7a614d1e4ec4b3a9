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

Modules, in the order of reading: ``state`` (arrays), ``calendar``, ``stages`` (definitions), ``slots``, ``chance``,
``cluster`` and ``episode`` (rules), ``schedulers`` (heuristics), ``views`` (what a scheduler sees), ``batch``.

Functions named ``..._rows`` and ``..._of_row`` take a batch, all others one row of it (:class:`Cluster`) or parts
of one. Times are in ms. Python code uses them through ``netenvs.cjs.fast``.
"""

from netenvs.cjs.kernel.batch import (
    decide_rows,
    play_rows,
    reset_rows,
    resume_rows,
    step_rows,
    utilisation_of_row,
    view_jobs_of_row,
    view_stages_of_row,
)
from netenvs.cjs.kernel.observation import (
    CLUSTER_FEATURES,
    HIGHEST,
    INFO_COLUMNS,
    JOB_FEATURES,
    OUTCOME,
    STAGE_FEATURES,
    Observation,
    Offer,
    act_rows,
    decide_actions,
    fill_observation,
    make_possible,
    observe_rows,
)
from netenvs.cjs.kernel.state import (
    COMMITMENT,
    COMMON,
    DEADLOCK,
    EVENT,
    EXECUTOR,
    JOB,
    JOB_LOG,
    JOB_VIEW,
    NONE,
    PAUSED,
    POOL,
    READY,
    STAGE_VIEW,
    STATE,
    TASK_LOG,
    Batch,
    Options,
    Workload,
)

__all__ = [
    "CLUSTER_FEATURES",
    "COMMITMENT",
    "COMMON",
    "DEADLOCK",
    "EVENT",
    "EXECUTOR",
    "HIGHEST",
    "INFO_COLUMNS",
    "JOB",
    "JOB_FEATURES",
    "JOB_LOG",
    "JOB_VIEW",
    "NONE",
    "OUTCOME",
    "PAUSED",
    "POOL",
    "READY",
    "STAGE_FEATURES",
    "STAGE_VIEW",
    "STATE",
    "TASK_LOG",
    "Batch",
    "Observation",
    "Offer",
    "Options",
    "Workload",
    "act_rows",
    "decide_actions",
    "decide_rows",
    "fill_observation",
    "make_possible",
    "observe_rows",
    "play_rows",
    "reset_rows",
    "resume_rows",
    "step_rows",
    "utilisation_of_row",
    "view_jobs_of_row",
    "view_stages_of_row",
]
