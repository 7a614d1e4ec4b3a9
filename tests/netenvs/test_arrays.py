"""Files of arrays."""

import gc
import io
import warnings

import numpy as np
import pytest

from netenvs.arrays import named_arrays, read_array


def test_arrays_by_name(tmp_path):
    np.savez(tmp_path / "two.npz", a=np.arange(3), b=np.ones(2))
    with named_arrays(tmp_path / "two.npz") as arrays:
        assert arrays.files == ["a", "b"] and arrays["a"].tolist() == [0, 1, 2]


def test_one_array_has_no_names(tmp_path):
    np.save(tmp_path / "one.npy", np.arange(3))
    with pytest.raises(ValueError, match="it holds one array and no names"), named_arrays(tmp_path / "one.npy"):
        pass


def test_one_array_from_a_stream():
    content = io.BytesIO()
    np.save(content, np.arange(6.0).reshape(2, 3))
    whole = content.getvalue()
    assert read_array(io.BytesIO(whole)).tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ValueError, match="no npy file"):
        read_array(io.BytesIO(b"PK" + whole))
    with pytest.raises(ValueError, match="larger than 0 MiB"):
        read_array(io.BytesIO(whole), most_bytes=20)
    with pytest.raises(ValueError, match="announces 4800000000048 bytes"):
        read_array(io.BytesIO(whole.replace(b"(2, 3)", b"(200000000002, 3)").replace(b" " * 11 + b"\n", b"\n")))


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
