"""Mamba-2 mixers, attention and MLPs in a row: a backbone whose streaming costs hardly grow.

``agents.mamba4net.nemotron_h`` converts to transformers' NemotronH and back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from agents.mamba4net.layers import ATTENTION, MAMBA, Block, HybridConfig, Slots
from agents.mamba4net.mixer import MixerState, Padding
from agents.mamba4net.streaming import HybridStream
from agents.sequence.backbone import Backbone, Stream

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
