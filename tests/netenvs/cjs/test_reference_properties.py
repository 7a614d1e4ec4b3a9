"""What holds on every workload under every scheduler (hypothesis looks for a counterexample)."""

import math
from collections import Counter, defaultdict

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from netenvs.cjs.jobs import FIRST, FRESH, LEVELS, REST, Job, Stage, make_job_set
from netenvs.cjs.reference import DeadlockError, ReferenceSimulator

WARMUP_MS = 300.0
MAX_EXAMPLES = 150
thoroughly = settings(max_examples=MAX_EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])

durations = st.lists(st.integers(0, 3000), max_size=3)
some_durations = st.lists(st.integers(0, 3000), min_size=1, max_size=3)


@st.composite
def stages(draw, index):
    levels = draw(st.sets(st.sampled_from(LEVELS[:3]), min_size=1))
    return Stage(
        num_tasks=draw(st.integers(1, 6)),
        first={level: draw(some_durations) for level in levels},
        rest={level: draw(durations) for level in levels},
        fresh={level: draw(durations) for level in levels},
        parents=tuple(draw(st.sets(st.integers(0, index - 1), max_size=2))) if index else (),
    )


@st.composite
def jobs(draw):
    return Job("random", [draw(stages(index)) for index in range(draw(st.integers(1, 5)))])


job_sets = st.lists(jobs(), min_size=1, max_size=3).map(lambda found: make_job_set("random", found))


def work_conserving(options):
    """The options with work conservation, which needs a moving delay."""
    return {**options, "work_conserving": True, "moving_delay_ms": max(options["moving_delay_ms"], 100.0)}


settings_of_a_cluster = st.fixed_dictionaries(
    {
        "num_executors": st.integers(1, 12),
        "num_jobs": st.integers(1, 6),
        "mean_interarrival_ms": st.sampled_from([1.0, 500.0, 5000.0]),
        "moving_delay_ms": st.sampled_from([0.0, 700.0]),
        "warmup_delay_ms": st.just(WARMUP_MS),
        "work_conserving": st.booleans(),
    }
).map(lambda options: work_conserving(options) if options["work_conserving"] else options)
scheduler_names = st.sampled_from(["fair", "fifo", "fifo_full", "random", "greedy", "erratic"])
seeds = st.integers(0, 2**64 - 1)


class Watched(ReferenceSimulator):
    """Checks the state before every event that advances the clock: what holds then held for some time."""

    strictly_work_conserving = False

    def reset(self, *arguments, **options):
        self.checked_ms = 0.0
        super().reset(*arguments, **options)

    def after(self, delay_ms, action, *arguments):
        def checked_action(*given_arguments):
            assert self.now_ms >= self.checked_ms
            if self.now_ms > self.checked_ms:
                self.checked_ms = self.now_ms
                self.check()
            action(*given_arguments)

        super().after(delay_ms, checked_action, *arguments)

    def check(self):
        self.check_books()
        idle = [executor for executor in self.executors if executor.pool is not None and not executor.busy]
        assert all(executor.pool.stage is None for executor in idle), "rounds leave nobody idle at a stage"
        if self.strictly_work_conserving and idle:
            stages = [stage for job in self.active_jobs for stage in job.active_stages]
            assert not any(stage.frontier and stage.demand > 0 for stage in stages), "idle, but could work"

    def check_books(self):
        arrived = [job for job in self.jobs if job in self.active_jobs or job.completion_ms is not None]
        pools = [self.common, *(pool for job in arrived for pool in (job.pool, *(s.pool for s in job.stages)))]
        where = [executor for pool in pools for executor in pool.executors]
        flying = [executor for executor in self.executors if executor.pool is None]
        assert sorted(where) == sorted({executor.id for executor in self.executors} - {e.id for e in flying})
        assert all(executor.id in executor.pool.executors for executor in self.executors if executor.pool)
        assert sum(stage.moving for job in arrived for stage in job.stages) == len(flying)
        for pool in pools:
            assert 0 <= pool.committed <= len(pool.executors)
            assert pool.committed == sum(pool.commitments.values())
            assert all(count > 0 for count in pool.commitments.values())
        promised = Counter(
            {
                stage.pool: sum(pool.commitments.get(stage.pool, 0) for pool in pools)
                for job in arrived
                for stage in job.stages
            }
        )
        for job in arrived:
            assert job.local_executors == sum(executor.job is job for executor in self.executors)
            from_elsewhere = sum(
                pool.commitments.get(stage.pool, 0) for pool in pools if pool.job is not job for stage in job.stages
            )
            owned = job.local_executors + sum(stage.moving for stage in job.stages) + from_elsewhere
            assert job.supply >= owned >= 0
            assert job.supply == owned or job.saturated
            for stage in job.stages:
                assert stage.commitments == promised[stage.pool]
                assert min(stage.remaining, stage.running, stage.num_completed, stage.moving) >= 0
                assert stage.running == sum(
                    self.executors[index].busy and self.executors[index].last_stage is stage
                    for index in stage.pool.executors
                )

    def decisions_are_due(self):
        """At every decision something is offered, and somebody can use it; only the source idles at a stage."""
        self.check_books()
        assert self.committable > 0
        assert self.schedulable()
        for stage in self.schedulable():
            assert stage.demand > 0
            assert all(parent.demand <= 0 for parent in stage.parents)
        for executor in self.executors:
            if executor.pool is not None and executor.pool.stage is not None and not executor.busy:
                assert executor.pool is self.source


