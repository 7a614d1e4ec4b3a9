"""Decisions judged in imagined futures: what is copied, what is drawn anew, and what is not looked at."""

import numpy as np
import pytest
from gymnasium.utils.seeding import np_random

from agents.cjs.rollout_expert import Judgement, RolloutExpert, variants
from agents.cjs.rules.capped_srpt import CappedSRPT
from netenvs.cjs.engines import make_engine
from netenvs.cjs.options import CJSOptions
from netenvs.cjs.rules import FAIR


def clusters(rows=2, executors=10, jobs=12, decisions=60, seed=5, record_tasks=True, gap_ms=10_000.0):
    """An engine of synthetic clusters after some decisions of ``fair``."""
    options = CJSOptions(num_executors=executors, num_jobs=jobs, mean_interarrival_ms=gap_ms)
    engine = make_engine(options, rows, record_tasks)
    for row in range(rows):
        engine.seed_row(row, seed + row, np_random(seed + row)[0])
    engine.begin(np.ones(rows, np.bool_))
    for _ in range(decisions):
        engine.step(engine.decide(FAIR), False)
    assert not engine.outcomes["terminated"].any()
    return engine


def candidates(engine, row=0):
    """The decision of ``capped-srpt``, and one executor for each stage that may be chosen."""
    rule = CappedSRPT().rule(engine.options.num_executors)
    rows = [stage.row for stage in engine.view(row).schedulable]
    assert len(rows) > 1
    return [engine.decide(rule)[row], *(np.array([number, 0]) for number in rows)]


def test_futures_are_the_same_for_all_decisions_and_differ_from_one_another():
    engine = clusters()
    rule = engine.decide(CappedSRPT().rule(10))[0]
    found = RolloutExpert(engine, samples=5).judge(0, candidates(engine))
    assert found.actions[0].tolist() == rule.tolist()
    assert len(found.actions) > 1 and len({tuple(action) for action in found.actions}) == len(found.actions)
    assert found.costs_s.shape == (len(found.actions), 5)
    assert (found.costs_s > 0).all() and len(np.unique(found.costs_s[0])) == 5
    again = RolloutExpert(engine, samples=5).judge(0, candidates(engine))
    assert np.array_equal(again.costs_s, found.costs_s), "the seed determines them"
    assert not np.array_equal(
        RolloutExpert(engine, samples=5, seed=1).judge(0, candidates(engine)).costs_s, found.costs_s
    )
    same_future = found.costs_s.std(axis=1).mean(), (found.costs_s - found.costs_s[0])[1:].std(axis=1).mean()
    assert same_future[1] < same_future[0], "differences vary less than costs"


def test_the_cluster_itself_is_left_alone():
    engine, untouched = clusters(), clusters()
    RolloutExpert(engine, samples=2).judge(1, candidates(engine, 1))
    for _ in range(20):
        for other in (engine, untouched):
            other.step(other.decide(FAIR), False)
        assert np.array_equal(engine.outcomes, untouched.outcomes)


@pytest.mark.parametrize("hidden", ["next_arrival_ms", "key", "stream", "end"])
def test_nothing_that_is_still_to_come_is_looked_at(hidden):
    engine, other = clusters(decisions=25, jobs=40), clusters(decisions=25, jobs=40)
    batch = other.clusters.batch
    if hidden == "stream":
        batch.jobs["stream"] += 12345
    elif hidden == "end":
        events, busy = batch.events[0], batch.executors[0]["busy"]
        count = batch.state[0]["num_events"]
        moved = busy[events["executor"][:count]]
        assert moved.sum() > 3
        events["time_ms"][:count][moved] += 50_000.0
    else:
        assert np.isfinite(batch.state["next_arrival_ms"][0])
        batch.state[hidden][0] += 10_000
    wanted, found = (RolloutExpert(each, samples=3).judge(0, candidates(each)) for each in (engine, other))
    assert np.array_equal(found.costs_s, wanted.costs_s)


def test_how_long_tasks_have_run_counts():
    engine, other = clusters(), clusters()
    other.clusters.batch.task_log["start_ms"] -= 3000.0
    wanted, found = (RolloutExpert(each, samples=3).judge(0, candidates(each)) for each in (engine, other))
    assert (found.costs_s != wanted.costs_s).all()


