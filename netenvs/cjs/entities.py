"""The things in a simulated Spark cluster: jobs, stages, executors, and the pools that executors reside in.

These classes hold state and the definitions that follow from it (demand, saturated, ready, frontier); what
happens to them is in ``netenvs.cjs.reference``.
"""

from __future__ import annotations

from typing import NamedTuple

from netenvs.cjs.jobs import Template


class Pool:
    """Where executors reside: the common pool, a job's pool (idle at the job) or a stage's pool (busy or just done).

    An executor in flight between jobs is in no pool. A *commitment* promises one executor of this pool to a
    stage (or back to the common pool), to be kept as soon as one is idle.
    """

    def __init__(self, job: Job | None = None, stage: Stage | None = None):
        self.job = job
        self.stage = stage
        self.executors: set[int] = set()
        self.commitments: dict[Pool, int] = {}
        """Destination -> executors promised, oldest destination first. A destination is a stage's pool or common."""
        self.committed = 0
        """Sum of ``commitments``."""

    @property
    def committable(self) -> int:
        """Executors not promised yet, busy ones included."""
        return len(self.executors) - self.committed

    @property
    def key(self) -> tuple[int | None, int | None]:
        """(job, stage), None where there is none: (None, None) is the common pool."""
        return (None if self.job is None else self.job.id, None if self.stage is None else self.stage.id)


class Stage:
    """A set of identical tasks, each on one executor, that may run once all parent stages are complete."""

    def __init__(self, job: Job, stage_id: int, num_tasks: int, rough_ms: float):
        self.job = job
        self.id = stage_id
        self.num_tasks = num_tasks
        self.parents: list[Stage] = []
        self.children: list[Stage] = []
        self.pool = Pool(job, self)
        self.remaining = num_tasks
        """Tasks not started yet."""
        self.num_completed = 0
        """Tasks done."""
        self.moving = 0
        """Executors in flight to this stage."""
        self.commitments = 0
        """Executors of any pool promised to this stage."""
        self.recent_ms = rough_ms
        """Duration of the task started last; before that, the mean of all measured durations."""

    @property
    def running(self) -> int:
        return self.num_tasks - self.remaining - self.num_completed

    @property
    def completed(self) -> bool:
        return self.num_completed == self.num_tasks

    @property
    def demand(self) -> int:
        """Executors that the stage can use beyond those at work, in flight or promised; may be negative."""
        return self.remaining - self.moving - self.commitments

    @property
    def saturated(self) -> bool:
        return self.demand <= 0

    @property
    def ready(self) -> bool:
        """Worth giving executors to: it has demand, and its parents need no more (they may still be running)."""
        if self.saturated:
            return False
        for parent in self.parents:  # noqa: SIM110  (asked at every decision; a generator takes half as long again)
            if not parent.saturated:
                return False
        return True

    @property
    def frontier(self) -> bool:
        """Its tasks may start: not complete itself, all parents complete."""
        return not self.completed and all(parent.completed for parent in self.parents)

    def __repr__(self) -> str:
        return f"Stage({self.job.id}, {self.id})"


class Job:
    """A directed acyclic graph of stages that arrived at one time. Jobs are numbered in order of arrival."""

    def __init__(self, job_id: int, arrival_ms: float, template: Template):
        self.id = job_id
        self.arrival_ms = arrival_ms
        self.template = template
        self.completion_ms: float | None = None
        self.stages = [
            Stage(self, stage, int(template.num_tasks[stage]), float(template.rough_ms[stage]))
            for stage in range(len(template))
        ]
        for parent, child in template.edges:
            self.stages[parent].children.append(self.stages[child])
            self.stages[child].parents.append(self.stages[parent])
        self.active_stages = list(self.stages)
        """Stages that are not complete, ascending."""
        self.pool = Pool(self)
        self.local_executors = 0
        """Executors that work for this job, idle or busy; task durations depend on it."""
        self.supply = 0
        """Executors that the job has or will get: local, in flight, or promised by a pool of another job.

        An executor that goes back to the common pool is still counted, as in the published simulator: that
        happens only when the job needs no more executors.
        """

    @property
    def saturated(self) -> bool:
        """No stage has a task left to start."""
        return all(stage.remaining == 0 for stage in self.active_stages)

    def __repr__(self) -> str:
        return f"Job({self.id}, {self.template.name})"


class Executor:
    """Runs one task at a time."""

    def __init__(self, executor_id: int, pool: Pool):
        self.id = executor_id
        self.pool: Pool | None = pool
        """None while in flight."""
        self.job: Job | None = None
        """The job it is local to: its process there is up and its caches are warm."""
        self.last_stage: Stage | None = None
        """Stage of its last task; None = idle since, so that its next task is a *fresh* one."""
        self.busy = False
        self.busy_until_ms = 0.0
        """End of its task; meaningless while it is not busy."""


class TaskRecord(NamedTuple):
    """One task; it ends at ``start_ms + duration_ms``."""

    job: int
    stage: int
    executor: int
    start_ms: float
    duration_ms: float
    local_executors: int
    wave: int
    """``FRESH``, ``FIRST`` or ``REST`` of ``netenvs.cjs.jobs``: how the executor came to the task."""


class MoveRecord(NamedTuple):
    """An executor sent from one job (None = the common pool) to a stage of another."""

    time_ms: float
    executor: int
    from_job: int | None
    to_job: int
    to_stage: int


class DecisionRecord(NamedTuple):
    """One decision of the scheduler."""

    time_ms: float
    source: tuple[int | None, int | None]
    """(job, stage) of the pool that offered executors, None where there is none."""
    committable: int
    """Executors offered."""
    stage: tuple[int, int] | None
    """(job, stage) chosen, None = declined."""
    executors: int
    """Executors asked for; the stage got at most its demand."""
    reward: float
    """Reward that the decision earned, s."""
