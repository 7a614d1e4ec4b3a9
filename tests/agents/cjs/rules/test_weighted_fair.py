"""``weighted-fair``: its shares, and what becomes of them."""

import math

import pytest
from hand_made_clusters import decided, make_view

from agents.cjs.rules.weighted_fair import WeightedFair
from agents.policy import load_policy


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
