"""Files of arrays."""

from __future__ import annotations

import io
import math
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike, fspath, fstat
from typing import IO, Any

import numpy as np

MOST_BYTES = 8 * 2**30
"""The most that the arrays of a file may take in memory."""


@contextmanager
def named_arrays(path: str | PathLike[str]) -> Iterator[Any]:
    """The arrays of an npz by name, and the names as ``files``, while the file is open.

    It is closed whatever is wrong with it; ``np.load`` leaves a damaged one open. Raises ``ValueError`` for a file of
    one array without a name, for pickled objects, and for arrays that are larger than the file holds, and what numpy
    and zipfile raise for damaged ones.
    """
    with open(fspath(path), "rb") as file:  # a number would be that of an open file
        if not stat.S_ISREG(fstat(file.fileno()).st_mode):
            raise ValueError("it is a device, not a file")
        check_sizes(file)
        found = np.load(file, allow_pickle=False)
        if not isinstance(found, np.lib.npyio.NpzFile):
            raise ValueError("it holds one array and no names")
        with found:
            yield found


def read_array(file: IO[bytes], most_bytes: int = MOST_BYTES) -> np.ndarray:
    """The one array of an npy, from a stream of it.

    Raises ``ValueError`` for what is none, for pickled objects, and for an array that is larger than the file or
    ``most_bytes``.
    """
    content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"it is larger than {most_bytes >> 20} MiB")
    if not content.startswith(np.lib.format.MAGIC_PREFIX):
        raise ValueError("it is no npy file")
    announced = _announced(io.BytesIO(content))
    if announced > len(content):
        raise ValueError(f"the array announces {announced} bytes, the file has {len(content)}")
    found: np.ndarray = np.load(io.BytesIO(content), allow_pickle=False)
    return found


def check_sizes(file: IO[bytes], most_bytes: int = MOST_BYTES) -> None:
    """Compare what the headers of an npz announce with what is there, as numpy reserves memory for the former.

    ``ValueError`` for arrays that are larger, or for more than ``most_bytes`` in all; what is no zip archive is left
    to ``np.load``. The file is at its beginning before and after.
    """
    is_zip = file.read(4) == b"PK\x03\x04"
    file.seek(0)
    if not is_zip:
        return
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > most_bytes:
            raise ValueError(f"it unpacks to more than {most_bytes >> 20} MiB")
        for member in members:
            with archive.open(member) as content:
                bytes_announced = _announced(content)
            if bytes_announced > member.file_size:
                raise ValueError(
                    f"array {member.filename} announces {bytes_announced} bytes, it has {member.file_size}"
                )
    file.seek(0)


def _announced(content: IO[bytes]) -> int:
    """Bytes of the array whose file this is, by its header; 0 for what is none."""
    try:
        version = np.lib.format.read_magic(content)
    except ValueError:
        return 0
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(content)
    return int(math.prod(shape) * max(dtype.itemsize, 1))
