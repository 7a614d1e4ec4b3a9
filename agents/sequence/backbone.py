"""What a sequence model stands on: a causal network over embeddings, parallel and streaming."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn

BACKBONES = {
    "scratch": "agents.netllm.load:restore_backbone",
    "pretrained": "agents.netllm.load:restore_backbone",
    "hybrid": "agents.mamba4net.hybrid:restore_backbone",
}
"""The table of backbones, by the ``kind`` in their ``config()``: ``module:function`` that makes one again of that, of
a name or folder that replaces the one in it (or None), and of a device."""


class Cache(Protocol):
    """What a backbone remembers of the tokens of each row."""

    def select(self, rows: Tensor) -> None:
        """Keep these rows, int64 (k,), in this order; -1 stands for a new, empty one."""


class Memory(NamedTuple):
    """An array that the streaming step of a backbone hands to the next; all zeros before the first."""

    name: str
    shape: tuple[int, ...]
    """(layers, ..., ...): without the rows, which come second."""
    meaning: str
    by_token: bool = False
    """Whether it has a slot for each token: it needs no clearing for a new sequence, and limits the length of one."""


class Stream(Protocol):
    """The streaming step of a backbone as a function of tensors whose sizes do not depend on how far it is."""

    def memories(self, capacity: int) -> tuple[Memory, ...]:
        """What it remembers of a sequence, with room for ``capacity`` tokens."""

    def __call__(
        self, embeddings: Tensor, before: Mapping[str, Tensor], tokens: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Hidden states of n new tokens a row, (rows, n, d_model), and the memories behind them, by name.

        Arguments:
            embeddings: float32 (rows, n, d_model).
            before: memories by name, float32 (layers, rows, ...), which stay as they are.
            tokens: int64 (rows,), tokens of each row so far; None where no memory has a slot for each.
        """


class Backbone(nn.Module):
    """Embeddings to hidden states, both (rows, length, d_model): state i depends on tokens 0 to i of its row alone.

    Rows of different lengths are padded on the right, where a causal network cannot see it; outputs at padded places
    mean nothing. ``forward`` takes whole sequences, ``step`` the tokens that are new; both give the same states (to
    1e-4 in single precision). To be saved, a backbone has ``config`` and is in ``BACKBONES``; the rest is optional.
    """

    d_model: int
    """Size of embeddings and hidden states."""
    max_tokens: int | None = None
    """Longest sequence; None: no limit."""

    def forward(self, embeddings: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Hidden states of sequences, (rows, length, d_model).

        ``lengths``, int64 (rows,), are the tokens of each row before its padding; None: no padding.
        """
        raise NotImplementedError

    def init_cache(self, rows: int) -> Cache:
        """An empty cache for so many rows."""
        raise NotImplementedError

    def step(self, embeddings: Tensor, cache: Cache, lengths: Tensor | None = None) -> Tensor:
        """Hidden states of new tokens, (rows, n, d_model), which follow those in ``cache``; it remembers them, too.

        ``lengths``, int64 (rows,), from 0 to n, are the new tokens of each row; None: n for all.
        """
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """What makes it again, as JSON: its ``kind``, a key of ``BACKBONES``, and what that function wants to know."""
        raise NotImplementedError(f"{type(self).__name__} has no config(): it cannot be saved")

    def shared(self) -> frozenset[str]:
        """Names in its ``state_dict`` that are not its own, and not saved: frozen weights that are looked up again."""
        return frozenset()

    def structure(self) -> dict[str, Any]:
        """What determines what its layers compute, as JSON, wherever their weights come from."""
        return self.config()

    def settle(self) -> None:
        """Called before it is played and no more trained: it may change its form for speed, but not its states."""

    def stream(self) -> Stream | None:
        """Its streaming step for export; None: it has no such function."""
        return None
