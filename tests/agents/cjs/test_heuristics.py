"""Scheduling heuristics: known small cases, the published decisions, the same decisions in Python and in the kernel."""

import gzip
import json
import math

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from agents.cjs import DECLINE, Decision, Scheduler
from agents.cjs.by_arrival import FIFO, Fair, FIFOFull
from agents.cjs.by_size import CPT, SJFCP, SRPT, remaining_path_ms, remaining_work_ms, total_work_ms
from agents.cjs.capped_srpt import FEW_EXECUTORS, MANY_EXECUTORS, CappedSRPT
from agents.cjs.scheduler import Heuristic, to_action
from agents.cjs.simple import Random
from agents.cjs.weighted_fair import WeightedFair
from agents.policy import PolicyError, load_policy
from agents.registry import registered
from agents.rollout import EpisodeSpec, play
from netenvs import datasets
from netenvs.cjs.cluster_view import ClusterView
from netenvs.cjs.engines import FastEngine
from netenvs.cjs.fast import FastClusters
from netenvs.cjs.jobs import LEVELS, Job, Stage, make_job_set
from netenvs.cjs.kernel import JOB_VIEW, NONE, OUTCOME, STAGE_VIEW
from netenvs.cjs.options import CJSOptions
from netenvs.cjs.reference import DeadlockError
from netenvs.cjs.workload import load_workload

ENV_ID = "netenvs/CJS-v0"
HEURISTICS = ("fair", "fifo", "fifo-full", "weighted-fair", "sjf-cp", "cpt", "srpt", "capped-srpt")
PUBLISHED = {"workload": "tpch", "num_executors": 10, "num_jobs": 10, "rng": "netllm"}


class Fixed(CappedSRPT):
    """``capped-srpt`` with one set of constants for any number of executors."""

    def __init__(self, constants):
        self.constants = constants

    def rule(self, num_executors):
        return self.constants


def make_view(jobs, committable=4, source=None, num_executors=10, source_executors=None, can_decline=True):
    """A view of jobs (supply, stages); a stage is a dict of what differs from one that is schedulable."""
    template = make_job_set("hand", [Job("hand", [Stage(1, {5: [1.0]})])])
    usual = {"remaining": 2, "demand": 2, "rough_ms": 1000.0, "critical_path_ms": 1000.0}
    flags = {"ready": True, "frontier": True, "schedulable": True}
    job_array = np.zeros(len(jobs), JOB_VIEW)
    rows = []
    for number, (supply, stages) in enumerate(jobs):
        job_array[number]["id"], job_array[number]["supply"] = number, supply
        job_array[number]["num_stages"] = len(stages)
        rows += [{"job": number, "id": i, **usual, **flags, **stage} for i, stage in enumerate(stages)]
    stage_array = np.zeros(len(rows), STAGE_VIEW)
    for index, row in enumerate(rows):
        for name, value in {"row": index + 1, **row}.items():
            stage_array[index][name] = value
    outcome = np.zeros(1, OUTCOME)[0]
    outcome["now_ms"], outcome["can_decline"], outcome["committable"] = 1500.0, can_decline, committable
    outcome["source_job"], outcome["source_stage"] = NONE if source is None else source, NONE
    outcome["source_executors"] = committable if source_executors is None else source_executors
    return ClusterView(template, num_executors, outcome, job_array, stage_array)


def decided(scheduler, view):
    """((job, stage), executors), or None for a decline."""
    stage, executors = scheduler.decide(view)
    return None if stage is None else ((stage.job.id, stage.id), executors)


WAITING = {"frontier": False}
BLOCKED = {"ready": False, "frontier": False, "schedulable": False}
DONE = {"remaining": 0, "completed": 2, "demand": 0, **BLOCKED}


# --- fair, fifo, fifo-full ---


def test_by_arrival_own_job_first():
    """All that is on offer, whatever the cap; a stage of the frontier before one that has to wait."""
    view = make_view([(0, [{}]), (9, [WAITING, {}])], committable=6, source=1)
    for scheduler in (Fair(), FIFO(), FIFOFull()):
        assert decided(scheduler, view) == ((1, 1), 6)


