"""What drives viewport prediction: head-motion recordings by name or path."""

from __future__ import annotations

import functools
import inspect
import json
from pathlib import Path

from netenvs import datasets
from netenvs.datasets import netllm_vp
from netenvs.spec import check_option_types, parse_spec, unknown_name
from netenvs.vp import csv_files
from netenvs.vp.generators import synthetic_recordings
from netenvs.vp.recordings import Recordings, Split

INSTALLED = ("jin2022", "wu2017")
NAMES = ("synthetic", *INSTALLED, "csv")


def load_recordings(spec: str) -> Recordings:
    """The recordings called ``spec``.

    * ``synthetic`` (options ``preset``, ``seed``, ...): generated, see ``netenvs.vp.generators``; options in
      brackets, ``synthetic(preset=wu,seed=3)``;
    * ``jin2022``, ``wu2017``: the data sets of these names, once installed;
    * ``csv(path=FOLDER)``, or a path alone: recordings of your own, see ``netenvs.vp.csv_files``.

    Raises ``ValueError`` (one line: file, line, remedy) for bad files and unknown names, and ``DatasetError``,
    which is one, where the data set is not installed.
    """
    if not isinstance(spec, str):
        raise ValueError(f"dataset must be a name or a path, not {type(spec).__name__}")
    if spec not in NAMES and Path(spec).exists():
        return csv_files.read_recordings(spec)
    name, options = parse_spec(spec)
    if name == "synthetic":
        return _generate(spec)
    if name in INSTALLED:
        if options:
            raise ValueError(f"dataset {spec!r}: {name} has no options")
        return _read_installed(name, datasets.path(name))
    if name == "csv":
        path = options.pop("path", None)
        if options or not isinstance(path, str) or not Path(path).exists():
            raise ValueError(f"dataset {spec!r}: there is no such folder or file; write csv(path=FOLDER)")
        return csv_files.read_recordings(path)
    if "/" in name or "." in name:
        raise ValueError(f"dataset {spec!r}: no such folder or file")
    raise ValueError(unknown_name("dataset", spec, NAMES) + ", or a folder of CSV files")


@functools.lru_cache(maxsize=8)
def _generate(spec: str) -> Recordings:
    options = parse_spec(spec)[1]
    parameters = inspect.signature(synthetic_recordings).parameters
    if unknown := sorted(set(options) - set(parameters)):
        raise ValueError(f"dataset {spec!r}: unknown option {unknown[0]!r}; known: {', '.join(parameters)}")
    try:
        check_option_types(synthetic_recordings, options)
        return synthetic_recordings(**options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"dataset {spec!r}: {error}") from None


@functools.lru_cache(maxsize=4)
def _read_installed(name: str, folder: Path) -> Recordings:
    with datasets.reading(name):
        arrays = netllm_vp.unpack(folder / netllm_vp.RECORDINGS)
        listed = json.loads((folder / netllm_vp.SPLITS).read_text("utf-8"))
        for array in arrays.values():
            array.flags.writeable = False
        splits = {split: Split(tuple(of["videos"]), tuple(of["users"])) for split, of in listed.items()}
        return Recordings(name=name, splits=splits, **arrays)
