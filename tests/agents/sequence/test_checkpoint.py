"""Folders of sequence models: only what was trained is in them, and what comes back is what was saved."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from toy_sequence import ToyNet, add_toy_task, toy_sequences

from agents.netllm.load import ScratchBackbone, load_backbone
from agents.sequence.checkpoint import load_policy_model, save_policy
from agents.sequence.model import SequenceModel

SHAPE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


@pytest.fixture(autouse=True)
def toy_task(monkeypatch):
    add_toy_task(monkeypatch)


def model_on(backbone) -> SequenceModel:
    torch.manual_seed(0)
    model = SequenceModel(ToyNet(backbone.d_model), backbone, timesteps=5, context=4)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight, std=0.3)
    return model.eval()


@torch.no_grad()
def logits(model):
    sequences = toy_sequences([7, 3])
    return model(sequences, np.zeros((10, 2), dtype=np.int64))


def same(model, other, **tolerance):
    for ours, theirs in zip(logits(model), logits(other), strict=True):
        torch.testing.assert_close(ours, theirs, **tolerance)


def test_a_model_from_scratch_is_saved_with_all_its_weights(tmp_path):
    model = model_on(ScratchBackbone(SHAPE))
    save_policy(model, tmp_path / "a", "netllm", {"target": 1.5})
    restored, settings, size = load_policy_model(tmp_path / "a", "netllm")
    same(model, restored, atol=0, rtol=0)
    assert settings == {"target": 1.5}
    assert restored.context == 4
    assert not restored.training
    assert size == (tmp_path / "a" / "model.safetensors").stat().st_size
    assert set(load_file(tmp_path / "a" / "model.safetensors")) == set(model.state_dict())
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"config.json", "model.safetensors"}
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "a").iterdir()} == {0o644}


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
def test_of_a_pretrained_model_only_what_was_trained_is_saved(make_model, tmp_path, family):
    folder = make_model(family)
    model = model_on(load_backbone(str(folder), lora_rank=2, lora_alpha=8))
    save_policy(model, tmp_path / "a", "netllm")
    stored = load_file(tmp_path / "a" / "model.safetensors")
    assert set(stored) == {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert any("lora_A" in name for name in stored)
    torch.manual_seed(1)  # of the adapter that is made before the saved one is read
    restored, _, _ = load_policy_model(tmp_path / "a", "netllm")
    same(model, restored, atol=0, rtol=0)

    moved = folder.rename(tmp_path / "moved")
    with pytest.raises(ValueError, match=r"no such folder.*option backbone=FOLDER"):
        load_policy_model(tmp_path / "a", "netllm")
    restored, _, _ = load_policy_model(tmp_path / "a", "netllm", backbone=str(moved))
    same(model, restored, atol=0, rtol=0)
    with pytest.raises(ValueError, match="not the model that was adapted"):
        load_policy_model(tmp_path / "a", "netllm", backbone=str(make_model(family, hidden_size=64)))


@pytest.mark.parametrize(("dtype", "bytes_each", "tolerance"), [("bfloat16", 2, 0.05), ("float16", 2, 0.01)])
def test_weights_stored_with_fewer_bits_come_back_as_float32(tmp_path, dtype, bytes_each, tolerance):
    model = model_on(ScratchBackbone(SHAPE))
    save_policy(model, tmp_path, "netllm", dtype=dtype)
    restored, _, size = load_policy_model(tmp_path, "netllm")
    assert {weight.dtype for weight in restored.parameters()} == {torch.float32}
    numbers = sum(weight.numel() for weight in model.parameters())
    assert bytes_each * numbers < size < bytes_each * numbers + 10_000
    same(model, restored, atol=tolerance, rtol=tolerance)


def test_numbers_that_a_dtype_does_not_hold_are_not_saved(tmp_path):
    model = model_on(ScratchBackbone(SHAPE))
    with torch.no_grad():
        model.norm.weight[0] = 1e6
    with pytest.raises(ValueError, match=r"norm\.weight is not finite in float16: store it in bfloat16 or float32"):
        save_policy(model, tmp_path / "a", "netllm", dtype="float16")
    save_policy(model, tmp_path / "a", "netllm", dtype="bfloat16")
    with torch.no_grad():
        model.norm.weight[0] = torch.nan
    with pytest.raises(ValueError, match=r"norm\.weight is not finite in float32: train it anew"):
        save_policy(model, tmp_path / "a", "netllm")
    with pytest.raises(ValueError, match="dtype must be one of float32, bfloat16, float16"):
        save_policy(model, tmp_path / "a", "netllm", dtype="int8")


def test_folders_that_are_not_whole_are_one_line(tmp_path):
    model = model_on(ScratchBackbone(SHAPE))
    config, weights = tmp_path / "config.json", tmp_path / "model.safetensors"

    def refused(message, **options):
        with pytest.raises(ValueError, match=message) as caught:
            load_policy_model(tmp_path, "netllm", **options)
        assert "\n" not in str(caught.value)
        save_policy(model, tmp_path, "netllm")

    refused("no folder of trained weights: it has no config.json")
    saved = json.loads(config.read_text())
    config.write_text(json.dumps({**saved, "policy": "decima"}))
    refused("holds weights of 'decima', not of 'netllm'")
    config.write_text(json.dumps({"policy": "netllm"}))
    refused("no model can be made of it: KeyError")
    config.write_text(json.dumps({**saved, "backbone": {"kind": "other"}}))
    refused("of another version: kind 'other'")
    config.write_text(json.dumps({**saved, "timesteps": 6}))
    refused("timestep.weight is .5, 32., not .6, 32.")
    config.write_text(json.dumps({**saved, "timesteps": 0}))
    refused("timestep.weight is not the model's")
    config.write_text(
        json.dumps({**saved, "backbone": {"kind": "scratch", "shape": {**SHAPE, "num_hidden_layers": 3}}})
    )
    refused("backbone.network.layers.2.* is missing")
    weights.write_bytes(b"not numbers")
    refused("no safetensors file")
    stored = load_file(weights)
    stored["norm.weight"][0] = torch.nan
    save_file(stored, weights)
    refused("not all weights are finite")
    refused("need no pretrained backbone", backbone="someone/model")
    assert load_policy_model(tmp_path, "netllm")
