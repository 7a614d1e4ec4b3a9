"""Statistics against hand-computed cases and against scipy with other settings."""

import warnings

import numpy as np
import pytest
from scipy import stats

from agents import statistics


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


def by_scipy(statistic, *samples):
    found = stats.bootstrap(
        samples,
        statistic,
        n_resamples=statistics.RESAMPLES,
        method="percentile",
        paired=True,
        vectorized=True,
        batch=1000,
        random_state=np.random.default_rng(statistics.RANDOM_STATE),
    )
    return found.confidence_interval.low, found.confidence_interval.high


def test_intervals_are_those_of_scipy(monkeypatch):
    rng = np.random.default_rng(8)
    values, others, weights = rng.normal(3, 2, 70), rng.gamma(4, 2, 70), rng.integers(1, 9, 70)
    groups = rng.integers(20, size=70)
    sums, sizes = (np.bincount(groups, own, minlength=20) for own in (values, None))

    def ratio(above, below, axis):
        return above.sum(axis=axis) / below.sum(axis=axis)

    expected = by_scipy(np.mean, values)
    assert statistics.interval(values) == pytest.approx(expected, abs=1e-9)
    monkeypatch.setattr(statistics, "INDICES_AT_ONCE", 1000)
    assert statistics.interval(values) == pytest.approx(expected, abs=1e-9), "however they are held in memory"
    assert statistics.interval(values, weights=weights) == pytest.approx(
        by_scipy(ratio, values * weights, weights), abs=1e-9
    )
    assert statistics.ratio_interval(values, others) == pytest.approx(by_scipy(ratio, values, others), abs=1e-9)
    first = np.array([*dict.fromkeys(groups.tolist())])
    expected = by_scipy(ratio, sums[first], sizes[first])
    assert statistics.interval(values, groups.tolist()) == pytest.approx(expected, abs=1e-9)


def test_a_weight_says_how_often_a_value_counts():
    values, weights = [1.0, 4.0, 2.0], [1, 2, 0]
    assert statistics.mean(values, weights) == 3.0
    found = statistics.difference(values, [1.0, 2.0, 9.0], percent=True, weights=weights)
    assert (found.mean, found.percent) == (pytest.approx(4 / 3), pytest.approx(80.0))
    assert statistics.interval([1.0, 4.0], weights=[1, 3]) == (1.0, 4.0)
    grouped = statistics.interval([1.0, 4.0, 7.0], ["a", "a", "b"], [1, 1, 2])
    assert grouped == (2.5, 7.0)


def test_bounds_of_a_single_value_are_the_value():
    assert statistics.bounds([0.3]) == (0.3, 0.3)
    assert statistics.bounds([1.0, 3.0], groups=["a", "a"], weights=[3, 1]) == (1.5, 1.5)
    assert statistics.bounds([0.0, 1.0]) == statistics.interval([0.0, 1.0])


def test_crossed_seeds_and_episodes_are_both_drawn():
    """Of two by two there are nine different resamples, the outermost with probability 1/16 each."""
    assert statistics.crossed_interval(np.array([[0.0, 1.0], [2.0, 5.0]])) == (0.0, 5.0)
    assert statistics.crossed_interval(np.array([[0.0, 1.0]])) is None
    rng = np.random.default_rng(9)
    values = rng.normal(size=(6, 1)) + rng.normal(size=(1, 30)) + rng.normal(size=(6, 30))
    means = [values[rng.integers(6, size=6)][:, rng.integers(30, size=30)].mean() for _ in range(20000)]
    found = statistics.crossed_interval(values)
    assert found == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.04)
    seeds_alone = statistics.interval(values.mean(axis=1))
    assert found[1] - found[0] > seeds_alone[1] - seeds_alone[0]


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


def test_percent_is_the_ratio_of_the_means_not_the_mean_of_the_ratios():
    found = statistics.difference([10.0, 90.0], [20.0, 100.0], to="other", percent=True)
    assert (found.mean, found.percent) == (-10.0, pytest.approx(-100 / 6))
    assert found.percent_ci95 == pytest.approx((-50.0, -10.0))  # both draws the first, or the second, episode
    assert found.ci95 == (-10.0, -10.0)


