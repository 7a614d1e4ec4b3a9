"""What drives viewport prediction: head-motion recordings by name or path."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from netenvs import datasets
from netenvs.datasets import netllm_vp
from netenvs.spec import parse_spec, unknown_name
from netenvs.vp.recordings import Recordings, Split

INSTALLED = ("jin2022", "wu2017")


def load_recordings(spec: str) -> Recordings:
    """The recordings called ``spec``.

    * ``jin2022``, ``wu2017``: the data sets of these names, once installed.

    Raises ``ValueError`` (one line) for unknown names and bad files, and ``DatasetError``, which is one, where
    the data set is not installed.
    """
    if not isinstance(spec, str):
        raise ValueError(f"dataset must be a name or a path, not {type(spec).__name__}")
    name, options = parse_spec(spec)
    if name in INSTALLED and not options:
        return _read_installed(name, datasets.path(name))
    raise ValueError(unknown_name("dataset", spec, INSTALLED))


@functools.lru_cache(maxsize=4)
def _read_installed(name: str, folder: Path) -> Recordings:
    with datasets.reading(name):
        arrays = netllm_vp.unpack(folder / netllm_vp.RECORDINGS)
        listed = json.loads((folder / netllm_vp.SPLITS).read_text("utf-8"))
    for array in arrays.values():
        array.flags.writeable = False
    splits = {split: Split(tuple(of["videos"]), tuple(of["users"])) for split, of in listed.items()}
    return Recordings(name=name, splits=splits, **arrays)
