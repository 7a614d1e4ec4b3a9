"""Episodes computed by hand, options, errors, and the example of a subclass."""

import importlib.util
import math
from itertools import pairwise
from pathlib import Path

import pytest

from netenvs.cjs.jobs import FIRST, FRESH, REST, Job, Stage, make_job_set
from netenvs.cjs.reference import DeadlockError, ReferenceSimulator

ONE_JOB = {"num_jobs": 1, "moving_delay_ms": 500.0}
WAVES = {"fresh": {5: [3000]}, "first": {5: [2000]}, "rest": {5: [1000]}}


def job_set(*stages):
    return make_job_set("hand-made", [Job("hand-made", list(stages))])


@pytest.fixture
def chain():
    """Three tasks, then one: an executor's first in the job takes 3 s, its first in a stage 2 s, others 1 s."""
    return job_set(Stage(3, **WAVES), Stage(1, parents=(0,), **WAVES))


def test_two_executors_and_a_chain(chain):
    simulator = ReferenceSimulator(chain, num_executors=2, **ONE_JOB)
    simulator.reset(0)
    (job,) = simulator.active_jobs
    maps, reduces = job.stages
    assert (simulator.source, simulator.committable) == (simulator.common, 2)
    assert simulator.schedulable() == [maps]

    # 500 ms on the way, 3000 ms for a fresh task; executor 0 takes the third task, executor 1 is free
    assert simulator.commit(maps, 2) == -3.5
    assert (simulator.now_ms, simulator.source, simulator.committable) == (3500.0, maps.pool, 2)
    assert (maps.running, maps.remaining, maps.num_completed) == (1, 0, 2)
    assert simulator.schedulable() == [reduces], "the parent still runs, but needs nobody any more"

    # the stage takes one executor, who has to wait; when the third task ends the frontier changes
    assert simulator.commit(reduces, 2) == -1.0
    assert (simulator.now_ms, simulator.source, simulator.committable) == (4500.0, job.pool, 2)
    assert simulator.schedulable() == [reduces]

    # executor 0 comes straight from another stage of the job: first wave
    assert simulator.commit(reduces, 1) == -2.0
    assert simulator.terminated
    assert simulator.mean_jct_s() == 6.5
    assert [(task.stage, task.executor, task.start_ms, task.duration_ms, task.wave) for task in simulator.tasks] == [
        (0, 0, 500.0, 3000.0, FRESH),
        (0, 1, 500.0, 3000.0, FRESH),
        (0, 0, 3500.0, 1000.0, REST),
        (1, 0, 4500.0, 2000.0, FIRST),
    ]
    assert [move.executor for move in simulator.moves] == [0, 1]
    assert [decision.source for decision in simulator.decisions] == [(None, None), (0, 0), (0, None)]


def test_a_parked_executor_is_fresh_again(chain):
    simulator = ReferenceSimulator(chain, num_executors=1, **ONE_JOB)
    simulator.reset(0)
    simulator.commit(simulator.schedulable()[0], 1)
    # one executor for three tasks: 500 + 3000 + 1000 + 1000; then nothing was promised to it
    assert simulator.now_ms == 5500.0
    simulator.commit(simulator.schedulable()[0], 1)
    assert simulator.tasks[-1].wave == FRESH
    assert simulator.mean_jct_s() == 8.5


def test_the_backup_of_an_executor_that_comes_too_late_is_the_last_stage():
    stages = [Stage(1, first={5: [100]}) for _ in range(4)]
    simulator = ReferenceSimulator(job_set(*stages), num_executors=2, warmup_delay_ms=0.0, **ONE_JOB)
    simulator.reset(0)
    first, second, third, last = simulator.schedulable()
    simulator.commit(first, 1)
    simulator.commit(second, 1)
    assert simulator.now_ms == 600.0
    free, busy = simulator.executors
    assert simulator.schedulable() == [third, last]
    assert simulator.backup_stage(free) is last
    # what was chosen in this round, or has its executors already, is no candidate
    simulator.commit(last, 1)
    assert (simulator.now_ms, simulator.source) == (600.0, second.pool)
    assert simulator.backup_stage(busy) is third
    simulator.commit(third, 1)
    assert simulator.terminated
    assert simulator.backup_stage(free) is None


def test_warm_up_is_added_where_no_fresh_duration_was_measured():
    simulator = ReferenceSimulator(
        job_set(Stage(2, first={5: [200]})), num_executors=1, warmup_delay_ms=70.0, **ONE_JOB
    )
    simulator.reset(0)
    simulator.commit(simulator.schedulable()[0], 1)
    # nor was the rest wave: the first stands in
    assert [task.duration_ms for task in simulator.tasks] == [270.0, 200.0]


