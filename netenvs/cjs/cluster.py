"""``Cluster``: what jobs, stages and executors do when something happens, without any scheduler.

Every rule is one method; ``netenvs.cjs.reference`` adds episodes, decision rounds and rewards.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import simpy

from netenvs.cjs.entities import Executor, Job, MoveRecord, Pool, Stage, TaskRecord
from netenvs.cjs.jobs import FIRST, FRESH, LEVELS, REST
from netenvs.cjs.options import CJSOptions
from netenvs.cjs.random_streams import RandomStream


class Clock(simpy.Environment):
    """simpy's calendar; a subclass can be pickled, which the class itself cannot."""


def _run(action: Callable[..., None], arguments: tuple[Any, ...], event: simpy.Event) -> None:
    action(*arguments)


class Cluster:
    """Jobs, executors and the calendar of events. Times in ms."""

    def __init__(self, options: CJSOptions, record: bool):
        self.options = options
        self.num_executors = options.num_executors
        self.record = record
        self._samples: dict[tuple[int, int, int, int], np.ndarray] = {}

    def clear(self, stream: RandomStream) -> None:
        """An empty cluster at time 0; chance comes from ``stream``."""
        self.stream = stream
        self.clock = Clock()
        self.common = Pool()
        self.common.executors = set(range(self.num_executors))
        self.executors = [Executor(index, self.common) for index in range(self.num_executors)]
        self.active_jobs: list[Job] = []
        """Jobs in the system, in order of arrival."""
        self.num_jobs_done = 0
        self.work_ms = 0.0
        """Sum of the durations of the tasks started."""
        self.source: Pool | None = self.common
        """The pool that offers executors; None = none."""
        self.tasks: list[TaskRecord] = []
        self.moves: list[MoveRecord] = []
        self._selected: set[Stage] = set()
        """Stages that executors were committed to in the open round."""

    @property
    def now_ms(self) -> float:
        return self.clock.now

    @property
    def _source(self) -> Pool:
        assert self.source is not None, "a decision round is open"
        return self.source

    # --------------------------------------------------------------------------------- schedulable stages

    def find_schedulable(self) -> list[Stage]:
        """Ready stages of all active jobs that were not chosen yet in this round."""
        return self.schedulable_in(self.active_jobs, None if self.source is None else self.source.job)

    def schedulable_in(self, jobs: Iterable[Job], exempt: Job | None) -> list[Stage]:
        """The same for some jobs. A job that already gets all N executors is left out, unless it is ``exempt``."""
        return [
            stage
            for job in jobs
            if job is exempt or job.supply < self.num_executors
            for stage in job.active_stages
            if stage not in self._selected and stage.ready
        ]

    # -------------------------------------------------------------------------------------------- events

    def after(self, delay_ms: float, action: Callable[..., None], *arguments: Any) -> None:
        """Call ``action(*arguments)`` in ``delay_ms``. At equal times, what was scheduled first comes first."""
        timeout = self.clock.timeout(delay_ms)
        timeout.callbacks.append(partial(_run, action, arguments))

    def job_arrived(self, job: Job) -> None:
        self.active_jobs.append(job)
        if self.common.executors:
            self.source = self.common

    def executor_arrived(self, executor: Executor, stage: Stage) -> None:
        """An executor that was sent to ``stage`` is there. This alone names no source."""
        stage.moving -= 1
        executor.job = stage.job
        stage.job.local_executors += 1
        self.enter(executor, stage.job.pool)
        self.place(executor, stage)

    def task_completed(self, executor: Executor, stage: Stage) -> None:
        stage.num_completed += 1
        frontier_changed = stage.completed and self.complete_stage(stage)
        self.release(executor, stage, frontier_changed)

    def complete_stage(self, stage: Stage) -> bool:
        """A stage is complete, perhaps its job, too. Returns whether other stages entered the frontier."""
        job = stage.job
        job.active_stages.remove(stage)
        if not job.active_stages:
            self.park(job.pool)
            self.active_jobs.remove(job)
            job.completion_ms = self.now_ms
            self.num_jobs_done += 1
        return any(child.frontier for child in stage.children)

    def release(self, executor: Executor, stage: Stage, frontier_changed: bool = False) -> None:
        """An executor of ``stage`` is free: it takes the stage's next task, or keeps a commitment, or is offered.

        A change of the frontier offers all executors that wait at the job, as new stages can start.
        """
        executor.busy = False
        if stage.remaining > 0:
            self.start_task(executor, stage)
            return
        destination = next(iter(stage.pool.commitments), None)
        if destination is not None:
            self.keep_commitment(executor, destination)
        else:
            executor.last_stage = None
            if frontier_changed:
                self.park(stage.pool, [executor])
        if frontier_changed:
            self.source = stage.job.pool
        elif destination is None:
            self.source = stage.pool

    # --------------------------------------------------------------------------------------- commitments

    def add_commitment(self, destination: Pool, executors: int) -> None:
        """Promise executors of the source to a stage's pool or to the common pool."""
        source = self._source
        source.commitments[destination] = source.commitments.get(destination, 0) + executors
        source.committed += executors
        if destination.stage is not None:
            destination.stage.commitments += executors
        if destination.job is not None and destination.job is not source.job:
            destination.job.supply += executors

    def keep_commitment(self, executor: Executor, destination: Pool) -> None:
        """Send an idle executor where one of its pool was promised to."""
        source = executor.pool
        assert source is not None
        source.commitments[destination] -= 1
        if source.commitments[destination] == 0:
            del source.commitments[destination]
        source.committed -= 1
        if destination.stage is None:
            self.park(source, [executor])
            return
        destination.stage.commitments -= 1
        if destination.stage.job is not source.job:
            destination.stage.job.supply -= 1
        self.place(executor, destination.stage)

    # ------------------------------------------------------------------------------------ idle executors

    def place(self, executor: Executor, stage: Stage) -> None:
        """Bring an idle executor to a stage: move it there, let it wait for the parents, or start a task."""
        if stage.remaining == 0:
            backup = self.backup_stage(executor)
            if backup is None:
                assert executor.pool is not None
                self.park(executor.pool, [executor])
            else:
                self.place(executor, backup)
        elif executor.job is not stage.job:
            self.send(executor, stage)
        elif not stage.frontier:
            executor.last_stage = None
            self.enter(executor, stage.job.pool)
        else:
            self.enter(executor, stage.pool)
            self.start_task(executor, stage)

    def backup_stage(self, executor: Executor) -> Stage | None:
        """Another stage for an executor that is not needed any more where it was promised, None = none.

        The last one of its own job, else the last one of the other jobs (the published choice).
        """
        own = executor.job
        candidates = [] if own is None else self.schedulable_in([own], own)
        if not candidates:
            candidates = self.schedulable_in([job for job in self.active_jobs if job is not own], own)
        return candidates[-1] if candidates else None

    def park(self, pool: Pool, executors: list[Executor] | None = None) -> None:
        """Take idle executors (default: all of the pool) out of a stage, or out of a job that needs none.

        They go to the common pool if the job is saturated, else to the job's pool.
        """
        job = pool.job
        if job is None or (pool.stage is None and not job.saturated):
            return
        destination = self.common if job.saturated else job.pool
        for executor in self.idle_executors(pool) if executors is None else executors:
            self.enter(executor, destination)
            if destination is self.common:
                self.leave_job(executor)

    def send(self, executor: Executor, stage: Stage) -> None:
        """Put an idle executor in flight to a stage of another job."""
        if self.record:
            origin = None if executor.job is None else executor.job.id
            self.moves.append(MoveRecord(self.now_ms, executor.id, origin, stage.job.id, stage.id))
        delay_ms = self.moving_delay(executor, stage)
        self.enter(executor, None)
        stage.moving += 1
        stage.job.supply += 1
        if executor.job is not None:
            executor.job.supply -= 1
            self.leave_job(executor)
        self.after(delay_ms, self.executor_arrived, executor, stage)

    def enter(self, executor: Executor, pool: Pool | None) -> None:
        """Change the pool; None = in flight. Also a re-entry counts: it changes the order of a Python set."""
        if executor.pool is not None:
            executor.pool.executors.remove(executor.id)
        executor.pool = pool
        if pool is not None:
            pool.executors.add(executor.id)

    def leave_job(self, executor: Executor) -> None:
        """The executor's process at its job ends."""
        if executor.job is not None:
            executor.job.local_executors -= 1
        executor.job = None
        executor.last_stage = None

    def idle_executors(self, pool: Pool) -> list[Executor]:
        """The idle executors of a pool in the order in which they are taken."""
        idle = [index for index in pool.executors if not self.executors[index].busy]
        return [self.executors[index] for index in self.stream.order(idle)]

    # --------------------------------------------------------------------------------------------- tasks

    def start_task(self, executor: Executor, stage: Stage) -> None:
        """The executor, idle in the stage's pool, starts the next task."""
        task = stage.num_tasks - stage.remaining
        stage.remaining -= 1
        duration_ms = self.task_duration(executor, stage, task)
        if self.record:
            self.tasks.append(
                TaskRecord(
                    stage.job.id,
                    stage.id,
                    executor.id,
                    self.now_ms,
                    duration_ms,
                    stage.job.local_executors,
                    self.wave(executor, stage),
                )
            )
        executor.last_stage = stage
        executor.busy = True
        executor.busy_until_ms = self.now_ms + duration_ms
        self.work_ms += duration_ms
        stage.recent_ms = duration_ms
        self.run_task(executor, stage, duration_ms)

    def run_task(self, executor: Executor, stage: Stage, duration_ms: float) -> None:
        """Schedule the end of a task that was just started."""
        self.after(duration_ms, self.task_completed, executor, stage)

    def moving_delay(self, executor: Executor, stage: Stage) -> float:
        """Time in ms that an executor needs to get ready for a stage of another job."""
        return self.options.moving_delay_ms

    def wave(self, executor: Executor, stage: Stage) -> int:
        """How an executor comes to a task: ``FRESH`` after idling, ``REST`` from the same stage, else ``FIRST``."""
        if executor.last_stage is None:
            return FRESH
        return REST if executor.last_stage is stage else FIRST

    def task_duration(self, executor: Executor, stage: Stage, task: int) -> float:
        """Duration in ms of a task, drawn from those measured in the same wave at a similar executor level.

        ``task`` counts the stage's tasks from 0. Where the wave was not measured, another one stands in.
        """
        level = self.executor_level(stage, task)
        wave = self.wave(executor, stage)
        samples = self.samples(stage, wave, level)
        if wave == FRESH and not len(samples):
            return self.draw(stage, task, self.samples(stage, FIRST, level)) + self.options.warmup_delay_ms
        if not len(samples):
            samples = self.samples(stage, FIRST, level)
        if not len(samples):
            samples = self.samples(stage, FRESH, level)
        return self.draw(stage, task, samples)

    def draw(self, stage: Stage, task: int, samples: np.ndarray) -> float:
        return float(samples[self.stream.sample_index(stage.job.id, stage.id, task, len(samples))])

    def executor_level(self, stage: Stage, task: int) -> int:
        """The measured level that stands for the job's number of local executors; 0 = the largest measured.

        Between two levels one is drawn. The published draw is kept: the nearer a level, the *less* likely.
        """
        local = stage.job.local_executors
        if local > LEVELS[-1]:
            # the published table ends one entry early
            return 0 if local == self.num_executors else LEVELS[-1]
        index = bisect_left(LEVELS, local)
        right = LEVELS[index]
        if local == right or index == 0:
            return right
        left = LEVELS[index - 1]
        point = 1 + int(self.stream.level_uniform(stage.job.id, stage.id, task) * (right - left))
        return left if point <= local - left else right

    def samples(self, stage: Stage, wave: int, level: int) -> np.ndarray:
        """Measured durations in ms, int32; may be empty."""
        key = (stage.job.template.index, stage.id, wave, level)
        found = self._samples.get(key)
        if found is None:
            found = self._samples[key] = stage.job.template.durations(stage.id, wave, level)
        return found
