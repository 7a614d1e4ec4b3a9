"""Observations as columns: nothing is lost, and padding is not kept."""

import gymnasium as gym
import numpy as np
import pytest

from agents.observations import from_columns, to_columns
from agents.ragged import Ragged, concatenate, take


def test_single_and_dict_observations_are_columns():
    rows = np.arange(12.0, dtype=np.float32).reshape(2, 6)
    assert list(to_columns(rows)) == ["obs"] and list(to_columns({"a": rows, "b": rows})) == ["obs/a", "obs/b"]
    space = gym.spaces.Dict(a=gym.spaces.Box(0, 1, (6,)))
    assert np.array_equal(from_columns(to_columns({"a": rows}), space)["a"], rows)


def test_graphs_are_refused():
    env = gym.make("netenvs/CJS-v0", num_jobs=2, num_executors=2, observation="graph")
    observation, _ = env.reset(seed=0)
    with pytest.raises(ValueError, match="observation=padded"):
        to_columns((observation,))


LENGTHS = np.array([2, 0, 3, 1])


def ragged():
    return Ragged(np.arange(12).reshape(6, 2), np.r_[0, np.cumsum(LENGTHS)])


def test_ragged_parts():
    column = ragged()
    assert [len(column[i]) for i in range(-4, 4)] == [*LENGTHS, *LENGTHS]
    part = column[1:3]
    assert len(part) == 2 and part.flat.tolist() == column[2].tolist() and part.values is column.values
    assert len(column[3:1]) == 0
    for wrong in (4, -5):
        with pytest.raises(IndexError):
            column[wrong]


def test_ragged_rows_in_another_order():
    order = np.array([3, 0, 0, 1, 2])
    for column in (ragged(), ragged()[0:4], Ragged.concatenate([ragged(), ragged()])):
        taken = take(column, order)
        assert all(np.array_equal(taken[i], column[at]) for i, at in enumerate(order.tolist()))
    tail = ragged()[2:4]
    assert np.array_equal(tail.take(np.array([1]))[0], ragged()[3])


def test_ragged_padding():
    padded = ragged()[1:4].padded(4)
    assert padded.shape == (3, 4, 2) and not padded[0].any() and np.array_equal(padded[1, :3], ragged()[2])
    back = Ragged.from_padded(padded, LENGTHS[1:])
    assert np.array_equal(back.flat, ragged()[1:4].flat) and back.lengths.tolist() == LENGTHS[1:].tolist()
    with pytest.raises(ValueError, match="length 3 does not fit into 2"):
        ragged().padded(2)


def test_concatenated_columns():
    assert concatenate([np.arange(2), np.arange(3)]).tolist() == [0, 1, 0, 1, 2]
    both = concatenate([ragged()[1:3], ragged()])
    assert both.lengths.tolist() == [0, 3, *LENGTHS] and np.array_equal(both[1], ragged()[2])
