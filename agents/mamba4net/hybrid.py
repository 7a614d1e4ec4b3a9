"""Mamba-2 mixers, attention and MLPs in a row: a backbone whose streaming costs hardly grow.

The layers compute what transformers' NemotronH computes, and have its names: a block is ``x + mixer(norm(x))`` with an
RMS norm; attention has no positions and may share keys and values among heads; the MLP has no gate and squares a relu.
``agents.mamba4net.nemotron_h`` converts to that model and back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from agents.mamba4net.mixer import Mamba2, MixerState, Padding
from agents.sequence.backbone import Backbone, Stream

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


PRESETS = {
    "paper": HybridConfig(),
    "medium": HybridConfig(
        d_model=128,
        pattern="MMMMMM*-*-",
        d_state=32,
        headdim=32,
        nheads=8,
        attention_heads=4,
        kv_heads=4,
        attention_headdim=32,
        d_ff=512,
    ),
    "small": HybridConfig(
        d_model=64,
        pattern="MMM*-",
        d_state=16,
        headdim=16,
        nheads=8,
        attention_heads=4,
        kv_heads=4,
        attention_headdim=16,
        d_ff=256,
    ),
}
"""``paper``: 22.9 million weights, 10 Mamba-2 and 2 attention layers of width 512 as in the Mamba4Net paper;
``medium``: 1.06 million; ``small``: 0.13 million, 2.1 % of the embedded teacher's backbone."""


class Slots(NamedTuple):
    """Where in the cache of keys and values n new tokens go, and what they see there."""

    places: Tensor | slice
    """int64 (rows, n), or the same slots in all rows."""
    used: int
    """Slots that are looked at: the first ones."""
    mask: Tensor | None
    """bool (n, used) or (rows, 1, n, used); None: all is seen."""


class HybridCache:
    """States of the Mamba layers and keys and values of the attention layers, for each row.

    Token i of a row is in slot i of that row; what lies behind a row's tokens is never seen, and written over when the
    row goes on.

    Arguments:
        config: of the backbone.
        rows: their number.
        device, dtype: of the backbone's weights; the states of scans are float32.
    """

    def __init__(self, config: HybridConfig, rows: int, device: torch.device, dtype: torch.dtype):
        mambas, attentions = config.pattern.count(MAMBA), config.pattern.count(ATTENTION)
        channels = config.nheads * config.headdim + 2 * config.ngroups * config.d_state
        keys = (attentions, rows, config.kv_heads, 0, config.attention_headdim)
        self.conv = torch.zeros(mambas, rows, config.d_conv - 1, channels, device=device, dtype=dtype)
        self.ssm = torch.zeros(mambas, rows, config.nheads, config.headdim, config.d_state, device=device)
        self.keys = torch.zeros(keys, device=device, dtype=dtype)
        self.values = torch.zeros(keys, device=device, dtype=dtype)
        self.positions = [0] * rows
        """Tokens of each row."""

    def select(self, rows: Tensor) -> None:
        """Keep these rows, int64 (k,), in this order; -1 stands for a new, empty one."""
        kept = rows.tolist()
        self.positions = [0 if row < 0 else self.positions[row] for row in kept]
        used = max(self.positions, default=0)
        rows = rows.to(self.ssm.device)
        self.conv, self.ssm = _take(self.conv, rows), _take(self.ssm, rows)
        self.keys, self.values = _take(self.keys[..., :used, :], rows), _take(self.values[..., :used, :], rows)

    def open(self, n: int, lengths: Tensor | None) -> Slots:
        """Make room for n new tokens a row, of which the first ``lengths`` count from now on."""
        begins = self.positions
        counts = [n] * len(begins) if lengths is None else lengths.tolist()
        self.positions = [begin + count for begin, count in zip(begins, counts, strict=True)]
        first, last = min(begins, default=0), max(begins, default=0)
        used = last + n
        if (missing := used - self.keys.shape[3]) > 0:
            room = max(missing, self.keys.shape[3])  # at least twice as much: seldom copied
            self.keys = functional.pad(self.keys, (0, 0, 0, room))
            self.values = functional.pad(self.values, (0, 0, 0, room))
        device = self.keys.device
        if first == last:
            mask = None if n == 1 else torch.ones(n, used, dtype=torch.bool, device=device).tril(last)
            return Slots(slice(last, used), used, mask)
        places = torch.tensor(begins, device=device)[:, None] + torch.arange(n, device=device)
        return Slots(places, used, (torch.arange(used, device=device) <= places[..., None])[:, None])


