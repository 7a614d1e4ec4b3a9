"""Files of named arrays."""

import gc
import warnings

import numpy as np
import pytest

from netenvs.arrays import named_arrays


def test_arrays_by_name(tmp_path):
    np.savez(tmp_path / "two.npz", a=np.arange(3), b=np.ones(2))
    with named_arrays(tmp_path / "two.npz") as arrays:
        assert arrays.files == ["a", "b"] and arrays["a"].tolist() == [0, 1, 2]


def test_one_array_has_no_names(tmp_path):
    np.save(tmp_path / "one.npy", np.arange(3))
    with pytest.raises(ValueError, match="it holds one array and no names"), named_arrays(tmp_path / "one.npy"):
        pass


def test_a_number_is_no_path():
    with pytest.raises(TypeError), named_arrays(0):
        pass


def test_damaged_files_are_closed(tmp_path):
    path = tmp_path / "damaged.npz"
    np.savez(path, a=np.arange(1000))
    path.write_bytes(path.read_bytes()[:500])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with pytest.raises(Exception, match="zip"), named_arrays(path):
            pass
        gc.collect()
    assert said == []
