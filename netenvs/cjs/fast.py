"""``FastClusters``: the ``fast`` engine for Python code, a batch of clusters with the memory that they need.

The rules are in ``netenvs.cjs.kernel``; this class makes its arrays, enlarges them when rows run out of room, and
turns error states into exceptions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from netenvs.cjs import kernel
from netenvs.cjs.jobs import JobSet
from netenvs.cjs.kernel import COMMON, NONE, Batch, Options, Workload
from netenvs.cjs.options import RECORDED, CJSOptions
from netenvs.cjs.reference import DeadlockError
from netenvs.cjs.rules import Rule

FIRST_SLOTS = 32
FIRST_LOG = 1024
UNBOUNDED: dict[str, Any] = {"num_jobs": NONE, "time_limit_ms": math.inf, "max_jobs": 2**62, "max_stages": 2**62}
"""What stands for None in the kernels."""


class FastClusters:
    """A batch of clusters, one row each, under any scheduler.

    Arguments:
        jobs: templates that arriving jobs are drawn from.
        options: as of ``ReferenceSimulator``, single ones in ``changes``. ``max_jobs`` and ``max_stages`` are bounds
            of ``StageView.row``: only so many jobs, the oldest ones, have rows; None: no bound.
        rows: number of clusters.
        given_arrivals: (time in ms, template) of the jobs of every episode, in place of drawn ones.
        record_tasks, record_jobs: keep ``tasks(row)`` and ``jobs_done(row)`` of the episode.

    ``workload``, ``options`` and ``batch`` are the arguments of the kernels; ``batch`` is another one after the
    clusters were given more room, so fetch it anew after every call.
    """

    def __init__(
        self,
        jobs: JobSet,
        options: CJSOptions | None = None,
        *,
        rows: int = 1,
        given_arrivals: Sequence[tuple[float, int]] | None = None,
        record_tasks: bool = False,
        record_jobs: bool = False,
        **changes: Any,
    ):
        if rows < 1:
            raise ValueError(f"rows must be 1 or more, not {rows}")
        options = CJSOptions.of(changes, options)
        num_executors, num_jobs = options.num_executors, options.num_jobs
        if options.arrivals == RECORDED:
            given_arrivals = jobs.recorded_arrivals
        self.workload = make_kernel_workload(jobs, given_arrivals)
        stride = 1 + int(np.diff(jobs.stage_offset).max())
        self.options = _kernel_options(options, stride, record_tasks, record_jobs)
        slots = FIRST_SLOTS if num_jobs is None else min(FIRST_SLOTS, num_jobs)
        self.batch = Batch(
            state=np.zeros(rows, kernel.STATE),
            jobs=np.zeros((rows, slots), kernel.JOB),
            pools=np.zeros((rows, 1 + slots * self.options.stride), kernel.POOL),
            executors=np.zeros((rows, num_executors), kernel.EXECUTOR),
            events=np.zeros((rows, num_executors), kernel.EVENT),
            commitments=np.zeros((rows, num_executors + 1), kernel.COMMITMENT),
            slots=np.zeros((rows, 4, slots), np.int32),
            task_log=np.zeros((rows, FIRST_LOG + num_executors if record_tasks else 0), kernel.TASK_LOG),
            job_log=np.zeros((rows, FIRST_LOG if record_jobs else 0), kernel.JOB_LOG),
        )

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.batch.state)

    @property
    def nbytes(self) -> int:
        """Memory of the state, bytes; of parts that were never used the system keeps no pages."""
        return sum(array.nbytes for array in self.batch)

    def seed(self, row: int, key: int, episode: int = 0) -> None:
        """Key (0 to 2^64 - 1) and number of the episode that ``reset`` begins in a row: all chance depends on them."""
        self.batch.state[row]["key"] = key
        self.batch.state[row]["episode"] = episode

    def reset(self, mask: np.ndarray | None = None) -> None:
        """Begin an episode in every row, or in those of ``mask``, bool (rows,), and run to the first decision."""
        mask = self._column(True if mask is None else mask, np.bool_)
        kernel.reset_rows(self.workload, self.options, self.batch, mask)
        self.finish()

    def step(self, stages: np.ndarray, executors: np.ndarray, autoreset: bool = False) -> None:
        """One decision in every row, int64 (rows,), see ``step_rows``; the outcome is in ``batch.state``."""
        stages, executors = self._column(stages, np.int64), self._column(executors, np.int64)
        if kernel.step_rows(self.workload, self.options, self.batch, stages, executors, autoreset):
            self.finish()

    def decide(self, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
        """(stages, executors), int64 (rows,): the decisions of a rule, decided in the kernel."""
        stages, executors = np.empty(len(self), np.int64), np.empty(len(self), np.int64)
        kernel.decide_rows(self.workload, self.options, self.batch, rule, stages, executors)
        return stages, executors

    def play(self, rule: Rule) -> int:
        """Let a rule play every row to its end; returns the number of decisions."""
        decisions = 0
        while not np.all(self.batch.state["terminated"] | self.batch.state["truncated"]):
            decisions += kernel.play_rows(self.workload, self.options, self.batch, rule, np.iinfo(np.int64).max)
            self.finish()
        return decisions

    def finish(self) -> None:
        """Give room to rows that paused and let them run on; report deadlocks."""
        while np.any(self.batch.state["status"] == kernel.PAUSED):
            self._make_room()
            kernel.resume_rows(self.workload, self.options, self.batch)
        stuck = np.flatnonzero(self.batch.state["status"] == kernel.DEADLOCK)
        if len(stuck):
            raise DeadlockError(self._describe_deadlock(int(stuck[0])))

    def jobs(self, row: int = 0) -> np.ndarray:
        """JOB_VIEW (jobs in the system,), in order of arrival."""
        views = np.zeros(self.batch.state[row]["num_active"], kernel.JOB_VIEW)
        kernel.view_jobs_of_row(self.workload, self.options, self.batch, row, views)
        return views

    def stages(self, row: int = 0) -> np.ndarray:
        """STAGE_VIEW (stages,) of the jobs in the system, in order of arrival."""
        views = np.zeros(int(self.jobs(row)["num_stages"].sum()), kernel.STAGE_VIEW)
        kernel.view_stages_of_row(self.workload, self.options, self.batch, row, views)
        return views

    def source(self, row: int = 0) -> tuple[int | None, int | None]:
        """(job, stage) of the pool that offers executors, None where there is none; see ``Pool.key``."""
        pool = int(self.batch.state[row]["source"])
        return (None, None) if pool == NONE else self._key(row, pool)

    def committable(self, row: int = 0) -> int:
        """Executors that the source offers."""
        pool = int(self.batch.state[row]["source"])
        record = self.batch.pools[row, pool]
        return 0 if pool == NONE else int(record["executors"] - record["committed"])

    def mean_jct_s(self, row: int = 0) -> float:
        """Mean completion time of the jobs done so far, seconds."""
        state = self.batch.state[row]
        return float(state["jct_ms"] / state["num_done"] / 1000.0) if state["num_done"] else math.nan

    def utilisation(self, row: int = 0) -> float:
        """Share of executor time spent on tasks since the beginning of the episode."""
        return float(kernel.utilisation_of_row(self.options, self.batch, row))

    def tasks(self, row: int = 0) -> np.ndarray:
        """TASK_LOG (tasks started,), in order; empty unless ``record_tasks``."""
        return self.batch.task_log[row, : self.batch.state[row]["tasks_logged"]]

    def jobs_done(self, row: int = 0) -> np.ndarray:
        """JOB_LOG (jobs done,), in order of completion; empty unless ``record_jobs``."""
        return self.batch.job_log[row, : self.batch.state[row]["jobs_logged"]]

    def _column(self, values: Any, dtype: type) -> np.ndarray:
        """One value a row; the kernels do not check."""
        if isinstance(values, np.ndarray) and values.dtype == dtype and values.shape == (len(self),):
            return np.ascontiguousarray(values)
        column: np.ndarray = np.empty(len(self), dtype)  # that can be written to: numba compiles again for each kind
        column[:] = values
        return column

    def _make_room(self) -> None:
        """Double what is too small for a row that paused."""
        batch = self.batch
        paused = batch.state[batch.state["status"] == kernel.PAUSED]
        slots, room_for_tasks, room_for_jobs = batch.jobs.shape[1], batch.task_log.shape[1], batch.job_log.shape[1]
        if np.any((paused["slots_touched"] == slots) & (paused["num_free"] == 0)):
            batch = batch._replace(
                jobs=_enlarged(batch.jobs, 2 * slots),
                pools=_enlarged(batch.pools, 1 + 2 * slots * self.options.stride),
                slots=_enlarged(batch.slots, 2 * slots),
            )
        if paused["tasks_logged"].max() + self.options.num_executors + 1 > room_for_tasks:
            batch = batch._replace(task_log=_enlarged(batch.task_log, 2 * room_for_tasks))
        if paused["jobs_logged"].max() == room_for_jobs:
            batch = batch._replace(job_log=_enlarged(batch.job_log, 2 * room_for_jobs))
        self.batch = batch

    def _key(self, row: int, pool: int) -> tuple[int | None, int | None]:
        if pool == COMMON:
            return None, None
        slot, index = divmod(pool - 1, self.options.stride)
        return int(self.batch.jobs[row, slot]["id"]), index - 1 if index else None

    def _describe_deadlock(self, row: int) -> str:
        state = self.batch.state[row]
        jobs = self.jobs(row)["id"]
        pools = np.unique(self.batch.executors[row]["pool"], return_counts=True)
        where = {self._key(row, int(pool)): int(count) for pool, count in zip(*pools, strict=True)}
        return (
            f"deadlock at {state['now_ms'] / 1000.0:.3f} s in row {row}: {len(jobs)} jobs are unfinished "
            f"({', '.join(map(str, jobs[:5]))}), no event is left, executors idle in (job, stage) pools {where}; "
            "a scheduler must not decline then"
        )


def make_kernel_workload(jobs: JobSet, arrivals: Sequence[tuple[float, int]] | None = None) -> Workload:
    """The kernel's argument of that name."""
    if not len(jobs.durations_ms):
        raise ValueError(f"{jobs.name}: there are no durations in it, so that no task could run")
    given = [] if arrivals is None else list(arrivals)
    times_ms = np.array([time_ms for time_ms, _ in given], np.float64)
    templates = np.array([template for _, template in given], np.int64)
    if arrivals is not None and not given:
        raise ValueError("arrivals is empty: give one job at least")
    if np.any(np.diff(times_ms, prepend=0.0) < 0) or not np.all(np.isfinite(times_ms)):
        raise ValueError("arrivals must be in order of time, from 0 ms on")
    if np.any((templates < 0) | (templates >= len(jobs))):
        raise ValueError(f"arrivals must name templates 0 to {len(jobs) - 1} of {jobs.name}")
    # Copies: pickling forgets that an array is read-only, and numba compiles again for each kind.
    return Workload(
        stage_offset=np.array(jobs.stage_offset, np.int64),
        num_tasks=np.array(jobs.num_tasks, np.int32),
        rough_ms=np.array(jobs.rough_ms, np.float64),
        critical_path_ms=np.array(jobs.critical_path_ms, np.float64),
        parent_offset=np.array(jobs.parent_offset, np.int64),
        parents=np.array(jobs.parents, np.int32),
        child_offset=np.array(jobs.child_offset, np.int64),
        children=np.array(jobs.children, np.int32),
        durations_ms=np.array(jobs.durations_ms, np.int32),
        cell_start=np.array(jobs.cell_start, np.int64),
        cell_count=np.array(jobs.cell_count, np.int32),
        arrival_ms=times_ms,
        arrival_template=templates,
    )


def _kernel_options(options: CJSOptions, stride: int, record_tasks: bool, record_jobs: bool) -> Options:
    """The kernels' ``Options``: those of the environment that they name, and what ``FastClusters`` adds."""
    more: dict[str, Any] = {"stride": stride, "record_tasks": bool(record_tasks), "record_jobs": bool(record_jobs)}
    more["recorded"] = options.arrivals == RECORDED
    given: dict[str, Any] = {name: getattr(options, name) for name in Options._fields if name not in more}
    return Options(**more, **{name: UNBOUNDED[name] if value is None else value for name, value in given.items()})


def _enlarged(array: np.ndarray, length: int) -> np.ndarray:
    """A copy with another length of the last axis, filled up with zeros."""
    larger = np.zeros((*array.shape[:-1], length), array.dtype)
    larger[..., : array.shape[-1]] = array
    return larger
