"""What a task adds to an exported function: arrays in, decisions out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from agents.registry import part_of, tasks_with
from agents.sequence.net import Steps, TaskNet

NEW = "new_"
"""How names of outputs begin that are the state of the next decision."""
TO_GO, DECISIONS = "return_to_go", "decisions"


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


def graph_for(net: TaskNet) -> TaskGraph:
    """The part of the net's task; ``ValueError``, one line, for a net that is not served."""
    known = tasks_with("graph")
    if net.task not in known:
        *most, last = known
        raise ValueError(f"task {net.task!r} is not exported, only {', '.join(most)} and {last}")
    graph: TaskGraph = part_of(net.task, "graph")(net)
    return graph
