"""What a comparison has to know about a task: its metric, terms and plots."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from agents.rollout import Collect, Episode
from benchmarks import formats
from benchmarks.suite.record import Suite

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Metric:
    """The number that rows are ranked by; one per episode."""

    name: str
    unit: str
    better: str
    """``higher`` or ``lower``."""
    label: str
    """Axis and column label, with the unit where there is one."""
    ratio_scale: bool = False
    """Whether one mean is given in percent of another, too; that takes a true zero."""
    decimals: int | None = None
    """Shown; None: as many as the size asks for."""

    def number(self, value: float | None) -> str:
        """A value of it for people."""
        return formats.number(value, decimals=self.decimals)

    def signed(self, value: float | None) -> str:
        """A difference."""
        return formats.signed(value, self.decimals)

    def interval(self, bounds: tuple[float, float] | None) -> str:
        """An interval of either."""
        return formats.interval(bounds, self.decimals)

    def best_first(self, value: float) -> float:
        """Sort key."""
        return -value if self.better == "higher" else value


@dataclass(frozen=True)
class Term:
    """A number that is shown beside the metric: a part of it, or another side of the same episodes."""

    name: str
    """Key in the JSON; the unit is in it."""
    label: str
    """With the unit, for plots and the report."""
    heading: str
    """The same, two short lines, for the table."""
    better: str
    """``higher`` or ``lower``; empty: neither."""
    meaning: str
    """A sentence for the report."""
    decimals: int | None = None
    """Shown; None: as many as the size asks for."""

    def number(self, value: float | None) -> str:
        """A value of it for people."""
        return formats.number(value, small=4, decimals=self.decimals)


@dataclass(frozen=True)
class Distribution:
    """What the plot of the distribution counts, where that is not the metric of whole episodes."""

    name: str
    """Column of the CSV; the unit is in it."""
    label: str
    """Axis label, with the unit."""
    item: str
    """What has a value: ``job``."""
    values: Callable[[Episode], np.ndarray]
    """float64 (items,) of an episode."""


@dataclass(frozen=True)
class Profile:
    """What is drawn over places inside an episode, such as the error of a prediction over the time ahead."""

    name: str
    """Column of the CSV; the unit is in it."""
    label: str
    """Axis label, with the unit."""
    better: str
    """``higher`` or ``lower``."""
    at_name: str
    """Column of the places."""
    at_label: str
    """Their axis label, with the unit."""
    at: np.ndarray
    """float64 (places,), ascending."""
    values: Callable[[Episode], np.ndarray]
    """float64 (places,) of an episode."""
    title: str
    """``error by horizon``."""


@dataclass(frozen=True)
class Groups:
    """Episodes that resemble each other, and are therefore drawn together by every bootstrap."""

    noun: str
    """What a group is: ``viewer-video pair``."""
    key: Callable[[Episode], Hashable]
    """Equal for the episodes of a group."""
    caveat: str
    """What drawing them leaves out, a sentence for the report."""


@dataclass(frozen=True)
class Setup:
    """A task with its options applied: what one environment, made with them, told about the comparison."""

    dataset: str
    metric: Metric
    terms: tuple[Term, ...]
    score: Callable[[Episode], float]
    """The metric of an episode."""
    term_values: Callable[[Episode], dict[str, float]]
    """The terms of an episode, by name."""
    collect: Collect | None = None
    """What else to keep of each episode, as ``Episode.collected``."""
    distribution: Distribution | None = None
    """None: the metric of the episodes."""
    profile: Profile | None = None
    """None: there is no such plot."""
    groups: Groups | None = None
    """None: episodes do not depend on each other."""
    details: Mapping[str, str] = field(default_factory=dict)
    """What the options came to, for people: ``{"video": "video1, 48 chunks of 4 s"}``."""


@dataclass(frozen=True, kw_only=True)
class TaskComparison:
    """How a task is compared: what ``python -m benchmarks.compare`` adds to the task's record in ``netenvs.tasks``."""

    setup: Callable[[gym.Env], Setup]
    """Environment, made with the options of the command line -> what it told about the comparison."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Environment options that ``--set`` does not take, and why."""
    terms_title: str = ""
    """What the terms are, as the title of their plot: ``what QoE is made of``."""
    reference: str | None = None
    """Registered policy that the others are compared with; without it, or where it takes no part, the best baseline."""
    noun: str = "episode"
    """What an episode of this task is called."""
    anchors: tuple[str, str] | None = None
    """Registered policies whose means are 0 and 1 of the normalised score."""
    skill: Callable[[Sequence[Episode]], float] | None = None
    """Skill of a policy over its episodes, where the task defines one."""
    skill_meaning: str = ""
    """Its definition, a sentence for the report."""
    example: Callable[[Any], tuple[Figure, dict[str, np.ndarray]]] | None = None
    """Unwrapped environment in which an episode has just ended -> its figure, and the columns it was drawn from."""
    example_options: Mapping[str, Any] = field(default_factory=dict)
    """Environment options that such a figure needs."""
    example_note: str = ""
    """One sentence that explains that figure."""
    suites: Mapping[str, Suite] = field(default_factory=dict)
    """By name: what ``--suite`` plays."""
