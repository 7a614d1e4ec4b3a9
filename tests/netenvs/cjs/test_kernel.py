"""The fast engine agrees with the reference engine event by event, and keeps its memory small."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from netenvs.cjs import kernel
from netenvs.cjs.fast import FastClusters
from netenvs.cjs.jobs import LEVELS, Job, Stage, make_job_set
from netenvs.cjs.reference import DeadlockError, ReferenceSimulator
from netenvs.cjs.rules import FAIR, FIFO, FIFO_FULL
from netenvs.cjs.workload import load_workload

TASK_FIELDS = ("job", "stage", "executor", "start_ms", "duration_ms", "local_executors", "wave")
JOB_FIELDS = ("id", "template", "num_stages", "supply", "arrival_ms", "saturated")
STAGE_FIELDS = (
    "job",
    "id",
    "remaining",
    "running",
    "completed",
    "demand",
    "recent_ms",
    "ready",
    "frontier",
    "schedulable",
)

# few different durations, so that many events fall together
durations = st.lists(st.sampled_from([0, 100, 200, 700, 1301]), max_size=3)
some_durations = st.lists(st.sampled_from([0, 100, 200, 700, 1301]), min_size=1, max_size=3)


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


@st.composite
def clusters(draw):
    """A job set, and options that both engines take."""
    job_set = make_job_set("random", draw(st.lists(jobs(), min_size=1, max_size=3)))
    options = {
        "num_executors": draw(st.integers(1, 12)),
        "num_jobs": draw(st.integers(1, 8)),
        "mean_interarrival_ms": draw(st.sampled_from([1.0, 500.0, 5000.0])),
        "moving_delay_ms": draw(st.sampled_from([0.0, 100.0, 700.0])),
        "warmup_delay_ms": 300.0,
        "work_conserving": draw(st.booleans()),
        "time_limit_ms": draw(st.sampled_from([None, None, 3000.0])),
        "beta": draw(st.sampled_from([0.0, 0.0, 0.005])),
    }
    if options["work_conserving"]:
        options["moving_delay_ms"] = max(options["moving_delay_ms"], 100.0)
    arrivals = None
    if draw(st.booleans()):  # at the times of other events
        times = sorted(draw(st.lists(st.sampled_from([0.0, 100.0, 700.0, 1400.0]), min_size=1, max_size=8)))
        arrivals = [(time_ms, draw(st.integers(0, len(job_set) - 1))) for time_ms in times]
    return job_set, options, arrivals


class BothEngines:
    """The two engines side by side; everything that can be seen of them is compared at every decision."""

    def __init__(self, job_set, options, arrivals=None):
        self.reference = ReferenceSimulator(job_set, **options)
        self.fast = FastClusters(
            job_set, rows=1, **options, given_arrivals=arrivals, record_tasks=True, record_jobs=True
        )
        self.arrivals = arrivals

    def reset(self, seed, episode=0):
        """False where both report a deadlock."""
        self.fast.seed(0, seed, episode)
        return self.same_outcome(lambda: self.reference.reset(seed, episode, self.arrivals), self.fast.reset)

    def decide(self, stage, executors):
        """``stage`` of the reference engine, None = decline. False where both report a deadlock."""
        if stage is None:
            pool = kernel.COMMON
        else:
            job = next(job for job in self.fast.jobs() if job["id"] == stage.job.id)
            pool = job["pool"] + 1 + stage.id
        reward = []

        def decide_reference():
            reward.append(self.reference.decline() if stage is None else self.reference.commit(stage, executors))

        if not self.same_outcome(decide_reference, lambda: self.fast.step(np.array([pool]), np.array([executors]))):
            return False
        if self.reference.options.beta == 0:
            assert self.fast.batch.state["reward"][0] == reward[0]
        else:  # the exponential function of numba may differ from that of Python in the last bit
            assert self.fast.batch.state["reward"][0] == pytest.approx(reward[0], rel=1e-12, abs=1e-15)
        assert not self.fast.batch.state["invalid_action"][0]
        return True

    @staticmethod
    def same_outcome(reference, fast):
        try:
            reference()
        except DeadlockError as error:
            # the reference, "deadlock at 1.200 s: 1 jobs ..."; the fast engine adds the row
            where = str(error).replace(" s:", " s in row 0:").partition("executors idle")[0]
            with pytest.raises(DeadlockError) as caught:
                fast()
            assert str(caught.value).startswith(where)
            event("deadlock")
            return False
        fast()
        return True

    @property
    def over(self):
        state = self.fast.batch.state[0]
        assert (state["terminated"], state["truncated"]) == (self.reference.terminated, self.reference.truncated)
        return bool(state["terminated"] or state["truncated"])

    def compare_views(self):
        """What a scheduler sees."""
        reference, fast, state = self.reference, self.fast, self.fast.batch.state[0]
        assert state["now_ms"] == reference.now_ms
        assert fast.source() == ((None, None) if reference.source is None else reference.source.key)
        assert fast.committable() == reference.committable
        assert fast.jobs()[list(JOB_FIELDS)].tolist() == [
            (job.id, job.template.index, len(job.stages), job.supply, job.arrival_ms, job.saturated)
            for job in reference.active_jobs
        ]
        assert fast.jobs()["remaining_work_ms"].tolist() == [
            sum((stage.num_tasks - stage.num_completed) * stage.recent_ms for stage in job.stages)
            for job in reference.active_jobs
        ]
        schedulable = reference.schedulable()
        assert state["num_schedulable"] == len(schedulable)
        assert fast.stages()[list(STAGE_FIELDS)].tolist() == [
            (
                stage.job.id,
                stage.id,
                stage.remaining,
                stage.running,
                stage.num_completed,
                stage.demand,
                stage.recent_ms,
                stage.ready,
                stage.frontier,
                stage in schedulable,
            )
            for job in reference.active_jobs
            for stage in job.stages
        ]

    def compare_logs(self):
        """What happened."""
        assert self.fast.tasks()[list(TASK_FIELDS)].tolist() == [tuple(task) for task in self.reference.tasks]
        done = sorted(self.fast.jobs_done()[["job", "template", "arrival_ms", "completion_ms"]].tolist())
        assert done == [
            (job.id, job.template.index, job.arrival_ms, job.completion_ms)
            for job in self.reference.jobs
            if job.completion_ms is not None
        ]
        state = self.fast.batch.state[0]
        if state["status"] == kernel.READY:  # the reference does not record a decision that ends in a deadlock
            assert state["num_decisions"] == len(self.reference.decisions)
        assert state["num_tasks"] == len(self.reference.tasks)
        assert state["num_done"] == len(done)
        work_ms = sum(
            min(task.start_ms + task.duration_ms, state["now_ms"]) - task.start_ms for task in self.reference.tasks
        )
        busy_ms = self.fast.utilisation() * state["now_ms"] * self.reference.num_executors
        assert busy_ms == pytest.approx(work_ms, rel=1e-9, abs=1e-6)
        assert self.fast.mean_jct_s() == pytest.approx(self.reference.mean_jct_s(), rel=1e-12, nan_ok=True)

    def play(self, decide):
        """From the first decision to the end of the episode, or to a deadlock; ``decide`` sees the reference."""
        decisions = 0
        while not self.over:
            decisions += 1
            if decisions > 10_000:  # work_conserving offers again what a scheduler declines, even if it always does
                assert self.reference.options.work_conserving, "an episode without end"
                event("declined forever")
                return
            self.compare_views()
            choice = decide(self.reference)
            if not self.decide(*((None, 0) if choice is None else choice)):
                break
        self.compare_logs()


def check_agreement(scheduling, cluster, name, seed):
    engines = BothEngines(*cluster)
    for episode in (0, 1):  # the second one finds the slots of the first one
        if engines.reset(seed, episode):
            engines.play(scheduling.schedulers[name](seed % 2**32))
        else:
            engines.compare_logs()


names = st.sampled_from(["fair", "fifo", "fifo_full", "random", "greedy", "erratic"])
seeds = st.integers(0, 2**64 - 1)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clusters(), names, seeds)
def test_engines_agree(scheduling, cluster, name, seed):
    check_agreement(scheduling, cluster, name, seed)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clusters(), names, seeds)
def test_engines_agree_on_many_workloads(scheduling, cluster, name, seed):
    check_agreement(scheduling, cluster, name, seed)


@pytest.mark.parametrize("work_conserving", [False, True])
@pytest.mark.parametrize(("name", "num_executors"), [("fair", 10), ("erratic", 10), ("fair", 120), ("erratic", 101)])
def test_engines_agree_on_synthetic_jobs(scheduling, name, num_executors, work_conserving):
    """120 executors: beyond the largest level."""
    options = {"num_executors": num_executors, "num_jobs": 8, "work_conserving": work_conserving}
    engines = BothEngines(load_workload("synthetic"), {**options, "mean_interarrival_ms": 5000.0})
    assert engines.reset(7)
    engines.play(scheduling.schedulers[name](3))


def recorded(num_jobs=30):
    """Synthetic jobs as if they had been recorded, some at the same time, in another order than that of time."""
    times_ms = np.random.default_rng(5).integers(0, 40, num_jobs) * 2500.0
    return replace(load_workload(f"synthetic(count={num_jobs})"), arrival_ms=times_ms - times_ms.min())


@pytest.mark.parametrize(("num_jobs", "limit_ms"), [(8, None), (8, 9000.0), (30, None), (100, None), (None, None)])
@pytest.mark.parametrize("name", ["fair", "erratic"])
def test_engines_agree_on_recorded_arrivals(scheduling, name, num_jobs, limit_ms):
    """An episode is a stretch of the record, from its first job on at 0."""
    job_set = recorded()
    options = {"num_executors": 10, "num_jobs": num_jobs, "arrivals": "recorded", "time_limit_ms": limit_ms}
    engines = BothEngines(job_set, options)
    starts = set()
    for seed in range(4):
        assert engines.reset(seed)
        engines.play(scheduling.schedulers[name](3))
        every = job_set.recorded_arrivals
        found = [(job.arrival_ms, job.template.index) for job in engines.reference.jobs]
        first = every.index(next(pair for pair in every if pair[1] == found[0][1]))
        stretch = [(time_ms - every[first][0], template) for time_ms, template in every[first:][:num_jobs]]
        assert found == [pair for pair in stretch if limit_ms is None or pair[0] < limit_ms]
        assert limit_ms is not None or len(found) == min(num_jobs or len(found), 30)
        starts.add(first)
    assert len(starts) > 1 or num_jobs in (30, 100)


def test_workloads_without_arrivals_are_refused():
    with pytest.raises(ValueError, match="synthetic: its jobs have no arrivals, which arrivals='recorded' needs"):
        BothEngines(load_workload("synthetic"), {"num_jobs": 3, "arrivals": "recorded"})
    with pytest.raises(ValueError, match="arrivals='recorded' has no place in rng='netllm'"):
        ReferenceSimulator(load_workload("synthetic"), arrivals="recorded", rng="netllm")
    with pytest.raises(ValueError, match="unknown arrivals 'record'; did you mean 'recorded'"):
        ReferenceSimulator(load_workload("synthetic"), arrivals="record")


def test_engines_agree_beyond_the_largest_level(scheduling):
    """Above 100 local executors, the largest measured level stands for all N of them, level 100 for fewer."""
    wide = Job("wide", [Stage(400, first={level: [float(level)] for level in (80, 100, 120)})])
    engines = BothEngines(make_job_set("wide", [wide]), {"num_executors": 104, "num_jobs": 1})
    assert engines.reset(0)
    engines.play(scheduling.schedulers["greedy"](0))
    found = {(task["local_executors"], task["duration_ms"] % 1000) for task in engines.fast.tasks()}
    assert {(103, 100.0), (104, 120.0)} <= found


@pytest.mark.parametrize("work_conserving", [False, True])
@pytest.mark.parametrize("name", ["fair", "random"])
def test_engines_agree_on_tpch(tpch, scheduling, name, work_conserving):
    engines = BothEngines(tpch, {"num_executors": 10, "num_jobs": 10, "work_conserving": work_conserving})
    assert engines.reset(0)
    engines.play(scheduling.schedulers[name](0))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clusters(), st.sampled_from(["fair", "fifo", "fifo_full"]), seeds)
def test_episodes_played_by_the_kernel(scheduling, cluster, name, seed):
    """``play``: whole episodes without leaving the kernel are those of the published schedulers."""
    job_set, options, arrivals = cluster
    engines = BothEngines(job_set, options, arrivals)
    if not engines.reset(seed):
        return
    rule = {"fair": FAIR, "fifo": FIFO, "fifo_full": FIFO_FULL}[name]
    assert engines.same_outcome(
        lambda: scheduling.play(engines.reference, scheduling.schedulers[name](0)), lambda: engines.fast.play(rule)
    )
    assert engines.over
    engines.compare_logs()


def chain(count, tasks=3):
    """A job of stages one after the other."""
    return Job("chain", [Stage(tasks, first={5: [100.0, 130.0]}, parents=(i - 1,) if i else ()) for i in range(count)])


def test_rows_are_independent():
    """A row plays the same episode alone and among others, and rows begin and end at their own times."""
    job_set = make_job_set("chains", [chain(1), chain(4, 7), chain(2, 20)])
    options = {"num_executors": 4, "num_jobs": 6, "mean_interarrival_ms": 300.0, "record_tasks": True}
    many = FastClusters(job_set, rows=3, **options)
    for row in range(3):
        many.seed(row, row)
    many.reset()
    steps = 0
    while not many.batch.state["terminated"].all():
        if steps == 4:  # row 1 starts again
            many.seed(1, 1, 0)
            many.reset(np.array([False, True, False]))
        many.step(*many.decide(FAIR))
        steps += 1
    for row in range(3):
        alone = FastClusters(job_set, rows=1, **options)
        alone.seed(0, row)
        alone.reset()
        alone.play(FAIR)
        assert len(alone.tasks()) == alone.batch.state["num_tasks"][0] > 6
        assert many.tasks(row).tolist() == alone.tasks().tolist()
        assert many.batch.state["now_ms"][row] == alone.batch.state["now_ms"][0]
    assert len({float(time_ms) for time_ms in many.batch.state["now_ms"]}) == 3


def test_autoreset_begins_the_next_episode():
    job_set = make_job_set("chain", [chain(2)])
    options = {"num_executors": 2, "num_jobs": 2, "mean_interarrival_ms": 50.0, "record_jobs": True}
    clusters = FastClusters(job_set, **options)
    clusters.seed(0, 5)
    clusters.reset()
    clusters.play(FAIR)
    first = clusters.jobs_done().copy()
    clusters.step(np.array([0]), np.array([0]), autoreset=False)
    assert clusters.batch.state["terminated"][0] and clusters.batch.state["reward"][0] == 0.0
    clusters.step(np.array([0]), np.array([0]), autoreset=True)
    assert not clusters.batch.state["terminated"][0]
    assert clusters.batch.state["episode"][0] == 1
    clusters.play(FAIR)
    again = FastClusters(job_set, **options)
    again.seed(0, 5, episode=1)
    again.reset()
    again.play(FAIR)
    assert clusters.jobs_done().tolist() == again.jobs_done().tolist() != first.tolist()


def test_impossible_decisions_are_replaced():
    """By the nearest possible one; what cannot be chosen at all is declined."""
    job_set = make_job_set("chain", [chain(2)])

    def outcome(stage, executors):
        clusters = FastClusters(job_set, num_executors=2, num_jobs=1)
        clusters.reset()
        assert clusters.stages()["schedulable"].tolist() == [True, False]
        try:
            clusters.step(np.array([stage]), np.array([executors]))
        except DeadlockError:
            return bool(clusters.batch.state["invalid_action"][0]), None
        moving = int(clusters.batch.pools["moving"].sum())
        return bool(clusters.batch.state["invalid_action"][0]), (clusters.batch.state["now_ms"][0], moving)

    first = 2  # after the common pool and the job's
    assert outcome(first, 2)[0] is False
    assert outcome(first, 7) == (True, outcome(first, 2)[1])
    assert outcome(first, -1) == outcome(first, 0) == (True, outcome(first, 1)[1])
    declined = outcome(0, 1)
    assert declined == (False, None)
    for nonsense in (-5, 1, first + 1, first + 2, 10**9):  # no stage, the job's pool, not ready, no such stage
        assert outcome(nonsense, 1) == (True, None)


def test_one_decision_a_row():
    clusters = FastClusters(make_job_set("chain", [chain(1)]), rows=3, num_executors=3, num_jobs=1)
    with pytest.raises(ValueError, match="broadcast"):
        clusters.reset(np.ones(4, np.bool_))
    clusters.reset()
    with pytest.raises(ValueError, match="broadcast"):
        clusters.step(np.zeros(4, np.int64), np.zeros(4, np.int64))


def test_deadlocks_are_reported():
    job_set = make_job_set("chain", [chain(1)])
    clusters = FastClusters(job_set, rows=2, num_executors=3, num_jobs=1)
    clusters.reset()
    with pytest.raises(DeadlockError, match=r"deadlock at 0\.000 s in row 1: 1 jobs are unfinished \(0\).*: 3\}"):
        clusters.step(np.array([2, 0]), np.array([3, 1]))
    assert clusters.batch.state["status"].tolist() == [kernel.READY, kernel.DEADLOCK]
    assert clusters.batch.state["terminated"].tolist() == [True, False]


def test_slots_are_used_again():
    """10,000 jobs need the memory of those that are in the system together."""
    clusters = FastClusters(
        make_job_set("chain", [chain(3)]),
        num_executors=6,
        num_jobs=10_000,
        mean_interarrival_ms=900.0,
        moving_delay_ms=100.0,
    )
    before = clusters.nbytes
    clusters.reset()
    clusters.play(FAIR)
    state = clusters.batch.state[0]
    assert (state["num_done"], state["num_tasks"]) == (10_000, 90_000)
    assert state["slots_touched"] < 100
    assert clusters.nbytes < 8 * before


def test_memory_grows_with_the_queue():
    """All jobs at once: more than the first slots and the first log have room for."""
    job_set = make_job_set("chain", [chain(2)])
    arrivals = [(0.0, 0)] * 300
    engines = BothEngines(job_set, {"num_executors": 5, "num_jobs": 300, "beta": 0.0}, arrivals)
    slots = engines.fast.batch.jobs.shape[1]
    assert engines.reset(0)
    assert engines.fast.batch.state["num_active"][0] == 300 > slots
    engines.fast.play(FAIR)
    assert len(engines.fast.tasks()) == 300 * 6
    assert engines.fast.batch.state["num_done"][0] == 300


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": 0}, "rows must be 1 or more, not 0"),
        ({"num_executors": 0}, "num_executors must be a whole number from 1 up, not 0"),
        ({"num_jobs": 0}, "num_jobs must be a whole number from 1 up, not 0"),
        ({"num_jobs": None}, "num_jobs=None needs a time_limit_ms"),
        ({"given_arrivals": []}, "arrivals is empty"),
        ({"given_arrivals": [(5.0, 0), (4.0, 0)]}, "in order of time"),
        ({"given_arrivals": [(0.0, 1)]}, "templates 0 to 0 of chain"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        FastClusters(make_job_set("chain", [chain(1)]), **options)


@pytest.mark.parametrize("engine", [ReferenceSimulator, FastClusters])
def test_work_conservation_needs_a_moving_delay(engine):
    """Without one, executors can change jobs for ever while the clock stands still."""
    jobs = load_workload("synthetic(count=1)")
    with pytest.raises(ValueError, match="needs a moving_delay_ms above 0, not 0"):
        engine(jobs, moving_delay_ms=0, work_conserving=True)
