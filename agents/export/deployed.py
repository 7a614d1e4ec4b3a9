"""A sequence model as one function of arrays: what is deployed where there is no Python, or no PyTorch.

A decision is a call: arrays that are made of an observation, and the state that the call before gave, to logits (or a
path) and the next state. All zeros are the state of a new episode. What is made of observations is numpy's, the rest
is a graph of tensors whose sizes do not depend on their values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from agents.export.graph import DECISIONS, NEW, TO_GO, Port, graph_for
from agents.sequence.model import SequenceModel


class Deployed(nn.Module):
    """The function: arguments and results are those of ``inputs`` and ``outputs``, in their order.

    ``ValueError``, one line, for a model that is not served.

    Arguments:
        model: around a backbone with a ``stream``, in float32, in evaluation mode.
        capacity: decisions of an episode that there is room for, where attention sees whole episodes. A model with a
            ``context`` needs room for that: it begins anew by itself.
    """

    def __init__(self, model: SequenceModel, capacity: int):
        super().__init__()
        stream = model.backbone.stream()
        if stream is None:
            raise ValueError("only policies around a hybrid of Mamba-2 and attention (mamba4net) are exported")
        self.model, self.backbone, self._stream = model, model.backbone, stream
        self.task = graph_for(model.task)
        self.task.check_context(model.context)
        self.capacity = model.context or capacity
        self._memories = () if model.context == 1 else stream.memories(self.capacity * self.task.tokens_each)
        self.state = self._state_ports()
        to_go = (Port(TO_GO, "float32", ("batch",), "return to go, normalised"),) if model.task.returns else ()
        self.inputs = (*self.task.inputs(), *to_go, *self.state)
        self.outputs = (*self.task.outputs(), *(port._replace(name=NEW + port.name) for port in self.state))

    def _state_ports(self) -> tuple[Port, ...]:
        """What a decision hands to the next."""
        ports = [
            Port(kept.name, "float32", (kept.shape[0], "batch", *kept.shape[1:]), kept.meaning)
            for kept in self._memories
        ]
        if self.grows or self.model.context > 1 or self.model.timestep is not None:
            ports.append(Port(DECISIONS, "int64", ("batch",), "made in the episode so far"))
        return tuple(ports)

    @property
    def grows(self) -> bool:
        """Whether its state has a slot for each token: there is room for ``capacity`` decisions."""
        return any(kept.by_token for kept in self._memories)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        given = dict(zip((port.name for port in self.inputs), tensors, strict=True))
        tokens, there, memory = self.task.tokens(given, given.get(TO_GO))
        model, decisions = self.model, given.get(DECISIONS)
        if model.timestep is not None:
            number = cast(Tensor, decisions).clamp(max=model.timestep.num_embeddings - 1)
            tokens = tokens + model.timestep(number)[:, None]
        tokens = model.norm(tokens)
        new: dict[str, Tensor] = {}
        if model.context == 1:
            hidden = self._alone(tokens, there)
        else:
            states, new = self._stream(tokens, *self._before(given))
            hidden = states[:, -1]
        if decisions is not None:
            new[DECISIONS] = decisions + 1
        return (*self.task.heads(hidden, memory), *(new[port.name] for port in self.state))

    def _alone(self, tokens: Tensor, there: Tensor | None) -> Tensor:
        """(S, d_model): the last hidden state of decisions without a past; tokens that are not there are left out."""
        if there is None:
            return self.backbone(tokens)[:, -1]
        places = torch.arange(tokens.shape[1])
        moved = (there.cumsum(dim=1) - 1)[:, None] == places[:, None]  # (S, place after, place before)
        hidden = self.backbone((moved & there[:, None]).to(tokens.dtype) @ tokens)
        last = places == there.sum(dim=1, keepdim=True) - 1
        return (last.to(hidden.dtype)[:, None] @ hidden)[:, 0]

    def _before(self, given: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Tensor | None]:
        """What is remembered before the decision, nothing where a context begins, and the tokens of that."""
        before = {kept.name: given[kept.name] for kept in self._memories}
        if DECISIONS not in given:
            return before, None
        number = given[DECISIONS]
        if self.model.context:
            number = number % self.model.context
            for kept in self._memories:
                if not kept.by_token:
                    part = before[kept.name]
                    goes_on = (number > 0).to(part.dtype)
                    before[kept.name] = part * goes_on.view(1, -1, *[1] * (part.dim() - 2))
        return before, number * self.task.tokens_each


def sees_whole_episodes(model: SequenceModel) -> bool:
    """Whether its state would grow with the episode, so that an exported one needs room for so many decisions."""
    stream = model.backbone.stream()
    return not model.context and stream is not None and any(kept.by_token for kept in stream.memories(0))
