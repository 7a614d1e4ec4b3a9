"""The layers of a transformers decoder as plain matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from agents.netllm.backbone import HFBackbone

LLAMAS = ("llama", "mistral", "qwen2", "qwen3", "smollm3")
READABLE = (*LLAMAS, "gpt2")
"""Model types whose weights can be reused."""


@dataclass(frozen=True)
class Layer:
    """A layer of the teacher, float64 on the CPU. Its maps read *normalised* tokens n: of unit mean square, and centred
    if ``Decoder.centred``; scales and shifts of the norms are folded into them."""

    q: Tensor
    """(heads, size, d)."""
    q_bias: Tensor
    """(heads, size)."""
    k: Tensor
    """(heads, size, d): of fewer heads than queries, repeated."""
    v: Tensor
    """(heads, size, d), likewise."""
    v_bias: Tensor
    """(heads, size)."""
    o: Tensor
    """(heads, d, size)."""
    o_bias: Tensor
    """(d,)."""
    between: Tensor
    """(size, size): q^T between k is a score before softmax."""
    gate: Tensor | None
    """(neurons, d) of a gated MLP."""
    up: Tensor
    """(neurons, d)."""
    up_bias: Tensor
    """(neurons,)."""
    down: Tensor
    """(d, neurons)."""


@dataclass(frozen=True)
class Decoder:
    """Where things are in a decoder of transformers.

    ``norms`` are 2 a layer, in front of attention and of the MLP, and the last one: their inputs are all states that
    the stream of tokens has, half a layer apart.
    """

    model: Any
    norms: list[nn.Module]
    downs: list[nn.Module]
    """The last module of each layer's MLP: its inputs are the neurons."""
    centred: bool
    """Whether the norms are layer norms, which subtract the mean."""

    @property
    def layers(self) -> int:
        """Their number."""
        return len(self.downs)


def decoder_of(backbone: HFBackbone) -> Decoder:
    """The parts of a backbone; ``ValueError``, one line, for a type that cannot be read."""
    model = backbone.decoder
    kind = model.config.model_type
    if kind not in READABLE:
        raise ValueError(f"weights of a {kind} cannot be reused; those of {', '.join(READABLE)} can")
    norms: list[nn.Module] = []
    if kind == "gpt2":
        for block in model.h:
            norms += [block.ln_1, block.ln_2]
        return Decoder(model, [*norms, model.ln_f], [block.mlp.c_proj for block in model.h], True)
    for block in model.layers:
        norms += [block.input_layernorm, block.post_attention_layernorm]
    return Decoder(model, [*norms, model.norm], [block.mlp.down_proj for block in model.layers], False)


def normalised(states: Tensor, centred: bool) -> Tensor:
    """(..., d) of unit mean square."""
    if centred:
        states = states - states.mean(dim=-1, keepdim=True)
    return states / states.square().mean(dim=-1, keepdim=True).clamp(min=1e-12).sqrt()


def layer_of(decoder: Decoder, number: int, moment: Tensor, distances: Tensor) -> Layer:
    """A layer with what is not linear in it replaced by its mean.

    Rotary positions turn into their mean over the distances between tokens: the mixers of a state-space model have no
    positions, and the mean is the nearest map without. Norms of single queries and keys (Qwen 3) turn into division by
    their root mean square.

    Arguments:
        number: of the layer.
        moment: float64 (d, d), second moment of the normalised tokens that its attention reads.
        distances: float64 (longest,), share of the pairs of tokens that are so far apart.
    """
    first, second = decoder.norms[2 * number], decoder.norms[2 * number + 1]
    if decoder.model.config.model_type == "gpt2":
        return _gpt2_layer(decoder.model.h[number], first, second)
    block, config = decoder.model.layers[number], decoder.model.config
    own = block.self_attn
    size, heads = own.head_dim, config.num_attention_heads
    q, q_bias = (part.unflatten(0, (heads, size)) for part in _folded(own.q_proj, first))
    k, _ = (part.unflatten(0, (-1, size)) for part in _folded(own.k_proj, first))
    v, v_bias = (part.unflatten(0, (-1, size)) for part in _folded(own.v_proj, first))
    shared = heads // len(k)
    k, v, v_bias = (part.repeat_interleave(shared, dim=0) for part in (k, v, v_bias))
    if hasattr(own, "q_norm"):
        q_scale = _head_scale(q, q_bias, own.q_norm, moment)
        q, q_bias = q * q_scale[..., None], q_bias * q_scale
        k = k * _head_scale(k, torch.zeros_like(k[..., 0]), own.k_norm, moment)[..., None]
    o, o_bias = weight_and_bias(own.o_proj)
    between = torch.eye(size, dtype=torch.float64)
    if getattr(own, "use_rope", True):
        between = mean_rotation(decoder.model, distances, size)
    gate, _ = _folded(block.mlp.gate_proj, second)
    up, up_bias = _folded(block.mlp.up_proj, second)
    down, _ = weight_and_bias(block.mlp.down_proj)
    o = o.unflatten(1, (heads, size)).transpose(0, 1)
    return Layer(q, q_bias, k, v, v_bias, o, o_bias, between * own.scaling, gate, up, up_bias, down)


