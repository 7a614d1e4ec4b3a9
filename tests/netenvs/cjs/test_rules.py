"""Rules inside the kernel, on clusters small enough to decide by hand. Their Python twins: tests/agents/cjs."""

import numpy as np
import pytest

from netenvs.cjs.fast import FastClusters
from netenvs.cjs.jobs import Job, Stage, make_job_set
from netenvs.cjs.kernel import COMMON
from netenvs.cjs.rules import (
    BY_REMAINING_WORK,
    BY_TOTAL_WORK,
    EQUAL,
    FAIR,
    FIFO,
    FIFO_FULL,
    REMAINING_PATH,
    REMAINING_WORK,
    TOTAL_WORK,
    Rule,
)


def stage(tasks, duration_ms=1000.0, parents=()):
    return Stage(tasks, {5: [duration_ms]}, parents=parents)


def clusters(*jobs, arrivals=None, num_executors=10, rows=1, **options):
    """At the first decision; by default, all jobs arrive at 0."""
    job_set = make_job_set("small", [Job(f"job {number}", stages) for number, stages in enumerate(jobs)])
    arrivals = [(0.0, number) for number in range(len(jobs))] if arrivals is None else arrivals
    made = FastClusters(
        job_set, rows=rows, num_executors=num_executors, given_arrivals=arrivals, record_tasks=True, **options
    )
    made.reset()
    return made


def decided(made, rule, row=0):
    """((job, stage), executors), or None for a decline."""
    stages, executors = made.decide(rule)
    if stages[row] == 0:
        assert executors[row] == 0
        return None
    view = made.stages(row)[made.stages(row)["pool"] == stages[row]][0]
    return (int(view["job"]), int(view["id"])), int(executors[row])


def decide_round(made, rule):
    """All decisions until the clock goes on."""
    found, now_ms = [], made.batch.state["now_ms"][0]
    while made.batch.state["now_ms"][0] == now_ms and not made.batch.state["terminated"][0]:
        found.append(decided(made, rule))
        made.step(*made.decide(rule))
    return found


def test_caps_by_arrival():
    """Ten executors, three jobs: each up to 4, 5 or 10; what is left when all have theirs is declined."""
    jobs = [[stage(20)], [stage(20)], [stage(20)]]
    assert decide_round(clusters(*jobs), FAIR) == [((0, 0), 4), ((1, 0), 4), ((2, 0), 2)]
    assert decide_round(clusters(*jobs), FIFO) == [((0, 0), 5), ((1, 0), 5)]
    assert decide_round(clusters(*jobs), FIFO_FULL) == [((0, 0), 10)]
    assert decide_round(clusters([stage(20), stage(20)]), FIFO) == [((0, 0), 5), None]
    assert decide_round(clusters([stage(20)], num_executors=3), FIFO) == [((0, 0), 2)]


def test_frontier_first():
    """Stage 1 waits for stage 0, which needs no more executors; stage 2 can start at once."""
    rounds = decide_round(clusters([stage(3), stage(2, parents=(0,)), stage(2)]), FIFO_FULL)
    assert rounds == [((0, 0), 10), ((0, 2), 7), ((0, 1), 5)]


@pytest.mark.parametrize("rule", [FAIR, Rule(REMAINING_WORK)])
def test_own_executors(rule):
    """The job that offers executors keeps them while it can use them; then they move."""
    made = clusters([stage(2), stage(2, parents=(0,))], [stage(2, 700.0)], num_executors=2)
    decide_round(made, FIFO_FULL)  # both executors to job 0
    assert made.source() == (0, 0)
    assert decided(made, rule) == (((0, 1), 2) if rule is FAIR else ((1, 0), 2))


@pytest.mark.parametrize(("order", "first"), [(TOTAL_WORK, (0, 0)), (REMAINING_PATH, (2, 0)), (REMAINING_WORK, (0, 0))])
def test_orders(order, first):
    """Work 8, 9 and 30 s; paths of 1, 3 and 0.5 s."""
    made = clusters([stage(8)], [stage(3, 3000.0)], [stage(60, 500.0)])
    assert decided(made, Rule(order))[0] == first


def test_remaining_work_counts_half_of_the_tasks_at_work():
    """Job 0 began with 20 s of work, five tasks run and fifteen wait: 17.5 s."""
    for tasks, first in ((17, (1, 0)), (18, (0, 0))):
        made = clusters([stage(20)], [stage(tasks)], arrivals=[(0.0, 0), (2100.0, 1)])
        made.step(*made.decide(FIFO))
        assert (made.batch.state["now_ms"][0], made.source()) == (2100.0, (None, None))
        assert decided(made, Rule(REMAINING_WORK))[0] == first
        assert decided(made, Rule(TOTAL_WORK))[0] == (1, 0)


def test_longest_path_first():
    jobs = [[stage(2, 100.0), stage(2, 300.0), stage(2, 5000.0, parents=(0,))]]
    assert decided(clusters(*jobs), Rule(TOTAL_WORK)) == ((0, 0), 2)
    assert decided(clusters(*jobs), Rule(TOTAL_WORK, longest_path_first=True)) == ((0, 0), 2)
    jobs = [[stage(2, 100.0), stage(2, 300.0)]]
    assert decided(clusters(*jobs), Rule(TOTAL_WORK, longest_path_first=True)) == ((0, 1), 2)


@pytest.mark.parametrize(
    ("alpha", "given"),
    [
        (0.0, [((1, 0), 5), ((0, 0), 5)]),
        (1.0, [((1, 0), 2), ((0, 0), 8)]),
        (-1.0, [((1, 0), 8), ((0, 0), 2)]),
    ],
)
def test_shares_by_total_work(alpha, given):
    """40 and 10 s of work, the smaller job first."""
    rule = Rule(REMAINING_WORK, BY_TOTAL_WORK, growth=alpha)
    assert decide_round(clusters([stage(40)], [stage(10)]), rule) == given


