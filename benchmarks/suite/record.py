"""What a suite is: environments of a task, its cells, in which policies are scored between a floor and a top."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Cell:
    """An environment of a suite, and the episodes that are played in it."""

    parts: Mapping[str, str]
    """What makes it, in the order of the suite's axes: ``{"set": "fcc-test", "ladder": "bbb", "penalty": "4.3"}``."""
    options: Mapping[str, Any]
    """Environment options, as they can be typed."""
    numbers: tuple[int, ...]
    """Of the episodes, among those that such an environment lets one choose: seeds are the command's and these."""
    starts: tuple[Mapping[str, Any], ...]
    """Reset options of each episode, in the environment of the batch."""
    least: float
    """The cell counts where the top is above the floor by so much."""

    @property
    def name(self) -> str:
        """``fcc-test x bbb x 4.3``."""
        return " x ".join(self.parts.values())


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Cells whose episodes one environment plays, many at once."""

    options: Mapping[str, Any]
    """Of that environment, with the data in it."""
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Built:
    """The cells that there are on this machine."""

    batches: tuple[Batch, ...]
    notes: tuple[str, ...] = ()
    """What is missing, and how it is had; one line each."""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A suite of a task whose metric is the higher the better, one of ``TaskComparison.suites``."""

    title: str
    axes: tuple[str, ...]
    """What cells differ in, the keys of ``Cell.parts``."""
    splits: tuple[str, ...]
    """The first is played where nothing else is said."""
    limit: int
    """Episodes a set, where nothing else is said."""
    floor: str
    """Registered policy whose mean is 0 of the suite score in every cell; it gives the same actions for a seed."""
    top: str
    """Registered policy whose mean is 1. Its values are cached, and made by a command of their own."""
    code: Mapping[str, tuple[str, ...]]
    """Of floor and top: the modules that their values depend on."""
    counts: str
    """When a cell counts, for people."""
    build: Callable[[str, int | None], Built]
    """Split and most episodes a set, None for all -> the cells. ``ValueError``, one line, for too many episodes."""
    digest: Callable[[Any, Mapping[str, Any]], str]
    """Unwrapped environment and reset options -> a digest of all that the values of that episode depend on, but code;
    a floor or top that draws anything of its own needs the seed in it, and cannot be had."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Registered policies that play only where they are named, and why."""
