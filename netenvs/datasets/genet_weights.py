"""Converter of ``genet-weights``: the released actor networks of GENET and of its UDR baselines.

Upstream they are TensorFlow 1 checkpoints; the same variables also come as one npz with keys
``<model>__<checkpoint>|<variable>``. Either way the actor variables (float32) are kept under these keys and
the critic's, which no decision needs, are dropped. The manifest holds a digest per array, so both sources
are checked against the same numbers. Source: https://github.com/duowuyms/NetLLM, folder
adaptive_bitrate_streaming/data/all_models.

Installed: ``genet_weights.npz``.
"""

import re
from collections.abc import Mapping

import numpy as np

from netenvs.datasets import tensorbundle
from netenvs.datasets.arrays import pack_checked, read_npz
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
_DROPPED = re.compile(r"\w+\|(critic/[\w/]+|Variable(_\d+)?)")
_REMEDY = "get it again from the pinned commit"


def convert(files: Mapping[str, bytes], manifest: Mapping[str, str]) -> dict[str, bytes]:
    """Turn the checkpoints, or the npz, into one npz of the arrays that ``manifest`` lists.

    Raises DatasetError for an array that is missing or altered, or a file that cannot be read.
    """
    if _PACKED in files:
        return {_PACKED: pack_checked(_read_packed(files[_PACKED], manifest), manifest, _PACKED)}
    return {_PACKED: pack_checked(_read_checkpoints(files, manifest), manifest, "the checkpoints")}


def _read_packed(content: bytes, manifest: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return the arrays of the npz that the manifest names; other keys must be known as not needed."""

    def wanted(key: str) -> bool:
        if key not in manifest and not _DROPPED.fullmatch(key):
            raise DatasetError(f"{_PACKED}: unknown array {key!r}; {_REMEDY}")
        return key in manifest

    return read_npz(content, _PACKED, wanted)


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
