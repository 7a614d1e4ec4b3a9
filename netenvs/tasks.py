"""The tasks: the table of those that are built in, and how every package finds what it has to know of one.

A task is a folder here, with a record ``TASK`` in its ``task.py``, and a file of its own in each package above, which
knows what that package needs. Shared code finds all of it by the task's name, and is written for any task.

Names are spelled by one rule. What people type and read, the names of tasks, policies, data sets and commands, is in
lower case with hyphens: ``vp-streaming``, ``robust-mpc``. Names in Python and in JSON have underscores in place of the
hyphens: module ``netenvs.vp_streaming``, option ``num_executors``. Environment ids are Gymnasium's:
``netenvs/VPStreaming-v0``.

An installed package adds a task with an entry point of the group ``netenvs.tasks``; its name is the task's, and it
points to the ``Task``, whose ``parts`` say where the other packages find theirs.
"""

from __future__ import annotations

import importlib.util
import inspect
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple, TypeVar

from gymnasium.envs.registration import load_env_creator, register, registry

from netenvs.errors import typed
from netenvs.loading import entry_points, named

BUILT_IN = ("abr", "cjs", "vp", "vp-streaming")
"""The table of tasks, in the order of lists and help texts."""
Part = TypeVar("Part")
GROUP = "netenvs.tasks"
"""Entry points of tasks in other installed packages."""


class Choice(NamedTuple):
    """A value of a task's dataset option, for people."""

    name: str
    available: bool = True
    remedy: str = ""
    """The command that makes it available."""


class Items(NamedTuple):
    """The different episodes of an environment, such as the traces of a split."""

    options: Callable[[int], dict[str, Any]]
    """Number of an episode, from 0 up, again from the first after the last -> the reset options that choose it."""
    default: int
    """How many are played where nothing else is said."""
    different: int
    """How many there are before the first comes again."""
    again: bool = True
    """Whether it makes sense to play one twice: to policies that see noise, or explore, it is another one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """What is known of a task where its environment is known."""

    name: str
    title: str
    """A noun phrase, such as ``adaptive bitrate streaming``."""
    env_id: str
    """The environment with its defaults."""
    entry_point: str
    """``module:Class`` of the single environment."""
    vector_entry_point: str | None = None
    """The same of many at once; None: there is none."""
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Other ids of the environment, with the options that make them."""
    played_id: str = ""
    """The id that commands play where nothing else is said; empty: ``env_id``."""
    dataset_option: str
    """The environment option that ``--dataset`` sets."""
    dataset_kind: str
    """What that is, for people: ``trace split``."""
    datasets: Callable[[], list[Choice]]
    """The values of ``--dataset``."""
    items: Callable[[Any], Items | None] = lambda env: None
    """Unwrapped environment -> the episodes that can be chosen; None: each seed is another one."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Units or meanings of ``action``, ``reward``, observations (``obs``, ``obs/KEY``) and infos (``info/KEY``), where
    the name does not end in one; ``obs`` stands for all parts that are not named."""
    inspect: str = ""
    """``module:function`` that makes a ``netenvs.inspection.record.Inspection`` of a user's file; empty: there are
    none that it could read."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """Package -> ``module:NAME`` of what it has to know of the task, for a task that is not built in. The packages are
    ``agents``, ``distill``, ``benchmarks`` and, of the latter, ``speed``."""

    @property
    def ids(self) -> dict[str, Mapping[str, Any]]:
        """All its environment ids, with the options that make them."""
        return {self.env_id: {}, **self.variants}

    @property
    def default_id(self) -> str:
        """The id that commands play where nothing else is said."""
        return self.played_id or self.env_id

    def register(self) -> None:
        """Register the ids with Gymnasium; those that exist already are left alone."""
        for env_id, options in self.ids.items():
            if env_id not in registry:
                register(
                    id=env_id,
                    entry_point=self.entry_point,
                    vector_entry_point=self.vector_entry_point,
                    kwargs=dict(options),
                )

    def environment_options(
        self, dataset: str | None, pairs: Sequence[str], refused: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Environment options of a command line's ``--dataset`` and ``--set KEY=VALUE``.

        Arguments:
            dataset: value of the dataset option; None: the environment's default.
            pairs: ``KEY=VALUE`` each.
            refused: options that the command does not take, and why.

        ``ValueError``, one line, for what is no pair, for an option that is unknown, refused or given twice, and for a
        switch that is not true or false. What else may be wrong with a value the environment says when it is made.
        """
        from netenvs.spec import parse_settings, unknown_name

        options, refused = parse_settings(pairs), refused or {}
        try:
            parameters = inspect.signature(load_env_creator(self.entry_point)).parameters
        except (Exception, SystemExit) as error:
            if self.name in BUILT_IN:
                raise
            raise ValueError(f"task {self.name!r}: cannot load {self.entry_point}: {typed(error)}") from error
        for name in options:
            if name == self.dataset_option:
                twice = "given twice; " if dataset is not None else ""
                raise ValueError(f"--set {name}: {twice}the {self.dataset_kind} is chosen with --dataset")
            if name in refused:
                raise ValueError(f"--set {name}: {refused[name]}")
            if name not in parameters:
                known = [known for known in parameters if known != self.dataset_option and known not in refused]
                raise ValueError(f"--set: {unknown_name('option', name, known)}")
            if isinstance(parameters[name].default, bool) and not isinstance(options[name], bool):
                raise ValueError(f"--set {name}: must be true or false, not {options[name]!r}")
        return options if dataset is None else {self.dataset_option: dataset, **options}


