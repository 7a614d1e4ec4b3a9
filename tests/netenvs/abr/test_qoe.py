"""Objectives as tables."""

import math
import pickle

import numpy as np
import pytest

from netenvs.abr.qoe import KINDS, make_qoe, make_table_qoe

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


def test_penalties_weigh_stalls_and_changes():
    qoe = make_qoe("lin", LADDER, 35, 0.5)
    assert (qoe.rebuffer_penalty, qoe.switch_penalty) == (35.0, 0.5)
    assert qoe.reward(5, 0, 0.1) == pytest.approx(4.3 - 35 * 0.1 - 0.5 * 4.0)
    assert make_qoe("hd", LADDER, 0, 0).reward(3, 0, 9.0) == 12.0
    assert make_qoe("log", LADDER, 1, 3).reward(0, 5, 0.0) == pytest.approx(4 * math.log(300 / 4300))


def test_a_switch_penalty_of_1_moves_no_bit():
    ladder = np.arange(235, 4300, 37, dtype=np.int32)
    for kind in ("lin", "log"):
        one = make_qoe(kind, ladder, 4.3)
        between = ladder[:, None] - ladder if kind == "lin" else one.utility[:, None] - one.utility
        assert np.array_equal(one.switch_cost, np.abs(between) / (1000.0 if kind == "lin" else 1.0))


def test_utilities_of_one_row_are_those_of_every_chunk():
    utilities = make_qoe("lin", LADDER, 4.3).utilities(48)
    assert utilities.shape == (48, 6) and utilities.dtype == np.float64 and not utilities.flags.writeable
    assert np.array_equal(utilities, np.tile(LADDER / 1000, (48, 1)))


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


TABLE = np.array([[1.0, 4.0], [2.0, 7.0], [0.0, 3.0]])


def test_a_table_by_chunk_by_hand():
    qoe = make_table_qoe(TABLE, 10, 2)
    assert (qoe.kind, qoe.rebuffer_penalty, qoe.switch_penalty) == ("table", 10.0, 2.0)
    assert qoe.utility == pytest.approx([1.0, 14 / 3]) and qoe.switch_cost == pytest.approx(
        np.array([[0, 1], [1, 0]]) * 2 * 11 / 3
    )
    assert qoe.reward(1, 0, 0.5, chunk=1) == 7 - 10 * 0.5 - 2 * abs(7 - 1)
    assert qoe.reward(1, 1, 0.0, chunk=2) == 3 - 2 * abs(3 - 7), "the same level is worth less: that is a change"
    assert qoe.reward(0, 0, 0.0, chunk=0) == 1, "the first chunk changes from itself"
    expected = [qoe.reward(1, 0, 0.5, chunk=1), qoe.reward(0, 1, 0.0, chunk=2)]
    assert qoe.rewards(np.array([1, 2]), np.array([1, 0]), np.array([0, 1]), np.array([0.5, 0.0])).tolist() == expected
    with pytest.raises(ValueError, match="say chunk=NUMBER"):
        qoe.reward(1, 0, 0.5)


def test_utilities_and_tables_by_chunk():
    qoe = make_table_qoe(TABLE, 10, 2)
    assert qoe.utilities(2).tolist() == TABLE[:2].tolist() and not qoe.utilities(3).flags.writeable
    with pytest.raises(ValueError, match="of 3 chunks, not of 4"):
        qoe.utilities(4)
    utility, switch_cost = qoe.tables
    assert utility.tolist() == TABLE.ravel().tolist() and switch_cost.shape == (6, 2)
    assert switch_cost[1 * 2 + 1, 0] == 2 * abs(7 - 1) and switch_cost[2 * 2 + 0, 1] == 2 * abs(0 - 7)
    again = pickle.loads(pickle.dumps(qoe))
    assert again == qoe and again != make_table_qoe(TABLE + 1, 10, 2) and again != make_table_qoe(TABLE[:1], 10, 2)


def test_a_table_of_one_row_has_none_by_chunk():
    qoe = make_table_qoe(TABLE[:1], 10)
    assert qoe.by_chunk is None and qoe.tables == (qoe.utility, qoe.switch_cost)
    assert qoe.reward(1, 0, 0.5) == 4 - 5 - 3


def test_bad_objectives_are_one_line():
    with pytest.raises(ValueError, match="did you mean 'lin'"):
        make_qoe("line", LADDER, 4.3)
    with pytest.raises(ValueError, match="unknown qoe 'None'; known: hd, lin, log"):
        make_qoe(None, LADDER, 4.3)
    with pytest.raises(ValueError, match="six bitrate levels, this video has 5"):
        make_qoe("hd", LADDER[:5], 4.3)


def test_the_range_of_utilities_is_over_levels_and_chunks():
    assert make_qoe("lin", LADDER, 4.3).utility_range(48) == pytest.approx(4.0)
    assert make_qoe("hd", LADDER, 4.3).utility_range(48) == 19.0
    assert make_table_qoe(np.array([[0.0, 1.0], [3.0, 7.0]]), 4.3).utility_range(2) == 7.0
    assert make_table_qoe(np.array([[2.0, 2.0]]), 4.3).utility_range(5) == 1e-9