def test_by_arrival_without_a_frontier_the_first_stage():
    view = make_view([(0, [DONE, WAITING, WAITING])])
    assert decided(FIFOFull(), view) == ((0, 1), 4)


@pytest.mark.parametrize(
    ("scheduler", "choice"),
    [(Fair(), ((2, 0), 2)), (FIFO(), ((1, 0), 1)), (FIFOFull(), ((0, 0), 2))],
)
def test_by_arrival_caps(scheduler, choice):
    """10 executors, 3 jobs: fair up to 4 a job, fifo 5, fifo-full 10."""
    view = make_view([(8, [{}]), (4, [{}]), (2, [{}])], committable=9)
    assert decided(scheduler, view) == choice


def test_by_arrival_declines_where_all_jobs_have_their_cap():
    view = make_view([(5, [{}]), (6, [{}])])
    assert Fair().decide(view) == FIFO().decide(view) == DECLINE
    assert decided(FIFOFull(), view) == ((0, 0), 4)


def test_fair_counts_jobs_that_need_nothing():
    """Also those, and a job whose executors are on offer is no candidate a second time."""
    assert decided(Fair(), make_view([(0, [DONE]), (4, [{}])])) == ((1, 0), 1)
    assert decided(Fair(), make_view([(0, [BLOCKED]), (0, [{}])], source=0, committable=9)) == ((1, 0), 5)


# --- by size ---


def test_sizes():
    view = make_view(
        [
            (0, [{"remaining": 3, "running": 1, "completed": 2, "rough_ms": 100.0}, {"rough_ms": 10.5}]),
            (0, [{"remaining": 0, "completed": 4, "rough_ms": 7.0, "critical_path_ms": 99.0}, {"remaining": 1}]),
        ]
    )
    assert total_work_ms(view) == [6 * 100.0 + 2 * 10.5, 4 * 7.0 + 1000.0]
    assert remaining_work_ms(view) == [3.5 * 100.0 + 2 * 10.5, 1000.0]
    assert remaining_path_ms(view) == [1000.0, 1000.0]


@pytest.mark.parametrize(
    ("scheduler", "job"),
    [(SJFCP(), 0), (SRPT(), 1), (CPT(), 2), (WeightedFair(), 1), (CappedSRPT(), 1)],
)
def test_each_order_has_its_first_job(scheduler, job):
    """Job 0 was the smallest, job 1 has least left to do, job 2 has the shortest path."""
    view = make_view(
        [
            (0, [{"remaining": 8, "demand": 8}]),
            (0, [{"remaining": 3, "completed": 9, "demand": 3}]),
            (0, [{"remaining": 30, "demand": 30, "critical_path_ms": 500.0}]),
        ]
    )
    assert decided(scheduler, view)[0] == (job, 0)


def test_by_size_inside_a_job():
    """The frontier first; then the longest path for sjf-cp and cpt, the first stage for srpt."""
    paths = [{**WAITING, "critical_path_ms": 9000.0}, {"critical_path_ms": 500.0}, {"critical_path_ms": 800.0}]
    view = make_view([(0, paths)])
    assert decided(SJFCP(), view) == decided(CPT(), view) == ((0, 2), 2)
    assert decided(SRPT(), view) == ((0, 1), 2)


def test_by_size_ties_go_to_the_older_job():
    view = make_view([(0, [BLOCKED]), (0, [{}]), (0, [{}])])
    for scheduler in (SJFCP(), CPT(), SRPT(), WeightedFair(), CappedSRPT()):
        assert decided(scheduler, view)[0] == (1, 0)


def test_srpt_gives_what_the_stage_can_use():
    assert decided(SRPT(), make_view([(7, [{"demand": 3, "remaining": 3}])], committable=9)) == ((0, 0), 3)
    assert decided(SRPT(), make_view([(7, [{"demand": 30, "remaining": 30}])], committable=9)) == ((0, 0), 9)


# --- weighted-fair ---


