"""What a sequence model stands on: a causal network over embeddings, parallel and streaming."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn


class Cache(Protocol):
    """What a backbone remembers of the tokens of each row."""

    def select(self, rows: Tensor) -> None:
        """Keep these rows, int64 (k,), in this order; -1 stands for a new, empty one."""


class Backbone(nn.Module):
    """Embeddings to hidden states, both (rows, length, d_model): state i depends on tokens 0 to i of its row alone.

    Rows of different lengths are padded on the right, where a causal network cannot see it; outputs at padded places
    mean nothing. ``forward`` takes whole sequences, ``step`` the tokens that are new; both give the same states (to
    1e-4 in single precision).
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
