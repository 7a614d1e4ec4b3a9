"""``ClusterView``: what a scheduler sees of a cluster when it has to decide.

A view is a snapshot: it stays as it is when the cluster goes on. Its jobs and stages are objects made on first
use over two arrays (``JOB_VIEW`` and ``STAGE_VIEW`` of ``netenvs.cjs.kernel``), which both engines fill.
"""

from __future__ import annotations

from functools import cached_property
from itertools import accumulate
from typing import Any, Literal, NamedTuple, overload

import numpy as np

from netenvs.cjs.jobs import JobSet

_StageNumber = Literal["job", "id", "pool", "remaining", "running", "completed", "demand", "row"]
_StageTime = Literal["recent_ms", "rough_ms", "critical_path_ms"]
_StageMark = Literal["ready", "frontier", "schedulable"]
_JobNumber = Literal["id", "template", "pool", "num_stages", "supply"]
_JobTime = Literal["arrival_ms", "remaining_work_ms"]
_JobMark = Literal["saturated"]


class _Scalars(NamedTuple):
    """Fields of OUTCOME."""

    now_ms: float
    committable: int
    can_decline: bool
    source_executors: int
    source_job: int
    source_stage: int


class StageView:
    """One stage of a job in the system, complete or not. Times in ms.

    Attributes:
        job: ``JobView``.
        id: position in its job, from 0; parents have smaller ones.
        remaining, running, completed: tasks not started, at work, done.
        demand: executors it can use beyond those at work, in flight or promised; may be negative.
        recent_ms: duration of the task started last; before the first one ``rough_ms``.
        rough_ms: mean of all durations measured for the stage, what is known before it runs.
        critical_path_ms: longest path of ``rough_ms`` from this stage to the end of the job, its own included.
        ready: it has demand, and its parents need no more executors (they may still be running).
        frontier: its tasks can start: not complete, all parents complete.
        schedulable: a decision may choose it now.
        row: first component of the action that chooses it; 0 = no row of the observation.
    """

    __slots__ = ("_index", "_view", "job")

    def __init__(self, view: ClusterView, job: JobView, index: int):
        self._view, self.job, self._index = view, job, index

    @property
    def id(self) -> int:
        return self._view.column("id")[self._index]

    @property
    def remaining(self) -> int:
        return self._view.column("remaining")[self._index]

    @property
    def running(self) -> int:
        return self._view.column("running")[self._index]

    @property
    def completed(self) -> int:
        return self._view.column("completed")[self._index]

    @property
    def demand(self) -> int:
        return self._view.column("demand")[self._index]

    @property
    def recent_ms(self) -> float:
        return self._view.column("recent_ms")[self._index]

    @property
    def rough_ms(self) -> float:
        return self._view.column("rough_ms")[self._index]

    @property
    def critical_path_ms(self) -> float:
        return self._view.column("critical_path_ms")[self._index]

    @property
    def ready(self) -> bool:
        return self._view.column("ready")[self._index]

    @property
    def frontier(self) -> bool:
        return self._view.column("frontier")[self._index]

    @property
    def schedulable(self) -> bool:
        return self._view.column("schedulable")[self._index] and self.row > 0

    @property
    def row(self) -> int:
        return self._view.column("row")[self._index]

    @property
    def parents(self) -> list[StageView]:
        return [self.job.stages[parent] for parent in self._view.parents_of(self.job, self.id)]

    @property
    def children(self) -> list[StageView]:
        return [self.job.stages[child] for child in self._view.children_of(self.job, self.id)]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StageView) and self._view is other._view and self._index == other._index

    def __hash__(self) -> int:
        return hash((id(self._view), self._index))

    def __repr__(self) -> str:
        return f"stage {self.id} of job {self.job.id}"


class JobView:
    """One job in the system.

    Attributes:
        id: in order of arrival, from 0.
        position: in ``view.jobs``.
        template: number of the job's template in the workload.
        name: of its template.
        arrival_s: seconds.
        supply: executors that it has or will get: local, in flight, or promised by a pool of another job.
        saturated: no task is left to start.
        remaining_work_ms: sum over stages of tasks not done x ``recent_ms``.
        stages: all of them, complete ones included; ``stages[i].id == i``.
        schedulable: those that a decision may choose now.
    """

    __slots__ = ("_stages", "_view", "position")

    def __init__(self, view: ClusterView, position: int):
        self._view, self.position = view, position
        self._stages: list[StageView] | None = None

    @property
    def id(self) -> int:
        return self._view.job_column("id")[self.position]

    @property
    def template(self) -> int:
        return self._view.job_column("template")[self.position]

    @property
    def name(self) -> str:
        return self._view.job_set.names[self.template]

    @property
    def arrival_s(self) -> float:
        return self._view.job_column("arrival_ms")[self.position] / 1000.0

    @property
    def supply(self) -> int:
        return self._view.job_column("supply")[self.position]

    @property
    def saturated(self) -> bool:
        return self._view.job_column("saturated")[self.position]

    @property
    def remaining_work_ms(self) -> float:
        return self._view.job_column("remaining_work_ms")[self.position]

    @property
    def stages(self) -> list[StageView]:
        if self._stages is None:
            begin, end = self._view.stage_bounds[self.position : self.position + 2]
            self._stages = [StageView(self._view, self, index) for index in range(begin, end)]
        return self._stages

    @property
    def schedulable(self) -> list[StageView]:
        return self._view.schedulable_by_job[self.position]

    def __repr__(self) -> str:
        return f"job {self.id} ({self.name})"


