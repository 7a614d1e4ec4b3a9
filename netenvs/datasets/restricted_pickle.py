"""Unpickle numpy arrays and builtin containers, and nothing else.

Upstream repositories ship pickles; a plain ``pickle.load`` would run whatever code they name. Here a pickle
may look up the names in ``_ALLOWED`` only, and what numpy is asked to rebuild is checked before numpy sees
it: a dtype with forged flags would let it take bytes for pointers. Lists, dicts, tuples, strings, bytes,
numbers, booleans and None need no look-up.
"""

import io
import math
import pickle
import struct
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from netenvs.datasets.errors import DatasetError
from netenvs.errors import reason

_NDARRAY = object()  # stands for numpy.ndarray, which a pickle may name but not call


def _reconstruct(subtype: Any, shape: Any, dtype: Any) -> np.ndarray:
    """What a pickle calls before it fills an array: always empty and of type int8 ("b")."""
    if subtype is not _NDARRAY or shape != (0,) or dtype not in (b"b", "b"):
        raise pickle.UnpicklingError("an array is rebuilt in a way that numpy does not write")
    return np.ndarray((0,), np.int8)


def _dtype(code: Any, align: Any = False, copy: Any = True) -> np.dtype:
    """A dtype from its short code ("f8", "O8", "U12"); structured types are not needed."""
    if not isinstance(code, str) or not code.isalnum():
        raise pickle.UnpicklingError("an array is of a structured type")
    return np.dtype(code, align=False, copy=True)  # a copy: its byte order is set afterwards


def _frombuffer(buffer: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    """An array as protocol 5 writes it."""
    return np.frombuffer(buffer, dtype).reshape(shape, order=order).copy(order)


def _scalar(dtype: Any, content: Any) -> Any:
    """A numpy scalar from its bytes (latin-1 text in Python 2 pickles)."""
    raw = content.encode("latin1") if isinstance(content, str) else content
    if not isinstance(dtype, np.dtype) or len(raw) != dtype.itemsize:
        raise pickle.UnpicklingError("a scalar does not fit its type")
    return np.frombuffer(raw, dtype)[0]


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """How protocols 0 to 2 of Python 3 write bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("bytes are written in an unknown way")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How protocols 0 to 2 of Python 3 write empty bytes."""
    return b""


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encode,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _frombuffer for core in ("core", "_core")},
    **{(module, kind.__name__): kind for module in ("builtins", "__builtin__") for kind in (complex, set, frozenset)},
    **{(module, "bytes"): _no_bytes for module in ("builtins", "__builtin__")},
}


_build: Any = pickle._Unpickler.dispatch[pickle.BUILD[0]]


def _check_content(state: Any) -> None:
    """What an array is given, (version, shape, type, order, content): as long as its shape says, or numpy reads on."""
    _, shape, dtype, _, content = state
    if not isinstance(shape, tuple) or not all(type(length) is int and length >= 0 for length in shape):
        raise pickle.UnpicklingError("an array has a shape that is none")
    if not isinstance(dtype, np.dtype) or dtype.names is not None or dtype.subdtype is not None:
        raise pickle.UnpicklingError("an array is of a structured type")
    size = math.prod(shape)
    kinds, length = (list, size) if dtype.hasobject else ((bytes, str), size * dtype.itemsize)
    if not isinstance(content, kinds) or len(content) != length:
        raise pickle.UnpicklingError("an array has not as much content as its shape says")


class _Unpickler(pickle._Unpickler):  # the one in Python, because BUILD has to be looked at
    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)
    stack: list[Any]
    read: Callable[[int], bytes]
    append: Callable[[Any], None]

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}") from None

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to objects outside itself")

    def load_build(self) -> None:
        """Give an array or a dtype its content; nothing else has any to be given."""
        target, state = self.stack[-2:]
        if isinstance(target, np.dtype):
            own = target.__reduce__()[2]
            if state[0] != own[0] or state[1] not in ("<", ">", "|") or state[2:] != own[2:]:
                raise pickle.UnpicklingError("a type differs from numpy's own in more than byte order")
        elif isinstance(target, np.ndarray):
            _check_content(state)
        else:
            raise pickle.UnpicklingError(f"it sets the attributes of a {type(target).__name__}")
        _build(self)

    dispatch[pickle.BUILD[0]] = load_build

    def load_bytearray8(self) -> None:
        """A byte array of what is there; pickle's own reserves memory for the length that is announced."""
        (length,) = struct.unpack("<Q", self.read(8))
        content = self.read(min(length, sys.maxsize))
        if len(content) < length:
            raise pickle.UnpicklingError("it is cut short")
        self.append(bytearray(content))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8


def loads(content: bytes, name: str, encoding: str = "ASCII") -> Any:
    """Return the object pickled in ``content``.

    ``name`` is the file that messages name; ``encoding`` is for strings of Python 2 pickles ("latin1" where
    they hold numpy arrays). Raises DatasetError for anything but numpy arrays and builtin containers and
    scalars, and for a damaged pickle.
    """
    try:
        return _Unpickler(io.BytesIO(content), encoding=encoding).load()
    except Exception as error:  # a hostile pickle can make numpy and pickle raise nearly anything
        raise DatasetError(
            f"{name}: refused as a pickle of numpy arrays and plain containers ({reason(error, 200)}); "
            "get the file again from the pinned commit"
        ) from None
