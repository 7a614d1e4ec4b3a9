"""Converter of ``genet-weights``: the released actor networks of GENET and of its UDR baselines.

Upstream they are TensorFlow 1 checkpoints; the same variables also come as one npz with keys
``<model>__<checkpoint>|<variable>``. Either way the actor variables (float32) are kept under these keys and
the critic's, which no decision needs, are dropped. The manifest holds a digest per array, so both sources
are checked against the same numbers. Source: https://github.com/duowuyms/NetLLM, folder
adaptive_bitrate_streaming/data/all_models.

Installed: ``genet_weights.npz``.
"""

import hashlib
import io
import re
import zipfile
from collections.abc import Mapping

import numpy as np

from netenvs.datasets import tensorbundle
from netenvs.datasets.errors import DatasetError

_FOLDER = "adaptive_bitrate_streaming/data/all_models"
CHECKPOINTS: tuple[tuple[str, str], ...] = (
    ("genet", "nn_model_ep_9900"),
    ("udr_1", "nn_model_ep_57400"),
    ("udr_1", "nn_model_ep_57600"),
    ("udr_2", "nn_model_ep_52400"),
    ("udr_3", "nn_model_ep_58000"),
    ("udr_real", "nn_model_ep_49000"),
)
_INDEX, _DATA = ".ckpt.index", ".ckpt.data-00000-of-00001"
#: The upstream files that are read; the .meta files (graphs) are not needed.
MEMBERS = tuple(
    f"{_FOLDER}/{model}/{checkpoint}{ending}" for model, checkpoint in CHECKPOINTS for ending in (_INDEX, _DATA)
)
_PACKED = "genet_weights.npz"
_MAX_BYTES = 64 * 2**20  # unpacked size of an npz, about 5 MB in truth
_DROPPED = re.compile(r"\w+\|(critic/[\w/]+|Variable(_\d+)?)")
_REMEDY = "get it again from the pinned commit"


def array_digest(array: np.ndarray) -> str:
    """Return the sha256 of dtype, shape and little-endian bytes in C order, in hexadecimal."""
    array = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    header = f"{array.dtype.str} {array.shape} ".encode()
    return hashlib.sha256(header + array.tobytes()).hexdigest()


def convert(files: Mapping[str, bytes], manifest: Mapping[str, str]) -> dict[str, bytes]:
    """Turn the checkpoints, or the npz, into one npz of the arrays that ``manifest`` lists.

    Raises DatasetError for an array that is missing or altered, or a file that cannot be read.
    """
    source = _PACKED if _PACKED in files else "the checkpoints"
    arrays = _read_npz(files[_PACKED], manifest) if _PACKED in files else _read_checkpoints(files, manifest)
    for key, digest in manifest.items():
        if key not in arrays:
            raise DatasetError(f"{source}: array {key} is missing; {_REMEDY}")
        if array_digest(arrays[key]) != digest:
            raise DatasetError(f"{source}: array {key} is altered (sha256 differs); {_REMEDY}")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **{key: arrays[key] for key in manifest})
    return {_PACKED: buffer.getvalue()}


def _read_npz(content: bytes, manifest: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return the arrays of the npz that the manifest names; other keys must be known as not needed."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MAX_BYTES:
                raise DatasetError(f"{_PACKED} unpacks to more than {_MAX_BYTES >> 20} MiB; {_REMEDY}")
        with np.load(io.BytesIO(content), allow_pickle=False) as npz:
            for key in npz.files:
                if key not in manifest and not _DROPPED.fullmatch(key):
                    raise DatasetError(f"{_PACKED}: unknown array {key!r}; {_REMEDY}")
            return {key: npz[key] for key in npz.files if key in manifest}
    except DatasetError:
        raise
    except Exception as error:  # zipfile, zlib and numpy each raise their own kinds on damage
        reason = " ".join(str(error).split())
        raise DatasetError(f"{_PACKED} is not a readable npz ({reason}); {_REMEDY}") from None


def _read_checkpoints(files: Mapping[str, bytes], manifest: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return the arrays of the TensorFlow checkpoints that the manifest names, under the manifest's keys."""
    arrays = {}
    for model, checkpoint in CHECKPOINTS:
        prefix = f"{model}__{checkpoint}|"
        names = {key.removeprefix(prefix) for key in manifest if key.startswith(prefix)}
        path = f"{_FOLDER}/{model}/{checkpoint}"
        bundle = tensorbundle.read(files[path + _INDEX], files[path + _DATA], f"{path}.ckpt", names)
        arrays.update({prefix + name: array for name, array in bundle.items()})
    return arrays
