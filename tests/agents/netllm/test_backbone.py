"""Backbones of every family: causal, blind to padding, and the same in steps as at once."""

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText

from agents.netllm.backbone import FAMILIES, HFBackbone
from agents.netllm.load import ScratchBackbone, load_backbone, small_llama
from agents.sequence.testing import check_backbone

LENGTH = 40
CASES = [
    *((family, {}) for family in FAMILIES),
    ("mistral", {"sliding_window": None}),
    ("phi3", {"sliding_window": 5}),
    ("qwen3", {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 2}),
    ("gemma2", {"attn_logit_softcapping": None}),
    ("gemma3_text", {"attn_logit_softcapping": 2.0}),
    ("opt", {"word_embed_proj_dim": 16, "do_layer_norm_before": False}),  # as OPT-350m has it
]


def stirred(backbone: HFBackbone) -> HFBackbone:
    """In evaluation mode, with an adapter that does something."""
    for name, weight in backbone.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight, std=0.3)
    return backbone.eval()


@pytest.fixture
def load(make_model):
    return lambda family, **changes: stirred(load_backbone(str(make_model(family, **changes)), lora_rank=2))


@torch.no_grad()
def whole(backbone, embeddings):
    return backbone(embeddings)


@pytest.mark.parametrize(("family", "changes"), CASES)
def test_families_keep_the_contract(load, family, changes):
    check_backbone(load(family, **changes), tolerance=1e-4)


@pytest.mark.parametrize(("family", "changes"), CASES)
@torch.no_grad()
def test_families_compute_what_they_are_published_to(make_model, family, changes):
    """On embeddings of words, the states that the model has for the words; attention to the letter, not fused."""
    folder = make_model(family, **changes)
    model = AutoModel.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    words = torch.randint(20, (2, 12), generator=torch.Generator().manual_seed(0))
    embeddings = model.get_input_embeddings()(words)
    if family == "gemma2" and not hasattr(model.get_input_embeddings(), "embed_scale"):
        embeddings = embeddings * 32**0.5  # which the model does itself in some versions of transformers
    backbone = load_backbone(str(folder), lora_rank=0).eval()
    assert backbone.d_model == embeddings.shape[2]
    torch.testing.assert_close(backbone(embeddings), model(words).last_hidden_state, atol=1e-4, rtol=1e-4)


def test_the_text_model_of_one_that_sees_pictures_is_a_backbone(tmp_path):
    """Gemma 3 from 4 billion weights on."""
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = {**sizes, "vocab_size": 20, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 5}
    vision = {**sizes, "image_size": 28, "patch_size": 14}
    config = AutoConfig.for_model("gemma3", text_config=text, vision_config=vision, mm_tokens_per_image=4)
    AutoModelForImageTextToText.from_config(config).save_pretrained(tmp_path)
    backbone = stirred(load_backbone(str(tmp_path), lora_rank=2))
    check_backbone(backbone, tolerance=1e-4)
    assert backbone.structure()["model_type"] == "gemma3_text"
    assert not [name for name in backbone.state_dict() if "vision" in name]


def test_one_that_looks_ahead_is_one_line(make_model):
    folder = make_model("gemma3_text", use_bidirectional_attention=True)
    with pytest.raises(ValueError, match=r"backbone .*: this gemma3_text attends to later tokens"):
        load_backbone(str(folder))


def test_a_cache_is_no_longer_than_its_longest_row(load):
    backbone = load("llama")
    cache = backbone.init_cache(2)
    for _ in range(5):
        backbone.step(torch.randn(2, 4, 32), cache, torch.tensor([4, 1]))
    cache.select(torch.tensor([1, -1]))
    found = backbone.step(torch.randn(2, 1, 32), cache)
    assert found.shape == (2, 1, 32)
    assert cache.positions.tolist() == [6, 1]
    assert cache.slots == 6


def test_a_cache_can_lose_all_its_rows_and_get_new_ones(load):
    backbone = load("qwen3")
    cache = backbone.init_cache(2)
    embeddings = torch.randn(3, 4, 32)
    backbone.step(embeddings[:2], cache)
    cache.select(torch.tensor([], dtype=torch.int64))
    cache.select(torch.tensor([-1, -1, -1]))
    torch.testing.assert_close(backbone.step(embeddings, cache), whole(backbone, embeddings), atol=1e-4, rtol=0)


def test_the_table_of_positions_ends_with_one_line(load):
    backbone = load("gpt2")
    assert backbone.max_tokens == 64
    message = "a sequence of 65 tokens is too long for a gpt2 model with 64 positions; .*context"
    with pytest.raises(ValueError, match=message):
        backbone(torch.randn(1, 65, 32))
    cache = backbone.init_cache(2)
    backbone.step(torch.randn(2, 60, 32), cache)
    # padding may hang over the end of the table, tokens may not
    backbone.step(torch.randn(2, 6, 32), cache, torch.tensor([4, 2]))
    with pytest.raises(ValueError, match=message):
        backbone.step(torch.randn(2, 1, 32), cache)


def test_rotary_frequencies_that_depend_on_length_end_the_sequence_where_they_begin_to(load):
    dynamic = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    assert load("llama", rope_parameters=dynamic).max_tokens == 64
    assert load("llama").max_tokens is None


def test_bfloat16_weights_take_and_give_float32(make_model):
    """Weights as stored are bfloat16 (transformers 5 keeps them so); encoders and heads are not."""
    backbone = load_backbone(str(make_model("llama", torch.bfloat16)), lora_rank=2)
    assert backbone.dtype is torch.bfloat16
    embeddings = torch.randn(2, 6, 32, requires_grad=True)
    states = backbone(embeddings)
    assert states.dtype is torch.float32
    states.sum().backward()
    assert embeddings.grad is not None and embeddings.grad.dtype is torch.float32
    assert {weight.dtype for weight in backbone.parameters() if weight.requires_grad} == {torch.float32}
    streamed = backbone.eval().step(embeddings.detach(), backbone.init_cache(2))
    torch.testing.assert_close(streamed, backbone(embeddings), atol=0.05, rtol=0.05)


def test_activations_computed_twice_give_the_same_gradients(make_model):
    folder = str(make_model("llama"))

    def gradients(twice):
        torch.manual_seed(0)
        backbone = stirred(load_backbone(folder, lora_rank=2, lora_dropout=0)).train()
        if twice:
            backbone.checkpoint_activations()
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
            states = backbone(torch.ones(1, 8, 32, requires_grad=True).cumsum(dim=1))
        states.square().sum().backward()
        return [weight.grad for weight in backbone.parameters() if weight.requires_grad], sum(kept)

    (once, kept_once), (twice, kept_twice) = gradients(False), gradients(True)
    for ours, theirs in zip(once, twice, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert kept_twice < kept_once / 2


def test_the_embedded_llama_has_the_stated_size_and_learns_all_of_it():
    backbone = small_llama()
    assert sum(weight.numel() for weight in backbone.parameters()) == 6_426_880
    assert all(weight.requires_grad for weight in backbone.parameters())
    assert backbone.d_model == 256


def test_a_shape_that_makes_no_network_is_one_line():
    with pytest.raises(ValueError, match=r"no backbone can be made of .*'model_type': 'bert'.*llama"):
        ScratchBackbone({"model_type": "bert", "hidden_size": 32})
    with pytest.raises(ValueError, match="no backbone can be made of"):
        ScratchBackbone({"hidden_size": 33, "num_attention_heads": 4})
