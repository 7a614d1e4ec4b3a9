"""What the speed benchmark has to know of a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from benchmarks.speed.measurement import Measurement


class Option(NamedTuple):
    """An option that only some tasks have, such as ``--num-jobs``: a whole number from 1 up."""

    default: int
    meaning: str
    """A noun phrase: ``jobs of an episode``."""


@dataclass(frozen=True, kw_only=True)
class PolicySpeed:
    """How sequence policies of a task are measured against each other, with ``--policy``."""

    dataset: str
    """What is played, where ``needs`` is installed; else ``synthetic``."""
    needs: str
    """Data set."""
    heads: frozenset[str]
    """Modules and weights of its net that read hidden states; the rest makes tokens."""
    context: int
    """Tokens of the 19 steps before a decision, as NetLLM lays them out."""
    chunks: tuple[int, ...]
    """Tokens that are new in a decision, by what is fed at once."""
    as_of_now: Callable[[dict[str, Any]], dict[str, Any]] = lambda shared: shared
    """``shared_info`` of the environment -> the same for a policy that is asked when the environment has gone on."""


@dataclass(frozen=True, kw_only=True)
class TaskSpeed:
    """What is measured of a task; a file of its own imports what it measures when it does."""

    measurements: Callable[..., list[Measurement]]
    """(dataset, num_envs, options by name) -> all that one run measures, the first yardstick first. ``ValueError``,
    one line, for an impossible data set."""
    dataset: str | None = "synthetic"
    """What ``--dataset`` is by default; None: the environment's own default."""
    num_envs: tuple[int, ...] = (64,)
    """Batch sizes by default."""
    options: Mapping[str, Option] = field(default_factory=dict)
    """Others, by the name of the keyword of ``measurements``."""
    yardsticks: Sequence[str] = ()
    """Names of the measurements that others are related to."""
    published: Sequence[str] = ()
    """Lines about figures that others have measured."""
    trainings: Callable[[Sequence[int]], list[Measurement]] | None = None
    """Batch sizes -> what ``--train`` measures, on generated data."""
    published_trainings: Sequence[str] = ()
    policy: PolicySpeed | None = None
    """None: no sequence policies are made for it."""