@pytest.mark.parametrize(
    ("alpha", "caps"), [(0.0, [5, 5]), (1.0, [8, 2]), (-1.0, [2, 8]), (0.5, [7, 4]), (10.0, [10, 1])]
)
def test_weighted_shares(alpha, caps):
    """Work 4 : 1 and 10 executors; 0.5: 2 : 1, 6.67 and 3.33 rounded up."""
    view = make_view([(0, [{"remaining": 8}]), (0, [{"remaining": 1, "completed": 1}])])
    assert WeightedFair(alpha).caps(view) == caps


def test_weighted_fair_is_exact_for_equal_jobs():
    """Shares that are whole numbers are not rounded up for the sake of a rounding error."""
    view = make_view([(0, [{"remaining": 7, "rough_ms": 1234.5}])] * 3, num_executors=9)
    assert WeightedFair(0.3).caps(view) == [3] * 3


def test_weighted_fair_passes_over_a_job_with_its_share():
    jobs = [(5, [{"remaining": 2, "demand": 2}]), (1, [{"remaining": 40, "demand": 40}])]
    assert decided(WeightedFair(0.0), make_view(jobs)) == ((1, 0), 4)
    own = make_view(jobs, source=0, committable=1)
    assert decided(WeightedFair(0.0), own) == ((0, 0), 1), "the executors on offer are part of the job's five"
    own = make_view([(7, [{}]), jobs[1]], source=0, committable=1)
    assert decided(WeightedFair(0.0), own) == ((1, 0), 1), "a share binds the job that offers, too"


def test_shares_do_not_leave_executors_idle():
    view = make_view([(5, [{"remaining": 9, "demand": 9}]), (6, [{}])])
    assert decided(WeightedFair(0.0), view) == ((1, 0), 2)


@pytest.mark.parametrize("alpha", [11, -10.5, math.nan, math.inf])
def test_weighted_fair_checks_alpha(alpha):
    with pytest.raises(ValueError, match="alpha must be from -10 to 10, not"):
        WeightedFair(alpha)


def test_weighted_fair_alpha_in_brackets():
    policy = load_policy("weighted-fair(alpha=-1)", "cjs")
    assert (policy.alpha, policy.name) == (-1.0, "weighted-fair(alpha=-1)")


# --- capped-srpt ---

PLAIN = CappedSRPT().rule(10)._replace(share=1.0, growth=0.5, crowding=-1.0, own_factor=0.5, early=1.0, hold=0.0)


def work(seconds, **fields):
    """A stage of tasks of one second."""
    return {"remaining": seconds, "demand": seconds, **fields}


def test_caps_of_capped_srpt():
    """N (W / 100 s)^0.5 / 2 jobs: 100 s -> 5, 25 s -> 2.5, rounded up; 1 at least and N at most."""
    view = make_view([(0, [work(100)]), (0, [work(25)])])
    assert Fixed(PLAIN).caps(view) == [5, 3]
    assert Fixed(PLAIN._replace(share=100.0)).caps(view) == [10, 10]
    assert Fixed(PLAIN._replace(share=0.001)).caps(view) == [1, 1]


def test_capped_srpt_prefers_the_job_on_offer():
    """Its work counts half: 60 s against 40 s."""
    jobs = [(0, [work(40)]), (4, [work(60)])]
    assert decided(Fixed(PLAIN), make_view(jobs, source=1))[0] == (1, 0)
    assert decided(Fixed(PLAIN), make_view(jobs))[0] == (0, 0)
    assert decided(Fixed(PLAIN._replace(own_factor=0.7)), make_view(jobs, source=1))[0] == (0, 0)


def test_capped_srpt_sends_few_executors_early():
    """A stage whose tasks cannot start gets 0.4 of 4, rounded up."""
    constants = PLAIN._replace(share=10.0, early=0.4)
    assert decided(Fixed(constants), make_view([(0, [work(40, **WAITING)])])) == ((0, 0), 2)
    assert decided(Fixed(constants), make_view([(0, [work(40)])])) == ((0, 0), 4)


