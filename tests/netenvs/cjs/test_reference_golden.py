"""The published simulator's logs, replayed: equal to the bit (tests/artifacts/README.md)."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from netenvs.cjs.jobs import WAVES, Job, Stage, make_job_set
from netenvs.cjs.reference import ReferenceSimulator

SCHEDULERS = ("fair", "fifo", "random")
SETTING = {"num_executors": 10, "num_jobs": 10, "rng": "netllm"}
MOVING_DELAY_MS = 2000.0

# Published rules, mean over seeds 0-4: mean JCT per seed and over seeds in s, makespan in s, decisions.
REFERENCE = {
    (10, 20, "fair"): ((537.3, 383.3, 381.5, 249.8, 912.1), 492.8, 1648, 272),
    (10, 20, "fifo"): ((635.8, 411.2, 440.1, 258.9, 1140.1), 577.2, 1587, 313),
    (10, 20, "fifo_full"): ((664.9, 470.6, 673.9, 278.1, 1269.2), 671.3, 1582, 330),
    (10, 20, "random"): ((869.9, 704.5, 771.7, 405.8, 1337.0), 817.8, 1520, 284),
    (10, 50, "fair"): ((944.4, 961.0, 840.8, 1119.1, 1727.8), 1118.6, 3669, 546),
    (10, 50, "fifo"): ((1177.2, 1186.1, 1043.7, 1202.1, 1966.1), 1315.0, 3749, 760),
    (10, 50, "fifo_full"): ((1297.4, 1332.9, 1266.0, 1325.5, 2207.2), 1485.8, 3910, 804),
    (10, 50, "random"): ((1884.2, 1770.9, 1659.2, 2125.5, 2880.6), 2064.1, 3674, 597),
    (50, 20, "fair"): ((74.4, 48.4, 54.7, 29.6, 84.2), 58.3, 543, 378),
    (50, 20, "fifo"): ((92.9, 57.6, 57.0, 32.2, 118.2), 71.6, 561, 360),
    (50, 20, "fifo_full"): ((127.5, 67.4, 86.3, 29.8, 199.5), 102.1, 610, 358),
    (50, 20, "random"): ((106.3, 67.5, 64.2, 32.2, 139.8), 82.0, 535, 539),
}


def assert_same_episode(simulator, log):
    """Tasks, moves, decisions, completion times: to the bit."""
    tasks = [[*task[:-1], WAVES[task.wave]] for task in simulator.tasks]
    assert tasks == log["tasks"]
    assert [list(move) for move in simulator.moves] == log["moves"]
    assert [job.completion_ms for job in simulator.jobs] == log["result"]["t_completed"]
    assert len(simulator.decisions) == len(log["decisions"]) == log["result"]["decisions"]
    for decision, logged in zip(simulator.decisions, log["decisions"], strict=True):
        assert decision.time_ms == logged["t"]
        assert decision.source == tuple(logged["source"])
        assert decision.committable == logged["committable"]
        if logged["stage_idx"] < 0:
            assert decision.stage is None
        else:
            assert (decision.stage, decision.executors) == (tuple(logged["stage"]), logged["num_exec"])
        assert decision.reward * 1000 == pytest.approx(logged["reward"], rel=1e-9)


class LoggedDurations(ReferenceSimulator):
    """Tasks take as long as they did in a log; everything else is decided by the rules."""

    def __init__(self, log):
        jobs = []
        for job in log["jobs"]:
            parents = defaultdict(list)
            for parent, child in job["edges"]:
                parents[child].append(parent)
            stages = [
                Stage(num_tasks, first={5: [1.0]}, parents=tuple(parents[stage]))
                for stage, num_tasks in enumerate(job["num_tasks"])
            ]
            jobs.append(Job(f"q{job['query']}-{job['size']}", stages))
        super().__init__(make_job_set("log", jobs), **SETTING)
        self.logged = iter(log["tasks"])
        self.logged_arrivals = [(job["t_arrival"], job["id"]) for job in log["jobs"]]

        self.logged_rough_ms = [job["rough_ms"] for job in log["jobs"]]

    def reset_as_logged(self):
        self.reset(0, arrivals=self.logged_arrivals)
        for job, rough_ms in zip(self.jobs, self.logged_rough_ms, strict=True):
            for stage, duration_ms in zip(job.stages, rough_ms, strict=True):
                stage.recent_ms = duration_ms

    def task_duration(self, executor, stage, task):
        return next(self.logged)[4]


@pytest.mark.parametrize("name", SCHEDULERS)
def test_rules_with_logged_durations(name, golden, scheduling):
    """Needs no data: arrivals and durations come from the log."""
    log = golden(name)
    simulator = LoggedDurations(log)
    simulator.reset_as_logged()
    scheduling.play(simulator, scheduling.schedulers[name](0))
    assert_same_episode(simulator, log)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_scheduler_sees_what_was_logged(name, golden, scheduling):
    log = golden(name)
    simulator = LoggedDurations(log)
    simulator.reset_as_logged()
    decide = scheduling.schedulers[name](0)
    for logged in log["decisions"]:
        assert [[stage.job.id, stage.id] for stage in simulator.schedulable()] == logged["schedulable"]
        assert [job.id for job in simulator.active_jobs] == logged["active_jobs"]
        assert [job.supply for job in simulator.active_jobs] == logged["supplies"]
        active = [stage for job in simulator.active_jobs for stage in job.active_stages]
        assert len(active) == logged["n_nodes"]
        assert sum(stage.remaining for stage in active) == logged["node_sum"][0]
        # the log adds up numbers in single precision
        assert sum(stage.recent_ms for stage in active) == pytest.approx(logged["node_sum"][1], rel=1e-6)
        choice = decide(simulator)
        simulator.decline() if choice is None else simulator.commit(*choice)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_logs_obey_the_rules(name, golden):
    """Of the logs alone: every task once, precedence, one task at a time, moves take time, rewards add up."""
    log = golden(name)
    finish, first_start, last_of_executor, count = {}, {}, {}, Counter()
    for job, stage, executor, start, duration, *_ in log["tasks"]:
        count[job, stage] += 1
        finish[job, stage] = max(finish.get((job, stage), 0.0), start + duration)
        first_start.setdefault((job, stage), start)
        previous_job, previous_end = last_of_executor.get(executor, (None, 0.0))
        assert start >= previous_end + (0.0 if previous_job == job else MOVING_DELAY_MS)
        last_of_executor[executor] = job, start + duration
    for job in log["jobs"]:
        assert [count[job["id"], stage] for stage in range(len(job["num_tasks"]))] == job["num_tasks"]
        assert all(first_start[job["id"], child] >= finish[job["id"], parent] for parent, child in job["edges"])
    completion_ms = [max(end for (job, _), end in finish.items() if job == index) for index in range(10)]
    assert completion_ms == log["result"]["t_completed"]
    job_ms = sum(end - job["t_arrival"] for end, job in zip(completion_ms, log["jobs"], strict=True))
    assert sum(decision["reward"] for decision in log["decisions"]) == pytest.approx(-job_ms, rel=1e-9)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_whole_episode(name, tpch, golden, scheduling):
    log = golden(name)
    simulator = ReferenceSimulator(tpch, **SETTING)
    simulator.reset(0)
    assert [job.arrival_ms for job in simulator.jobs] == [job["t_arrival"] for job in log["jobs"]]
    rough = [[stage.recent_ms for stage in job.stages] for job in simulator.jobs]
    assert rough == [pytest.approx(job["rough_ms"], rel=1e-12) for job in log["jobs"]]
    scheduling.play(simulator, scheduling.schedulers[name](0))
    assert_same_episode(simulator, log)


def test_every_reset_seeds_the_shared_stream_anew(tpch, golden, scheduling):
    log = golden("fair")
    simulator = ReferenceSimulator(tpch, **SETTING)
    for seed in (0, 3, 0):
        simulator.reset(seed)
        scheduling.play(simulator, scheduling.schedulers["fair"](seed))
        assert ([job.completion_ms for job in simulator.jobs] == log["result"]["t_completed"]) == (seed == 0)


@pytest.mark.parametrize("mode", ["greedy", "sampled"])
def test_logged_actions_of_decima(mode, tpch, golden):
    """The sampled policy took two numbers of the shared stream a decision: for the stage and the executors."""
    log = golden(f"decima-{mode}")
    simulator = ReferenceSimulator(tpch, **SETTING)
    simulator.reset(0)
    for logged in log["decisions"]:
        assert simulator.now_ms == logged["t"]
        stage = simulator.schedulable()[logged["stage_idx"]]
        assert [stage.job.id, stage.id] == logged["stage"]
        if mode == "sampled":
            simulator.shared_random.random()
            simulator.shared_random.random()
        reward = simulator.commit(stage, logged["num_exec"])
        assert reward * 1000 == pytest.approx(logged["reward"], rel=1e-9)
    assert simulator.terminated
    assert simulator.mean_jct_s() * 1000 == pytest.approx(log["result"]["avg_jct_ms"], rel=1e-12)


@pytest.mark.parametrize(("executors", "jobs", "name"), REFERENCE)
def test_published_means(executors, jobs, name, tpch, scheduling):
    jct_s, mean_jct_s, makespan_s, decisions = REFERENCE[executors, jobs, name]
    episodes = []
    for seed in range(5):
        simulator = ReferenceSimulator(tpch, num_executors=executors, num_jobs=jobs, rng="netllm", record=False)
        simulator.reset(seed)
        rewards = scheduling.play(simulator, scheduling.schedulers[name](seed))
        makespan = max(job.completion_ms for job in simulator.jobs) / 1000
        episodes.append((simulator.mean_jct_s(), makespan, len(rewards)))
    assert tuple(round(jct, 1) for jct, _, _ in episodes) == jct_s
    means = np.mean(episodes, axis=0)
    assert (round(means[0], 1), round(means[1]), round(means[2])) == (mean_jct_s, makespan_s, decisions)