def play(simulator, decide, scheduling):
    """One episode with checks at every decision; None where a scheduler that declines strands the cluster."""

    def checked(simulator):
        simulator.decisions_are_due()
        return decide(simulator)

    try:
        return scheduling.play(simulator, checked)
    except DeadlockError:
        assert not simulator.options.work_conserving
        assert simulator.active_jobs
        assert not any(executor.busy or executor.pool is None for executor in simulator.executors)
        event("deadlock")
        return None


def possible_ms(stage, wave):
    """Durations that a task may have: of the levels that can stand for up to 12 local executors."""
    found = set()
    for level in (0, *LEVELS[:3]):
        samples = {wave: stage.job.template.durations(stage.id, wave, level) for wave in (FRESH, FIRST, REST)}
        if len(samples[wave]):
            found |= {float(ms) for ms in samples[wave]}
        elif wave == FRESH:
            found |= {float(ms) + WARMUP_MS for ms in samples[FIRST]}
        else:
            found |= {float(ms) for ms in samples[FIRST]}
    return found


@thoroughly
@given(job_sets, settings_of_a_cluster, scheduler_names, seeds)
def test_an_episode(scheduling, job_set, options, name, seed):
    simulator = Watched(job_set, **options)
    simulator.reset(seed)
    rewards = play(simulator, scheduling.schedulers[name](seed % 2**32), scheduling)
    if rewards is None:
        return

    finish, start, work = defaultdict(float), defaultdict(lambda: math.inf), Counter()
    count, last_of_executor = Counter(), {}
    for task in simulator.tasks:
        stage = simulator.jobs[task.job].stages[task.stage]
        end_ms = task.start_ms + task.duration_ms
        count[stage] += 1
        work[task.job] += task.duration_ms
        finish[stage] = max(finish[stage], end_ms)
        start[stage] = min(start[stage], task.start_ms)
        assert task.start_ms >= stage.job.arrival_ms + simulator.options.moving_delay_ms
        assert task.duration_ms in possible_ms(stage, task.wave)
        previous_job, previous_end_ms = last_of_executor.get(task.executor, (None, 0.0))
        moved = previous_job != task.job
        assert task.start_ms >= previous_end_ms + (simulator.options.moving_delay_ms if moved else 0.0)
        last_of_executor[task.executor] = task.job, end_ms
    starts = [task.start_ms for task in simulator.tasks]
    assert starts == sorted(starts)

    for job in simulator.jobs:
        path_ms = {}
        for stage in job.stages:
            assert count[stage] == stage.num_tasks == stage.num_completed
            assert start[stage] >= max((finish[parent] for parent in stage.parents), default=0.0)
            shortest_ms = min(min(possible_ms(stage, wave)) for wave in (FRESH, FIRST, REST))
            path_ms[stage] = shortest_ms + max((path_ms[parent] for parent in stage.parents), default=0.0)
        assert job.completion_ms == max(finish[stage] for stage in job.stages)
        assert job.completion_ms - job.arrival_ms >= max(path_ms.values()) - 1e-6
    makespan_ms = max(job.completion_ms for job in simulator.jobs)
    assert makespan_ms >= sum(work.values()) / simulator.num_executors - 1e-6

    job_s = sum(job.completion_ms - job.arrival_ms for job in simulator.jobs) / 1000.0
    assert sum(rewards) == pytest.approx(-job_s, rel=1e-9, abs=1e-9)
    assert rewards == [decision.reward for decision in simulator.decisions]
    times = [decision.time_ms for decision in simulator.decisions]
    assert times == sorted(times)