def test_capped_srpt_holds_executors_for_the_next_stages():
    """Half of min(6 in the pool, 20 needed later) stay; what is left of them is declined."""
    constants = PLAIN._replace(share=10.0, hold=0.5)
    jobs = [(6, [{**DONE}, work(20, **BLOCKED)]), (0, [work(40)])]
    assert decided(Fixed(constants), make_view(jobs, source=0, committable=6)) == ((1, 0), 3)
    left = {"source": 0, "committable": 3, "source_executors": 6}
    assert decided(Fixed(constants), make_view(jobs, **left)) is None
    assert decided(Fixed(constants), make_view(jobs, **left, can_decline=False)) == ((1, 0), 3)
    needs_two = [(6, [{**DONE}, work(2, **BLOCKED)]), jobs[1]]
    assert decided(Fixed(constants), make_view(needs_two, source=0, committable=6)) == ((1, 0), 5)


def test_capped_srpt_caps_are_not_strict():
    jobs = [(5, [work(40)]), (7, [work(60)])]
    assert decided(Fixed(PLAIN), make_view(jobs)) == ((0, 0), 4)


def test_constants_follow_the_number_of_executors():
    """Those tuned for 10 and for 50, and in between what lies between them."""

    def constants(size):
        rule = CappedSRPT().rule(size)._asdict()
        return {name: rule[name] for name in FEW_EXECUTORS}

    assert constants(1) == constants(10) == FEW_EXECUTORS
    assert constants(50) == constants(400) == pytest.approx(MANY_EXECUTORS)
    middle = constants(22)  # about the geometric mean
    for name, few in FEW_EXECUTORS.items():
        assert middle[name] == pytest.approx((few + MANY_EXECUTORS[name]) / 2, abs=0.01)


# --- Python and kernel decide equally ---


def assert_equal_decisions(heuristic, engine, decisions=10_000):
    """Play all rows of an engine to the end; returns the decisions."""
    played = 0
    engine.begin(np.ones(engine.rows, np.bool_))
    while played < decisions:
        rows = np.flatnonzero(~(engine.outcomes["terminated"] | engine.outcomes["truncated"]))
        if not len(rows):
            break
        actions = np.zeros((engine.rows, 2), np.int64)
        actions[rows] = heuristic.act_batch(None, {"clusters": engine, "row": rows})
        for row in rows.tolist():
            view = engine.view(row)
            assert to_action(view, heuristic.decide(view)).tolist() == actions[row].tolist(), (row, view)
        engine.step(actions, False)
        assert not engine.outcomes["invalid_action"].any()
        played += len(rows)
    return played


durations = st.lists(st.sampled_from([0, 100, 200, 700, 1301]), max_size=3)
some_durations = st.lists(st.sampled_from([0, 100, 200, 700, 1301]), min_size=1, max_size=3)


@st.composite
def small_jobs(draw):
    stages = []
    for index in range(draw(st.integers(1, 5))):
        levels = draw(st.sets(st.sampled_from(LEVELS[:3]), min_size=1))
        stages.append(
            Stage(
                num_tasks=draw(st.integers(1, 9)),
                first={level: draw(some_durations) for level in levels},
                rest={level: draw(durations) for level in levels},
                parents=tuple(draw(st.sets(st.integers(0, index - 1), max_size=2))) if index else (),
            )
        )
    return Job("random", stages)


@st.composite
def small_clusters(draw, bounded):
    """An engine of two rows; ``bounded``: not all jobs have rows in the observation."""
    jobs = make_job_set("random", draw(st.lists(small_jobs(), min_size=1, max_size=3)))
    options = CJSOptions(
        num_executors=draw(st.integers(1, 12)),
        num_jobs=draw(st.integers(1, 8)),
        mean_interarrival_ms=draw(st.sampled_from([1.0, 500.0, 5000.0])),
        moving_delay_ms=draw(st.sampled_from([100.0, 700.0])),
        work_conserving=draw(st.booleans()),
        time_limit_ms=draw(st.sampled_from([None, None, 3000.0])),
        max_jobs=draw(st.integers(1, 4)) if bounded else None,
        max_stages=draw(st.integers(5, 9)) if bounded else None,
    )
    engine = FastEngine(jobs, options, 2, False)
    for row, seed in enumerate(draw(st.lists(st.integers(0, 10**6), min_size=2, max_size=2))):
        engine.seed_row(row, seed, np.random.default_rng(seed))
    return engine


