"""Objectives as tables."""

import math

import numpy as np
import pytest

from netenvs.abr.qoe import KINDS, make_qoe

LADDER = np.array([300, 750, 1200, 1850, 2850, 4300], dtype=np.int32)


@pytest.mark.parametrize(
    ("kind", "quality", "previous", "stall", "expected"),
    [
        ("lin", 3, 3, 0.0, 1.85),
        ("lin", 5, 0, 0.5, 4.3 - 4.3 * 0.5 - 4.0),
        ("lin", 0, 5, 2.0, 0.3 - 8.6 - 4.0),
        ("log", 5, 5, 1.0, -4.3),
        ("log", 0, 5, 0.0, 2 * math.log(300 / 4300)),
        ("hd", 3, 2, 0.0, 12.0 - 9.0),
        ("hd", 5, 5, 1.0, 20.0 - 4.3),
    ],
)
def test_hand_computed_rewards(kind, quality, previous, stall, expected):
    assert make_qoe(kind, LADDER, 4.3).reward(quality, previous, stall) == pytest.approx(expected)


def test_lin_has_the_published_order_of_operations():
    """Integer kbit/s are subtracted before the division: 4.3 - 2.85 would be another double."""
    qoe = make_qoe("lin", LADDER, 4.3)
    assert qoe.switch_cost[5, 4] == 1450 / 1000.0 != 4.3 - 2.85


@pytest.mark.parametrize("kind", KINDS)
def test_tables(kind):
    qoe = make_qoe(kind, LADDER, 10)
    assert qoe.rebuffer_penalty == 10.0 and qoe.kind == kind
    assert np.all(np.diff(qoe.utility) > 0)
    assert np.array_equal(qoe.switch_cost, qoe.switch_cost.T) and np.all(np.diag(qoe.switch_cost) == 0)
    assert qoe.switch_cost == pytest.approx(np.abs(qoe.utility[:, None] - qoe.utility))


def test_bad_objectives_are_one_line():
    with pytest.raises(ValueError, match="did you mean 'lin'"):
        make_qoe("line", LADDER, 4.3)
    with pytest.raises(ValueError, match="unknown qoe 'None'; known: hd, lin, log"):
        make_qoe(None, LADDER, 4.3)
    with pytest.raises(ValueError, match="six bitrate levels, this video has 5"):
        make_qoe("hd", LADDER[:5], 4.3)
