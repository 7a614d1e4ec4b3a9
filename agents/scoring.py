"""How good policies are, item by item; what is measured of a task is its ``Scoring``, in ``agents/<task>/scores.py``.

Items are what intervals are over, such as traces, seeds, or pairs of a viewer and a video.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import gymnasium as gym
import numpy as np

from agents import registry, statistics
from agents.policy import Policy, load_policy
from agents.rollout import EpisodeSpec, play
from netenvs import datasets, tasks
from netenvs.errors import printable

Difference = tuple[float, float, float]
"""A paired difference and its 95 % interval."""
DIGITS = 6
EPISODES = 20
"""Of a task that says nothing else."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What is measured of a task's policies."""

    name: str
    item: str
    """What intervals are over, in the plural."""
    decimals: int = 4
    """That are shown."""
    percent: bool = False
    """Whether differences are given in percent of the other's mean."""
    note: str = ""
    """What cards must say, Markdown."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """How good a policy is in a setting."""

    mean: float
    ci95: tuple[float, float] | None = None
    minus: Mapping[str, Difference] = field(default_factory=dict)
    """Policies beside it -> its paired difference to them."""
    values: Sequence[float] = ()
    """Of each item, where they are known."""
    weights: Sequence[float] = ()
    """How much each counts; none: all alike."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """What else was measured: numbers, or short lists of them."""

    @classmethod
    def of(cls, values: Sequence[float], weights: Sequence[float] = ()) -> Score:
        """Mean and interval of items."""
        counts = weights or None
        low, high = statistics.bounds(values, weights=counts)
        mean = statistics.mean(values, counts)
        return cls(
            mean=round(mean, DIGITS), ci95=(round(low, DIGITS), round(high, DIGITS)), values=values, weights=weights
        )

    def less(self, other: Score, percent: bool) -> Difference:
        """This minus the other, in percent of the other's mean if asked for; both have values of the same items."""
        found = statistics.difference(self.values, other.values, percent=percent, weights=self.weights or None)
        value, ends = (found.percent, found.percent_ci95) if percent else (found.mean, found.ci95)
        assert value is not None
        low, high = ends or (value, value)
        return round(value, DIGITS), round(low, DIGITS), round(high, DIGITS)

    @staticmethod
    def average(parts: Sequence[Score]) -> Score:
        """Of each item the mean over parts, such as training seeds."""
        return Score.of(np.mean([part.values for part in parts], axis=0).tolist(), parts[0].weights)


Scores = dict[str, dict[str, Score]]
"""By setting and policy."""


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How the policies of a task are scored."""

    measure: Measure
    baselines: tuple[str, ...]
    """Registered names of what a policy is compared with."""
    settings: Callable[[], Mapping[str, Callable[[Any], Score]]]
    """What it plays, by name, where the data are installed: each plays a policy."""


def scoring(task: str) -> Scoring:
    """Of a task; of one that says nothing, the returns of its default environment's episodes.

    ``PolicyError``, one line, for an unknown task, or one whose scoring cannot be loaded.
    """
    if not registry.agent_task(task).scores:
        return _of_returns(tasks.find(task))
    found: Scoring = registry.part_of(task, "scores")
    return found


def _of_returns(task: tasks.Task) -> Scoring:
    def evaluate(policy: Policy) -> Score:
        env = gym.make(task.default_id)
        items = task.items(env.unwrapped)
        env.close()
        count = EPISODES if items is None else items.default
        specs = [EpisodeSpec(number, options=items.options(number) if items else {}) for number in range(count)]
        return Score.of([float(episode.total_reward) for episode in play(policy, task.default_id, specs)])

    measure = Measure(name="return", item="episodes")
    return Scoring(measure=measure, baselines=(), settings=lambda: {task.default_id: evaluate})


def score(task: str, policies: Mapping[str, Policy], policy: str) -> Scores:
    """Scores of policies, and of the task's baselines.

    Baselines whose weights are not installed are left out. ``policies[policy]`` is compared with all whose names do
    not begin with its own.
    """
    how, found = scoring(task), Scores()
    for setting, evaluate in how.settings().items():
        found[setting] = {}
        for name, one in {**policies, **_baselines(task, how.baselines)}.items():
            print(printable(f"scoring {name}: {setting} ..."), flush=True)
            found[setting][name] = evaluate(one)
    return {setting: compared(scores, policy, how.measure.percent) for setting, scores in found.items()}


def compared(scores: Mapping[str, Score], policy: str, percent: bool) -> dict[str, Score]:
    """The same with the differences of ``policy`` to all whose names do not begin with its own."""
    own = scores[policy]
    minus = {name: own.less(other, percent) for name, other in scores.items() if not name.startswith(policy)}
    return {**scores, policy: replace(own, minus=minus)}


def _baselines(task: str, names: Sequence[str]) -> dict[str, Policy]:
    entries = registry.registered(task)
    there = [name for name in names if (needs := entries[name].dataset) is None or datasets.installed(needs)]
    return {name: load_policy(name, task) for name in there}