def _gpt2_layer(block: Any, first: nn.Module, second: nn.Module) -> Layer:
    own = block.attn
    size = own.head_dim
    weight, bias = _folded(own.c_attn, first)
    q, k, v = weight.unflatten(0, (3, own.num_heads, size))
    q_bias, _, v_bias = bias.unflatten(0, (3, own.num_heads, size))
    o, o_bias = weight_and_bias(own.c_proj)
    up, up_bias = _folded(block.mlp.c_fc, second)
    down, _ = weight_and_bias(block.mlp.c_proj)
    between = torch.eye(size, dtype=torch.float64) * own.scaling
    o = o.unflatten(1, (own.num_heads, size)).transpose(0, 1)
    return Layer(q, q_bias, k, v, v_bias, o, o_bias, between, None, up, up_bias, down)


def weight_and_bias(module: Any) -> tuple[Tensor, Tensor]:
    """(out, in) and (out,) of a linear module, float64, with its LoRA adapter; bias zeros where there is none."""
    base = module.get_base_layer() if hasattr(module, "get_base_layer") else module
    weight = base.weight.detach().float()
    if not getattr(module, "merged", True):
        for adapter in module.active_adapters:
            weight = weight + module.get_delta_weight(adapter).detach().float()
    if isinstance(base, Conv1D):
        weight = weight.T
    bias = base.bias
    return weight.double().cpu(), torch.zeros(len(weight)).double() if bias is None else bias.detach().double().cpu()


def norm_of(norm: Any) -> tuple[Tensor, Tensor]:
    """Scale and shift, float64 (d,) each."""
    scale = norm.weight.detach().double().cpu()
    bias = getattr(norm, "bias", None)
    return scale, torch.zeros_like(scale) if bias is None else bias.detach().double().cpu()


def _folded(module: Any, norm: nn.Module) -> tuple[Tensor, Tensor]:
    weight, bias = weight_and_bias(module)
    scale, shift = norm_of(norm)
    return weight * scale, bias + weight @ shift


def _head_scale(weight: Tensor, bias: Tensor, norm: Any, moment: Tensor) -> Tensor:
    """(heads, size): what a norm of single heads multiplies with, on average."""
    square = torch.einsum("hsd,de,hse->h", weight, moment, weight) + bias.square().sum(dim=1)
    mean_square = square / weight.shape[1]
    return norm.weight.detach().double().cpu() / mean_square.clamp(min=1e-12).sqrt()[:, None]


def mean_rotation(model: Any, distances: Tensor, size: int) -> Tensor:
    """(size, size): mean of the rotary embedding between a query and the keys before it.

    A key lies as far behind its query as ``distances`` tells. Frequencies that turn round within them vanish.
    """
    places = torch.arange(len(distances))[None].to(model.rotary_emb.inv_freq.device)
    cosine, sine = (part[0].double().cpu() for part in model.rotary_emb(torch.zeros(1), places))
    scale = cosine[0, 0]  # of both queries and keys, in some kinds of scaled frequencies
    half = size // 2
    turned = torch.zeros(size, size, dtype=torch.float64)  # rotate_half of transformers' modeling_llama.py
    turned[:half, half:], turned[half:, :half] = -torch.eye(half), torch.eye(half)
    return scale * (torch.diag(distances @ cosine) - (distances @ sine)[:, None] * turned)
