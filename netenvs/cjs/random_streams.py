"""Where chance enters the cluster: job arrivals, task durations, and which of several idle executors is taken.

``NativeStream`` is the default: every number is a hash of its place (job, stage, task), so two schedulers see
the same jobs and the same durations, and executors are taken in ascending order. ``NetLLMStream`` reproduces
the random streams of the published simulator (github.com/duowuyms/NetLLM, ``cluster_job_scheduling``),
including the iteration order of CPython's sets, so that its logs can be replayed to the bit.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from netenvs.cjs.kernel.chance import (
    LEVEL_NUMBER,
    SAMPLE_NUMBER,
    arriving_template,
    first_recorded,
    interarrival_ms,
    task_uniform,
)
from netenvs.cjs.workload import TPCH_QUERIES, TPCH_SIZES, JobSet, tpch_index


class RandomStream(Protocol):
    """What the simulator asks of chance."""

    def arrivals(self, jobs: JobSet, mean_interarrival_ms: float) -> Iterator[tuple[float, int]]:
        """Endless (time in ms, template), the first at time 0."""

    def recorded(self, jobs: JobSet, num_jobs: int | None) -> Iterator[tuple[float, int]]:
        """The same of a stretch of the workload's recorded arrivals, ``num_jobs`` of them; None: up to the last."""

    def level_uniform(self, job: int, stage: int, task: int) -> float:
        """A double in [0, 1) that chooses between two executor levels."""

    def sample_index(self, job: int, stage: int, task: int, count: int) -> int:
        """Which of ``count`` measured durations a task gets."""

    def order(self, executors: Iterable[int]) -> list[int]:
        """The order in which idle executors of a pool are taken."""


class NativeStream:
    """Counter-based numbers, keyed by job, stage and task; executors in ascending order."""

    def __init__(self, seed: int, episode: int = 0):
        self.key = np.uint64(seed)
        self.episode = episode

    def arrivals(self, jobs: JobSet, mean_interarrival_ms: float) -> Iterator[tuple[float, int]]:
        time_ms, job = 0.0, 0
        while True:
            yield time_ms, arriving_template(self.key, self.episode, job, len(jobs))
            time_ms += interarrival_ms(self.key, self.episode, job, mean_interarrival_ms)
            job += 1

    def recorded(self, jobs: JobSet, num_jobs: int | None) -> Iterator[tuple[float, int]]:
        every = jobs.recorded_arrivals
        first = first_recorded(self.key, self.episode, len(every), -1 if num_jobs is None else num_jobs)
        begin_ms = every[first][0]
        return ((time_ms - begin_ms, template) for time_ms, template in every[first:])

    def level_uniform(self, job: int, stage: int, task: int) -> float:
        chance: float = task_uniform(self.key, self.episode, job, stage, task, LEVEL_NUMBER)
        return chance

    def sample_index(self, job: int, stage: int, task: int, count: int) -> int:
        return int(task_uniform(self.key, self.episode, job, stage, task, SAMPLE_NUMBER) * count)

    def order(self, executors: Iterable[int]) -> list[int]:
        return sorted(executors)


class NetLLMStream:
    """The published simulator's streams: a numpy generator for arrivals, ``random`` for everything else.

    The published experiments seed Python's global ``random`` after ``env.reset(seed)``; here it is a generator
    of one's own, ``shared_random``. Schedulers that sampled from the global one (Decima) share it.
    """

    def __init__(self, seed: int, shared_random: random.Random):
        self.seed = seed
        self.shared_random = shared_random
        shared_random.seed(seed)

    def arrivals(self, jobs: JobSet, mean_interarrival_ms: float) -> Iterator[tuple[float, int]]:
        if jobs.name != "tpch":
            raise ValueError(f"rng='netllm' draws TPC-H queries: workload must be 'tpch', not {jobs.name!r}")
        generator = np.random.Generator(np.random.PCG64(self.seed))
        scale_ms = 1.0 / (1.0 / mean_interarrival_ms)  # the published option is a rate; 25,000 loses its last bit
        time_ms = 0.0
        while True:
            query = 1 + int(generator.integers(TPCH_QUERIES))
            size = str(generator.choice(TPCH_SIZES))
            yield time_ms, tpch_index(query, size)
            time_ms += generator.exponential(scale_ms)

    def recorded(self, jobs: JobSet, num_jobs: int | None) -> Iterator[tuple[float, int]]:
        raise ValueError("rng='netllm' draws jobs as published, it has no recorded arrivals")

    def level_uniform(self, job: int, stage: int, task: int) -> float:
        return self.shared_random.random()

    def sample_index(self, job: int, stage: int, task: int, count: int) -> int:
        return self.shared_random.choice(range(count))

    def order(self, executors: Iterable[int]) -> list[int]:
        # The published code takes executors out of a set made just for that: repeated pop() = iteration.
        return list(set(executors))
