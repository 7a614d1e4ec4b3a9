"""Read the float32 tensors of a PyTorch state dict without PyTorch, and nothing else.

``torch.save`` writes a zip archive: ``NAME/data.pkl``, a pickle that describes the tensors, and ``NAME/data/KEY``,
the bytes of each storage (``torch/serialization.py``). The pickle may look up the few names below only; loading
``torch`` for this would take seconds, and no module of ``netenvs`` but one imports it. Nothing is reserved that the
archive does not hold: a storage is read once however many tensors are in it, no tensor is larger than its storage, and
the unpickler is the one in Python, whose memo is no array.
"""

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from typing import Any, ClassVar

import numpy as np

from netenvs.errors import flat, reason

MAX_STORAGE_BYTES = 64 * 2**20
"""Of all storages together, and of all tensors together."""
MAX_PICKLE_BYTES = 2**20
MAX_NAME = 300
"""Characters of a tensor's name."""

_FLOAT_STORAGE = object()  # stands for torch.FloatStorage


def read_state_dict(content: bytes) -> dict[str, np.ndarray]:
    """Tensors by name, float32 arrays. Raises ``ValueError`` for whatever is no plain state dict of such tensors."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            described = [name for name in archive.namelist() if name.endswith("/data.pkl") and name.count("/") == 1]
            if len(described) != 1:
                raise ValueError("it holds no single data.pkl")
            state = _Unpickler(archive, described[0].removesuffix("data.pkl")).load()
    except ValueError:
        raise
    except Exception as error:  # zipfile and pickle raise many kinds on damaged bytes
        raise ValueError(reason(error)) from None
    if not isinstance(state, dict) or not all(isinstance(value, np.ndarray) for value in state.values()):
        raise ValueError("it is no dictionary of tensors")
    if not all(isinstance(name, str) and len(name) <= MAX_NAME for name in state):
        raise ValueError("the name of a tensor is no text, or too long")
    if sum(value.nbytes for value in state.values()) > MAX_STORAGE_BYTES:
        raise ValueError(f"its tensors take more than {MAX_STORAGE_BYTES >> 20} MiB")
    return {name: value.copy() for name, value in state.items()}


def _rebuild_tensor(
    storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, hooks: Any, metadata: Any = None
) -> np.ndarray:
    """What a pickle calls for each tensor (``torch._utils._rebuild_tensor_v2``); checked against its storage."""
    if not isinstance(storage, np.ndarray) or len(size) != len(stride):
        raise ValueError("a tensor is described in a way that torch does not write")
    numbers = (offset, *size, *stride)
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("a tensor has a shape that is none")
    if math.prod(size) > len(storage):  # of stride 0, which torch has for tensors that were expanded
        raise ValueError("a tensor is larger than its storage")
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if 0 not in size and last >= len(storage):
        raise ValueError("a tensor reaches beyond its storage")
    steps = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], size, steps)


class _Unpickler(pickle._Unpickler):
    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)
    stack: list[Any]
    _ALLOWED = {  # noqa: RUF012
        ("collections", "OrderedDict"): OrderedDict,
        ("torch", "FloatStorage"): _FLOAT_STORAGE,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    }

    def __init__(self, archive: zipfile.ZipFile, folder: str):
        entry = archive.getinfo(f"{folder}data.pkl")
        if entry.file_size > MAX_PICKLE_BYTES:
            raise ValueError(f"its data.pkl unpacks to {entry.file_size} bytes")
        super().__init__(io.BytesIO(archive.read(entry)))
        self._archive, self._folder = archive, folder
        self._storages: dict[str, np.ndarray] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise ValueError(f"it names {module}.{name}, which no plain state dict of float32 tensors does")
        return self._ALLOWED[module, name]

    def persistent_load(self, reference: Any) -> np.ndarray:
        kind, storage_type, key, _, length = reference
        if kind != "storage" or storage_type is not _FLOAT_STORAGE or type(key) is not str or type(length) is not int:
            raise ValueError("it refers to something that is no float32 storage")
        if key not in self._storages:
            entry = self._archive.getinfo(f"{self._folder}data/{key}")
            if entry.file_size != 4 * length:
                raise ValueError(f"storage {flat(key, 40)} has {entry.file_size} bytes for {length} numbers")
            if sum(one.nbytes for one in self._storages.values()) + entry.file_size > MAX_STORAGE_BYTES:
                raise ValueError(f"its storages take more than {MAX_STORAGE_BYTES >> 20} MiB")
            self._storages[key] = np.frombuffer(self._archive.read(entry), dtype="<f4")
        return self._storages[key]

    def load_build(self) -> None:
        """Attributes, which the dictionary of a module has (versions); nothing else is given any."""
        attributes = self.stack.pop()
        if not isinstance(self.stack[-1], OrderedDict) or not isinstance(attributes, dict):
            raise ValueError("it sets the attributes of something that is no dictionary")

    dispatch[pickle.BUILD[0]] = load_build

    def load_bytearray8(self) -> None:
        """Which reserves memory for a length that is only announced."""
        raise ValueError("it holds a byte array")

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8