alphas = st.sampled_from([-2.0, -1.0, -0.3, 0.0, 0.5, 1.0, 2.0])
constants = st.builds(
    CappedSRPT().rule(50)._replace,
    share=st.floats(0.01, 2.0),
    growth=st.floats(0.0, 1.0),
    crowding=st.floats(-1.0, 0.0),
    own_factor=st.floats(0.3, 1.0),
    early=st.floats(0.1, 1.0),
    hold=st.floats(0.0, 1.0),
    longest_path_first=st.booleans(),
)
heuristics = st.one_of(
    st.sampled_from([Fair(), FIFO(), FIFOFull(), SJFCP(), CPT(), SRPT()]),
    st.builds(WeightedFair, alphas),
    st.builds(Fixed, constants),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(heuristics, small_clusters(bounded=False))
def test_python_and_kernel_decide_equally(heuristic, engine):
    """And no rule declines where that would leave jobs unfinished: the engine would raise."""
    assert_equal_decisions(heuristic, engine)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(heuristics, small_clusters(bounded=True))
def test_python_and_kernel_decide_equally_on_what_is_visible(heuristic, engine):
    try:
        assert_equal_decisions(heuristic, engine)
    except DeadlockError:
        event("nothing visible was left to decide")


@pytest.mark.parametrize(
    "name", [*HEURISTICS, "weighted-fair(alpha=-1)", "weighted-fair(alpha=0)", "weighted-fair(alpha=0.5)"]
)
@pytest.mark.parametrize(
    ("workload", "num_executors"), [("synthetic", 10), ("tpch", 10), ("tpch", 30), ("tpch", 50), ("tpch", 110)]
)
def test_python_and_kernel_decide_equally_on_large_jobs(name, workload, num_executors, request):
    if workload == "tpch":
        request.getfixturevalue("netllm_tpch")
    options = CJSOptions(num_executors=num_executors, num_jobs=12)
    engine = FastEngine(load_workload(workload), options, 2, False)
    for row in range(2):
        engine.seed_row(row, row, np.random.default_rng(row))
    assert assert_equal_decisions(load_policy(name, "cjs"), engine) > 100


def test_heuristics_play_alike_in_batches_and_on_both_engines():
    options = {"num_executors": 8, "num_jobs": 4}
    episodes = [EpisodeSpec(3), EpisodeSpec(8)]
    for name in ("fair", "capped-srpt"):
        fast = play(load_policy(name, "cjs"), ENV_ID, episodes, options)
        slow = play(load_policy(name, "cjs"), ENV_ID, episodes, {**options, "engine": "simpy"}, num_envs=1)
        for one, other in zip(fast, slow, strict=True):
            assert one.actions.tolist() == other.actions.tolist()
            assert one.columns["time_s"].tolist() == other.columns["time_s"].tolist()


# --- random ---


def test_random_draws_as_published():
    """A job among those in the system until one has a stage, then executors; seeds like the published scheduler's."""
    view = make_view([(0, [BLOCKED]), (0, [WAITING, {}]), (0, [{}])], committable=7)
    scheduler, rng = Random(), np.random.RandomState(5)
    scheduler.reset(seed=5)
    for _ in range(20):
        left = [0, 1, 2]
        while (job := rng.choice(left)) == 0:
            left.remove(0)
        executors = rng.randint(1, 8)
        assert decided(scheduler, view) == ((job, 1 if job == 1 else 0), executors)


def test_random_follows_its_seed():
    options = {"num_executors": 5, "num_jobs": 3}
    one, other, again = (
        play(load_policy("random", "cjs"), ENV_ID, [EpisodeSpec(1, policy_seed)], options)[0].actions.tolist()
        for policy_seed in (1, 2**40 + 2, 1)
    )
    assert one == again != other


# --- the published decisions ---


@pytest.mark.parametrize("name", ["fair", "fifo", "random"])
def test_published_decisions(netllm_tpch, artifacts, name):
    """Every decision, reward and completion time of the published simulator under its own schedulers."""
    with gzip.open(artifacts / "cjs" / f"golden_n10_j10_{name}_seed0.json.gz", "rt") as file:
        log = json.load(file)
    chosen = []

    class Watched(Scheduler):
        scheduler = load_policy(name, "cjs")

        def reset(self, seed=None):
            self.scheduler.reset(seed)

        def decide(self, view):
            stage, executors = self.scheduler.decide(view)
            chosen.append((view.now_s * 1000.0, view.committable, stage and [stage.job.id, stage.id], executors))
            return Decision(stage, executors)

    (episode,) = play(Watched(), ENV_ID, [EpisodeSpec(0)], PUBLISHED, collect=lambda env, row: env.jobs_done(row))
    assert len(chosen) == log["result"]["decisions"]
    for (now_ms, committable, stage, executors), logged in zip(chosen, log["decisions"], strict=True):
        assert now_ms == pytest.approx(logged["t"], rel=1e-12)
        assert (committable, stage) == (logged["committable"], logged["stage"] if logged["stage_idx"] >= 0 else None)
        assert stage is None or executors == logged["num_exec"]
    assert episode.rewards * 1000 == pytest.approx([logged["reward"] for logged in log["decisions"]], rel=1e-9)
    completion_ms = dict(episode.collected[["job", "completion_ms"]].tolist())
    assert [completion_ms[job] for job in range(10)] == log["result"]["t_completed"]


# --- how good they are ---


def mean_jct_s(name, num_executors, num_jobs, workload="tpch", seeds=range(40)):
    options = {"workload": workload, "num_executors": num_executors, "num_jobs": num_jobs}
    episodes = play(load_policy(name, "cjs"), ENV_ID, [EpisodeSpec(seed) for seed in seeds], options)
    return np.mean([episode.columns["mean_jct_s"][-1] for episode in episodes])


@pytest.mark.parametrize(("num_executors", "num_jobs", "gain"), [(10, 20, 0.37), (50, 50, 0.16)])
def test_capped_srpt_beats_fair(netllm_tpch, num_executors, num_jobs, gain):
    """40 paired seeds."""
    fair = mean_jct_s("fair", num_executors, num_jobs)
    assert mean_jct_s("capped-srpt", num_executors, num_jobs) < (1 - gain) * fair
    assert mean_jct_s("weighted-fair", num_executors, num_jobs) < fair


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["greedy", "sampled"])
@pytest.mark.parametrize(("num_executors", "num_jobs"), [(10, 20), (50, 50)])
def test_capped_srpt_beats_the_released_decima(netllm_tpch, num_executors, num_jobs, mode):
    if not datasets.installed("decima-weights"):
        pytest.skip("data set decima-weights is not installed (python -m netenvs.datasets install decima-weights)")
    decima = mean_jct_s(f"decima-released(mode={mode})", num_executors, num_jobs)
    assert mean_jct_s("capped-srpt", num_executors, num_jobs) < decima


