"""``capped-srpt``: its constants, its caps, and that it is the strongest rule."""

import pytest
from cjs_means import mean_jct_s
from hand_made_clusters import BLOCKED, DONE, WAITING, decided, make_view

from agents.cjs.rules.capped_srpt import FEW_EXECUTORS, MANY_EXECUTORS, CappedSRPT
from netenvs import datasets
from netenvs.cjs.fast import FastClusters
from netenvs.cjs.workload import load_workload


class Fixed(CappedSRPT):
    """``capped-srpt`` with one set of constants for any number of executors."""

    def __init__(self, constants):
        self.constants = constants

    def rule(self, num_executors):
        return self.constants


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
