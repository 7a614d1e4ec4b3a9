"""Hybrids as NemotronH models of plain transformers, and back."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, NemotronHForCausalLM, NemotronHModel

from agents.hub import cache_argument
from agents.mamba4net.hybrid import PRESETS, HybridBackbone
from agents.mamba4net.nemotron_h import from_nemotron_h, nemotron_h_config, save_nemotron_h, to_nemotron_h

CASES = [
    {},
    {"kv_heads": 2, "ngroups": 2},
    {"pattern": "M*-", "mlp_bias": True, "bias": False, "conv_bias": False, "d_conv": 3},
    {"pattern": "MMM", "dt_min": 0.02, "eps": 1e-3},
    {"pattern": "*-"},
]


def same(first: HybridBackbone, second: HybridBackbone) -> bool:
    weights = second.state_dict()
    return first.shape == second.shape and all(
        torch.equal(value, weights[name]) for name, value in first.state_dict().items()
    )


@pytest.mark.parametrize("changes", CASES)
def test_plain_transformers_gives_the_same_states(make_hybrid, tmp_path, changes):
    backbone = make_hybrid(**changes)
    save_nemotron_h(backbone, tmp_path)
    opened = AutoModel.from_pretrained(tmp_path)
    assert type(opened) is NemotronHModel
    embeddings = torch.randn(3, 70, backbone.d_model)
    with torch.no_grad():
        states = opened(inputs_embeds=embeddings).last_hidden_state
        torch.testing.assert_close(backbone(embeddings), states, atol=1e-5, rtol=1e-5)
    assert same(backbone, from_nemotron_h(tmp_path))


@pytest.mark.parametrize("preset", ["small", "medium"])
def test_presets_are_the_same_in_transformers(preset):
    torch.manual_seed(0)
    backbone = HybridBackbone(PRESETS[preset])
    embeddings = torch.randn(2, 70, backbone.d_model)
    theirs = to_nemotron_h(backbone)
    with torch.no_grad():
        states = theirs(inputs_embeds=embeddings).last_hidden_state
        torch.testing.assert_close(backbone(embeddings), states, atol=1e-5, rtol=1e-5)


def test_gradients_are_those_of_transformers(make_hybrid):
    backbone = make_hybrid(kv_heads=2, ngroups=2)
    theirs = to_nemotron_h(backbone)
    embeddings = torch.randn(2, 30, backbone.d_model)
    weigh = torch.randn(2, 30, backbone.d_model)
    (backbone(embeddings) * weigh).sum().backward()
    (theirs(inputs_embeds=embeddings).last_hidden_state * weigh).sum().backward()
    wanted = {name: weight.grad for name, weight in theirs.named_parameters()}
    for name, weight in backbone.named_parameters():
        largest = float(wanted[name].abs().max())
        assert largest > 0
        torch.testing.assert_close(weight.grad, wanted[name], atol=2e-5 * largest, rtol=1e-4)


def test_steps_are_those_of_transformers_with_its_cache(make_hybrid):
    backbone = make_hybrid()
    theirs = to_nemotron_h(backbone)
    embeddings = torch.randn(2, 12, backbone.d_model)
    cache, past, name = backbone.init_cache(2), None, cache_argument(theirs)
    with torch.no_grad():
        for begin, end in ((0, 6), (6, 7), (7, 12)):
            out = theirs(inputs_embeds=embeddings[:, begin:end], use_cache=True, **{name: past})
            past = getattr(out, name)
            found = backbone.step(embeddings[:, begin:end], cache)
            torch.testing.assert_close(found, out.last_hidden_state, atol=1e-5, rtol=1e-5)


def test_a_language_model_with_its_head_is_read(make_hybrid, tmp_path):
    shape = make_hybrid().shape
    torch.manual_seed(1)
    language_model = NemotronHForCausalLM(nemotron_h_config(shape)).eval()
    language_model.save_pretrained(tmp_path)
    backbone = from_nemotron_h(tmp_path)
    assert backbone.shape == shape
    embeddings = torch.randn(2, 20, shape.d_model)
    with torch.no_grad():
        states = language_model.model(inputs_embeds=embeddings).last_hidden_state
        torch.testing.assert_close(backbone(embeddings), states, atol=1e-5, rtol=1e-5)


def test_half_precision_survives(make_hybrid, tmp_path):
    backbone = make_hybrid().to(torch.bfloat16)
    save_nemotron_h(backbone, tmp_path)
    assert AutoModel.from_pretrained(tmp_path).dtype == torch.bfloat16
    assert same(backbone.float(), from_nemotron_h(str(tmp_path)))


def config_entry(**entries):
    def change(folder):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **entries}))

    return change


def weights(change):
    def rewrite(folder):
        stored = load_file(folder / "model.safetensors")
        change(stored)
        save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})

    return rewrite


def cut(folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no config.json; give a folder"),
        (lambda folder: (folder / "config.json").write_text("{"), "give a folder"),
        (lambda folder: (folder / "config.json").write_text("[]"), "give a folder"),
        (config_entry(model_type="llama"), "a model of type 'llama'; give a folder"),
        (config_entry(layers_block_type=["linear_attention", "moe"]), "a hybrid has no layers of type 'moe'"),
        (config_entry(mlp_hidden_act="gelu"), "a hybrid has mlp_hidden_act 'relu2', not 'gelu'"),
        (config_entry(mamba_hidden_act="relu"), "a hybrid has mamba_hidden_act 'silu', not 'relu'"),
        (config_entry(n_groups=3), "ngroups must divide nheads"),
        (config_entry(ssm_state_size=16), "give a folder"),
        (config_entry(hidden_size="wide"), "give a folder"),
        (lambda folder: (folder / "model.safetensors").unlink(), "give a folder"),
        (cut, "give a folder"),
        (weights(lambda stored: stored.pop("layers.0.mixer.A_log")), "1 weights are missing, layers.0.mixer.A_log"),
        (weights(lambda stored: stored["norm_f.weight"].fill_(float("nan"))), "not all weights are finite"),
    ],
)
def test_folders_that_cannot_be_used_are_refused_in_one_line(make_hybrid, tmp_path, damage, message):
    save_nemotron_h(make_hybrid(), tmp_path)
    damage(tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        from_nemotron_h(tmp_path)
    assert str(caught.value).startswith(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_pickles_are_not_opened(make_hybrid, tmp_path):
    save_nemotron_h(make_hybrid(), tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    torch.save(stored, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="give a folder"):
        from_nemotron_h(tmp_path)