@pytest.mark.slow
@pytest.mark.parametrize(("num_executors", "num_jobs"), [(10, 20), (50, 50)])
def test_capped_srpt_leaves_no_job_unfinished(netllm_tpch, num_executors, num_jobs):
    """1,000 episodes; a decline that strands jobs would raise ``DeadlockError``."""
    clusters = FastClusters(load_workload("tpch"), rows=1000, num_executors=num_executors, num_jobs=num_jobs)
    for row in range(1000):
        clusters.seed(row, row)
    clusters.reset()
    clusters.play(CappedSRPT().rule(num_executors))
    assert clusters.batch.state["num_done"].tolist() == [num_jobs] * 1000


def test_order_of_the_schedulers_under_overload():
    """Synthetic jobs, ten executors: least remaining work and a share for everybody beat either alone."""
    names = ("capped-srpt", "weighted-fair", "srpt", "fair", "fifo-full", "random")
    jct_s = [mean_jct_s(name, 10, 20, "synthetic", range(20)) for name in names]
    assert jct_s == sorted(jct_s)


# --- mistakes ---


def faulty(answer):
    class Faulty(Scheduler):
        def decide(self, view):
            if view.now_s > 0:
                return answer(view)
            return Decision(view.schedulable[0], view.committable)

    return Faulty()


