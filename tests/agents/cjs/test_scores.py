"""Scores of schedulers."""

import numpy as np

from agents.cjs.scores import compare


def test_comparison_of_means():
    ours, others = np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])
    assert compare(ours, others) == (-50.0, -50.0, -50.0)
    value, low, high = compare(np.array([1.0, 2.0, 9.0]), np.array([2.0, 2.0, 8.0]))
    assert value == 0.0 and low < -10 and high > 10
