"""What a task adds to an exported function: arrays in, decisions out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from agents.registry import part_of, tasks_with
from agents.sequence.net import MASKED, Steps, TaskNet

NEW = "new_"
"""How names of outputs begin that are the state of the next decision."""
TO_GO, DECISIONS = "return_to_go", "decisions"
LEAST_LOG = -20.0
"""Choices with a smaller log-probability are never made: how much smaller it is does not count."""


class Port(NamedTuple):
    """An input or output of the function."""

    name: str
    dtype: str
    """``float32``, ``int64`` or ``bool``."""
    shape: tuple[int | str, ...]
    """A name stands for a size that may be another one at each call."""
    meaning: str
    """With its unit."""


class TaskGraph:
    """What a task adds to the function; its ``net`` needs no weights for ``inputs``, ``outputs`` and ``arrays``.

    The constructor takes the net; ``ValueError``, one line, for one that is not served.
    """

    tokens_each: int = 1
    """Tokens of a decision, at most."""

    def check_context(self, context: int) -> None:
        """``ValueError``, one line, for a ``context`` of the model with which it is not exported."""

    def inputs(self) -> tuple[Port, ...]:
        """What is made of an observation."""
        raise NotImplementedError

    def outputs(self) -> tuple[Port, ...]:
        """What the decision is read from."""
        raise NotImplementedError

    def arrays(self, steps: Steps, previous: np.ndarray) -> dict[str, np.ndarray]:
        """``inputs`` for columns of ``TaskNet.observe`` and the actions before, (S, ...), -1 where there is none."""
        raise NotImplementedError

    def tokens(self, inputs: Mapping[str, Tensor], returns: Tensor | None) -> tuple[Tensor, Tensor | None, Any]:
        """Tokens, float32 (S, t, d_model), which of them there are (None: all), and what ``heads`` needs besides."""
        raise NotImplementedError

    def heads(self, hidden: Tensor, memory: Any) -> tuple[Tensor, ...]:
        """``outputs``, for hidden states of the last tokens (S, d_model)."""
        raise NotImplementedError

    def choose(self, found: Mapping[str, np.ndarray]) -> np.ndarray:
        """The best choice of each component, int64 (S, components), or the path, float32 (S, 20, 3)."""
        raise NotImplementedError

    def apart(self, found: Mapping[str, np.ndarray], expected: Sequence[np.ndarray]) -> list[np.ndarray]:
        """How ``outputs`` of a decision differ from those of the net, float64, an array each; here, as of choices.

        ``expected`` are the net's logits of each component, or its mean and log scale.
        """
        return [choices_apart(logits, theirs) for logits, theirs in zip(found.values(), expected, strict=True)]


def choices_apart(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Differences of the log-probabilities of choices, float64, for logits (S, choices).

    ``found`` may have room for more choices, infinitely far apart if one of these can be made.
    """
    width = expected.shape[1]
    if not (found[:, width:] == MASKED).all():
        return np.full(expected.shape, np.inf)
    return _log_probabilities(found[:, :width]) - _log_probabilities(expected)


def _log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Of choices, float64; those that are never made are all alike."""
    found = logits.astype(np.float64)
    found -= found.max(axis=1, keepdims=True)
    return np.maximum(found - np.log(np.exp(found).sum(axis=1, keepdims=True)), LEAST_LOG)


def graph_for(net: TaskNet) -> TaskGraph:
    """The part of the net's task; ``ValueError``, one line, for a net that is not served."""
    known = tasks_with("graph")
    if net.task not in known:
        *most, last = known
        raise ValueError(f"task {net.task!r} is not exported, only {', '.join(most)} and {last}")
    graph: TaskGraph = part_of(net.task, "graph")(net)
    return graph