def _take(stacked: Tensor, rows: Tensor) -> Tensor:
    """Rows of (layers, rows, ...), zeros for -1."""
    if stacked.shape[1] == 0:  # nothing to take from
        return stacked.new_zeros(stacked.shape[0], len(rows), *stacked.shape[2:])
    taken = stacked[:, rows.clamp(min=0)]
    taken[:, rows < 0] = 0
    return taken


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


class HybridBackbone(Backbone):
    """Blocks of Mamba-2, attention and MLPs, with a norm behind the last one.

    Embeddings are cast to the dtype of its weights, hidden states back to float32. At first, projections back to the
    tokens are small, 1 / sqrt(blocks) of what torch gives them, as in mamba-ssm and GPT-2.
    """

    def __init__(self, config: HybridConfig):
        super().__init__()
        self.shape = config
        self.d_model = config.d_model
        self.layers = nn.ModuleList([Block(kind, config) for kind in config.pattern])
        self.norm_f = nn.RMSNorm(config.d_model, config.eps)
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if name.endswith(("out_proj.weight", "o_proj.weight", "down_proj.weight")):
                    weight.div_(math.sqrt(len(config.pattern)))

    def config(self) -> dict[str, Any]:
        """What makes it again, as JSON."""
        return {"kind": "hybrid", **asdict(self.shape)}

    def stream(self) -> Stream:
        """See ``Backbone``; for weights in float32."""
        from agents.mamba4net.streaming import HybridStream  # which knows this module

        return HybridStream(self)

    @property
    def _blocks(self) -> Iterator[Block]:
        return iter(cast(Iterable[Block], self.layers))

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights."""
        return self.norm_f.weight.dtype

    def forward(self, embeddings: Tensor, lengths: Tensor | None = None) -> Tensor:
        hidden = embeddings.to(self.dtype)
        for block in self._blocks:
            hidden = hidden + block.mixer(block.norm(hidden))
        return self.norm_f(hidden).float()

    def init_cache(self, rows: int) -> HybridCache:
        return HybridCache(self.shape, rows, self.norm_f.weight.device, self.dtype)

    @torch.no_grad()
    def step(self, embeddings: Tensor, cache: HybridCache, lengths: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """See ``Backbone``; builds no graph."""
        n = embeddings.shape[1]
        slots = cache.open(n, lengths)
        padding = None if lengths is None else Padding.of(lengths.to(embeddings.device), n, self.shape.d_conv)
        hidden = embeddings.to(self.dtype)
        mambas = attentions = 0
        for block in self._blocks:
            tokens = block.norm(hidden)
            if block.kind == MAMBA:
                out = block.mixer(tokens, MixerState(cache.conv[mambas], cache.ssm[mambas]), padding)
                mambas += 1
            elif block.kind == ATTENTION:
                out = block.mixer(tokens, cache.keys[attentions], cache.values[attentions], slots)
                attentions += 1
            else:
                out = block.mixer(tokens)
            hidden = hidden + out
        return self.norm_f(hidden).float()


def restore_backbone(config: Mapping[str, Any], name: str | None = None, device: str = "cpu") -> HybridBackbone:
    """The backbone that has this ``config()``, with weights still random; ``ValueError``, one line, if none has.

    It needs no pretrained one: ``name`` must be None.
    """
    if name is not None:
        raise ValueError(f"backbone {name!r}: these weights need no pretrained backbone, they come with their own")
    sizes = {key: value for key, value in config.items() if key != "kind"}
    if unknown := sorted(sizes.keys() ^ {field.name for field in fields(HybridConfig)}):
        raise ValueError(f"its hybrid is of another version: entry {unknown[0]!r}")
    return HybridBackbone(HybridConfig(**sizes)).to(device)
