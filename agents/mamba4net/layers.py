"""The layers of a hybrid: Mamba-2 mixers, attention and MLPs, each behind its norm.

They compute what transformers' NemotronH computes, and have its names: a block is ``x + mixer(norm(x))`` with an RMS
norm; attention has no positions and may share keys and values among heads; the MLP has no gate and squares a relu.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from agents.mamba4net.mixer import Mamba2

MAMBA, ATTENTION, MLP = "M", "*", "-"
"""Blocks in a pattern, as transformers' ``hybrid_override_pattern`` writes them."""


@dataclass(frozen=True)
class HybridConfig:
    """Sizes of a hybrid. ``ValueError``, one line, for those of which none can be made."""

    d_model: int = 512
    """Size of embeddings and hidden states."""
    pattern: str = "MMMMMMMMMM*-*-"
    """A letter a block: M Mamba-2, * attention, - MLP."""
    d_state: int = 64
    """Numbers that a Mamba state keeps of each channel."""
    headdim: int = 64
    """Channels of a Mamba head."""
    nheads: int = 16
    """Mamba heads."""
    ngroups: int = 1
    """Groups of Mamba heads, each with B and C of its own."""
    d_conv: int = 4
    """Tokens that a Mamba mixer's convolution sees."""
    attention_heads: int = 8
    """Heads of queries."""
    kv_heads: int = 8
    """Heads of keys and values, shared by equally many of queries."""
    attention_headdim: int = 64
    """Size of queries, keys and values."""
    d_ff: int = 2048
    """Neurons of an MLP."""
    bias: bool = True
    """Whether the projections of Mamba mixers have a bias."""
    conv_bias: bool = True
    """Whether their convolutions have one."""
    mlp_bias: bool = False
    """Whether MLPs have one."""
    eps: float = 1e-5
    """Of all norms."""
    dt_min: float = 0.0
    """Least time step of a Mamba head."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value: Any = getattr(self, field.name)
            kind: type = type(field.default)
            if type(value) is not kind and not (kind is float and type(value) is int):
                raise ValueError(f"{field.name} must be of type {kind.__name__}, not {value!r}")
            if kind is int and getattr(self, field.name) < 1:
                raise ValueError(f"{field.name} must be 1 or more, not {value}")
        if not self.pattern or set(self.pattern) - {MAMBA, ATTENTION, MLP}:
            raise ValueError(f"pattern must consist of {MAMBA}, {ATTENTION} and {MLP}, not {self.pattern!r}")
        if self.d_conv < 2:
            raise ValueError("d_conv must be 2 or more: a convolution over one token does nothing")
        for whole, part in (("nheads", "ngroups"), ("attention_heads", "kv_heads")):
            if getattr(self, whole) % getattr(self, part):
                raise ValueError(
                    f"{part} must divide {whole}, but {getattr(self, part)} does not divide {getattr(self, whole)}"
                )
        if not self.eps > 0 or not 0 <= self.dt_min < float("inf"):
            raise ValueError(f"eps must be above 0 and dt_min 0 or more, not {self.eps} and {self.dt_min}")


class Slots(NamedTuple):
    """Where in the cache of keys and values n new tokens go, and what they see there."""

    places: Tensor | slice
    """int64 (rows, n), or the same slots in all rows."""
    used: int
    """Slots that are looked at: the first ones."""
    mask: Tensor | None
    """bool (n, used) or (rows, 1, n, used); None: all is seen."""


class Attention(nn.Module):
    """Causal attention without positions; keys and values may be shared by several heads of queries."""

    def __init__(self, config: HybridConfig):
        super().__init__()
        self.heads, self.kv_heads, self.headdim = config.attention_heads, config.kv_heads, config.attention_headdim
        self.q_proj = nn.Linear(config.d_model, self.heads * self.headdim, bias=False)
        self.k_proj = nn.Linear(config.d_model, self.kv_heads * self.headdim, bias=False)
        self.v_proj = nn.Linear(config.d_model, self.kv_heads * self.headdim, bias=False)
        self.o_proj = nn.Linear(self.heads * self.headdim, config.d_model, bias=False)

    def forward(
        self, tokens: Tensor, keys: Tensor | None = None, values: Tensor | None = None, slots: Slots | None = None
    ) -> Tensor:
        """(rows, n, d_model): of sequences, or of tokens that go to ``slots`` of ``keys`` and ``values``.

        Those are (rows, kv_heads, capacity, headdim) and updated in place.
        """
        q = self.q_proj(tokens).unflatten(-1, (self.heads, self.headdim)).transpose(1, 2)
        k = self.k_proj(tokens).unflatten(-1, (self.kv_heads, self.headdim)).transpose(1, 2)
        v = self.v_proj(tokens).unflatten(-1, (self.kv_heads, self.headdim)).transpose(1, 2)
        mask = None
        if slots is not None:
            assert keys is not None and values is not None
            k, v, mask = _remember(keys, k, slots), _remember(values, v, slots), slots.mask
        shared = self.heads != self.kv_heads
        seen = functional.scaled_dot_product_attention(q, k, v, mask, is_causal=slots is None, enable_gqa=shared)
        return self.o_proj(seen.transpose(1, 2).flatten(2))


def _remember(stored: Tensor, new: Tensor, slots: Slots) -> Tensor:
    """Write (rows, kv_heads, n, headdim) to their slots; return all that are in use."""
    if isinstance(slots.places, slice):
        stored[:, :, slots.places] = new
    else:
        rows = torch.arange(stored.shape[0], device=stored.device)[:, None]
        stored[rows, :, slots.places] = new.transpose(1, 2).to(stored.dtype)
    return stored[:, :, : slots.used]


class Relu2MLP(nn.Module):
    """Two projections with a squared relu between them."""

    def __init__(self, config: HybridConfig):
        super().__init__()
        self.up_proj = nn.Linear(config.d_model, config.d_ff, bias=config.mlp_bias)
        self.down_proj = nn.Linear(config.d_ff, config.d_model, bias=config.mlp_bias)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.down_proj(functional.relu(self.up_proj(tokens)).square())


class Block(nn.Module):
    """A mixer behind its norm; what it says is added to the tokens."""

    def __init__(self, kind: str, config: HybridConfig):
        super().__init__()
        self.kind = kind
        self.norm = nn.RMSNorm(config.d_model, config.eps)
        self.mixer = _mixer(kind, config)


def _mixer(kind: str, config: HybridConfig) -> nn.Module:
    if kind == ATTENTION:
        return Attention(config)
    if kind == MLP:
        return Relu2MLP(config)
    return Mamba2(
        config.d_model,
        d_state=config.d_state,
        headdim=config.headdim,
        nheads=config.nheads,
        ngroups=config.ngroups,
        d_conv=config.d_conv,
        bias=config.bias,
        conv_bias=config.conv_bias,
        eps=config.eps,
        dt_min=config.dt_min,
    )
