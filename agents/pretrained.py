"""Folders of trained weights: ``config.json`` names the policy, ``model.safetensors`` holds the weights."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from netenvs.files import write_atomically

CHECKPOINTS = Path(__file__).parent / "checkpoints"
"""Folders that are shipped."""
CONFIG, WEIGHTS, CARD, TRAINING = "config.json", "model.safetensors", "README.md", "training.json"


class Pretrained(Protocol):
    """A network with ``huggingface_hub.PyTorchModelHubMixin``; its constructor takes what stands in the config."""

    def state_dict(self) -> dict[str, torch.Tensor]: ...
    def save_pretrained(self, save_directory: Path, *, config: dict[str, Any]) -> Any: ...


Model = TypeVar("Model")


def save(model: Pretrained, folder: Path, policy: str, config: Mapping[str, Any]) -> None:
    """Write ``config.json`` (the registered name ``policy`` and ``config``) and ``model.safetensors``."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        (Path(made) / CARD).touch()  # the card is ours, not the hub's, which writes one where there is none
        model.save_pretrained(Path(made), config={"policy": policy, **config})
        for name in (WEIGHTS, CONFIG):
            write_atomically(folder / name, functools.partial(shutil.copyfile, Path(made) / name))


def read_config(folder: Path, policy: str) -> dict[str, Any]:
    """What ``config.json`` of a folder of trained weights holds; ``ValueError``, one line, if it is no such folder.

    ``policy`` is the registered name that the folder must have been saved with.
    """
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise ValueError(f"{folder} is no folder of trained weights: it has no {name}")
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        named = config["policy"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / CONFIG}: not a policy's config.json: it must name its 'policy'") from error
    if named != policy:
        raise ValueError(f"{folder} holds weights of {named!r}, not of {policy!r}")
    return config


def load(model_class: type[Model], folder: Path, policy: str) -> tuple[Model, int]:
    """The network of a folder and the size of its weights in bytes; ``ValueError``, one line, says what is wrong.

    ``model_class`` is a ``Pretrained``; ``policy`` the registered name that the folder must have been saved with.
    """
    read_config(folder, policy)
    hub_class: Any = model_class
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the hub announces local folders
            model = hub_class.from_pretrained(str(folder), strict=True)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{folder}: its weights cannot be used, train or install them anew: {reason}") from error
    if not all(bool(value.isfinite().all()) for value in model.state_dict().values()):
        raise ValueError(f"{folder / WEIGHTS}: not all weights are finite, train or install them anew")
    return model, (folder / WEIGHTS).stat().st_size


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: sums in one order whatever the machine's number of cores, and no waiting in small ones."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
