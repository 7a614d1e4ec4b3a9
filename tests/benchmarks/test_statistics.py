"""Statistics against hand-computed cases and against scipy with other settings."""

import warnings

import numpy as np
import pytest
from scipy import stats

from benchmarks import statistics


def test_mean_does_not_depend_on_the_order():
    values = [1e16, 1.0, -1e16, 1.0]
    assert statistics.mean(values) == 0.5
    assert statistics.mean(values[::-1]) == 0.5


def test_interquartile_mean_drops_a_quarter_at_either_end():
    assert statistics.interquartile_mean([100.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -100.0]) == (2 + 3 + 4 + 5) / 4
    assert statistics.interquartile_mean([1.0, 2.0, 6.0]) == 3.0  # a quarter of three, rounded down, is none


def test_interval_agrees_with_an_independent_bootstrap_and_with_the_normal_one():
    values = np.random.default_rng(1).normal(3.0, 2.0, size=400)
    low, high = statistics.interval(values)
    rng = np.random.default_rng(2)
    means = [rng.choice(values, size=400).mean() for _ in range(4000)]
    assert (low, high) == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.02)
    assert (high - low) / 2 == pytest.approx(1.96 * stats.sem(values), rel=0.05)


def test_interval_is_the_same_every_time():
    values = np.random.default_rng(3).random(30)
    assert statistics.interval(values) == statistics.interval(values.copy())


def test_interval_of_few_or_equal_values_without_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert statistics.interval([]) is None
        assert statistics.interval([1.0]) is None
        assert statistics.interval([0.3, 0.3, 0.3]) == (0.3, 0.3)
        assert statistics.interval([0.0, 1.0]) == (0.0, 1.0)


def test_paired_differences_are_taken_episode_by_episode():
    ours, theirs = [1.0, 12.0, 103.0], [0.0, 10.0, 100.0]
    found = statistics.difference(ours, theirs, to="other")
    assert found.to == "other"
    assert found.mean == 2.0
    assert found.ci95 == (1.0, 3.0)  # far narrower than the spread of the scores
    assert statistics.difference(ours[:2], theirs, to="other").mean == 1.5


def test_normalise():
    assert statistics.normalise(0.9, zero=0.6, one=1.2) == pytest.approx(0.5)
    assert statistics.normalise(0.3, zero=0.6, one=1.2) == pytest.approx(-0.5)
    assert statistics.normalise(0.3, zero=0.6, one=0.6) is None


def test_percentiles():
    assert statistics.percentiles(range(101)) == {"p50": 50.0, "p99": 99.0}
