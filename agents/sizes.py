"""Sizes in a ``config.json`` are compared with the weights beside it before anything of such a size is made."""

from __future__ import annotations

import contextlib
import json
import math
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from netenvs.errors import flat

Shapes = Mapping[str, tuple[int, ...]]
"""Of the tensors of a file, by name."""
SMALL = 2**14
"""Whole numbers up to here are never refused: not all are sizes of weights, the longest context is not."""
SLACK = 2**20
"""So many numbers may be made besides those in the file, such as embeddings of words that nobody reads."""
MAX_CONFIG_BYTES = 16 * 2**20
LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
WIDTHS = ("hidden_size", "n_embd", "intermediate_size", "ffn_dim", "vocab_size", "word_embed_proj_dim")
"""Names of transformers' configurations for the number of layers, and for what is a dimension of a weight."""


def shapes_of(path: Path) -> Shapes:
    """The shapes in a safetensors file; reads its header alone. ``ValueError``, one line, for what is none."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # safetensors' own
        raise ValueError(f"{path}: no safetensors file, train or install it anew: {flat(error, 200)}") from error


def check_config(config: Any, shapes: Shapes, where: Path, name: str = "") -> None:
    """``ValueError``, one line, for a whole number in a configuration beyond all sizes of its weights."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            check_config(value, shapes, where, str(key))
    elif isinstance(config, list | tuple):
        for value in config:
            check_config(value, shapes, where, name)
    elif isinstance(config, int) and not isinstance(config, bool):
        most = max(SMALL if name != "rank" else 0, *_extent(shapes))
        if abs(config) > most:
            raise ValueError(f"{where}: {flat(name, 40)} is {config:.6g}, beyond all sizes of its weights; mend it")


def check_folder(folder: Path) -> None:
    """As ``check_config`` for a folder of transformers: its layers and widths, against all its safetensors files.

    A configuration that is missing, or no JSON, and files that are damaged are left to who reads them next.
    """
    path = folder / "config.json"
    try:
        with path.open(encoding="utf-8") as file:
            config = json.loads(file.read(MAX_CONFIG_BYTES))
    except (OSError, ValueError, RecursionError):
        return
    files = [file for file in sorted(folder.glob("*.safetensors")) if file.is_file()]
    try:
        shapes = {f"{file.name}:{name}": shape for file in files for name, shape in shapes_of(file).items()}
    except ValueError:
        return
    if not shapes:
        return
    tensors, largest = _extent(shapes)
    for name, value in (*_beyond(config, LAYERS, tensors), *_beyond(config, WIDTHS, largest)):
        raise ValueError(f"{path}: {name} is {value:.6g}, beyond all sizes of its weights; mend it")


def _beyond(config: Any, names: tuple[str, ...], most: int) -> list[tuple[str, int]]:
    """(name, number) of those above ``most``, in parts of the configuration too."""
    if not isinstance(config, dict):
        return []
    own = [(name, value) for name, value in config.items() if name in names and type(value) is int and value > most]
    return own + [pair for value in config.values() for pair in _beyond(value, names, most)]


@contextlib.contextmanager
def building(shapes: Shapes) -> Iterator[None]:
    """Stop, by ``ValueError``, as soon as modules made inside have more weights than the file has."""
    tensors, numbers = len(shapes), sum(map(math.prod, shapes.values()))
    thread, made = threading.get_ident(), {"tensors": 0, "numbers": 0}

    def count(module: nn.Module, name: str, value: Any) -> None:
        if value is None or threading.get_ident() != thread:
            return
        made["tensors"] += 1
        made["numbers"] += value.numel()
        if made["tensors"] > 4 * tensors + 64 or made["numbers"] > 2 * numbers + SLACK:
            raise ValueError("its config.json describes a larger model than its weights are of; mend it")

    hooks = [register_module_parameter_registration_hook(count), register_module_buffer_registration_hook(count)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _extent(shapes: Shapes) -> tuple[int, int]:
    """(number of tensors, largest dimension)."""
    return len(shapes), max((length for shape in shapes.values() for length in shape), default=0)
