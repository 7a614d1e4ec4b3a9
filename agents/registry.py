"""What this package knows of each task: its policies by name, and what shared code needs to play and train them.

It stands in the task's own file, ``agents/<task>/task.py``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from agents.errors import PolicyError, one_line
from netenvs import tasks
from netenvs.loading import entry_points, named

ENTRY_POINT_GROUP = "netenvs.policies"
PARTS = {
    "layout": "layout of observations",
    "net": "sequence net",
    "graph": "exported graph",
    "scores": "scoring",
}
"""What the fields of an ``AgentTask`` that name a part are called in messages."""


class Entry(NamedTuple):
    """One registered policy."""

    target: str
    """``module:Class``."""
    dataset: str | None = None
    """Data set whose files it needs."""
    baseline: bool = True
    """A rule or published model that others are compared with; False for bounds such as the oracle."""
    options: tuple[tuple[str, Any], ...] = ()
    """Options that make it, (name, value) each: a class may be several policies."""


@dataclass(frozen=True, kw_only=True)
class AgentTask:
    """What is known of a task where its policies are known; what it names is loaded when it is needed."""

    policies: Mapping[str, Entry]
    """Built-in ones by name."""
    observation_options: frozenset[str] = frozenset()
    """Environment options that a policy may ask for: they change what it sees, not what happens or counts."""
    layout: str = ""
    """``module:NAME`` of the ``agents.observations.Layout`` of its observations in pools; empty: columns are the
    observation's own arrays."""
    net: str = ""
    """``module:Class`` of its ``TaskNet``, the encoders and heads of sequence policies; empty: it has none."""
    graph: str = ""
    """``module:Class`` of its ``TaskGraph``, which export needs besides ``net``; empty: it has none."""
    scores: str = ""
    """``module:NAME`` of the ``agents.scoring.Scoring`` of its trained policies; empty: it has none."""
    capacity: int | None = None
    """Decisions of an episode that an exported policy has room for where it sees whole episodes and nothing else is
    said; None: that has to be said."""


def agent_task(task: str) -> AgentTask:
    """Of a task; ``PolicyError``, one line, for an unknown one."""
    try:
        found = tasks.part(task, "agents", "agents.{}.task:TASK", AgentTask)
    except ValueError as error:
        raise PolicyError(str(error)) from error
    return AgentTask(policies={}) if found is None else found


def tasks_with(part: str) -> list[str]:
    """Tasks whose ``AgentTask`` names this part, a field such as ``net``; those that cannot be loaded are left out."""
    found = []
    for name in tasks.names():
        with contextlib.suppress(PolicyError):
            if getattr(agent_task(name), part):
                found.append(name)
    return found


def part_of(task: str, part: str) -> Any:
    """What the ``AgentTask`` of a task names in the field ``part``, one of ``PARTS``, loaded.

    ``PolicyError``, one line, for a task that has none, or one that is unknown or cannot be loaded.
    """
    target = getattr(agent_task(task), part)
    if not target:
        others = ", ".join(tasks_with(part)) or "none"
        raise PolicyError(f"{task} has no {PARTS[part]}; tasks with one: {others}")
    try:
        return named(target)
    except Exception as error:
        raise PolicyError(f"task {task!r}: cannot load its {PARTS[part]} {target}: {one_line(error)}") from error


def observation_options() -> frozenset[str]:
    """Environment options that policies of any task may ask for."""
    found: frozenset[str] = frozenset()
    for name in tasks.names():
        with contextlib.suppress(PolicyError):
            found |= frozenset(agent_task(name).observation_options)
    return found


def registered(task: str) -> dict[str, Entry]:
    """Policies of a task by name: the built-in ones, then those of the entry-point group ``netenvs.policies``.

    An installed package adds one with an entry point named ``task.name`` that points to ``module:Class``.
    """
    found = dict(agent_task(task).policies)
    for point in entry_points(ENTRY_POINT_GROUP):
        point_task, _, name = point.name.partition(".")
        if point_task == task and name and name not in found:
            found[name] = Entry(point.value)
    return found


def registered_by_task(task: str | None = None) -> dict[str, dict[str, Entry]]:
    """Policies of a task, or of all tasks that can be loaded, by task and name."""
    if task is not None:
        return {task: registered(task)}
    found = {}
    for name in tasks.names():
        with contextlib.suppress(PolicyError):
            found[name] = registered(name)
    return found
