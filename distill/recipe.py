"""What this package knows of each task: how its episodes become a pool, and how a sequence policy learns it.

It stands in the task's own folder, ``distill/recipes/<task>``. A task without a recipe can be collected all the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from netenvs import tasks
from netenvs.loading import named

if TYPE_CHECKING:  # torch takes a second to import, and collecting needs none of it
    import numpy as np

    from agents.sequence.net import TaskNet
    from distill.pools.pool import Pool
    from distill.pools.recorder import ExtraColumn
    from distill.training.phase import Phase, Source

MakeColumn = Callable[[str, Mapping[str, Any]], "ExtraColumn"]
"""Environment id and options -> a column; ``ValueError``, one line, for options that it cannot be made for."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is known of a task where pools are made, and where to find how policies learn it."""

    episodes_per_shard: int = 200
    """Of one policy: about 20 MB."""
    labels: Mapping[str, MakeColumn] = field(default_factory=dict)
    """Further columns of every pool, by name, which a learner is to imitate."""
    expert_values: MakeColumn | None = None
    """The column ``expert_values``, float64 (steps, choices), what each choice is worth to who knows what comes; None:
    nobody can say."""
    training: str = ""
    """``module:NAME`` of the ``TrainingRecipe``; empty: there is none."""


@dataclass(frozen=True, kw_only=True)
class StudentRecipe:
    """How a small student learns the task from a teacher and the task's own source."""

    phases: tuple[Phase, ...]
    """With rates for a ``d_model`` of 64; they are called as in ``distill.commands.distill``."""
    source_phases: Mapping[str, str]
    """Name of each of them -> what the task's source calls it."""
    encoders: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Size of the student -> arguments of encoders and heads that differ from the teacher's."""
    beta: float = 0.0
    """What the divergence from the teacher counts beside returns at first."""


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """How a sequence policy learns the task.

    ``options`` below is an object of the class ``TrainingRecipe.options``; ``pools`` are of the task.
    """

    options: type[Any]
    """Dataclass of what ``--set`` chooses; ``ValueError``, one line, for impossible values."""
    source: Callable[[TaskNet, Sequence[Pool], int, Any], Source]
    """(net, pools, seed, options) -> what is learned from."""
    phases: Callable[[Any, Sequence[Pool]], tuple[Phase, ...]]
    """(options, pools) -> what a training consists of."""
    describe: Callable[[Any, Sequence[Pool]], str]
    """(options, pools) -> a sentence or two on the data, for the card."""
    context: int
    """Decisions that the policy sees at once; 0: the whole episode."""
    optimisation: Mapping[str, Any]
    """Arguments of ``distill.training.learner.Optimisation``."""
    net: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of encoders and heads."""
    net_of_data: Callable[[Any, Sequence[Pool]], Mapping[str, Any]] = lambda options, pools: {}
    """(options, pools) -> further ones, which follow from the data."""
    initialise: Callable[[TaskNet, Any, Sequence[Pool]], None] | None = None
    """(net, options, pools): what comes before the first iteration."""
    share: Callable[[TaskNet, TaskNet], None] = lambda student, teacher: None
    """(student's net, teacher's): give the teacher what the source has given the student to look things up in."""
    looked_up: Callable[[Pool], Mapping[str, np.ndarray]] = lambda pool: {}
    """Arrays that nets look things up in besides what stands in the pool, by name."""
    path_label: str = ""
    """Column of pools, of the labels of the ``Recipe``, that holds the paths to predict, where actions are paths."""
    phase_options: tuple[str, ...] = ("warm_up", "iterations", "improve")
    """Options that say what phases a training has; a student has others."""
    without_improvement: Mapping[str, Any] = field(default_factory=dict)
    """Options of a training that does not end by reinforcement learning."""
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Policies that are scored besides the one with its defaults, by what stands in brackets: their options."""
    student: StudentRecipe | None = None
    """None: there are no students of this task."""


def recipe(task: str) -> Recipe:
    """Of a task; one that is like any other's for a task without. ``ValueError``, one line, for an unknown task."""
    found = tasks.part(task, "distill", "distill.recipes.{}:RECIPE", Recipe)
    return Recipe() if found is None else found


def training_recipe(task: str) -> TrainingRecipe:
    """Of a task; ``ValueError``, one line, for a task without, or an unknown one."""
    target = recipe(task).training
    if not target:
        raise ValueError(f"{task} has no recipe to learn from; tasks with one: {', '.join(tasks_with('training'))}")
    found: TrainingRecipe = named(target)
    return found


def tasks_with(part: str) -> list[str]:
    """Tasks whose ``Recipe`` has this field; those that cannot be loaded are left out."""
    found = []
    for name in tasks.names():
        with contextlib.suppress(ValueError):
            if getattr(recipe(name), part):
                found.append(name)
    return found
