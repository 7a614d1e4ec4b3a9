"""The yardstick of the speed benchmark follows the simulator's rules to the bit."""

import math

import numpy as np
import pytest

from benchmarks.speed.yardsticks.cjs import PlainCluster, fair
from netenvs.cjs.jobs import FIRST, FRESH, REST, Job, Stage, make_job_set
from netenvs.cjs.random_streams import task_uniform
from netenvs.cjs.reference import ReferenceSimulator
from netenvs.cjs.workload import load_workload


class Recorded(PlainCluster):
    """With the environment's random numbers, and a log of tasks and decisions in the simulator's terms."""

    def __init__(self, jobs, **options):
        super().__init__(jobs, draw=lambda *position: task_uniform(*self.episode, *position), **options)

    def play_recorded(self, seed, episode):
        self.episode = np.uint64(seed), episode
        self.tasks, self.decisions, over = [], [], False
        observation = self.reset(seed, episode)
        while not over:
            row, executors = fair(observation, self.num_executors)
            stage = self.schedulable[row].key if row >= 0 else None
            offer = (self.now_ms, self.source, self.committable())
            observation, reward, over = self.step(row, executors)
            self.decisions.append((*offer, stage, executors, reward))

    def task_duration(self, executor, stage, task):
        wave = FRESH if executor.last_stage is None else REST if executor.last_stage is stage else FIRST
        local, duration_ms = len(stage.job.local_executors), super().task_duration(executor, stage, task)
        self.tasks.append((stage.job.id, stage.id, executor.id, self.now_ms, duration_ms, local, wave))
        return duration_ms


def find_stage(simulator, job):
    stages = [stage for stage in simulator.schedulable() if stage.job is job]
    return next((stage for stage in stages if stage.frontier), stages[0] if stages else None)


def play_reference(simulator):
    """`fair`, once more from the simulator's own objects."""
    while not simulator.terminated:
        own, limit = simulator.source.job, math.ceil(simulator.num_executors / len(simulator.active_jobs))
        stage, executors = None, simulator.committable
        if own in simulator.active_jobs:
            stage = find_stage(simulator, own)
        for job in simulator.active_jobs if stage is None else ():
            if job is not own and job.supply < limit and (stage := find_stage(simulator, job)):
                executors = min(executors, limit - job.supply)
                break
        if stage is None:
            simulator.decline()
        else:
            simulator.commit(stage, executors)


def assert_same(jobs, seed, episode=0, **options):
    plain, simulator = Recorded(jobs, **options), ReferenceSimulator(jobs, **options)
    simulator.reset(seed, episode)
    play_reference(simulator)
    plain.play_recorded(seed, episode)
    assert plain.tasks == simulator.tasks
    assert plain.decisions == simulator.decisions
    assert [job.completion_ms for job in plain.jobs] == [job.completion_ms for job in simulator.jobs]
    return plain


DIAMONDS = make_job_set(
    "diamonds",
    [
        Job(
            f"width {width}",
            [
                Stage(3, first={5: [900, 700], 10: [800]}, rest={5: [400, 0]}, fresh={5: [1500]}),
                Stage(width, first={5: [100, 300]}, parents=(0,)),
                Stage(1, first={5: [50], 20: [60, 70]}, rest={20: [5]}, parents=(0,)),
                Stage(2 * width, first={5: []}, fresh={5: [2500, 10]}, parents=(1, 2)),
            ],
        )
        for width in (1, 4, 30)
    ],
)
WIDE = make_job_set(
    "wide", [Job("wide", [Stage(300, first={5: [9], 50: [10], 100: [11], 120: [12]}, rest={100: [7], 120: [8]})])]
)


@pytest.mark.parametrize("interarrival_ms", [200.0, 900.0, 4000.0])
@pytest.mark.parametrize("num_executors", [1, 7, 60])
def test_equals_the_simulator_on_small_jobs(num_executors, interarrival_ms):
    """Much chance: empty waves, zero durations, executors that come too late, by much and by little load."""
    options = {"mean_interarrival_ms": interarrival_ms, "moving_delay_ms": 300.0, "warmup_delay_ms": 100.0}
    for seed in range(5):
        plain = assert_same(DIAMONDS, seed, episode=seed, num_executors=num_executors, num_jobs=12, **options)
        assert len(plain.tasks) == sum(stage.num_tasks for job in plain.jobs for stage in job.stages)


@pytest.mark.parametrize("num_executors", [100, 101, 130])
def test_equals_the_simulator_above_the_largest_level(num_executors):
    plain = assert_same(WIDE, 0, num_executors=num_executors, num_jobs=3)
    assert max(task[5] for task in plain.tasks) == num_executors


@pytest.mark.parametrize(("num_executors", "num_jobs"), [(10, 8), (50, 25), (128, 6)])
def test_equals_the_simulator_on_generated_jobs(num_executors, num_jobs):
    assert_same(load_workload("synthetic(count=30)"), 5, num_executors=num_executors, num_jobs=num_jobs)


def test_equals_the_simulator_on_tpch(netllm_tpch):
    assert_same(load_workload("tpch"), 2, num_executors=50, num_jobs=12)


def test_observation_at_a_decision():
    """One diamond on two executors: the published rows."""
    cluster = PlainCluster(DIAMONDS, num_executors=2, num_jobs=1)
    observation = cluster.reset(seed=0)
    profile = cluster.profiles[0]
    assert observation.nodes.dtype == np.float32
    assert observation.nodes[:, 0].tolist() == [stage.num_tasks for stage in cluster.jobs[0].stages]
    assert observation.nodes[:, 2].tolist() == [1, 0, 0, 0]
    assert observation.edge_links.tolist() == profile[1].tolist() == [[0, 1], [0, 2], [1, 3], [2, 3]]
    assert observation[2:] == ([0, 4], 2, 1, [0])
    cluster.step(*fair(observation, 2))
    while 0 in {stage.id for stage in cluster.jobs[0].active_stages}:
        observation, _, _ = cluster.step(*fair(observation, 2))
    assert observation.nodes.shape == (3, 3)
    assert observation.edge_links.tolist() == [[0, 2], [1, 2]], "rows of the stages that are left"
    assert observation.dag_ptr == [0, 3] and observation.source_job == 0


def test_play_counts_tasks_and_decisions():
    cluster = Recorded(DIAMONDS, num_executors=7, num_jobs=12)
    cluster.play_recorded(3, 0)
    counts = len(cluster.tasks), len(cluster.decisions)
    assert cluster.play(3) == counts


def test_chance_of_its_own():
    """Without the environment's random numbers: other durations, all of them measured ones."""
    cluster = PlainCluster(DIAMONDS, num_executors=7, num_jobs=12)
    cluster.play(seed=0)
    first = [job.completion_ms for job in cluster.jobs]
    cluster.play(seed=0)
    assert cluster.jobs[0].arrival_ms == 0
    assert [job.completion_ms for job in cluster.jobs] != first
