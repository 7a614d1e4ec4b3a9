"""Folders of trained weights: ``config.json`` names the policy, ``model.safetensors`` holds the weights."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save_model
from torch import nn

from agents.sizes import MAX_CONFIG_BYTES, building, check_config, shapes_of
from netenvs.errors import flat
from netenvs.files import is_file, write_atomically

CHECKPOINTS = Path(__file__).parent / "checkpoints"
"""Folders that are shipped."""
CONFIG, WEIGHTS, CARD, TRAINING = "config.json", "model.safetensors", "README.md", "training.json"


Model = TypeVar("Model", bound=nn.Module)


def write(folder: Path, config: str, weights: Callable[[Path], object]) -> None:
    """Write ``model.safetensors``, then ``config.json``, each of them completely or not at all.

    Arguments:
        folder: made if need be.
        config: JSON that names the registered policy as ``policy``.
        weights: is called with the path of the file to fill.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / WEIGHTS, weights)
    write_atomically(folder / CONFIG, config)


def save(model: nn.Module, folder: Path, policy: str, config: Mapping[str, Any]) -> None:
    """Write a network with ``huggingface_hub.PyTorchModelHubMixin`` as that does, but for a model card.

    ``config.json`` has the registered name ``policy`` and ``config``, of which the network's constructor takes what it
    knows.
    """
    text = json.dumps({"policy": policy, **config}, sort_keys=True, indent=2)
    write(folder, text, lambda path: save_model(model, str(path)))


def read_config(folder: Path, policy: str) -> dict[str, Any]:
    """What ``config.json`` of a folder of trained weights holds; ``ValueError``, one line, if it is no such folder.

    ``policy`` is the registered name that the folder must have been saved with.
    """
    for name in (CONFIG, WEIGHTS):
        if not is_file(folder / name):
            raise ValueError(f"{folder} is no folder of trained weights: it has no {name}")
    config = saved_config(folder)
    if config["policy"] != policy:
        raise ValueError(f"{folder} holds weights of {config['policy']!r}, not of {policy!r}")
    return config


def saved_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a folder, with the registered name ``policy``; ``ValueError``, one line, if it is none."""
    path = folder / CONFIG
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_CONFIG_BYTES)
        config: dict[str, Any] = dict(json.loads(text))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: not a policy's config.json: it must name its 'policy'") from error
    if "policy" not in config:
        raise ValueError(f"{path}: not a policy's config.json: it must name its 'policy'")
    return config


def load(model_class: type[Model], folder: Path, policy: str) -> tuple[Model, int]:
    """The network of a folder and the size of its weights in bytes; ``ValueError``, one line, says what is wrong.

    ``model_class`` has ``huggingface_hub.PyTorchModelHubMixin``; ``policy`` is the registered name that the folder
    must have been saved with.
    """
    config, shapes = read_config(folder, policy), shapes_of(folder / WEIGHTS)
    check_config(config, shapes, folder / CONFIG)
    hub_class: Any = model_class
    try:
        with contextlib.redirect_stdout(io.StringIO()), building(shapes):  # the hub announces local folders
            model = hub_class.from_pretrained(str(folder), strict=True)
    except Exception as error:
        raise ValueError(
            f"{folder}: its weights cannot be used, train or install them anew: {flat(error, 200)}"
        ) from error
    check_finite(model.state_dict(), folder / WEIGHTS)
    return model, (folder / WEIGHTS).stat().st_size


def check_finite(weights: Mapping[str, torch.Tensor], path: Path) -> None:
    """``ValueError``, one line, if some of the weights of the file ``path`` are not finite."""
    if not all(bool(value.isfinite().all()) for value in weights.values()):
        raise ValueError(f"{path}: not all weights are finite, train or install them anew")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: sums in one order whatever the machine's number of cores, and no waiting in small ones."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
