"""Converter of ``decima-weights``: the released Decima policy network (50 executors, graph neural network).

Upstream it is ``model.pt``, a PyTorch state dict; the same tensors also come as one npz with the names of the
state dict as keys. The manifest holds a digest per array, so both sources are checked against the same
numbers. ``model.pt`` is a pickle inside a zip archive; it is read by ``torch_state``, which admits float32
tensors only. Source: https://github.com/duowuyms/NetLLM, folder
cluster_job_scheduling/models/decima.

Installed: ``decima_weights.npz``, 42 float32 arrays, 20,802 parameters.
"""

from collections.abc import Mapping

import numpy as np

from netenvs.datasets.arrays import pack_checked, read_npz
from netenvs.datasets.errors import DatasetError
from netenvs.datasets.torch_state import read_state_dict

_MODEL = "cluster_job_scheduling/models/decima/model.pt"
MEMBERS = (_MODEL,)
PACKED = "decima_weights.npz"
_REMEDY = "get it again from the pinned commit"


def convert(files: Mapping[str, bytes], manifest: Mapping[str, str]) -> dict[str, bytes]:
    """Turn the state dict, or the npz, into one npz of the arrays that ``manifest`` lists.

    Raises DatasetError for an array that is missing, altered or not known, or a file that cannot be read.
    """
    packed = PACKED in files
    source = PACKED if packed else _MODEL
    arrays = read_npz(files[PACKED], PACKED, lambda key: True) if packed else _read_state_dict(files[_MODEL])
    if unknown := sorted(arrays.keys() - manifest.keys()):
        raise DatasetError(f"{source}: unknown array {unknown[0]!r}; {_REMEDY}")
    return {PACKED: pack_checked(arrays, manifest, source)}


def _read_state_dict(content: bytes) -> dict[str, np.ndarray]:
    try:
        return read_state_dict(content)
    except ValueError as error:
        raise DatasetError(f"{_MODEL} is not a readable PyTorch state dict ({str(error)[:200]}); {_REMEDY}") from None