@pytest.mark.parametrize(
    ("local", "executors", "levels"),
    [
        (1, 10, {5}),
        (5, 10, {5}),
        (6, 10, {5, 10}),
        (10, 10, {10}),
        (37, 50, {20, 40}),
        (50, 50, {50}),
        (99, 100, {80, 100}),
        (100, 100, {100}),
        (150, 200, {100}),
        (200, 200, {0}),  # the published table ends one entry early: the largest level measured
    ],
)
def test_executor_levels(chain, local, executors, levels):
    simulator = ReferenceSimulator(chain, num_executors=executors, **ONE_JOB)
    simulator.reset(0)
    (job,) = simulator.active_jobs
    job.local_executors = local
    assert {simulator.executor_level(job.stages[0], task) for task in range(200)} == levels


def test_the_nearer_level_is_the_less_likely(chain):
    """The published draw, kept: at 18 executors, between 10 and 20, level 10 has probability 8 / 10."""
    simulator = ReferenceSimulator(chain, num_executors=50, **ONE_JOB)
    simulator.reset(0)
    (job,) = simulator.active_jobs
    job.local_executors = 18
    lower = sum(simulator.executor_level(job.stages[0], task) == 10 for task in range(4000)) / 4000
    assert lower == pytest.approx(0.8, abs=0.03)


def test_native_arrivals_have_the_mean_asked_for(chain):
    simulator = ReferenceSimulator(chain, num_jobs=4000, mean_interarrival_ms=700.0)
    simulator.reset(5)
    arrivals = [job.arrival_ms for job in simulator.jobs]
    assert arrivals[0] == 0.0
    assert arrivals[-1] / (len(arrivals) - 1) == pytest.approx(700.0, rel=0.05)
    simulator.reset(5, episode=1)
    assert [job.arrival_ms for job in simulator.jobs][1] != arrivals[1]


def test_given_arrivals(chain):
    simulator = ReferenceSimulator(chain, num_executors=2, moving_delay_ms=0.0)
    simulator.reset(0, arrivals=[(1000.0, 0), (1000.0, 0)])
    assert (simulator.now_ms, len(simulator.active_jobs)) == (1000.0, 1), "events of one time come one by one"
    with pytest.raises(ValueError, match="order of time"):
        simulator.reset(0, arrivals=[(1000.0, 0), (999.0, 0)])


def test_discounted_reward(chain):
    """One job from 0 to 3.5 s: the integral of exp(-beta t)."""
    beta = 0.5
    simulator = ReferenceSimulator(chain, num_executors=2, beta=beta, **ONE_JOB)
    simulator.reset(0)
    reward = simulator.commit(simulator.schedulable()[0], 2)
    assert reward == pytest.approx(-(1 - math.exp(-beta * 3.5)) / beta, rel=1e-12)


def test_record_off_keeps_no_log(chain):
    simulator = ReferenceSimulator(chain, num_executors=1, record=False, **ONE_JOB)
    simulator.reset(0)
    rewards = [simulator.commit(simulator.schedulable()[0], 1) for _ in range(2)]
    assert (sum(rewards), simulator.mean_jct_s()) == (-8.5, 8.5)
    assert simulator.tasks == simulator.moves == simulator.decisions == []


def test_wrong_decisions_change_nothing(chain):
    simulator = ReferenceSimulator(chain, num_executors=2, **ONE_JOB)
    simulator.reset(0)
    maps, reduces = simulator.active_jobs[0].stages
    with pytest.raises(ValueError, match=r"Stage\(0, 1\) is not schedulable now"):
        simulator.commit(reduces, 1)
    for executors in (0, 3):
        with pytest.raises(ValueError, match=f"from 1 to 2 .* not {executors}"):
            simulator.commit(maps, executors)
    assert (simulator.committable, simulator.schedulable()) == (2, [maps])
    while not simulator.terminated:
        simulator.commit(simulator.schedulable()[0], simulator.committable)
    with pytest.raises(ValueError, match="nothing to decide"):
        simulator.decline()


def test_a_cluster_that_nobody_uses_is_a_deadlock(chain):
    simulator = ReferenceSimulator(chain, num_executors=2, **ONE_JOB)
    simulator.reset(0)
    with pytest.raises(DeadlockError, match=r"at 0\.000 s: 1 jobs are unfinished \(0\).*\(None, None\): 2"):
        simulator.decline()