def module_name(task: str) -> str:
    """The task's name as Python spells it: ``vp_streaming``."""
    return task.replace("-", "_")


def names() -> list[str]:
    """All tasks: those built in, then those of other packages, by name."""
    return [*BUILT_IN, *sorted(set(_foreign()) - set(BUILT_IN))]


def find(name: str) -> Task:
    """The task of that name; ``ValueError``, one line, for an unknown one, or one that cannot be loaded."""
    if name in BUILT_IN:
        return _built_in(name)
    foreign = _foreign()
    if name not in foreign:
        from netenvs.spec import unknown_name

        raise ValueError(unknown_name("task", name, names()))
    task = foreign[name]
    if isinstance(task, str):
        raise ValueError(task)
    return task


def task_of(env_id: str) -> Task | None:
    """The task that an environment id belongs to, whatever module stands before it and in whatever version."""
    kind = _kind_of(env_id)
    for name in names():
        try:
            task = find(name)
        except ValueError:
            continue  # a plug-in that is broken
        if any(_kind_of(known) == kind for known in task.ids):
            return task
    return None


def part(task: str, package: str, built_in: str, kind: type[Part]) -> Part | None:
    """What ``package`` knows of a task; None if it knows nothing.

    Arguments:
        task: its name; ``ValueError``, one line, for an unknown one, and for a part that cannot be loaded or is of
            another kind.
        package: key of ``Task.parts``.
        built_in: ``module:NAME`` for tasks that are built in, with ``{}`` in place of the task's ``module_name``.
        kind: class of the part.
    """
    record = find(task)
    target = built_in.format(module_name(task)) if task in BUILT_IN else record.parts.get(package, "")
    module = target.partition(":")[0]
    if not module or (task in BUILT_IN and importlib.util.find_spec(module) is None):
        return None
    try:
        found = named(target)
        if not isinstance(found, kind):
            raise TypeError(f"it must be a {kind.__module__}.{kind.__qualname__}")
        return found
    except (Exception, SystemExit) as error:
        if task in BUILT_IN:
            raise
        raise ValueError(f"task {task!r}: cannot load {target}: {typed(error)}") from error


def _kind_of(env_id: str) -> str:
    return env_id.rpartition(":")[2].rpartition("-v")[0]


@cache
def _built_in(name: str) -> Task:
    task: Task = named(f"netenvs.{module_name(name)}.task:TASK")
    return task


@cache
def _foreign() -> dict[str, Task | str]:
    """Tasks of other packages by name; a line in place of one that cannot be loaded, which is also a warning."""
    found: dict[str, Task | str] = {}
    taken = {env_id: name for name in BUILT_IN for env_id in _built_in(name).ids}
    for point in entry_points(GROUP):
        if point.name in BUILT_IN or point.name in found:
            warnings.warn(f"task {point.name!r} of {point.value} is left out: there is one of that name", stacklevel=2)
            continue
        try:
            task = point.load()
            if not isinstance(task, Task) or task.name != point.name:
                what = f"the one there is named {task.name!r}" if isinstance(task, Task) else "it is none"
                raise TypeError(f"it must be a netenvs.tasks.Task named {point.name!r}, as its entry point is; {what}")
            if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", point.name):
                raise ValueError("its name must be in lower case with hyphens, such as load-balancing")
            for env_id in task.ids:
                if env_id in taken:
                    raise ValueError(f"environment {env_id} is that of task {taken[env_id]!r}")
            task.register()
            taken.update(dict.fromkeys(task.ids, task.name))
            found[point.name] = task
        except (Exception, SystemExit) as error:
            package = f"; mend or uninstall {point.dist.name}" if point.dist else ""
            found[point.name] = f"task {point.name!r}: cannot load {point.value}: {typed(error)}{package}"
            warnings.warn(str(found[point.name]), stacklevel=2)
    return found