def blocked_stage(view):
    return next(stage for job in view.jobs for stage in job.stages if not stage.schedulable)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            lambda view: Decision(blocked_stage(view), 1),
            r"stage \d+ of job \d+ is not schedulable; choose one of stage \d+ of job \d+",
        ),
        (
            lambda view: Decision(view.schedulable[0], 99),
            r"stage \d+ of job \d+.*: executors must be a whole number from 1 to \d+ \(view.committable\), not 99",
        ),
        (lambda view: Decision(view.schedulable[0], 0), r"stage \d+ of job \d+.*: executors must be .*, not 0"),
        (lambda view: Decision(view.schedulable[0], 1.5), r"stage \d+ of job \d+.*: executors must be .*, not 1.5"),
        (lambda view: Decision(view.schedulable[0], True), r"stage \d+ of job \d+.*: executors must be .*, not True"),
        (lambda view: Decision(0, 1), r"0 is not schedulable; choose one of stage \d+ of job \d+"),
        (lambda view: None, r"decide\(view\) returned nothing; return Decision\(stage, executors\) or DECLINE"),
        (lambda view: view.schedulable[0], r"decide\(view\) returned stage \d+ of job .*; return Decision"),
        (lambda view: 1 // 0, "ZeroDivisionError: integer division or modulo by zero"),
    ],
)
def test_mistakes_are_one_line_with_scheduler_time_and_stage(answer, message):
    where = r"Faulty: seed 4, decision \d+: at \d+\.\d{3} s"
    with pytest.raises(PolicyError, match=rf"^{where}(: |, ){message}[^\n]*$"):
        play(faulty(answer), ENV_ID, [EpisodeSpec(4)], {"num_executors": 4, "num_jobs": 3})


def test_declining_for_ever_is_a_mistake():
    class Lazy(Scheduler):
        def decide(self, view):
            return DECLINE

    message = (
        r"^Lazy: seed 4, decision \d+: at \d+\.\d{3} s: declined although nothing else is going to happen; "
        r"\d+ jobs would stay unfinished\. Choose one of stage \d+ of job \d+[^\n]*$"
    )
    with pytest.raises(PolicyError, match=message):
        play(Lazy(), ENV_ID, [EpisodeSpec(4)], {"num_executors": 4, "num_jobs": 3})


def test_stages_of_another_decision_are_mistakes():
    """Views are snapshots: what was schedulable then need not be so now."""
    kept = []

    class Late(Scheduler):
        def decide(self, view):
            kept.append(view.schedulable[0])
            return Decision(kept[0], 1)

    with pytest.raises(PolicyError, match=r"Late: seed 4, decision 1: at .* is not schedulable"):
        play(Late(), ENV_ID, [EpisodeSpec(4)], {"num_executors": 4, "num_jobs": 3})


def test_a_scheduler_must_decide():
    with pytest.raises(NotImplementedError, match=r"Scheduler does not define decide\(view\)"):
        Scheduler().decide(make_view([(0, [{}])]))
    with pytest.raises(NotImplementedError, match=r"Heuristic does not define rule\(num_executors\)"):
        Heuristic().rule(10)


# --- one's own ---


def test_the_example_of_the_readme(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from agents.cjs import Decision, Scheduler\n\n"
        "class SmallestJobFirst(Scheduler):\n"
        "    def decide(self, view):\n"
        "        stage = min(view.schedulable, key=lambda s: s.job.remaining_work_ms)\n"
        "        return Decision(stage, view.committable)\n"
    )
    policy = load_policy(f"{file}:SmallestJobFirst")
    episodes = play(policy, ENV_ID, [EpisodeSpec(seed) for seed in range(5)], {"num_executors": 10, "num_jobs": 20})
    fair = mean_jct_s("fair", 10, 20, "synthetic", range(5))
    assert np.mean([episode.columns["mean_jct_s"][-1] for episode in episodes]) < fair


def test_every_registered_scheduler_is_tested_here():
    assert set(registered("cjs")) == {*HEURISTICS, "random", "decima-released", "decima", "netllm", "mamba4net"}
    for name in HEURISTICS:
        assert isinstance(load_policy(name, "cjs"), Heuristic)


def test_environment_id():
    assert gym.spec(ENV_ID).vector_entry_point is not None