@pytest.mark.parametrize("work_conserving", [False, True])
def test_idle_executors_are_offered_again_when_nothing_else_will_happen(chain, work_conserving):
    """One executor is declined while the other works; the published simulator would never ask again."""
    options = {**ONE_JOB, "num_jobs": 2, "mean_interarrival_ms": 1e6}
    simulator = ReferenceSimulator(chain, num_executors=1, work_conserving=work_conserving, **options)
    simulator.reset(0)
    assert simulator.can_decline(), "another job is going to arrive"
    while simulator.can_decline():
        simulator.decline()
    assert len(simulator.active_jobs) == 2 and simulator.now_ms == simulator.jobs[1].arrival_ms
    with pytest.raises(DeadlockError):
        simulator.decline()
    while not simulator.terminated:
        simulator.commit(simulator.schedulable()[0], simulator.committable)
    assert simulator.mean_jct_s() > 0


def test_executors_stranded_at_a_job_are_offered_again(chain):
    """Declined at a job, they are not offered at arrivals; nothing runs, so the calendar ends with them idle."""
    simulator = ReferenceSimulator(chain, num_executors=1, num_jobs=2, moving_delay_ms=500.0)
    simulator.reset(0, arrivals=[(0.0, 0), (60_000.0, 0)])
    simulator.commit(simulator.schedulable()[0], 1)
    (job,) = simulator.active_jobs
    assert simulator.source is job.pool, "the map tasks are done"
    simulator.decline()
    assert simulator.now_ms == 60_000.0, "the calendar is empty"
    assert (simulator.source, simulator.committable, simulator.can_decline()) == (job.pool, 1, False)
    assert [stage.job.id for stage in simulator.schedulable()] == [0, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rng": "netlm"}, "netllm"),
        ({"num_executors": 0}, "num_executors"),
        ({"num_jobs": 0}, "num_jobs"),
        ({"num_jobs": None}, "time_limit_ms"),
    ],
)
def test_wrong_options(chain, options, message):
    with pytest.raises(ValueError, match=message):
        ReferenceSimulator(chain, **options)


def test_netllm_streams_need_tpch(chain):
    simulator = ReferenceSimulator(chain, rng="netllm")
    with pytest.raises(ValueError, match="'tpch', not 'hand-made'"):
        simulator.reset(0)
    with pytest.raises(ValueError, match="one episode a seed"):
        simulator.reset(0, episode=1)


# --- the example ---


@pytest.fixture(scope="module")
def failures_example():
    path = Path(__file__).parents[3] / "examples" / "cjs_failures.py"
    spec = importlib.util.spec_from_file_location("cjs_failures", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_failed_tasks_run_again(failures_example):
    jobs = failures_example.map_reduce_jobs()
    options = {"num_executors": 6, "num_jobs": 5, "mean_interarrival_ms": 10_000.0}
    simulator = failures_example.FailingExecutors(jobs, 10_000.0, 5000.0, **options)
    jct_s = failures_example.run(simulator, seed=0)
    lost = len(simulator.failures)
    assert lost > 20
    assert len(simulator.tasks) == 5 * (40 + 8) + lost, "every lost task was started again"
    assert all(stage.num_completed == stage.num_tasks for job in simulator.jobs for stage in job.stages)

    fails_at = {(executor, time_ms) for time_ms, executor in simulator.failures}
    for executor in range(6):
        mine = [task for task in simulator.tasks if task.executor == executor]
        for task, following in pairwise(mine):
            failed = [t for e, t in fails_at if e == executor and task.start_ms < t < task.start_ms + task.duration_ms]
            free_ms = failed[0] + 5000.0 if failed else task.start_ms + task.duration_ms
            assert following.start_ms >= free_ms
            if failed:
                assert following.wave == FRESH

    never = failures_example.FailingExecutors(jobs, 1e15, 5000.0, **options)
    plain = ReferenceSimulator(jobs, **options)
    assert failures_example.run(never, seed=0) == failures_example.run(plain, seed=0) < jct_s
    assert never.tasks == plain.tasks


def test_the_example_runs(failures_example, capsys):
    failures_example.main()
    assert "500 failures" in capsys.readouterr().out


def test_the_example_counts_lost_work_and_draws_each_episode_anew(failures_example):
    simulator = failures_example.FailingExecutors(
        failures_example.map_reduce_jobs(), 5000.0, 100.0, num_executors=3, num_jobs=5
    )
    failures = []
    for episode in range(2):
        simulator.reset(7, episode)
        while not simulator.terminated:
            simulator.commit(simulator.schedulable()[0], simulator.committable)
            assert 0.0 <= simulator.utilisation() <= 1.0
        failures.append(simulator.failures)
    assert failures[0] != failures[1]
