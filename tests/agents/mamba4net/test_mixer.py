"""The mixer against transformers' two Mamba-2 mixers from the same weights, and against itself in steps."""

import pytest
import torch
from transformers import Mamba2Config, NemotronHConfig
from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer
from transformers.models.nemotron_h.modeling_nemotron_h import NemotronHMamba2Mixer

from agents.mamba4net import mixer as mixers
from agents.mamba4net.mixer import Mamba2, MixerState, Padding

D_MODEL, D_STATE, HEADDIM, HEADS = 24, 8, 12, 4
SIZES = {"d_state": D_STATE, "headdim": HEADDIM, "nheads": HEADS}


def stirred(mixer):
    """Weights that are all at work: no zeros, no ones."""
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, weight in mixer.named_parameters():
            if weight.ndim == 1:
                weight += 0.3 * torch.randn(weight.shape, generator=draw)
            elif "conv" in name:
                weight.normal_(generator=draw)
    return mixer


def theirs_of(kind, ours, groups, **changes):
    if kind == "mamba2":
        config = Mamba2Config(
            hidden_size=D_MODEL,
            state_size=D_STATE,
            head_dim=HEADDIM,
            num_heads=HEADS,
            expand=2,
            n_groups=groups,
            use_bias=True,
            chunk_size=16,
            layer_norm_epsilon=1e-5,
            time_step_limit=(0.0, float("inf")),
        )
        theirs = Mamba2Mixer(config, layer_idx=0)
    else:
        config = NemotronHConfig(
            hidden_size=D_MODEL,
            layers_block_type=["linear_attention"],
            ssm_state_size=D_STATE,
            mamba_head_dim=HEADDIM,
            mamba_num_heads=HEADS,
            n_groups=groups,
            chunk_size=16,
            **{"use_bias": True, "time_step_min": 1e-30, **changes},
        )
        theirs = NemotronHMamba2Mixer(config, layer_idx=0)
    theirs.load_state_dict(ours.state_dict())  # all names and shapes are theirs
    return theirs


@pytest.mark.parametrize(("kind", "groups"), [("mamba2", 1), ("nemotron", 1), ("nemotron", 2), ("nemotron", 4)])
def test_outputs_and_gradients_are_those_of_transformers(kind, groups):
    """Mamba2Mixer normalises all channels at once whatever its groups, mamba-ssm and NemotronH do so by group."""
    torch.manual_seed(0)
    ours = stirred(Mamba2(D_MODEL, **SIZES, ngroups=groups))
    theirs = theirs_of(kind, ours, groups)
    tokens = torch.randn(3, 37, D_MODEL, requires_grad=True)
    found, expected = ours(tokens), theirs(tokens)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    weigh = torch.randn(3, 37, D_MODEL)
    gradients = torch.autograd.grad((found * weigh).sum(), [tokens, *ours.parameters()])
    wanted = dict(
        zip(
            ["tokens", *(name for name, _ in theirs.named_parameters())],
            torch.autograd.grad((expected * weigh).sum(), [tokens, *theirs.parameters()]),
            strict=True,
        )
    )
    for name, gradient in zip(["tokens", *(name for name, _ in ours.named_parameters())], gradients, strict=True):
        torch.testing.assert_close(gradient, wanted[name], atol=1e-5 * float(wanted[name].abs().max()), rtol=1e-4)


def test_the_least_time_step_is_transformers():
    torch.manual_seed(0)
    ours = stirred(Mamba2(D_MODEL, **SIZES, dt_min=0.05))
    tokens = torch.randn(2, 20, D_MODEL)
    with torch.no_grad():
        found = ours(tokens)
        torch.testing.assert_close(found, theirs_of("nemotron", ours, 1, time_step_min=0.05)(tokens), atol=1e-5, rtol=0)
        assert not torch.allclose(found, theirs_of("nemotron", ours, 1)(tokens), atol=1e-4)


def test_without_biases():
    ours = Mamba2(D_MODEL, **SIZES, bias=False, conv_bias=False)
    assert sorted(ours.state_dict()) == [
        *("A_log", "D", "conv1d.weight", "dt_bias", "in_proj.weight", "norm.weight", "out_proj.weight")
    ]
    tokens = torch.randn(2, 9, D_MODEL)
    theirs = theirs_of("nemotron", ours, 1, use_bias=False, use_conv_bias=False)
    torch.testing.assert_close(ours(tokens), theirs(tokens), atol=1e-5, rtol=0)


def empty(mixer, rows):
    return MixerState(torch.zeros(rows, mixer.d_conv - 1, mixer.channels), torch.zeros(rows, HEADS, HEADDIM, D_STATE))


@pytest.mark.parametrize(("groups", "d_conv"), [(1, 4), (2, 4), (1, 2), (4, 6)])
@torch.no_grad()
def test_chunks_with_padding_leave_the_state_of_what_counts(groups, d_conv):
    """Each row goes on at its own pace, now and then not at all; padding holds large numbers."""
    torch.manual_seed(0)
    mixer = stirred(Mamba2(D_MODEL, **SIZES, ngroups=groups, d_conv=d_conv))
    sequences = torch.randn(3, 40, D_MODEL)
    whole = mixer(sequences)
    state = empty(mixer, 3)
    at = [0, 0, 0]
    for n, counts in [(5, [5, 2, 0]), (1, [1, 1, 1]), (1, [0, 1, 1]), (7, [1, 7, 4]), (4, [4, 0, 3]), (9, [2, 9, 1])]:
        tokens = 100 * torch.randn(3, n, D_MODEL)
        for row, count in enumerate(counts):
            tokens[row, :count] = sequences[row, at[row] : at[row] + count]
        found = mixer(tokens, state, Padding.of(torch.tensor(counts), n, d_conv))
        for row, count in enumerate(counts):
            expected = whole[row, at[row] : at[row] + count]
            torch.testing.assert_close(found[row, :count], expected, atol=1e-5, rtol=1e-5)
            at[row] += count
    for row, reached in enumerate(at):  # and the state is that of the tokens that counted
        alone = empty(mixer, 1)
        mixer(sequences[row : row + 1, :reached], alone)
        torch.testing.assert_close(state.conv[row], alone.conv[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(state.ssm[row], alone.ssm[0], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_long_sequences_go_through_in_chunks():
    torch.manual_seed(0)
    mixer = stirred(Mamba2(D_MODEL, **SIZES, ngroups=2))
    tokens = torch.randn(2, 600, D_MODEL)
    whole = mixer(tokens)
    torch.testing.assert_close(whole, theirs_of("nemotron", mixer, 2)(tokens), atol=1e-5, rtol=1e-5)
    state = empty(mixer, 2)
    parts = [mixer(tokens[:, begin : begin + 300], state) for begin in (0, 300)]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_half_precision_keeps_near():
    torch.manual_seed(0)
    mixer = stirred(Mamba2(D_MODEL, **SIZES))
    tokens = torch.randn(2, 30, D_MODEL)
    whole = mixer(tokens)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(mixer(tokens).float(), whole, atol=0.03 * float(whole.abs().max()), rtol=0)


def test_cpu_tensors_never_ask_for_kernels(monkeypatch):
    def refuse():
        raise AssertionError("looked for the kernels of mamba-ssm")

    monkeypatch.setattr("agents.mamba4net.kernels.installed", refuse)
    mixer = mixers.Mamba2(D_MODEL, **SIZES)
    assert mixer(torch.randn(1, 3, D_MODEL)).shape == (1, 3, D_MODEL)
