"""What the speed benchmark has to know of each task, and where it finds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks.speed.measurement import Measurement
from netenvs import tasks


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


def task_speed(name: str) -> TaskSpeed:
    """Of the task called ``name``; ``ValueError``, one line, for others.

    It stands in ``benchmarks/speed/<task>.py`` or where a task of another package says; without one, random actions
    are measured.
    """
    found: TaskSpeed | None = tasks.part(name, "speed", "benchmarks.speed.{}:SPEED")
    if found is None:
        from benchmarks.speed.default import default_speed

        return default_speed(tasks.find(name))
    return found


def policy_speed(name: str) -> PolicySpeed:
    """Of the task called ``name``; ``ValueError``, one line, where no sequence policies are made for it."""
    found = task_speed(name).policy
    if found is None:
        raise ValueError(f"task {name!r} has no sequence policies that could be measured")
    return found


def known() -> dict[str, TaskSpeed]:
    """Of all tasks that can be loaded."""
    found = {}
    for name in tasks.names():
        try:
            found[name] = task_speed(name)
        except ValueError:
            continue  # a plug-in that is broken: its name is refused where it is given
    return found
