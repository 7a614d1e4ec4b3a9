"""``fair``, ``fifo`` and ``fifo-full`` on clusters made by hand."""

import pytest
from hand_made_clusters import BLOCKED, DONE, WAITING, decided, make_view

from agents.cjs import DECLINE
from agents.cjs.rules.oldest_job_first import FIFO, Fair, FIFOFull


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
