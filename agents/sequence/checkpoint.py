"""Folders of sequence models: what was trained, and where the rest of it comes from.

``model.safetensors`` holds encoders, heads and what the backbone calls its own: the LoRA adapter of a pretrained one,
all of one from scratch. ``config.json`` holds what makes the model again; a pretrained backbone is named there, with
its shape, and looked up when the folder is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from agents.pretrained import CONFIG, WEIGHTS, check_finite, read_config, write
from agents.registry import part_of, tasks_with
from agents.sequence.backbone import BACKBONES
from agents.sequence.model import SequenceModel
from agents.sequence.net import TaskNet
from agents.sizes import building, check_config, shapes_of
from netenvs.loading import named

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def save_policy(
    model: SequenceModel, folder: Path, policy: str, settings: Mapping[str, Any] | None = None, dtype: str = "float32"
) -> None:
    """Write ``config.json`` and ``model.safetensors``, each of them completely or not at all.

    Arguments:
        model: its backbone is of a kind in ``agents.sequence.backbone.BACKBONES``.
        folder: made if need be.
        policy: registered name.
        settings: what else a policy that plays the model wants to know, as JSON; ``load_policy_model`` returns it.
        dtype: of the numbers in the file, one of ``DTYPES``.

    ``ValueError``, one line, if a weight is not finite, or not in ``dtype``.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
    config = {"policy": policy, **model.config(), "backbone": model.backbone.config(), "settings": dict(settings or {})}
    text = json.dumps(config, indent=2) + "\n"
    stored = {}
    for name, value in _own(model).items():
        stored[name] = value.detach().to("cpu", DTYPES[dtype] if value.is_floating_point() else None, copy=True)
        if not stored[name].isfinite().all():
            wider = "train it anew" if not value.isfinite().all() else "store it in bfloat16 or float32"
            raise ValueError(f"{name} is not finite in {dtype}: {wider}")
    stored = {name: value.contiguous() for name, value in stored.items()}
    write(folder, text, lambda path: save_file(stored, path, metadata={"format": "pt"}))


def load_policy_model(
    folder: Path, policy: str, backbone: str | None = None, device: str = "cpu"
) -> tuple[SequenceModel, dict[str, Any], int]:
    """The model of a folder in evaluation mode, the ``settings`` saved with it, and the size of its weights in bytes.

    Its own weights are float32, whatever they are stored in. ``ValueError``, one line, says what is wrong.

    Arguments:
        folder: made by ``save_policy``.
        policy: registered name that it must have been saved with.
        backbone: folder or name of the pretrained backbone, if it is not where it was; it must be the same model.
        device: as torch calls it.
    """
    config, shapes = read_config(folder, policy), shapes_of(folder / WEIGHTS)
    try:
        kind, task = config["backbone"]["kind"], config["task"]
        if kind not in BACKBONES or task not in tasks_with("net"):
            raise ValueError(f"its {CONFIG} is of another version: kind {kind!r}, task {task!r}")
        elsewhere = kind == "pretrained"  # its frozen weights, that is, and they have sizes of their own
        sized = {**config, "backbone": config["backbone"].get("lora")} if elsewhere else config
        check_config(sized, shapes, folder / CONFIG)
        with nullcontext() if elsewhere else building(shapes):
            base = named(BACKBONES[kind])(config["backbone"], backbone, device)
        with building(shapes):
            net = net_of(task, base.d_model, config["net"])
            model = SequenceModel(net, base, config["timesteps"], config["context"]).to(device)
        settings = dict(config["settings"])
    except ValueError as error:
        hint = "" if backbone is not None or "backbone" not in str(error) else " (option backbone=FOLDER)"
        raise ValueError(f"{folder}: {error}{hint}") from error
    except Exception as error:
        raise ValueError(f"{folder / CONFIG}: no model can be made of it: {error!r}") from error
    _fill(model, folder / WEIGHTS)
    return model.eval(), settings, (folder / WEIGHTS).stat().st_size


def net_of(task: str, d_model: int, config: Mapping[str, Any]) -> TaskNet:
    """Encoders and heads of a task that have this ``config()``; ``PolicyError``, one line, for a task without any."""
    net: TaskNet = part_of(task, "net")(d_model, **config)
    return net


def _own(model: SequenceModel) -> dict[str, torch.Tensor]:
    """What is saved of a model, by name."""
    shared = {f"backbone.{name}" for name in model.backbone.shared()}
    return {name: value for name, value in model.state_dict().items() if name not in shared}


def _fill(model: SequenceModel, path: Path) -> None:
    own = _own(model)
    try:
        stored = load_file(path)
    except Exception as error:
        raise ValueError(f"{path}: no safetensors file, train or install it anew: {error}") from error
    if other := sorted(own.keys() ^ stored.keys()):
        where = "is missing" if other[0] in own else "is not the model's"
        raise ValueError(f"{path}: not the weights of this {CONFIG}: {other[0]} {where}")
    for name, value in own.items():
        if stored[name].shape != value.shape:
            shapes = f"{tuple(stored[name].shape)}, not {tuple(value.shape)}"
            raise ValueError(f"{path}: not the weights of this {CONFIG}: {name} is {shapes}")
    check_finite(stored, path)
    model.load_state_dict(stored, strict=False)
