"""Hybrids: causal, blind to padding, the same in steps as at once, and stored and found again."""

import dataclasses
import json

import pytest
import torch
from toy_sequence import ToyNet, add_toy_task

from agents.mamba4net.hybrid import PRESETS, HybridBackbone, restore_backbone
from agents.mamba4net.layers import HybridConfig
from agents.netllm.load import small_llama
from agents.sequence import checkpoint
from agents.sequence.backbone import BACKBONES
from agents.sequence.model import SequenceModel
from agents.sequence.testing import check_backbone

LENGTH = 40
CASES = [
    {},
    {"kv_heads": 2},
    {"kv_heads": 1, "ngroups": 4},
    {"ngroups": 2, "d_conv": 3},
    {"pattern": "MMM"},
    {"pattern": "*-*-"},
    {"bias": False, "conv_bias": False, "mlp_bias": True, "dt_min": 0.01},
]


@pytest.mark.parametrize("changes", CASES)
def test_hybrids_keep_the_contract(make_hybrid, changes):
    check_backbone(make_hybrid(**changes), tolerance=1e-5)


@torch.no_grad()
def test_rows_of_one_length_step_without_lengths(make_hybrid):
    backbone = make_hybrid(kv_heads=2)
    embeddings = torch.randn(2, LENGTH, backbone.d_model)
    cache = backbone.init_cache(2)
    parts, begin = [], 0
    for n in (3, 1, 1, 8, 1, 26):
        parts.append(backbone.step(embeddings[:, begin : begin + n], cache))
        begin += n
    torch.testing.assert_close(torch.cat(parts, dim=1), backbone(embeddings), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_row_of_another_length_does_not_change_the_others(make_hybrid):
    backbone = make_hybrid()
    embeddings = torch.randn(3, LENGTH, backbone.d_model)
    whole = backbone(embeddings)
    cache = backbone.init_cache(3)
    backbone.step(embeddings[:, :10], cache, torch.tensor([10, 10, 4]))
    cache.select(torch.tensor([0, 1]))
    torch.testing.assert_close(backbone.step(embeddings[:2, 10:11], cache)[:, 0], whole[:2, 10], atol=1e-5, rtol=1e-5)
    cache.select(torch.tensor([1, -1]))
    again = torch.stack([embeddings[1, 11:14], embeddings[2, :3]])
    expected = torch.stack([whole[1, 11:14], whole[2, :3]])
    torch.testing.assert_close(backbone.step(again, cache), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_cache_can_lose_all_its_rows_and_get_new_ones(make_hybrid):
    backbone = make_hybrid()
    cache = backbone.init_cache(2)
    embeddings = torch.randn(3, 4, backbone.d_model)
    backbone.step(embeddings[:2], cache)
    cache.select(torch.tensor([], dtype=torch.int64))
    cache.select(torch.tensor([-1, -1, -1]))
    torch.testing.assert_close(backbone.step(embeddings, cache), backbone(embeddings), atol=1e-5, rtol=1e-5)


def test_all_weights_get_gradients(make_hybrid):
    backbone = make_hybrid(mlp_bias=True).train()
    backbone(torch.randn(2, 9, backbone.d_model)).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().max() > 0 for weight in backbone.parameters())


@torch.no_grad()
def test_bfloat16_weights_take_and_give_single_precision(make_hybrid):
    backbone = make_hybrid()
    embeddings = torch.randn(2, 12, backbone.d_model)
    exact = backbone(embeddings)
    backbone.to(torch.bfloat16)
    cache = backbone.init_cache(2)
    stepped = torch.cat([backbone.step(embeddings[:, :7], cache), backbone.step(embeddings[:, 7:], cache)], dim=1)
    for states in (backbone(embeddings), stepped):
        assert states.dtype == torch.float32
        assert float((states - exact).abs().max()) < 0.1 * float(exact.abs().max())
    assert cache.ssm.dtype == torch.float32


def weights_of(backbone):
    return sum(weight.numel() for weight in backbone.parameters())


def test_presets_have_the_size_that_they_are_for():
    """``paper`` that of the paper's student; ``small`` at most 5.48 % of the embedded teacher's backbone."""
    assert weights_of(HybridBackbone(PRESETS["paper"])) == 22_860_416
    assert weights_of(HybridBackbone(PRESETS["medium"])) == 1_055_296
    assert weights_of(HybridBackbone(PRESETS["small"])) < 0.0548 * weights_of(small_llama())
    for config in PRESETS.values():
        assert HybridBackbone(config).layers[0].mixer.aligned  # causal-conv1d can be used


def test_its_config_makes_it_again(make_hybrid):
    backbone = make_hybrid(kv_heads=2, ngroups=2)
    stored = json.loads(json.dumps(backbone.config()))
    again = restore_backbone(stored)
    assert again.shape == backbone.shape
    again.load_state_dict(backbone.state_dict())
    assert BACKBONES[stored["kind"]] == "agents.mamba4net.hybrid:restore_backbone"


def test_a_policy_on_it_is_saved_and_loaded(make_hybrid, tmp_path, monkeypatch):
    add_toy_task(monkeypatch)
    backbone = make_hybrid()
    model = SequenceModel(ToyNet(backbone.d_model), backbone)
    checkpoint.save_policy(model, tmp_path, "mamba4net")
    loaded, _, size = checkpoint.load_policy_model(tmp_path, "mamba4net")
    assert size > 0
    assert loaded.backbone.shape == backbone.shape
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())
    with pytest.raises(ValueError, match="these weights need no pretrained backbone"):
        checkpoint.load_policy_model(tmp_path, "mamba4net", backbone="gpt2")
    config = json.loads((tmp_path / "config.json").read_text())
    for entry, value, message in [("depth", 3, "entry 'depth'"), ("kv_heads", 3, "kv_heads must divide")]:
        changed = {**config, "backbone": {**config["backbone"], entry: value}}
        (tmp_path / "config.json").write_text(json.dumps(changed))
        with pytest.raises(ValueError, match=message) as caught:
            checkpoint.load_policy_model(tmp_path, "mamba4net")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pattern": ""}, r"pattern must consist of M, \* and -, not ''"),
        ({"pattern": "MMX"}, "pattern must consist of"),
        ({"d_model": 0}, "d_model must be 1 or more, not 0"),
        ({"d_model": 2.5}, "d_model must be of type int, not 2.5"),
        ({"bias": 1}, "bias must be of type bool, not 1"),
        ({"ngroups": 3}, "ngroups must divide nheads, but 3 does not divide 16"),
        ({"kv_heads": 5}, "kv_heads must divide attention_heads"),
        ({"d_conv": 1}, "d_conv must be 2 or more"),
        ({"eps": 0}, "eps must be above 0"),
        ({"dt_min": float("nan")}, "dt_min 0 or more, not 1e-05 and nan"),
    ],
)
def test_impossible_sizes_are_refused_in_one_line(changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        dataclasses.replace(HybridConfig(), **changes)
    assert "\n" not in str(caught.value)
