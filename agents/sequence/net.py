"""What a task adds to a backbone: encoders in front of it, heads behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from agents.ragged import Column

TOKENISATIONS = ("fused", "netllm")
MASKED = -1e9
"""Logit of what cannot be chosen: finite, so that differences and products of log-probabilities stay finite."""
Steps = dict[str, Column]
"""Columns with a row a step."""


class Tokens(NamedTuple):
    """Tokens of steps, end to end."""

    embeddings: Tensor
    """float32 (n, d_model)."""
    counts: Tensor
    """int64 (steps,): tokens of each step."""
    memory: Any = None
    """What the heads need besides hidden states."""


class TaskNet(nn.Module):
    """Encoders and heads of a task.

    Its tokens of a step are, in this order: the action before, the return to go (only with ``returns``), what is
    observed. An action has one or more components; the logits of component c are read from the hidden state of the
    last token so far. The constructor takes ``d_model`` and what stands in ``config``.
    """

    task: str
    """Name of its task."""
    components: int = 1
    """Of an action."""
    continuous: bool = False
    """Whether it has ``path`` instead of ``logits``."""
    path_unit: float = 1.0
    """Of paths: an error of this size counts 1 in a squared error."""
    assumption: str | None = None
    """See ``Policy``: of policies that play it."""

    def __init__(self, d_model: int, tokenisation: str = "fused", returns: bool = False):
        super().__init__()
        if tokenisation not in TOKENISATIONS:
            raise ValueError(f"tokenisation must be {' or '.join(TOKENISATIONS)}, not {tokenisation!r}")
        self.d_model, self.tokenisation, self.returns = d_model, tokenisation, returns

    def config(self) -> dict[str, Any]:
        """The constructor's arguments but for ``d_model``, as JSON."""
        return {"tokenisation": self.tokenisation, "returns": self.returns}

    def observe(self, observations: Any, infos: Mapping[str, Any]) -> Steps:
        """What it needs of a batch of observations and infos, see ``BatchPolicy.act_batch``."""
        raise NotImplementedError

    def embed(self, steps: Steps, previous: np.ndarray, returns: Tensor | None) -> Tokens:
        """Tokens of the steps up to their first decision.

        Arguments:
            steps: S rows.
            previous: actions carried out at the step before, (S, ...) of the environment, all -1 where there is none.
            returns: float32 (S,), normalised returns to go; None without ``returns``.
        """
        raise NotImplementedError

    def logits(self, component: int, hidden: Tensor, memory: Any, actions: Tensor) -> Tensor:
        """(S, choices): logits of a component, ``MASKED`` where it cannot be chosen.

        ``hidden`` is (S, d_model), ``actions`` int64 (S, components), of which those before ``component`` are chosen.
        """
        raise NotImplementedError

    def path(self, hidden: Tensor, memory: Any) -> tuple[Tensor, Tensor]:
        """(mean, log_scale), float32 (S, ...) each, of a task with continuous actions.

        The scale is that of a Laplace distribution, the mean absolute error that the network expects.
        """
        raise NotImplementedError

    def apart(self, one: Tensor, other: Tensor) -> Tensor:
        """Difference of two paths, (S, ...), in the unit of paths."""
        return one - other

    def follow(self, component: int, memory: Any, actions: Tensor) -> Tokens | None:
        """Tokens that follow the choice of a component, one a step; None: there are none."""
        return None

    def to_env(self, actions: np.ndarray, steps: Steps) -> np.ndarray:
        """Actions of the environment, for chosen components int64 (S, components)."""
        return actions[:, 0] if self.components == 1 else actions

    def from_env(self, actions: np.ndarray, steps: Steps) -> np.ndarray:
        """Chosen components, int64 (S, components), of actions of the environment: what a pool's policies did."""
        return actions.reshape(len(actions), self.components).astype(np.int64)

    def collected(self, observations: Any, infos: Mapping[str, Any], before: np.ndarray) -> np.ndarray:
        """float64 (S,): sum of the rewards of each episode so far, if it was ``before`` at the step before.

        ``before`` is NaN at an episode's first step. Needed with ``returns`` only.
        """
        raise NotImplementedError

    @property
    def observation_options(self) -> dict[str, Any]:
        """See ``Policy``: of policies that play it."""
        return {}

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device
