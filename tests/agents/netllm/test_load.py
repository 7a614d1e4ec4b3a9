"""Pretrained models: where they are looked for, what is refused, what of them learns."""

import json
import shutil
import socket

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from agents.mamba4net.nemotron_h import from_nemotron_h
from agents.netllm.backbone import FAMILIES
from agents.netllm.load import load_backbone, restore_backbone


@pytest.fixture
def no_network(monkeypatch):
    """Whoever asks for a connection fails the test."""
    asked = []

    def refuse(*args, **kwargs):
        asked.append(args)
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield
    assert not asked


def stir(backbone):
    for name, weight in backbone.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight, std=0.3)
    return backbone.eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_adapter_learns_and_word_embeddings_are_gone(make_model, family, no_network):
    backbone = load_backbone(str(make_model(family)), lora_rank=3)
    learns = {name for name, weight in backbone.named_parameters() if weight.requires_grad}
    assert learns == {name for name, _ in backbone.named_parameters() if "lora_" in name}
    assert learns == set(backbone.state_dict()) - backbone.shared()
    layers, adapted = 3, len(FAMILIES[family].lora)
    assert len(learns) == 2 * layers * adapted
    assert not any("embed_tokens" in name or "wte" in name or "lm_head" in name for name in backbone.state_dict())
    backbone(torch.randn(1, 4, 32)).sum().backward()
    gradients = {name for name, weight in backbone.named_parameters() if weight.grad is not None}
    assert gradients == learns


def test_keys_and_values_of_fewer_heads_get_an_adapter_of_their_size(make_model):
    backbone = load_backbone(str(make_model("llama")), lora_rank=3, lora_targets=["q_proj", "v_proj", "down_proj"])
    shapes = {tuple(weight.shape) for name, weight in backbone.named_parameters() if "lora_B" in name}
    assert shapes == {(32, 3), (16, 3)}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_merged_backbone_gives_the_same_states(make_model, family):
    backbone = load_backbone(str(make_model(family)), lora_rank=3, lora_alpha=3)
    embeddings = torch.randn(2, 9, 32)
    with torch.no_grad():
        before_adapting = backbone.eval()(embeddings)
        expected = stir(backbone)(embeddings)
        backbone.merge()
        found = backbone(embeddings)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert float((found - before_adapting).abs().max()) > 1e-2
    assert not any("lora_" in name for name in backbone.state_dict())
    streamed = backbone.step(embeddings, backbone.init_cache(2))
    torch.testing.assert_close(streamed, expected, atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match="merged into the frozen weights cannot be saved"):
        backbone.config()


def test_without_an_adapter_nothing_learns(make_model):
    backbone = load_backbone(str(make_model("gpt2")), lora_rank=0)
    assert not any(weight.requires_grad for weight in backbone.parameters())
    assert set(backbone.state_dict()) == backbone.shared()
    backbone.merge()


@pytest.mark.parametrize(("dtype", "stored"), [("auto", torch.bfloat16), ("float32", torch.float32)])
def test_frozen_weights_are_of_the_dtype_asked_for(make_model, dtype, stored):
    backbone = load_backbone(str(make_model("qwen3", torch.bfloat16)), dtype, lora_rank=2)
    assert {weight.dtype for name, weight in backbone.named_parameters() if "lora_" not in name} == {stored}
    assert backbone.config()["dtype"] == str(stored).removeprefix("torch.")


def test_weights_are_told_apart_whatever_dtype_they_are_loaded_in(make_model):
    same = [load_backbone(str(make_model("llama", torch.bfloat16)), dtype).config() for dtype in ("auto", "float32")]
    other = load_backbone(str(make_model("llama", torch.bfloat16, seed=1))).config()
    assert same[0]["fingerprint"] == same[1]["fingerprint"] != other["fingerprint"]
    assert same[0]["model"] == other["model"]


