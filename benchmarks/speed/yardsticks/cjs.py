"""The yardstick of the speed benchmark: a Spark cluster with the structure of the published simulators.

Objects for jobs, stages and executors, dictionaries of sets and of commitments, a ``heapq`` calendar that is popped
one event at a time, and at every decision an observation whose node features are stacked from tuples: what
spark-sched-sim (github.com/ArchieGertsman/spark-sched-sim) and NetLLM's copy of it do, without rendering, histories and
objects for tasks. It follows the same rules as ``netenvs/CJS-v0`` with ``rng="native"`` to the last bit (tested), so
both sides of a speed ratio do the same work.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from netenvs.cjs.jobs import FIRST, FRESH, LEVELS, REST, JobSet
from netenvs.cjs.kernel.chance import LEVEL_NUMBER, SAMPLE_NUMBER
from netenvs.cjs.random_streams import NativeStream

COMMON = (None, None)  # key of the common pool; (job, None) is a job's, (job, stage) a stage's


class Observation(NamedTuple):
    """What a scheduler gets at a decision, as published."""

    nodes: np.ndarray  # float32 (active stages, 3): tasks not started, duration of the last one in ms, schedulable 0/1
    edge_links: np.ndarray  # int64 (edges, 2): parent and child, rows of `nodes`
    dag_ptr: list[int]  # where each active job begins in `nodes`, and their number
    committable: int
    source_job: int  # position among the active jobs, their number if it is none of them
    exec_supplies: list[int]  # executors that each active job has or will get


class Stage:
    """Identical tasks; what was promised to it, or is on its way, is kept by the cluster."""

    def __init__(self, job: Job, number: int, num_tasks: int, rough_ms: float, samples: list[dict[int, list[int]]]):
        self.job, self.id, self.key = job, number, (job.id, number)
        self.num_tasks, self.remaining, self.completed = num_tasks, num_tasks, 0
        self.recent_ms = rough_ms
        self.samples = samples  # by wave and executor level, ms
        self.parents: list[Stage] = []
        self.children: list[Stage] = []


class Job:
    """A graph of stages, numbered in order of arrival."""

    def __init__(self, number: int, arrival_ms: float, profile: list[Any], edges: np.ndarray):
        self.id, self.key, self.arrival_ms, self.completion_ms = number, (number, None), arrival_ms, math.inf
        self.stages = [Stage(self, index, *stage) for index, stage in enumerate(profile)]
        for parent, child in edges.tolist():
            self.stages[parent].children.append(self.stages[child])
            self.stages[child].parents.append(self.stages[parent])
        self.active_stages = self.stages.copy()
        self.frontier = {stage for stage in self.stages if not stage.parents}
        self.started_stages = 0  # stages without tasks left to start
        self.local_executors: set[int] = set()


class Executor:
    """Runs one task at a time; where it resides is kept by the cluster."""

    def __init__(self, number: int):
        self.id, self.busy = number, False
        self.job: Job | None = None
        self.last_stage: Stage | None = None


class PlainCluster:
    """One cluster, one episode after another; arguments as in ``ReferenceSimulator``, times in ms.

    ``draw(job, stage, task, number)`` gives the two random numbers in [0, 1) of a task. The default takes the next
    one of Python's generator, as published; the tests inject the environment's.
    """

    def __init__(
        self,
        jobs: JobSet,
        num_executors: int = 50,
        num_jobs: int = 200,
        mean_interarrival_ms: float = 25_000.0,
        moving_delay_ms: float = 2000.0,
        warmup_delay_ms: float = 1000.0,
        draw: Callable[[int, int, int, int], float] | None = None,
    ):
        self.job_set, self.num_executors, self.num_jobs = jobs, num_executors, num_jobs
        self.mean_interarrival_ms, self.moving_delay_ms = mean_interarrival_ms, moving_delay_ms
        self.warmup_delay_ms = warmup_delay_ms
        next_number = random.Random(0).random
        self.draw = (lambda job, stage, task, number: next_number()) if draw is None else draw
        self.profiles = [profile_of(jobs, template) for template in range(len(jobs))]
        self.intervals = [executor_levels(local, num_executors) for local in range(num_executors + 1)]
        self.handlers: dict[str, Callable[..., None]] = {
            "job": self.job_arrived,
            "executor": self.executor_arrived,
            "task": self.task_completed,
        }

    # ------------------------------------------------------------------------------------------ an episode

    def reset(self, seed: int, episode: int = 0) -> Observation:
        """Draw the jobs that ``rng="native"`` draws and go to the first decision."""
        arrivals = NativeStream(seed, episode).arrivals(self.job_set, self.mean_interarrival_ms)
        self.now_ms = 0.0
        self.calendar: list[tuple[float, int, str, tuple[Any, ...]]] = []
        self.num_events = 0
        self.jobs: list[Job] = []
        edges, self.first_node = [], [0]
        for time_ms, template in islice(arrivals, self.num_jobs):
            self.jobs.append(Job(len(self.jobs), time_ms, *self.profiles[template]))
            self.schedule(time_ms, "job", self.jobs[-1])
            edges.append(self.profiles[template][1] + self.first_node[-1])
            self.first_node.append(self.first_node[-1] + len(self.jobs[-1].stages))
        self.edge_links = np.vstack(edges)
        self.active_jobs: list[Job] = []
        self.num_jobs_done = 0
        self.executors = [Executor(number) for number in range(self.num_executors)]
        self.location: list[Any] = [COMMON] * self.num_executors  # key of each executor's pool, None in flight
        self.pools: dict[Any, set[int]] = {COMMON: set(range(self.num_executors))}
        self.commitments: dict[Any, dict[Any, int]] = {COMMON: {}}  # source -> destination -> executors
        self.commitments_from: dict[Any, int] = {COMMON: 0}
        self.commitments_to: dict[Any, int] = {COMMON: 0}
        self.moving_to: dict[Any, int] = {}
        self.supply: dict[int, int] = {}
        self.source: Any = COMMON
        self.selected: set[Stage] = set()
        while self.calendar and self.calendar[0][0] <= 0:
            self.next_event()
        self.schedulable = self.find_schedulable()
        return self.observe()

    def step(self, row: int, executors: int) -> tuple[Observation, float, bool]:
        """Commit executors to ``schedulable[row]``, or (-1) all on offer to none: observation, reward in s, the end."""
        if row < 0:
            self.commit(COMMON, self.committable())
        else:
            stage = self.schedulable[row]
            self.commit(stage.key, min(executors, self.demand(stage)))
            self.selected.add(stage)
            self.schedulable = self.find_schedulable()
        if self.committable() > 0 and self.schedulable:
            return self.observe(), 0.0, False
        self.close_round()
        reward = self.run_to_decision()
        return self.observe(), reward, self.num_jobs_done == len(self.jobs)

    def run_to_decision(self) -> float:
        """Event by event until executors are on offer and a stage can use them, or all is over; the reward in s."""
        begin_ms, waiting = self.now_ms, self.active_jobs.copy()
        first_to_arrive = len(waiting) + self.num_jobs_done
        self.schedulable = []
        while self.num_jobs_done < len(self.jobs):
            self.next_event()
            if self.committable() == 0:
                continue
            self.schedulable = self.find_schedulable()
            if self.schedulable:
                break
            self.park(self.source, self.idle_executors(self.source))
            self.source = None
        present = waiting + self.jobs[first_to_arrive : len(self.active_jobs) + self.num_jobs_done]
        job_ms = 0.0
        for job in present:
            end_ms = min(job.completion_ms, self.now_ms)
            job_ms += (end_ms - begin_ms) - (max(job.arrival_ms, begin_ms) - begin_ms)
        return -(job_ms / 1000.0)

    def play(self, seed: int, episode: int = 0) -> tuple[int, int]:
        """One episode under `fair`: how many tasks it simulated and how many decisions it took."""
        observation, over, decisions = self.reset(seed, episode), False, 0
        while not over:
            observation, _, over = self.step(*fair(observation, self.num_executors))
            decisions += 1
        return sum(stage.num_tasks for job in self.jobs for stage in job.stages), decisions

    def observe(self) -> Observation:
        schedulable, nodes, dag_ptr = set(self.schedulable), [], [0]
        active = np.zeros(self.first_node[-1], dtype=bool)
        source_job, supplies = len(self.active_jobs), []
        for position, job in enumerate(self.active_jobs):
            if self.source is not None and job.id == self.source[0]:
                source_job = position
            supplies.append(self.supply[job.id])
            for stage in job.active_stages:
                nodes.append((stage.remaining, stage.recent_ms, stage in schedulable))
                active[self.first_node[job.id] + stage.id] = True
            dag_ptr.append(len(nodes))
        features = np.vstack(nodes).astype(np.float32) if nodes else np.zeros((0, 3), np.float32)
        kept = self.edge_links[active[self.edge_links[:, 0]] & active[self.edge_links[:, 1]]]
        edge_links = (np.cumsum(active) - 1)[kept]
        return Observation(features, edge_links, dag_ptr, self.committable(), source_job, supplies)

    # ------------------------------------------------------------------------------------ decision rounds

    def committable(self) -> int:
        if self.source is None:
            return 0
        return len(self.pools[self.source]) - self.commitments_from[self.source]

    def find_schedulable(self) -> list[Stage]:
        return self.schedulable_in(self.active_jobs, None if self.source is None else self.source[0])

    def schedulable_in(self, jobs: list[Job], exempt: int | None) -> list[Stage]:
        return [
            stage
            for job in jobs
            if job.id == exempt or self.supply[job.id] < self.num_executors
            for stage in job.active_stages
            if stage not in self.selected and self.ready(stage)
        ]

    def ready(self, stage: Stage) -> bool:
        return self.demand(stage) > 0 and all(self.demand(parent) <= 0 for parent in stage.parents)

    def demand(self, stage: Stage) -> int:
        return stage.remaining - self.moving_to[stage.key] - self.commitments_to[stage.key]

    def close_round(self) -> None:
        """Who is left is committed to the common pool; then idle executors of the source keep the commitments."""
        if self.committable() > 0:
            self.commit(COMMON, self.committable())
        idle = iter(self.idle_executors(self.source))
        for destination, count in list(self.commitments[self.source].items()):
            for executor in islice(idle, count):
                self.keep_commitment(executor, destination)
        self.source = None
        self.selected.clear()

    def commit(self, destination: Any, executors: int) -> None:
        """Promise executors of the source to a stage or to the common pool."""
        promised = self.commitments[self.source]
        promised[destination] = promised.get(destination, 0) + executors
        self.commitments_from[self.source] += executors
        self.commitments_to[destination] += executors
        if destination != COMMON and destination[0] != self.source[0]:
            self.supply[destination[0]] += executors

    def keep_commitment(self, executor: Executor, destination: Any) -> None:
        source = self.location[executor.id]
        promised = self.commitments[source]
        promised[destination] -= 1
        if promised[destination] == 0:
            del promised[destination]
        self.commitments_from[source] -= 1
        self.commitments_to[destination] -= 1
        if destination == COMMON:
            self.park(source, [executor])
            return
        if destination[0] != source[0]:
            self.supply[destination[0]] -= 1
        self.place(executor, self.jobs[destination[0]].stages[destination[1]])

    # --------------------------------------------------------------------------------------------- events

    def schedule(self, time_ms: float, kind: str, *subjects: Any) -> None:
        heappush(self.calendar, (time_ms, self.num_events, kind, subjects))  # first scheduled, first served
        self.num_events += 1

    def next_event(self) -> None:
        if not self.calendar:
            raise RuntimeError(f"no event is left, {len(self.active_jobs)} jobs are unfinished")
        self.now_ms, _, kind, subjects = heappop(self.calendar)
        self.handlers[kind](*subjects)

    def job_arrived(self, job: Job) -> None:
        self.active_jobs.append(job)
        self.supply[job.id] = 0
        for key in (job.key, *(stage.key for stage in job.stages)):
            self.pools[key], self.commitments[key] = set(), {}
            self.commitments_from[key] = self.commitments_to[key] = self.moving_to[key] = 0
        if self.pools[COMMON]:
            self.source = COMMON

    def executor_arrived(self, executor: Executor, stage: Stage) -> None:
        self.moving_to[stage.key] -= 1
        executor.job = stage.job
        stage.job.local_executors.add(executor.id)
        self.enter(executor, stage.job.key)
        self.place(executor, stage)

    def task_completed(self, executor: Executor, stage: Stage) -> None:
        stage.completed += 1
        executor.busy = False
        if stage.remaining > 0:
            self.start_task(executor, stage)
            return
        frontier_changed = stage.completed == stage.num_tasks and self.complete_stage(stage)
        destination = next(iter(self.commitments[stage.key]), None)
        if destination is not None:
            self.keep_commitment(executor, destination)
        else:
            executor.last_stage = None
            if frontier_changed:
                self.park(stage.key, [executor])
        if frontier_changed:
            self.source = stage.job.key
        elif destination is None:
            self.source = stage.key

    def complete_stage(self, stage: Stage) -> bool:
        """Have other stages entered the frontier?"""
        job = stage.job
        job.active_stages.remove(stage)
        job.frontier.remove(stage)
        new = {
            child for child in stage.children if all(parent.completed == parent.num_tasks for parent in child.parents)
        }
        job.frontier |= new
        if not job.active_stages:
            self.park(job.key, self.idle_executors(job.key))
            self.active_jobs.remove(job)
            job.completion_ms = self.now_ms
            self.num_jobs_done += 1
        return len(new) > 0

    # ------------------------------------------------------------------------------------------ executors

    def idle_executors(self, pool: Any) -> list[Executor]:
        return [self.executors[number] for number in sorted(self.pools[pool]) if not self.executors[number].busy]

    def place(self, executor: Executor, stage: Stage) -> None:
        """Move an idle executor to a stage, let it wait for the stage's parents, or start a task."""
        if stage.remaining == 0:
            backup = self.backup_stage(executor)
            if backup is None:
                self.park(self.location[executor.id], [executor])
            else:
                self.place(executor, backup)
        elif executor.job is not stage.job:
            self.send(executor, stage)
        elif stage not in stage.job.frontier:
            executor.last_stage = None
            self.enter(executor, stage.job.key)
        else:
            self.enter(executor, stage.key)
            self.start_task(executor, stage)

    def backup_stage(self, executor: Executor) -> Stage | None:
        own = executor.job
        exempt = None if own is None else own.id
        stages = [] if own is None else self.schedulable_in([own], exempt)
        if not stages:
            stages = self.schedulable_in([job for job in self.active_jobs if job is not own], exempt)
        return stages[-1] if stages else None

    def park(self, pool: Any, executors: list[Executor]) -> None:
        """Take idle executors out of a stage, or out of a job that needs none."""
        if pool == COMMON:
            return
        job = self.jobs[pool[0]]
        saturated = job.started_stages == len(job.stages)
        if pool == job.key and not saturated:
            return
        for executor in executors:
            self.enter(executor, COMMON if saturated else job.key)
            if saturated:
                self.leave_job(executor)

    def send(self, executor: Executor, stage: Stage) -> None:
        self.enter(executor, None)
        self.moving_to[stage.key] += 1
        self.supply[stage.job.id] += 1
        if executor.job is not None:
            self.supply[executor.job.id] -= 1
            self.leave_job(executor)
        self.schedule(self.now_ms + self.moving_delay_ms, "executor", executor, stage)

    def enter(self, executor: Executor, pool: Any) -> None:
        """Change the pool; None = in flight."""
        if self.location[executor.id] is not None:
            self.pools[self.location[executor.id]].remove(executor.id)
        self.location[executor.id] = pool
        if pool is not None:
            self.pools[pool].add(executor.id)

    def leave_job(self, executor: Executor) -> None:
        if executor.job is not None:
            executor.job.local_executors.remove(executor.id)
        executor.job = executor.last_stage = None

    def start_task(self, executor: Executor, stage: Stage) -> None:
        task = stage.num_tasks - stage.remaining
        stage.remaining -= 1
        if stage.remaining == 0:
            stage.job.started_stages += 1
        duration_ms = self.task_duration(executor, stage, task)
        executor.last_stage, executor.busy = stage, True
        stage.recent_ms = duration_ms
        self.schedule(self.now_ms + duration_ms, "task", executor, stage)

    def task_duration(self, executor: Executor, stage: Stage, task: int) -> float:
        """Drawn from what was measured in the same wave at a similar number of executors."""
        local = len(stage.job.local_executors)
        left, level = self.intervals[local]
        if left != level:
            point = 1 + int(self.draw(stage.job.id, stage.id, task, LEVEL_NUMBER) * (level - left))
            level = left if point <= local - left else level
        delay_ms = 0.0
        if executor.last_stage is None:
            samples = stage.samples[FRESH][level]
            if not samples:
                samples, delay_ms = stage.samples[FIRST][level], self.warmup_delay_ms
        else:
            samples = stage.samples[REST][level] if executor.last_stage is stage else []
            samples = samples or stage.samples[FIRST][level] or stage.samples[FRESH][level]
        return samples[int(self.draw(stage.job.id, stage.id, task, SAMPLE_NUMBER) * len(samples))] + delay_ms