class ClusterView:
    """A cluster at a decision: read-only.

    Attributes:
        now_s, now_ms: time since the beginning of the episode, seconds and ms.
        num_executors: executors in the cluster.
        committable: executors on offer; a decision gives 1 to this many to one stage.
        source_executors: executors in the pool that offers them, those promised already included.
        can_decline: whether anything else is going to happen; if not, declining would leave jobs unfinished.
        job_array, stage_array: what the objects are made of, JOB_VIEW (jobs,) and STAGE_VIEW (stages of all
            jobs,), both in order of arrival and of stages: for vectorised schedulers.
        job_set: the workload, without its measured durations.
    """

    def __init__(self, job_set: JobSet, num_executors: int, outcome: np.ndarray, jobs: np.ndarray, stages: np.ndarray):
        """``outcome``: one OUTCOME of ``netenvs.cjs.kernel``."""
        self.job_set = job_set
        self.num_executors = num_executors
        self._scalars = _Scalars(*outcome[list(_Scalars._fields)].item())
        self.now_ms = self._scalars.now_ms
        self.committable = self._scalars.committable
        self.can_decline = self._scalars.can_decline
        self.source_executors = self._scalars.source_executors
        self.now_s = self.now_ms / 1000.0
        self.job_array = jobs
        self.stage_array = stages
        jobs.setflags(write=False)
        stages.setflags(write=False)
        self._columns: dict[str, list[Any]] = {}
        self._job_columns: dict[str, list[Any]] = {}

    @cached_property
    def jobs(self) -> list[JobView]:
        """The jobs in the system, in order of arrival."""
        return [JobView(self, position) for position in range(len(self.job_array))]

    @cached_property
    def source(self) -> JobView | None:
        """The job whose executors are on offer; None: they come from the common pool, or from a job that is done."""
        number = self._scalars.source_job
        return None if number < 0 else self.jobs[self.job_column("id").index(number)]

    @property
    def source_stage(self) -> StageView | None:
        """The stage that the offered executors have just worked for, if it is known."""
        number = self._scalars.source_stage
        return None if self.source is None or number < 0 else self.source.stages[number]

    @cached_property
    def schedulable(self) -> list[StageView]:
        """The stages that a decision may choose: jobs in order of arrival, stages ascending."""
        return [stage for stages in self.schedulable_by_job for stage in stages]

    @cached_property
    def schedulable_by_job(self) -> list[list[StageView]]:
        """The same as a list for each of ``jobs``."""
        found: list[list[StageView]] = [[] for _ in self.jobs]
        rows, bounds, position = self.column("row"), self.stage_bounds, 0
        for index, schedulable in enumerate(self.column("schedulable")):
            if schedulable and rows[index]:
                while index >= bounds[position + 1]:
                    position += 1
                found[position].append(StageView(self, self.jobs[position], index))
        return found

    @cached_property
    def stage_bounds(self) -> list[int]:
        """The stages of ``jobs[i]`` are ``stage_array[stage_bounds[i] : stage_bounds[i + 1]]``."""
        return list(accumulate(self.job_column("num_stages"), initial=0))

    @overload
    def column(self, name: _StageNumber) -> list[int]: ...
    @overload
    def column(self, name: _StageTime) -> list[float]: ...
    @overload
    def column(self, name: _StageMark) -> list[bool]: ...
    def column(self, name: str) -> list[Any]:
        """One field of ``stage_array`` as a list, made once: an item of a list is ten times faster to read."""
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = self.stage_array[name].tolist()
        return column

    @overload
    def job_column(self, name: _JobNumber) -> list[int]: ...
    @overload
    def job_column(self, name: _JobTime) -> list[float]: ...
    @overload
    def job_column(self, name: _JobMark) -> list[bool]: ...
    def job_column(self, name: str) -> list[Any]:
        """The same of ``job_array``."""
        column = self._job_columns.get(name)
        if column is None:
            column = self._job_columns[name] = self.job_array[name].tolist()
        return column

    def parents_of(self, job: JobView, stage: int) -> list[int]:
        """Positions in the job of the stages that must be complete before ``stage`` starts."""
        jobs, first = self.job_set, int(self.job_set.stage_offset[job.template])
        begin, end = jobs.parent_offset[first + stage], jobs.parent_offset[first + stage + 1]
        parents: list[int] = (jobs.parents[begin:end] - first).tolist()
        return parents

    def children_of(self, job: JobView, stage: int) -> list[int]:
        """Positions in the job of the stages that wait for ``stage``."""
        jobs, first = self.job_set, int(self.job_set.stage_offset[job.template])
        begin, end = jobs.child_offset[first + stage], jobs.child_offset[first + stage + 1]
        children: list[int] = (jobs.children[begin:end] - first).tolist()
        return children

    def __eq__(self, other: object) -> bool:
        """Do both show the same state?"""
        if not isinstance(other, ClusterView):
            return NotImplemented
        return (
            self.num_executors == other.num_executors
            and self._scalars == other._scalars
            and np.array_equal(self.job_array, other.job_array)
            and np.array_equal(self.stage_array, other.stage_array)
        )

    __hash__ = None  # type: ignore[assignment]

    def __deepcopy__(self, memo: dict[int, Any]) -> ClusterView:
        """Itself: it cannot change. (stable-baselines3 copies every ``info``.)"""
        return self

    def __repr__(self) -> str:
        return f"<ClusterView at {self.now_s:.3f} s: {len(self.job_array)} jobs, {self.committable} executors on offer>"