def test_a_name_is_found_in_the_local_cache_of_the_hub(make_model, tmp_path, monkeypatch, no_network):
    """The cache is laid out as ``hf download`` leaves it."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    model = tmp_path / "cache" / "models--someone--tiny"
    shutil.copytree(make_model("llama"), model / "snapshots" / commit)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    config = load_backbone("someone/tiny", lora_rank=2).config()
    assert (config["name"], config["revision"]) == ("someone/tiny", commit)
    assert restore_backbone(config).config() == config
    other = "f" * 40
    with pytest.raises(ValueError, match=f"`hf download someone/tiny --revision {other}`"):
        restore_backbone({**config, "revision": other})


def test_a_missing_model_says_at_once_how_to_fetch_it(no_network):
    with pytest.raises(ValueError, match=r"'someone/missing': not on this machine.*`hf download someone/missing`"):
        load_backbone("someone/missing")


@pytest.mark.parametrize("name", ["/no/such/folder", "./missing", "~/missing", "a/b/c", ""])
def test_a_missing_folder_is_no_name(name):
    with pytest.raises(ValueError, match="no such folder"):
        load_backbone(name)


def test_files_that_are_not_a_whole_model_are_one_line(make_model, tmp_path, no_network):
    def refused(folder, message):
        with pytest.raises(ValueError, match=message) as caught:
            load_backbone(str(folder), lora_rank=2)
        assert "\n" not in str(caught.value)
        assert str(folder) in str(caught.value)

    empty = tmp_path / "empty"
    empty.mkdir()
    refused(empty, "config.json and model.safetensors")

    broken = make_model("llama")
    (broken / "config.json").write_text("{")
    refused(broken, "config.json")

    foreign = make_model("llama")
    (foreign / "config.json").write_text(json.dumps({"model_type": "resnet"}))
    refused(foreign, "type 'resnet' are no backbones; llama, ")

    cut = make_model("llama")
    (cut / "model.safetensors").write_bytes((cut / "model.safetensors").read_bytes()[:1000])
    refused(cut, "whole")

    parts = make_model("qwen3")
    weights = load_file(parts / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, parts / "model.safetensors", metadata={"format": "pt"})
    refused(parts, "lack 1 weights, layers.1.mlp.up_proj.weight first")

    infinite = make_model("gpt2")
    weights = load_file(infinite / "model.safetensors")
    weights["transformer.h.0.ln_1.weight"][0] = torch.inf
    save_file(weights, infinite / "model.safetensors", metadata={"format": "pt"})
    refused(infinite, "not all of its weights are finite")

    adapter = make_model("llama")
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "someone/missing"}))
    refused(adapter, "an adapter, not a model")


def test_pickled_weights_are_not_read(make_model):
    folder = make_model("llama")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"safetensors.*; it must be a folder with"):
        load_backbone(str(folder))


def test_code_of_a_model_is_not_run(make_model):
    folder = make_model("llama")
    config = json.loads((folder / "config.json").read_text())
    del config["architectures"]
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "code.Config", "AutoModel": "code.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(ValueError, match="it must be a folder with"):
        load_backbone(str(folder))


def test_settings_that_do_not_fit_are_one_line(make_model):
    folder = str(make_model("gpt2"))
    with pytest.raises(ValueError, match="no module 'q_proj' that LoRA could adapt; it has c_attn, c_fc, c_proj"):
        load_backbone(folder, lora_targets=["q_proj"])
    with pytest.raises(ValueError, match="lora_rank must be 0 or more"):
        load_backbone(folder, lora_rank=-1)
    with pytest.raises(ValueError, match="dtype must be one of auto, float32"):
        load_backbone(folder, "int8")
    with pytest.raises(ValueError, match="device 'nowhere'"):
        load_backbone(folder, device="nowhere")


def test_a_backbone_is_restored_only_as_the_model_that_it_was(make_model):
    config = load_backbone(str(make_model("llama")), lora_rank=2).config()
    moved = make_model("llama")
    restored = restore_backbone(config, str(moved))
    assert restored.config() == {**config, "name": str(moved)}
    with pytest.raises(ValueError, match=r"not the model that was adapted .* its num_hidden_layers is 2, not 3"):
        restore_backbone(config, str(make_model("llama", num_hidden_layers=2)))
    with pytest.raises(ValueError, match=r"not the model that was adapted .* it has other weights"):
        restore_backbone(config, str(make_model("llama", seed=1)))


def test_names_reach_the_terminal_without_its_codes():
    for load in (load_backbone, from_nemotron_h):
        with pytest.raises(ValueError, match=r"\\x1b\[31mred/x") as caught:
            load("\x1b[31mred/x")
        assert "\x1b" not in str(caught.value)
