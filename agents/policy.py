"""What a policy is.

A policy acts in a Gymnasium environment; five lines of buffer rule and a large language model share this one
interface::

    from agents.policy import Policy

    class Careful(Policy):
        def act(self, observation, info):
            return 0 if info["buffer_s"] < 10 else 2
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from agents.errors import PolicyError

__all__ = ["BatchPolicy", "Policy", "PolicyError", "grow_rows", "load_policy"]


class Policy:
    """Base class with defaults: a policy need only define ``act``.

    A policy that decides for many episodes at once subclasses ``BatchPolicy``, and ``agents.rollout`` uses that.
    """

    name: str
    """Row of the table; the class name unless set."""
    observation_options: dict[str, Any] = {}  # noqa: RUF012
    """Observation-side environment options it needs (``history``, ``saliency``, ``observation``)."""
    privileged: bool = False
    """Knows what no deployed policy knows, through ``bind(env)``: marked with an asterisk in tables."""
    sequential: bool = False
    """Its state crosses episodes on purpose: it is played in one stream, in order."""
    parameters: int | None = None
    """Numbers needed for a decision, None for a rule."""
    bytes: int | None = None
    """Size of the files it ships, None for a rule."""
    assumption: str | None = None
    """What must be at hand besides what every policy of the task sees; tables say it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = cls.__name__

    def reset(self, seed: int | None = None) -> None:
        """A new episode begins; ``seed`` determines the policy's random choices in it."""

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        """One decision: an action of the environment's action space."""
        raise NotImplementedError(f"{type(self).__name__} does not define act(observation, info)")

    def finish(self, observation: Any, info: dict[str, Any]) -> None:
        """The episode has ended with this last observation; no action is asked for. Batched play has no such call."""

    def bind(self, env: gym.Env) -> None:
        """Look into the single environment, after its reset and before the policy's.

        A policy that overrides this is played one episode at a time.
        """


class BatchPolicy(Policy):
    """A policy that decides for many episodes at once; ``act`` and ``reset`` are the batch of one.

    State, where there is any, is kept per row of the batch: ``infos["row"]`` numbers the rows, which need not be
    all of the batch. ``infos`` holds the environment's scalar columns as arrays (rows,) and what all rows share
    (ABR: ``video``, ``qoe``; VP: ``horizon``, ``previous_viewers``).
    """

    def reset_rows(self, rows: np.ndarray, seeds: Sequence[int | None]) -> None:
        """New episodes begin in ``rows``, int (k,), with one seed each."""

    def act_batch(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        """One decision for each live row: actions (k, ...) for observations (k, ...)."""
        raise NotImplementedError(f"{type(self).__name__} does not define act_batch(observations, infos)")

    def reset(self, seed: int | None = None) -> None:
        self.reset_rows(np.zeros(1, dtype=np.int64), [seed])

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        infos = {
            name: np.array([value]) if isinstance(value, bool | int | float | np.generic) else value
            for name, value in info.items()
        }
        infos["row"] = np.zeros(1, dtype=np.int64)
        if isinstance(observation, dict):
            observations: Any = {name: value[None] for name, value in observation.items()}
        elif isinstance(observation, np.ndarray):
            observations = observation[None]
        else:
            observations = (observation,)  # a graph: vector environments have tuples of them
        return self.act_batch(observations, infos)[0]


def grow_rows(state: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """``state`` (n, ...) with enough zero rows added that every index of ``rows`` is inside."""
    missing = int(rows.max(initial=-1)) + 1 - len(state)
    if missing <= 0:
        return state
    return np.concatenate([state, np.zeros((missing, *state.shape[1:]), dtype=state.dtype)])


def load_policy(spec: str, task: str | None = None, **options: Any) -> Policy:
    """A policy by name, file, module or checkpoint folder: see ``agents.registry.load_policy``."""
    from agents.registry import load_policy  # which knows this module

    return load_policy(spec, task, **options)
