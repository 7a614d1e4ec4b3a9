"""Named arrays with a digest each: what data sets of network weights are made of."""

import hashlib
import io
from collections.abc import Callable, Mapping

import numpy as np

from netenvs.arrays import check_sizes
from netenvs.datasets.errors import DatasetError
from netenvs.errors import flat

_MAX_BYTES = 64 * 2**20  # unpacked size of an npz of weights, 5 MB or less in truth
_REMEDY = "get it again from the pinned commit"


def array_digest(array: np.ndarray) -> str:
    """Return the sha256 of dtype, shape and little-endian bytes in C order, in hexadecimal."""
    array = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    header = f"{array.dtype.str} {array.shape} ".encode()
    return hashlib.sha256(header + array.tobytes()).hexdigest()


def read_npz(content: bytes, name: str, wanted: Callable[[str], bool]) -> dict[str, np.ndarray]:
    """Return the arrays of an npz whose key is ``wanted``.

    ``wanted`` may raise DatasetError for a key that must not be there. Raises DatasetError, naming the file,
    for one that cannot be read or unpacks to far too much.
    """
    try:
        check_sizes(io.BytesIO(content), _MAX_BYTES)
        with np.load(io.BytesIO(content), allow_pickle=False) as npz:
            return {key: npz[key] for key in npz.files if wanted(key)}
    except DatasetError:
        raise
    except Exception as error:  # zipfile, zlib and numpy each raise their own kinds on damage
        raise DatasetError(f"{name} is not a readable npz ({flat(error, 200)}); {_REMEDY}") from None


def pack_checked(arrays: Mapping[str, np.ndarray], manifest: Mapping[str, str], source: str) -> bytes:
    """Return an npz of the arrays that ``manifest`` lists, key -> digest.

    Raises DatasetError, naming ``source``, for an array that is missing or altered.
    """
    for key, digest in manifest.items():
        if key not in arrays:
            raise DatasetError(f"{source}: array {key} is missing; {_REMEDY}")
        if array_digest(arrays[key]) != digest:
            raise DatasetError(f"{source}: array {key} is altered (sha256 differs); {_REMEDY}")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **{key: arrays[key] for key in manifest})
    return buffer.getvalue()
