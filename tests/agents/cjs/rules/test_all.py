"""All rules: the published decisions, Python against the kernel, and who is best."""

import gzip
import json

import numpy as np
import pytest
from cjs_means import mean_jct_s
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from agents.cjs import Decision, Scheduler
from agents.cjs.rules.capped_srpt import CappedSRPT
from agents.cjs.rules.oldest_job_first import FIFO, Fair, FIFOFull
from agents.cjs.rules.smallest_job_first import CPT, SJFCP, SRPT
from agents.cjs.rules.weighted_fair import WeightedFair
from agents.cjs.scheduler import Heuristic, to_action
from agents.policy import load_policy
from agents.registry import registered
from agents.rollout import EpisodeSpec, play
from netenvs.cjs.engines import FastEngine
from netenvs.cjs.jobs import LEVELS, Job, Stage, make_job_set
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


def test_order_of_the_schedulers_under_overload():
    """Synthetic jobs, ten executors: least remaining work and a share for everybody beat either alone."""
    names = ("capped-srpt", "weighted-fair", "srpt", "fair", "fifo-full", "random")
    jct_s = [mean_jct_s(name, 10, 20, "synthetic", range(20)) for name in names]
    assert jct_s == sorted(jct_s)


def test_every_registered_scheduler_is_tested_here():
    assert set(registered("cjs")) == {*HEURISTICS, "random", "decima-released", "decima", "netllm", "mamba4net"}
    for name in HEURISTICS:
        assert isinstance(load_policy(name, "cjs"), Heuristic)
