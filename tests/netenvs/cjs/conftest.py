"""Published schedulers (as plain functions of the simulator) and logs, for the tests of both engines."""

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from netenvs.cjs.entities import Job, Stage
from netenvs.cjs.reference import ReferenceSimulator
from netenvs.cjs.workload import JobSet, load_workload

LOGS = Path(__file__).parents[2] / "artifacts" / "cjs"

Choice = tuple[Stage, int] | None
Decide = Callable[[ReferenceSimulator], Choice]


def find_stage(simulator: ReferenceSimulator, job: Job) -> Stage | None:
    """The job's first schedulable stage of the frontier, else its first schedulable one."""
    stages = [stage for stage in simulator.schedulable() if stage.job is job]
    return next((stage for stage in stages if stage.frontier), stages[0] if stages else None)


def capped(cap: Callable[[ReferenceSimulator], int]) -> Decide:
    """The source's own job first, then jobs in order of arrival, each up to ``cap`` executors."""

    def decide(simulator: ReferenceSimulator) -> Choice:
        own = simulator.source.job
        if own in simulator.active_jobs and (stage := find_stage(simulator, own)):
            return stage, simulator.committable
        limit = cap(simulator)
        for job in simulator.active_jobs:
            if job is not own and job.supply < limit and (stage := find_stage(simulator, job)):
                return stage, min(simulator.committable, limit - job.supply)
        return None

    return decide


def fair(seed: int) -> Decide:
    return capped(lambda simulator: math.ceil(simulator.num_executors / len(simulator.active_jobs)))


def fifo(seed: int) -> Decide:
    return capped(lambda simulator: math.ceil(simulator.num_executors / 2))


def fifo_full(seed: int) -> Decide:
    return capped(lambda simulator: simulator.num_executors)


def at_random(seed: int) -> Decide:
    """A random job that has a stage; a random number of executors."""
    rng = np.random.RandomState(seed)  # the published scheduler's generator

    def decide(simulator: ReferenceSimulator) -> Choice:
        left, stage = list(range(len(simulator.active_jobs))), None
        while left and stage is None:
            index = rng.choice(left)
            stage = find_stage(simulator, simulator.active_jobs[index])
            if stage is None:
                left.remove(index)
        executors = int(rng.randint(1, simulator.committable + 1))
        return None if stage is None else (stage, executors)

    return decide


def greedy(seed: int) -> Decide:
    """Never idle: stages that can start now first, as many executors as there are."""

    def decide(simulator: ReferenceSimulator) -> Choice:
        stages = simulator.schedulable()
        return next((stage for stage in stages if stage.frontier), stages[0]), simulator.committable

    return decide


def erratic(seed: int) -> Decide:
    """Any stage, any number, and sometimes nothing, where that is possible."""
    rng = np.random.default_rng(seed)

    def decide(simulator: ReferenceSimulator) -> Choice:
        if rng.random() < 0.1 and simulator.can_decline():
            return None
        stages = simulator.schedulable()
        return stages[rng.integers(len(stages))], int(rng.integers(1, simulator.committable + 1))

    return decide


def play(simulator: ReferenceSimulator, decide: Decide) -> list[float]:
    """Run to the end of the episode; returns the rewards."""
    rewards = []
    while not (simulator.terminated or simulator.truncated):
        choice = decide(simulator)
        rewards.append(simulator.decline() if choice is None else simulator.commit(*choice))
    return rewards


SCHEDULERS: dict[str, Callable[[int], Decide]] = {
    "fair": fair,
    "fifo": fifo,
    "fifo_full": fifo_full,
    "random": at_random,
    "greedy": greedy,
    "erratic": erratic,
}


@pytest.fixture(scope="session")
def scheduling() -> SimpleNamespace:
    """``schedulers``: name -> seed -> function of a simulator; ``play`` an episode with one."""
    return SimpleNamespace(schedulers=SCHEDULERS, play=play)


@pytest.fixture(scope="session")
def tpch(netllm_tpch) -> JobSet:
    return load_workload("tpch")


@pytest.fixture(scope="session")
def golden() -> Callable[[str], dict[str, Any]]:
    """Name of a scheduler -> its log in the published simulator: 10 executors, 10 jobs, seed 0."""

    def read(name: str) -> dict[str, Any]:
        with gzip.open(LOGS / f"golden_n10_j10_{name}_seed0.json.gz", "rt") as file:
            return json.load(file)

    return read
