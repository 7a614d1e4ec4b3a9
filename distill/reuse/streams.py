"""What happens inside a teacher and a student while they read sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.sequence.model import SequenceModel
from distill.training.labelled_sequences import Labelled

BATCH = 32  # sequences read at once


@contextmanager
def listening(modules: Sequence[nn.Module], heard: Callable[[int, Tensor], None]) -> Iterator[None]:
    """While it lasts, ``heard`` gets the number of a module that is called and its first input."""

    def hook(number: int) -> Callable[..., None]:
        def call(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            heard(number, (arguments or tuple(named.values()))[0].detach())

        return call

    handles = [
        module.register_forward_pre_hook(hook(number), with_kwargs=True) for number, module in enumerate(modules)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def batches(data: Labelled) -> Iterator[Labelled]:
    """A few sequences at a time."""
    for begin in range(0, len(data), BATCH):
        yield data.take(np.arange(begin, min(begin + BATCH, len(data))))


@torch.no_grad()
def read(model: SequenceModel, data: Labelled) -> None:
    """Have the model read sequences; listen to learn what happens."""
    model(data.sequences, data.targets.get("action"))


class Tokens:
    """Embeddings that a model's backbone is given, and where its tokens are among padding."""

    def __init__(self, model: SequenceModel, data: Labelled):
        self.parts: list[Tensor] = []
        """(rows, length, d_model) each."""
        self.masks: list[Tensor] = []
        """bool (rows, length) each: on the right are none."""

        def heard(module: nn.Module, arguments: tuple[Any, ...]) -> None:
            embeddings, lengths = arguments
            places = torch.arange(embeddings.shape[1], device=embeddings.device)
            self.parts.append(embeddings.detach())
            self.masks.append(places < lengths[:, None])

        handle = model.backbone.register_forward_pre_hook(heard)
        try:
            for part in batches(data):
                read(model, part)
        finally:
            handle.remove()

    def flat(self, parts: list[Tensor] | None = None) -> Tensor:
        """float64 (n, d) on the CPU: the tokens of padded parts, or of the embeddings themselves."""
        parts = self.parts if parts is None else parts
        return torch.cat([part[mask].double().cpu() for part, mask in zip(parts, self.masks, strict=True)])

    def distances(self) -> Tensor:
        """float64 (longest,): share of the pairs of a token and one not behind it that are so many tokens apart."""
        lengths = torch.cat([mask.sum(dim=1).cpu() for mask in self.masks])
        apart = torch.arange(int(lengths.max()))
        pairs = (lengths[:, None] - apart).clamp(min=0).sum(dim=0).double()
        return pairs / pairs.sum()