def test_the_interval_in_percent_agrees_with_an_independent_bootstrap_of_pairs():
    rng = np.random.default_rng(5)
    theirs = rng.gamma(4.0, 100.0, size=40)
    ours = theirs * rng.normal(0.8, 0.1, size=40)
    found = statistics.difference(ours, theirs, to="other", percent=True)
    picks = [np.random.default_rng(i).choice(40, size=40) for i in range(6000)]
    ratios = [100 * (ours[pick].mean() / theirs[pick].mean() - 1) for pick in picks]
    assert found.percent_ci95 == pytest.approx(np.percentile(ratios, [2.5, 97.5]), abs=0.25)
    assert found.percent == pytest.approx(100 * (ours.mean() / theirs.mean() - 1))
    assert found == statistics.difference(ours, theirs, to="other", percent=True)


def test_percent_of_few_episodes_of_other_lengths_and_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = statistics.difference([1.0, 7.0], [2.0], to="other", percent=True)
        assert (one.percent, one.percent_ci95) == (-50.0, None)
        assert statistics.difference([1.0], [0.0], to="other", percent=True).percent is None
        assert statistics.difference([1.0], [2.0], to="other").percent is None
        assert statistics.difference([1.0, 1.0], [0.0, 2.0], to="other", percent=True).percent is None


def test_groups_are_drawn_in_place_of_values():
    """Two groups, sizes 3 and 1: a resample has both means weighted by size, or one group twice."""
    assert statistics.interval([0.0, 0.0, 0.0, 8.0], ["a", "a", "a", "b"]) == (0.0, 8.0)
    low, high = statistics.interval([1.0, 3.0, 2.0, 2.0], ["a", "a", "b", "b"])
    assert (low, high) == (2.0, 2.0), "groups are alike, whatever is in them"


def test_the_interval_over_groups_agrees_with_an_independent_bootstrap_and_is_wider():
    rng = np.random.default_rng(6)
    sizes = rng.integers(1, 12, size=60)
    groups = rng.permutation(np.repeat(np.arange(60), sizes))
    values = rng.normal(5.0, 2.0, size=60)[groups] + rng.normal(0.0, 0.5, size=len(groups))
    found = statistics.interval(values, groups.tolist())
    means = []
    for _ in range(4000):
        drawn = np.concatenate([values[groups == group] for group in rng.integers(60, size=60)])
        means.append(drawn.mean())
    assert found == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.06)
    narrow = statistics.interval(values)
    assert found[1] - found[0] > 1.5 * (narrow[1] - narrow[0])


def test_groups_of_one_value_are_the_values():
    values = np.random.default_rng(7).gamma(2.0, 3.0, size=80)
    assert statistics.interval(values, range(80)) == pytest.approx(statistics.interval(values), abs=0.05)


def test_differences_over_groups():
    ours, theirs, groups = (
        [1.0, 2.0, 13.0, 14.0, 0.0],
        [2.0, 2.0, 10.0, 10.0],
        [("v", 1), ("v", 1), ("v", 2), ("v", 2), 0],
    )
    found = statistics.difference(ours, theirs, to="other", percent=True, groups=groups)
    assert (found.mean, found.ci95) == (1.5, (-0.5, 3.5))
    assert found.percent == 25.0
    assert found.percent_ci95 == pytest.approx((-25.0, 35.0))  # 3 of 4, or 27 of 20, in each resample of one group
    one = statistics.difference([1.0, 2.0], [2.0, 2.0], to="other", percent=True, groups=["a", "a"])
    assert (one.mean, one.ci95, one.percent, one.percent_ci95) == (-0.5, None, -25.0, None)


def test_p_value_agrees_with_the_interval():
    rng = np.random.default_rng(5)
    for shift in np.linspace(-0.8, 0.8, 17):
        values = rng.normal(shift, 1.0, size=30)
        low, high = statistics.interval(values)
        p = statistics.p_value(values)
        assert (p < 0.049) <= (low > 0 or high < 0) <= (p < 0.051), (shift, p, low, high)
        assert p == statistics.p_value(-values)


def test_p_value_of_no_difference_and_of_a_sure_one():
    assert statistics.p_value([0.0, 0.0, 0.0]) == 1.0 == statistics.p_value([0.7])
    assert statistics.p_value([0.5, 0.5, 0.5]) == pytest.approx(2 / 10_000)


def test_holm_by_hand():
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.5, 0.6]).tolist() == [1.0, 1.0], "no more than 1"
    assert statistics.holm([0.02]).tolist() == [0.02] and statistics.holm([]).tolist() == []
    assert statistics.holm([0.02, 0.02, 0.02]).tolist() == pytest.approx([0.06] * 3)
