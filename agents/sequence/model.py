"""The network of a sequence policy: encoder, backbone, heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.ragged import concatenate, offsets_of, take
from agents.sequence.backbone import Backbone, Cache
from agents.sequence.net import Steps, TaskNet, Tokens


@dataclass(frozen=True)
class Sequences:
    """Stretches of steps, each within one episode, end to end: S steps in all."""

    steps: Steps
    """S rows."""
    lengths: np.ndarray
    """int64 (sequences,): steps of each."""
    previous: np.ndarray
    """Actions carried out at the step before, (S, ...), all -1 at the first step of an episode."""
    numbers: np.ndarray
    """int64 (S,): number of each step in its episode."""
    returns: np.ndarray | None = None
    """float32 (S,): normalised returns to go."""

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, chosen: np.ndarray) -> Sequences:
        """The sequences ``chosen``, int (k,)."""
        rows = rows_of(self.lengths, chosen)
        return Sequences(
            {name: take(column, rows) for name, column in self.steps.items()},
            self.lengths[chosen],
            self.previous[rows],
            self.numbers[rows],
            None if self.returns is None else self.returns[rows],
        )

    @staticmethod
    def concatenate(parts: Sequence[Sequences]) -> Sequences:
        """All sequences of all parts."""
        first = parts[0]
        return Sequences(
            {name: concatenate([part.steps[name] for part in parts]) for name in first.steps},
            np.concatenate([part.lengths for part in parts]),
            np.concatenate([part.previous for part in parts]),
            np.concatenate([part.numbers for part in parts]),
            None
            if first.returns is None
            else np.concatenate([part.returns for part in parts if part.returns is not None]),
        )

    def windows(self, length: int) -> Sequences:
        """The same steps in stretches of at most ``length`` steps, from the first of each sequence on."""
        counts = -(-self.lengths // length)
        cut = np.full(int(counts.sum()), length, dtype=np.int64)
        cut[np.cumsum(counts) - 1] = self.lengths - (counts - 1) * length
        return replace(self, lengths=cut)


def rows_of(lengths: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """int64: the rows of the sequences ``chosen`` among sequences of ``lengths`` that lie end to end."""
    begins = offsets_of(lengths)[:-1][chosen]
    sizes = lengths[chosen]
    offsets = offsets_of(sizes)
    return np.repeat(begins - offsets[:-1], sizes) + np.arange(offsets[-1])


class SequenceModel(nn.Module):
    """A task's encoders and heads around a backbone.

    Tokens are normalised, then get an embedding of the step's number, if there is a table of them (NetLLM's layout,
    github.com/duowuyms/NetLLM, ``rl_policy.py``); step numbers beyond the table take its last row.

    Arguments:
        task: encoders and heads.
        backbone: of the same ``d_model``.
        timesteps: rows of the table, 0: none.
        context: steps that it sees at most: it begins anew after so many; 0: it sees whole episodes.
    """

    def __init__(self, task: TaskNet, backbone: Backbone, timesteps: int = 0, context: int = 0):
        super().__init__()
        if task.d_model != backbone.d_model:
            raise ValueError(f"the encoders are for d_model {task.d_model}, the backbone has {backbone.d_model}")
        if min(timesteps, context) < 0:
            raise ValueError(f"timesteps and context must be 0 or more, not {timesteps} and {context}")
        self.task, self.backbone, self.context = task, backbone, context
        self.norm = nn.LayerNorm(backbone.d_model)
        self.timestep = nn.Embedding(timesteps, backbone.d_model) if timesteps else None
        if self.timestep is not None:
            nn.init.normal_(self.timestep.weight, std=0.02)

    def config(self) -> dict[str, Any]:
        """What makes it again, but for the backbone, as JSON."""
        timesteps = 0 if self.timestep is None else self.timestep.num_embeddings
        return {"task": self.task.task, "net": self.task.config(), "timesteps": timesteps, "context": self.context}

    def forward(self, sequences: Sequences, actions: np.ndarray | None = None) -> list[Tensor]:
        """Logits of each component, (S, choices) each, or mean and log scale of a path, for all steps at once.

        ``actions``, int64 (S, components): components that later ones are conditioned on; None: there are none.
        """
        task, device = self.task, self.task.device
        returns = None if sequences.returns is None else torch.from_numpy(sequences.returns).to(device)
        first = task.embed(sequences.steps, sequences.previous, returns)
        chosen = torch.zeros(len(sequences.previous), task.components, dtype=torch.int64, device=device)
        if actions is not None:
            chosen = torch.from_numpy(actions).to(device)
        parts = [first]
        read = [0]  # of which part the hidden state of each component is
        for component in range(task.components - 1):
            following = task.follow(component, first.memory, chosen)
            if following is not None:
                parts.append(following)
            read.append(len(parts) - 1)
        embeddings, ends = _interleave(parts)
        counts = torch.stack([part.counts for part in parts]).sum(dim=0)
        numbers = torch.from_numpy(sequences.numbers).to(device).repeat_interleave(counts)
        hidden = self._hidden(self._normalised(embeddings, numbers), counts, sequences.lengths)
        if task.continuous:
            return list(task.path(hidden[ends[0]], first.memory))
        return [task.logits(component, hidden[ends[part]], first.memory, chosen) for component, part in enumerate(read)]

    def _hidden(self, embeddings: Tensor, counts: Tensor, lengths: np.ndarray) -> Tensor:
        """(n, d_model): hidden states of the tokens of sequences of ``lengths`` steps with ``counts`` tokens each."""
        device = embeddings.device
        sequence = torch.arange(len(lengths), device=device).repeat_interleave(torch.from_numpy(lengths).to(device))
        tokens = torch.zeros(len(lengths), dtype=torch.int64, device=device).index_add(0, sequence, counts)
        row = torch.arange(len(lengths), device=device).repeat_interleave(tokens)
        column = torch.arange(len(embeddings), device=device) - (tokens.cumsum(0) - tokens)[row]
        padded = embeddings.new_zeros(len(lengths), int(tokens.max()), embeddings.shape[1])
        padded = padded.index_put((row, column), embeddings)
        return self.backbone(padded, tokens)[row, column]

    def _normalised(self, embeddings: Tensor, numbers: Tensor) -> Tensor:
        """Tokens as the backbone gets them; ``numbers`` int64 (n,) are those of their steps."""
        if self.timestep is not None:
            embeddings = embeddings + self.timestep(numbers.clamp(max=self.timestep.num_embeddings - 1))
        return self.norm(embeddings)

    def step(self, tokens: Tokens, numbers: Tensor, cache: Cache | None) -> Tensor:
        """(rows, d_model): hidden state of the last new token of each row; ``numbers`` are those of the steps.

        ``cache`` None: nothing comes before these tokens, or will follow them.
        """
        counts, lengths = tokens.counts, None
        rows, longest = len(counts), int(counts.max())
        if len(tokens.embeddings) == rows * longest:
            padded = self._normalised(tokens.embeddings.view(rows, longest, -1), numbers[:, None])
        else:
            place = torch.arange(rows, device=counts.device)
            row = place.repeat_interleave(counts)
            column = torch.arange(len(row), device=counts.device) - (counts.cumsum(0) - counts)[row]
            embeddings = self._normalised(tokens.embeddings, numbers[row])
            padded = embeddings.new_zeros(rows, longest, embeddings.shape[1])
            padded = padded.index_put((row, column), embeddings)
            lengths = counts
        hidden = self.backbone(padded, lengths) if cache is None else self.backbone.step(padded, cache, lengths)
        return hidden[:, -1] if lengths is None else hidden[place, counts - 1]


def _interleave(parts: Sequence[Tokens]) -> tuple[Tensor, list[Tensor]]:
    """Tokens of several parts, step by step: (n, d_model), and int64 (S,) places of each part's last token a step."""
    if len(parts) == 1:
        return parts[0].embeddings, [parts[0].counts.cumsum(0) - 1]
    counts = torch.stack([part.counts for part in parts])  # (parts, S)
    after = counts.T.reshape(-1).cumsum(0).reshape(-1, len(parts)).T  # places behind each part of each step
    embeddings = parts[0].embeddings.new_zeros(int(counts.sum()), parts[0].embeddings.shape[1])
    for part, count, end in zip(parts, counts, after, strict=True):
        step = torch.arange(len(count), device=count.device).repeat_interleave(count)
        within = torch.arange(len(step), device=count.device) - (count.cumsum(0) - count)[step]
        embeddings = embeddings.index_put(((end - count)[step] + within,), part.embeddings)
    return embeddings, [end - 1 for end in after]