@thoroughly
@given(job_sets, settings_of_a_cluster, seeds)
def test_strict_work_conservation(scheduling, job_set, options, seed):
    """With ``work_conserving=True`` and a scheduler that takes what it is offered."""
    simulator = Watched(job_set, **work_conserving(options))
    simulator.strictly_work_conserving = True
    simulator.reset(seed)
    play(simulator, scheduling.schedulers["greedy"](0), scheduling)
    assert simulator.terminated


def test_the_published_rules_do_not_conserve_work():
    """The counterexample: who idles in the common pool is not offered when a stage becomes ready."""
    narrow_then_wide = [Stage(1, first={5: [1000.0]}), Stage(4, first={5: [1000.0]}, parents=(0,))]
    job_set = make_job_set("narrow-then-wide", [Job("narrow-then-wide", narrow_then_wide)])
    completion_ms = {}
    for conserving in (False, True):
        simulator = Watched(
            job_set,
            num_executors=2,
            num_jobs=1,
            mean_interarrival_ms=1.0,
            moving_delay_ms=500.0,
            warmup_delay_ms=0.0,
            work_conserving=conserving,
        )
        simulator.strictly_work_conserving = conserving
        simulator.reset(0)
        simulator.commit(simulator.schedulable()[0], 1)
        assert (simulator.now_ms, simulator.source) == (0.0, simulator.common)
        simulator.decline()  # the second executor stays in the common pool
        while not simulator.terminated:
            simulator.commit(simulator.schedulable()[0], simulator.committable)
        completion_ms[conserving] = simulator.jobs[0].completion_ms
    # 500 on the way, 1000 for stage 0; then one executor for four tasks, or a second one from 500 ms later on
    assert completion_ms == {False: 5500.0, True: 4000.0}


@settings(max_examples=50, deadline=None)
@given(job_sets, settings_of_a_cluster, scheduler_names, seeds)
def test_same_seed_same_episode(scheduling, job_set, options, name, seed):
    logs = []
    for simulator in (ReferenceSimulator(job_set, **options), ReferenceSimulator(job_set, **options)):
        simulator.reset(seed + 1 if seed < 2**63 else seed - 1)  # an earlier episode leaves nothing behind
        simulator.reset(seed)
        try:
            scheduling.play(simulator, scheduling.schedulers[name](0))
        except DeadlockError:
            event("deadlock")
        logs.append((simulator.tasks, simulator.moves, simulator.decisions))
    assert logs[0] == logs[1]


@settings(max_examples=50, deadline=None)
@given(job_sets, settings_of_a_cluster, seeds, st.floats(1.0, 20_000.0))
def test_rewards_count_unfinished_jobs_up_to_the_time_limit(scheduling, job_set, options, seed, limit_ms):
    simulator = ReferenceSimulator(job_set, **options, time_limit_ms=limit_ms)
    simulator.reset(seed)
    rewards = scheduling.play(simulator, scheduling.schedulers["greedy"](0))
    assert simulator.terminated or (simulator.truncated and simulator.now_ms >= limit_ms)
    assert all(job.arrival_ms < limit_ms for job in simulator.jobs)
    job_ms = sum(
        (simulator.now_ms if job.completion_ms is None else job.completion_ms) - job.arrival_ms
        for job in simulator.jobs
        if job in simulator.active_jobs or job.completion_ms is not None
    )
    assert sum(rewards) * 1000 == pytest.approx(-job_ms, rel=1e-9, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(job_sets, settings_of_a_cluster, seeds)
def test_two_schedulers_see_the_same_luck(scheduling, job_set, options, seed):
    """Native streams: the same jobs, and a task's draw does not depend on when or where it runs."""
    drawn = []

    class Draws(ReferenceSimulator):
        def task_duration(self, executor, stage, task):
            key = (stage.job.id, stage.id, task)
            drawn[-1][key] = (
                self.stream.level_uniform(*key),
                self.stream.sample_index(*key, 10**6),
            )
            return super().task_duration(executor, stage, task)

    arrivals = []
    for name in ("greedy", "fair"):
        drawn.append({})
        simulator = Draws(job_set, **work_conserving(options))
        simulator.reset(seed)
        scheduling.play(simulator, scheduling.schedulers[name](0))
        arrivals.append([(job.arrival_ms, job.template.index) for job in simulator.jobs])
    assert arrivals[0] == arrivals[1]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0].values())) == len(drawn[0])
