"""The streaming step of a hybrid as a function: state in, state out, shapes that do not depend on how far it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from agents.mamba4net.layers import ATTENTION, MAMBA, Block, HybridConfig, Slots
from agents.mamba4net.mixer import MixerState
from agents.sequence.backbone import Memory


class Hybrid(Protocol):
    """What is asked of a ``HybridBackbone``."""

    shape: HybridConfig
    layers: nn.ModuleList
    norm_f: nn.RMSNorm


class State(NamedTuple):
    """What a hybrid remembers of the tokens of each row; all zeros at first."""

    conv: Tensor
    """float32 (Mamba layers, rows, d_conv - 1, channels): see ``MixerState``."""
    ssm: Tensor
    """float32 (Mamba layers, rows, heads, headdim, d_state)."""
    keys: Tensor
    """float32 (attention layers, rows, kv_heads, capacity, headdim): token i of a row is in slot i."""
    values: Tensor
    """As keys."""
    tokens: Tensor
    """int64 (rows,): tokens so far, at most capacity."""

    @classmethod
    def empty(cls, config: HybridConfig, rows: int, capacity: int) -> State:
        """Of no tokens, with room for the keys and values of ``capacity``."""
        mambas, attentions = config.pattern.count(MAMBA), config.pattern.count(ATTENTION)
        channels = config.nheads * config.headdim + 2 * config.ngroups * config.d_state
        keys = torch.zeros(attentions, rows, config.kv_heads, capacity, config.attention_headdim)
        return cls(
            torch.zeros(mambas, rows, config.d_conv - 1, channels),
            torch.zeros(mambas, rows, config.nheads, config.headdim, config.d_state),
            keys,
            keys.clone(),
            torch.zeros(rows, dtype=torch.int64),
        )


def advance(backbone: Hybrid, embeddings: Tensor, state: State) -> tuple[Tensor, State]:
    """Hidden states of n new tokens a row, (rows, n, d_model), and the state behind them; ``state`` stays as it is.

    What ``HybridBackbone.step`` computes, from weights in float32. A row with more than ``capacity`` tokens is an error
    of the indices.
    """
    n, capacity = embeddings.shape[1], state.keys.shape[3]
    places = state.tokens[:, None] + torch.arange(n, device=embeddings.device)
    seen = torch.arange(capacity, device=embeddings.device) <= places[..., None]
    slots = Slots(places, capacity, seen[:, None])
    layers = [[part.clone() for part in stacked.unbind(0)] for stacked in state[:4]]
    conv, ssm, keys, values = layers
    hidden = embeddings
    mambas = attentions = 0
    for block in cast(Iterable[Block], backbone.layers):
        tokens = block.norm(hidden)
        if block.kind == MAMBA:
            out = block.mixer(tokens, MixerState(conv[mambas], ssm[mambas]))
            mambas += 1
        elif block.kind == ATTENTION:
            out = block.mixer(tokens, keys[attentions], values[attentions], slots)
            attentions += 1
        else:
            out = block.mixer(tokens)
        hidden = hidden + out
    new = [torch.stack(parts) if parts else before for parts, before in zip(layers, state, strict=False)]
    return backbone.norm_f(hidden), State(new[0], new[1], new[2], new[3], state.tokens + n)


class HybridStream:
    """The streaming step of ``backbone`` as a ``Stream``: memories are the fields of ``State``."""

    def __init__(self, backbone: Hybrid):
        self.backbone = backbone
        self._empty = State.empty(backbone.shape, 1, 0)._asdict()

    def memories(self, capacity: int) -> tuple[Memory, ...]:
        """See ``Stream``: those of the kinds of layers that there are."""
        pattern, empty = self.backbone.shape.pattern, State.empty(self.backbone.shape, 1, capacity)
        shapes = {name: (part.shape[0], *part.shape[2:]) for name, part in empty._asdict().items()}
        mamba = (
            Memory("conv", shapes["conv"], "inputs of the convolutions of Mamba layers"),
            Memory("ssm", shapes["ssm"], "states of Mamba layers"),
        )
        attention = (
            Memory("keys", shapes["keys"], "of attention layers", by_token=True),
            Memory("values", shapes["values"], "of attention layers", by_token=True),
        )
        return (*(mamba if MAMBA in pattern else ()), *(attention if ATTENTION in pattern else ()))

    def __call__(
        self, embeddings: Tensor, before: Mapping[str, Tensor], tokens: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``Stream``."""
        state = State(**{**self._empty, **before})  # what is not given is of no layer
        hidden, after = advance(self.backbone, embeddings, state if tokens is None else state._replace(tokens=tokens))
        return hidden, after._asdict()