def test_shares_that_are_whole_numbers():
    """A third of nine is three, not four, although the weights do not add up exactly."""
    made = clusters(*[[stage(7, 1234.0)]] * 3, num_executors=9)
    rule = Rule(REMAINING_WORK, BY_TOTAL_WORK, growth=0.3)
    assert decide_round(made, rule) == [((0, 0), 3), ((1, 0), 3), ((2, 0), 3)]


def test_equal_shares_in_the_order_of_work():
    made = clusters([stage(40)], [stage(10)], [stage(50)])
    assert decide_round(made, Rule(REMAINING_WORK, EQUAL)) == [((1, 0), 4), ((0, 0), 4), ((2, 0), 2)]


def test_shares_by_remaining_work():
    """N x 0.5 x (W / 100 s)^0.5 x jobs^-1 = 2.5 x 2 = 5, and 2.5 x 1, rounded up."""
    rule = Rule(REMAINING_WORK, BY_REMAINING_WORK, share=0.5, growth=0.5, crowding=-1.0)
    assert decide_round(clusters([stage(400)], [stage(100)]), rule) == [((1, 0), 3), ((0, 0), 5)]


def test_shares_leave_nobody_idle():
    """What the shares leave goes to the first in order that can use it, also beyond its share."""
    rule = Rule(REMAINING_WORK, BY_REMAINING_WORK, share=0.1)
    made = clusters([stage(40), stage(40)])
    assert decide_round(made, rule) == [((0, 0), 1), ((0, 1), 9)]


def test_early_executors():
    """Ten executors, three run the parent, three tasks wait for it: half of three, rounded up."""
    jobs = [[stage(3), stage(3, parents=(0,))]]
    assert decide_round(clusters(*jobs), Rule(REMAINING_WORK, early=0.5)) == [((0, 0), 3), ((0, 1), 2)]


@pytest.mark.parametrize(("hold", "given"), [(0.0, 4), (0.3, 3), (0.5, 2), (1.0, 0)])
def test_held_executors(hold, given):
    """Job 0 offers four executors, its next stage can use them, and the one after that will, too."""
    chain = [stage(4), stage(4, parents=(0,)), stage(4, parents=(1,))]
    made = clusters(chain, [stage(4, 50.0)], arrivals=[(0.0, 0), (2500.0, 1)], num_executors=4)
    made.step(*made.decide(FIFO_FULL))
    assert (made.batch.state["now_ms"][0], made.source()) == (4000.0, (0, 0))
    rule = Rule(REMAINING_WORK, hold=hold)
    assert decided(made, rule) == (((1, 0), given) if given else ((0, 1), 4))


def test_held_executors_wait_at_their_job():
    """Two of four are held; one of them is early enough for job 0, the other one is declined, not sent to job 2."""
    chain = [stage(4), stage(9, parents=(0,)), stage(9, parents=(1,))]
    arrivals = [(0.0, 0), (2500.0, 1), (2500.0, 2)]
    made = clusters(chain, [stage(9, 50.0)], [stage(9)], arrivals=arrivals, num_executors=4)
    made.step(*made.decide(FIFO_FULL))
    assert decide_round(made, Rule(REMAINING_WORK, early=0.5, hold=0.5))[:3] == [((1, 0), 2), ((0, 1), 1), None]
    assert np.all(made.batch.executors["pool"] != COMMON)


def test_only_what_has_a_row_is_chosen():
    """The smallest job is the last to arrive; with one job in view, it has to wait."""
    jobs = [[stage(40)], [stage(10)]]
    assert decided(clusters(*jobs), Rule(REMAINING_WORK))[0] == (1, 0)
    assert decided(clusters(*jobs, max_jobs=1), Rule(REMAINING_WORK))[0] == (0, 0)
    assert decide_round(clusters(*jobs, max_jobs=1), FAIR) == [((0, 0), 5), None]
    assert decide_round(clusters(*jobs, max_stages=1), FAIR) == [((0, 0), 5), None]


def test_rows_that_are_over_decide_nothing():
    made = clusters([stage(1)], rows=2)
    made.step(*made.decide(FAIR))
    assert made.batch.state["terminated"].all()
    stages, executors = made.decide(FAIR)
    assert stages.tolist() == executors.tolist() == [0, 0]


@pytest.mark.parametrize(
    "rule",
    [
        FAIR,
        FIFO,
        Rule(TOTAL_WORK, longest_path_first=True),
        Rule(REMAINING_WORK, BY_TOTAL_WORK, growth=-1.0),
        Rule(REMAINING_WORK, BY_REMAINING_WORK, 0.5, 0.4, -0.5, 0.7, False, 0.5, 0.3),
    ],
)
def test_play_is_one_decision_after_the_other(rule):
    jobs = [[stage(9), stage(4, 300.0, (0,)), stage(7, 500.0, (0,))], [stage(30, 200.0), stage(2, 900.0, (0,))]]
    arrivals = [(700.0 * number, number % 2) for number in range(12)]
    whole, single = clusters(*jobs, arrivals=arrivals), clusters(*jobs, arrivals=arrivals)
    decisions = whole.play(rule)
    steps = 0
    while not single.batch.state["terminated"][0]:
        single.step(*single.decide(rule))
        assert not single.batch.state["invalid_action"][0]
        steps += 1
    assert steps == decisions > 12
    assert np.array_equal(whole.tasks(), single.tasks())
