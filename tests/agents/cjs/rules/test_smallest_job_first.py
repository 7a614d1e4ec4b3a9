"""``sjf-cp``, ``cpt``, ``srpt``, and what all rules by size share, on clusters made by hand."""

import pytest
from hand_made_clusters import BLOCKED, WAITING, decided, make_view

from agents.cjs.rules.capped_srpt import CappedSRPT
from agents.cjs.rules.smallest_job_first import CPT, SJFCP, SRPT, remaining_path_ms, remaining_work_ms, total_work_ms
from agents.cjs.rules.weighted_fair import WeightedFair


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
