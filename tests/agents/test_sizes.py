"""Sizes in a config.json that its weights do not have are one line, before anything of such a size is made."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import nn

from agents.mamba4net.nemotron_h import from_nemotron_h
from agents.netllm.load import load_backbone
from agents.policy import PolicyError, load_policy
from agents.pretrained import CHECKPOINTS
from agents.sizes import building, check_config, shapes_of

HUGE = 10**9
MOST_BYTES = 500 * 2**20
WRONG = [
    ("abr-genet", "hidden", HUGE),
    ("abr-genet", "levels", HUGE),
    ("abr-pensieve", "size", HUGE),
    ("abr-pensieve", "width", 16_000),
    ("abr-stochastic-mpc", "hidden", HUGE),
    ("vp-track", "members", HUGE),
    ("vp-viewers", "members", 10_000),
    ("vp-viewers", "hidden", 10**18),
    ("abr-mamba4net", "backbone.d_model", HUGE),
    ("abr-mamba4net", "backbone.d_ff", 16_384),
    ("abr-mamba4net", "backbone.nheads", 10**30),
    ("abr-mamba4net", "backbone.pattern", "M" * 10**6),
    ("abr-mamba4net", "net.width", HUGE),
    ("abr-mamba4net", "timesteps", HUGE),
    ("cjs-mamba4net", "net.rounds", HUGE),
    ("abr-netllm", "backbone.shape.num_hidden_layers", HUGE),
    ("abr-netllm", "backbone.shape.num_hidden_layers", 10_000),
    ("abr-netllm", "backbone.shape.hidden_size", HUGE),
    ("abr-netllm", "backbone.shape.vocab_size", HUGE),
    ("vp-netllm", "net.heads", HUGE),
]


def held_bytes():
    resource = pytest.importorskip("resource")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.parametrize(("name", "field", "value"), WRONG)
def test_a_config_of_another_size_is_one_line(name, field, value, tmp_path):
    folder = shutil.copytree(CHECKPOINTS / name, tmp_path / name)
    config = json.loads((folder / "config.json").read_text())
    *parts, last = field.split(".")
    part = config
    for each in parts:
        part = part[each]
    assert last in part or last == "vocab_size"
    part[last] = value
    (folder / "config.json").write_text(json.dumps(config))
    before = held_bytes()
    with pytest.raises(PolicyError, match=r"mend it|larger model") as caught:
        load_policy(str(folder))
    assert held_bytes() - before < MOST_BYTES
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value) and len(str(caught.value)) < 600


def test_every_shipped_folder_passes():
    for folder in sorted(CHECKPOINTS.iterdir()):
        if (folder / "config.json").is_file():
            config = json.loads((folder / "config.json").read_text())
            check_config(config, shapes_of(folder / "model.safetensors"), folder)


def test_the_rank_of_an_adapter_is_a_dimension():
    shapes = {"lora_A": (8, 64)}
    check_config({"lora": {"rank": 8, "alpha": 32.0}}, shapes, "config.json")
    with pytest.raises(ValueError, match="rank is 65, beyond all sizes of its weights"):
        check_config({"lora": {"rank": 65}}, shapes, "config.json")


@pytest.mark.parametrize("field", ["num_hidden_layers", "hidden_size", "intermediate_size", "vocab_size"])
def test_pretrained_models_are_compared_too(field, tiny_llama, tmp_path):
    folder = shutil.copytree(tiny_llama, tmp_path / "llama")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, field: HUGE}))
    for load in (load_backbone, from_nemotron_h):
        with pytest.raises(ValueError, match=f"{field} is 1e.09, beyond all sizes of its weights; mend it"):
            load(str(folder))


def test_modules_are_counted_as_they_are_made():
    with pytest.raises(ValueError, match="describes a larger model"), building({"weight": (4, 4)}):
        nn.Linear(2000, 2000)
    with building({"weight": (4, 4)}):
        made = nn.Linear(4, 4)
    nn.Linear(2000, 2000)
    assert made.weight.shape == (4, 4) and torch.is_tensor(made.bias)


def test_what_is_no_file_of_weights_is_one_line(tmp_path):
    path = tmp_path / "model.safetensors"
    for content in (b"", b"\xff" * 100, (2**62).to_bytes(8, "little") + b"{}"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="no safetensors file, train or install it anew"):
            shapes_of(path)
    save_file({"a": np.zeros((2, 3), np.float32)}, path)
    assert shapes_of(path) == {"a": (2, 3)}