def test_tasks_at_work_end_after_now_and_run_as_long_as_their_kind_does():
    engine = clusters(rows=1)
    expert = RolloutExpert(engine, samples=400)
    state = engine.clusters.batch.state[0]
    imagined = expert._imagine(0, 1).batch
    count = state["num_events"]
    assert (imagined.state["num_events"] == count).all()
    busy = engine.clusters.batch.executors[0]["busy"]
    original = {int(e["executor"]): e["time_ms"] for e in engine.clusters.batch.events[0][:count]}
    ends = np.zeros((400, 10))
    for row in range(400):
        times = imagined.events[row]["time_ms"][:count]
        assert (times >= state["now_ms"]).all()
        assert all(times[(i - 1) // 2] <= times[i] for i in range(1, count)), "a heap"
        for event in imagined.events[row][:count]:
            ends[row, event["executor"]] = event["time_ms"]
    for executor, time_ms in original.items():
        drawn = ends[:, executor]
        if busy[executor]:
            assert drawn.min() <= time_ms * (1 + 1e-9) and drawn.max() >= time_ms * (1 - 1e-9)
        else:
            assert (drawn == time_ms).all(), "in flight: it arrives when it arrives"
    assert busy.sum() > 3
    assert len(np.unique(ends[:, np.flatnonzero(busy)[0]])) > 5


def test_as_many_jobs_arrive_as_were_asked_for():
    engine = clusters(rows=1, jobs=12)
    there = engine.outcomes["jobs_in_system"][0]
    for future in (1, 6):
        expert = RolloutExpert(engine, samples=200, future_jobs=future)
        imagined = expert._imagine(0, 1)
        now_ms = engine.clusters.batch.state["now_ms"][0]
        gaps = imagined.batch.state["next_arrival_ms"] - now_ms
        assert gaps.mean() == pytest.approx(10_000, rel=0.25) and gaps.min() > 0
        done = imagined.batch.state["num_done"].copy()
        imagined.play(FAIR)
        assert (imagined.batch.state["num_done"] - done == there + future).all()


def test_it_goes_on_after_the_last_arrival():
    engine = clusters(rows=1, jobs=3, decisions=0)
    while engine.outcomes["jobs_in_system"][0] + engine.outcomes["jobs_done"][0] < 3:
        engine.step(engine.decide(FAIR), False)
    assert np.isinf(engine.clusters.batch.state["next_arrival_ms"][0])
    found = RolloutExpert(engine, samples=3).judge(0, candidates(engine))
    assert np.isfinite(found.costs_s).all()


def test_declining_is_judged_too():
    engine = clusters()
    found = RolloutExpert(engine, samples=4).judge(0, [engine.decide(FAIR)[0], np.zeros(2, int)])
    assert found.actions.tolist()[1] == [0, 0]
    assert not np.array_equal(found.costs_s[0], found.costs_s[1])


def test_the_best_is_better_by_more_than_the_noise():
    actions = np.array([[1, 0], [2, 0], [3, 0]])
    noisy = np.array([[10.0, 10, 10, 10], [9.0, 11, 2, 17], [9, 9, 10, 9]])
    assert Judgement(actions, noisy).best() == 2
    assert Judgement(actions, noisy[:2]).best() == 0
    assert Judgement(actions, noisy).best(margin=10.0) == 0
    assert Judgement(actions[:1], noisy[:1]).best() == 0


def test_it_beats_the_rule_where_the_rule_is_poor():
    """On top of ``fair``, rollouts take hundreds of job-seconds off."""
    totals = []
    for judged in (False, True):
        engine = clusters(rows=1, jobs=8, decisions=0)
        expert = RolloutExpert(engine, rule=FAIR, samples=6)
        while not engine.outcomes["terminated"][0]:
            actions = engine.decide(FAIR)
            if judged:
                rules = [CappedSRPT().rule(10), *variants(CappedSRPT().rule(10))]
                found = expert.judge(0, [actions[0], *(engine.decide(rule)[0] for rule in rules)])
                actions[0] = found.actions[found.best()]
            engine.step(actions, False)
        totals.append(8 * engine.outcomes["mean_jct_s"][0])
    assert totals[1] < totals[0] - 100


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="record_tasks=True"):
        RolloutExpert(clusters(decisions=0, record_tasks=False))
    with pytest.raises(ValueError, match="samples and future_jobs must be 1 or more"):
        RolloutExpert(clusters(decisions=0), samples=0)
