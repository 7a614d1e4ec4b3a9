"""The files of a pool: safetensors that are written whole or not at all, and read through a memory map."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from netenvs.errors import OneLineError, flat
from netenvs.files import is_file, write_atomically

DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}
"""Types of columns: name in a safetensors header -> name of the numpy type."""
METADATA = "netenvs-pool"
"""The one key of a shard's metadata; its value is JSON. (Several keys would be written in any order.)"""


class PoolError(OneLineError, ValueError):
    """A pool that cannot be read, written or joined; the message is one line."""


@dataclass(frozen=True)
class Shard:
    """One open file."""

    arrays: dict[str, np.ndarray]
    """Read-only, in the memory map: nothing is read before it is looked at."""
    metadata: dict[str, Any]
    """What was given to ``write_shard``."""


def write_shard(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Write a file; returns its ``file`` name, ``bytes`` and ``sha256``. The same content gives the same bytes."""
    for name, array in arrays.items():
        if array.dtype.name not in DTYPES.values():
            raise PoolError(f"column {name}: a pool holds {', '.join(DTYPES.values())}, not {array.dtype}")
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    about = {METADATA: json.dumps(metadata, sort_keys=True)}
    write_atomically(path, lambda part: save_file(contiguous, part, metadata=about))
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)}


def read_shard(path: Path) -> Shard:
    """Open a file. ``PoolError`` for one that is missing, truncated or no shard."""
    if not is_file(path):
        raise PoolError(f"{path}: this file of the pool is missing; restore it, or collect again into another folder")
    try:
        with safe_open(path, framework="numpy") as checked:  # header and size of the file are in order
            metadata = json.loads(checked.metadata()[METADATA])
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size))
        header.pop("__metadata__")
        mapped = np.memmap(path, dtype=np.uint8, mode="r", offset=8 + size) if path.stat().st_size > 8 + size else None
        arrays = {name: _view(mapped, **entry) for name, entry in header.items()}
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PoolError(
            f"{path}: truncated, damaged, or no file of a pool ({flat(error)}); restore it, or collect again into "
            "another folder"
        ) from error
    return Shard(arrays, metadata)


def _view(mapped: np.memmap | None, dtype: str, shape: list[int], data_offsets: list[int]) -> np.ndarray:
    kind = np.dtype(DTYPES[dtype])
    if mapped is None or data_offsets[0] == data_offsets[1]:
        return np.zeros(shape, dtype=kind)
    plain: np.ndarray = np.asarray(mapped[slice(*data_offsets)])
    return plain.view(kind).reshape(shape)


def sha256(path: Path) -> str:
    """Of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
