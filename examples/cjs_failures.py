"""Executor failures for the Spark cluster: how to change the rules by subclassing the reference simulator.

    python examples/cjs_failures.py

While an executor runs a task it can fail. The task is lost and has to run again, by whichever executor of the
stage is free first; the executor restarts in place and comes back fresh, without warm caches.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from netenvs.cjs.entities import Executor, Stage
from netenvs.cjs.jobs import Job, JobSet, make_job_set
from netenvs.cjs.jobs import Stage as StageData
from netenvs.cjs.reference import ReferenceSimulator


class FailingExecutors(ReferenceSimulator):
    """Executors that fail after an exponential time at work and need ``restart_ms`` to be back."""

    def __init__(self, jobs: JobSet, mean_time_to_failure_ms: float, restart_ms: float, **options: Any):
        super().__init__(jobs, **options)
        self.mean_time_to_failure_ms = mean_time_to_failure_ms
        self.restart_ms = restart_ms

    def reset(self, seed: int, episode: int = 0, arrivals: Iterable[tuple[float, int]] | None = None) -> None:
        self.failures: list[tuple[float, int]] = []
        """(time in ms, executor)."""
        self.failure_random = random.Random(f"{seed} {episode}")
        super().reset(seed, episode, arrivals)

    def run_task(self, executor: Executor, stage: Stage, duration_ms: float) -> None:
        time_to_failure_ms = self.failure_random.expovariate(1.0 / self.mean_time_to_failure_ms)
        if time_to_failure_ms < duration_ms:
            self.after(time_to_failure_ms, self.executor_failed, executor, stage)
        else:
            super().run_task(executor, stage, duration_ms)

    def executor_failed(self, executor: Executor, stage: Stage) -> None:
        self.failures.append((self.now_ms, executor.id))
        self.work_ms -= executor.busy_until_ms - self.now_ms  # what was not done
        executor.busy_until_ms = self.now_ms
        stage.remaining += 1  # the task is to be started again; until the restart the executor counts as busy
        self.after(self.restart_ms, self.executor_restarted, executor, stage)

    def executor_restarted(self, executor: Executor, stage: Stage) -> None:
        executor.last_stage = None
        self.release(executor, stage)


def map_reduce_jobs() -> JobSet:
    """One kind of job: 40 map tasks of 3 s, then 8 reduce tasks of 5 s."""
    maps = StageData(num_tasks=40, first={5: [3000.0]}, rest={5: [3000.0]})
    reduces = StageData(num_tasks=8, first={5: [5000.0]}, rest={5: [5000.0]}, parents=(0,))
    return make_job_set("map-reduce", [Job("map-reduce", [maps, reduces])])


def run(simulator: ReferenceSimulator, seed: int) -> float:
    """Mean job completion time in seconds when the oldest stage gets all that is free."""
    simulator.reset(seed)
    while not simulator.terminated:
        simulator.commit(simulator.schedulable()[0], simulator.committable)
    return simulator.mean_jct_s()


def main() -> None:
    jobs = map_reduce_jobs()
    options = {"num_executors": 10, "num_jobs": 50}
    print(f"no failures:                  mean JCT {run(ReferenceSimulator(jobs, **options), seed=0):.1f} s")
    for mean_s in (600, 60, 20):
        simulator = FailingExecutors(jobs, mean_s * 1000.0, restart_ms=5000.0, **options)
        jct_s = run(simulator, seed=0)
        print(f"one failure in {mean_s:3d} s of work: mean JCT {jct_s:.1f} s, {len(simulator.failures)} failures")


if __name__ == "__main__":
    main()