def fair(observation: Observation, num_executors: int) -> tuple[int, int]:
    """`fair` as published: (row of the schedulable stages, executors); row -1 = no stage.

    The job whose executors are on offer first, then jobs in order of arrival, each up to its share.
    """
    nodes, edge_links, dag_ptr, committable, source_job, supplies = observation
    in_frontier = np.ones(len(nodes), dtype=bool)
    in_frontier[edge_links[:, 1]] = False
    rows = {int(node): row for row, node in enumerate(np.flatnonzero(nodes[:, 2]))}

    def find_stage(job: int) -> int:
        """The job's first schedulable stage that can start now, else its first schedulable one, else -1."""
        first = -1
        for node in range(dag_ptr[job], dag_ptr[job + 1]):
            if node in rows:
                if in_frontier[node]:
                    return rows[node]
                first = rows[node] if first < 0 else first
        return first

    if source_job < len(supplies) and (row := find_stage(source_job)) >= 0:
        return row, committable
    share = math.ceil(num_executors / max(1, len(supplies)))
    for job, supply in enumerate(supplies):
        if job != source_job and supply < share and (row := find_stage(job)) >= 0:
            return row, min(committable, share - supply)
    return -1, committable


def profile_of(jobs: JobSet, index: int) -> tuple[list[Any], np.ndarray]:
    """(tasks, rough duration, samples by wave and level) of a template's stages; its edges, int64 (edges, 2)."""
    template = jobs.template(index)
    stages = [
        (
            int(template.num_tasks[stage]),
            float(template.rough_ms[stage]),
            [
                {level: template.durations(stage, wave, level).tolist() for level in (0, *LEVELS)}
                for wave in (FRESH, FIRST, REST)
            ],
        )
        for stage in range(len(template))
    ]
    return stages, np.array(template.edges, dtype=np.int64).reshape(-1, 2)


def executor_levels(local: int, num_executors: int) -> tuple[int, int]:
    """The measured levels on both sides of a number of local executors; twice the same where nothing is drawn."""
    if local > LEVELS[-1]:
        level = 0 if local == num_executors else LEVELS[-1]  # the published table ends one entry early
        return level, level
    position = next(index for index, level in enumerate(LEVELS) if local <= level)
    right = LEVELS[position]
    return (right if local == right or position == 0 else LEVELS[position - 1]), right
