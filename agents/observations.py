"""Observations as columns of a pool, and back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import gymnasium as gym
import numpy as np

from agents.errors import PolicyError
from agents.ragged import Column
from agents.registry import part_of, tasks_with


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """How a pool keeps dict observations of one kind, such as padded ones without their padding."""

    parts: frozenset[str]
    """Keys of the observations that it is for: of no other layout."""
    to_columns: Callable[[Mapping[str, np.ndarray]], dict[str, Column]]
    """Batch of n observations -> columns ``obs/...`` of n rows, and of masks of actions that are in them."""
    from_columns: Callable[[Mapping[str, Column], gym.spaces.Dict], dict[str, np.ndarray]]
    """Those columns, space of a single observation -> the batch of n observations, to the bit."""


def to_columns(observations: Any) -> dict[str, Column]:
    """Columns ``obs...`` (n rows) of a batch of n observations, and the masks of actions that are in them.

    An array becomes ``obs``, a dict ``obs/KEY``, or what the ``Layout`` of a task makes of it. Nothing is lost:
    ``from_columns`` is the inverse. ``ValueError`` for observations that are no arrays.
    """
    if isinstance(observations, np.ndarray):
        return {"obs": observations}
    if not isinstance(observations, Mapping):
        raise ValueError("a pool holds arrays: make the environment with observation=padded")
    layout = _layout_of(observations)
    if layout is not None:
        return layout.to_columns(observations)
    return {f"obs/{name}": values for name, values in observations.items()}


def from_columns(columns: Mapping[str, Column], space: gym.Space[Any]) -> Any:
    """The batch of observations of ``space``, n rows, that ``to_columns`` made ``columns`` of."""
    if not isinstance(space, gym.spaces.Dict):
        return columns["obs"]
    layout = _layout_of(space.spaces)
    if layout is not None:
        return layout.from_columns(columns, space)
    return {name: columns[f"obs/{name}"] for name in space.spaces}


def _layout_of(parts: Mapping[str, Any]) -> Layout | None:
    return _layouts(tuple(tasks_with("layout"))).get(frozenset(parts))


@cache
def _layouts(tasks: tuple[str, ...]) -> dict[frozenset[str], Layout]:
    """Layouts of tasks by the parts that they are for; one that cannot be loaded is no layout."""
    found = {}
    for task in tasks:
        with contextlib.suppress(PolicyError):
            layout: Layout = part_of(task, "layout")
            found[layout.parts] = layout
    return found
