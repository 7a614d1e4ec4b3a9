"""The restricted unpickler: every shape of honest pickle passes, code and forged arrays do not."""

import os
import pickle

import numpy as np
import pytest

from netenvs.datasets.errors import DatasetError
from netenvs.datasets.restricted_pickle import loads

ARRAYS = [
    np.arange(6, dtype=np.float64).reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
    np.array([1, 2], dtype=">i2"),
    np.array(["alpha", "b"]),
    np.array([b"ab", b"c"]),
    np.array([True, False]),
    np.zeros((0, 4), np.float32),
    np.array(3.5),
]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: array.dtype.str)
def test_arrays_come_back_with_type_shape_and_values(array, protocol):
    back = loads(pickle.dumps(array, protocol), "a.pkl")
    assert type(back) is np.ndarray
    assert back.dtype == pickle.loads(pickle.dumps(array, protocol)).dtype  # native byte order
    np.testing.assert_array_equal(back, array)
    assert back.shape == array.shape
    assert np.dtype(np.int16).byteorder == "="  # numpy's shared types stay as they were


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_containers_and_scalars_come_back(protocol):
    value = {"a": [1, -2.5, None, True], ("t", 1): {3, 4}, "b": b"\x00\xff", "c": 1j, "n": np.float32(0.1)}
    back = loads(pickle.dumps(value, protocol), "a.pkl")
    assert back == value
    assert type(back["n"]) is np.float32


def test_object_array_of_containers_comes_back():
    array = np.array([{"x": np.arange(3)}, [1, 2]], dtype=object)
    back = loads(pickle.dumps(array, 2), "a.npy")
    np.testing.assert_array_equal(back[0]["x"], [0, 1, 2])
    assert back[1] == [1, 2]


def test_names_of_old_and_new_numpy_both_pass():
    new = pickle.dumps(np.arange(3), 2)
    assert b"numpy._core.multiarray" in new
    old = new.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    np.testing.assert_array_equal(loads(old, "a.pkl"), [0, 1, 2])


def test_python_2_pickle_of_an_array():
    content = (  # pickle.dumps(numpy.array([1.0, 2.0]), 2) of Python 2.7
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85U\x01b\x87Rq\x02"
        b"(K\x01K\x02\x85cnumpy\ndtype\nq\x03U\x02f8K\x00K\x01\x87Rq\x04(K\x03U\x01<NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U\x10\x00\x00\x00\x00\x00\x00\xf0?\x00\x00\x00\x00\x00\x00\x00@tb."
    )
    np.testing.assert_array_equal(loads(content, "a.pkl", encoding="latin1"), [1.0, 2.0], strict=True)


class _Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_is_refused_and_not_run(tmp_path, protocol):
    marker = tmp_path / "ran"
    with pytest.raises(DatasetError, match=r"p\.pkl: refused .*mkdir") as caught:
        loads(pickle.dumps([1, _Call(os.mkdir, str(marker))], protocol), "p.pkl")
    assert "\n" not in str(caught.value)
    assert not marker.exists()


@pytest.mark.parametrize(
    "hostile",
    [
        _Call(eval, "1"),
        _Call(getattr, [], "append"),
        _Call(np.load, "x"),
        _Call(np.ndarray, (3,)),
        _Call(np.dtype, [("a", "O")]),
        _Call(bytearray, 10),
    ],
    ids=["eval", "getattr", "numpy function", "ndarray itself", "structured type", "bytearray"],
)
def test_other_functions_are_refused(hostile):
    with pytest.raises(DatasetError, match="refused"):
        loads(pickle.dumps(hostile), "p.pkl")


def test_forged_flags_of_a_type_are_refused():
    # Python objects announced as plain bytes: numpy would follow the bytes as pointers
    honest = pickle.dumps(np.array([None], dtype=object), 2)
    assert honest.count(b"K?t") == 1  # the flags, 63, close the state of the type
    with pytest.raises(DatasetError, match="more than byte order"):
        loads(honest.replace(b"K?t", b"K\x00t"), "p.pkl")


@pytest.mark.parametrize(
    "content",
    [b"", b"not a pickle", pickle.dumps([1, 2, 3])[:-3], b"\x80\x04\x8c\x01aQ."],
    ids=["empty", "text", "cut short", "persistent id"],
)
def test_damage_is_one_line(content):
    with pytest.raises(DatasetError, match=r"p\.pkl: refused") as caught:
        loads(content, "p.pkl")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [[], [1], b"", [1, 2, 3, 4]])
def test_an_array_with_less_content_than_its_shape_says_is_refused(content):
    """numpy would read behind the list, and the process would end."""

    class Short:
        def __reduce__(self):
            state = (1, (3,), np.dtype("O"), False, content)
            return (np._core.multiarray._reconstruct, (np.ndarray, (0,), b"b"), state)

    with pytest.raises(DatasetError, match="not as much content as its shape says"):
        loads(pickle.dumps(Short(), 4), "f")
