"""How a policy is found by name, file, module or checkpoint folder, and what this package knows of each task.

The policies of a task stand in its own file, ``agents/<task>/task.py``.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

from agents.errors import PolicyError, one_line
from agents.policy import Policy
from netenvs import tasks
from netenvs.loading import named
from netenvs.spec import check_option_types, parse_spec, unknown_name

ENTRY_POINT_GROUP = "netenvs.policies"
PARTS = {"layout": "layout of observations", "net": "sequence net", "graph": "exported graph"}
"""What the fields of an ``AgentTask`` that name a part are called in messages."""


class Entry(NamedTuple):
    """One registered policy."""

    target: str
    """``module:Class``."""
    dataset: str | None = None
    """Data set whose files it needs."""
    baseline: bool = True
    """A rule or published model that others are compared with; False for bounds such as the oracle."""


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
    capacity: int | None = None
    """Decisions of an episode that an exported policy has room for where it sees whole episodes and nothing else is
    said; None: that has to be said."""


def agent_task(task: str) -> AgentTask:
    """Of a task; ``PolicyError``, one line, for an unknown one."""
    try:
        found = tasks.part(task, "agents", "agents.{}.task:TASK")
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
            found |= agent_task(name).observation_options
    return found


def registered(task: str) -> dict[str, Entry]:
    """Policies of a task by name: the built-in ones, then those of the entry-point group ``netenvs.policies``.

    An installed package adds one with an entry point named ``task.name`` that points to ``module:Class``.
    """
    found = dict(agent_task(task).policies)
    for point in entry_points(group=ENTRY_POINT_GROUP):
        point_task, _, name = point.name.partition(".")
        if point_task == task and name and name not in found:
            found[name] = Entry(point.value)
    return found


def load_policy(spec: str, task: str | None = None, **options: Any) -> Policy:
    """A policy by registry name, ``file.py:Name``, ``package.module:Name`` or checkpoint folder.

    Options may stand in brackets, ``genet-released(mode=sampled)``, or be given as keyword arguments. The task
    may be left out for a name that exists in one task only. Raises ``PolicyError``, one line.
    """
    try:
        name, given = parse_spec(spec)
    except ValueError as error:
        raise PolicyError(f"policy {error}") from None
    options = {**given, **options}
    if _is_path(name) and not _is_registered(name, task):
        if Path(name).is_dir():
            return _from_folder(Path(name), task, options)
        cls = _class_from_file(name)
    elif ":" in name:
        cls = _class_from_module(name)
    else:
        entry = _find(name, task)
        policy = _build(_class_from_module(entry.target), name, options)
        policy.name = spec.replace(" ", "")
        return policy
    return _build(cls, name, options)


def _is_path(name: str) -> bool:
    file, _ = _split_file(name)
    return file.endswith(".py") or "/" in file or (name != "" and Path(name).is_dir())


def _split_file(target: str) -> tuple[str, str]:
    """``file.py:Name`` as file and name; a Windows drive's colon is not the one that separates them."""
    file, separator, class_name = target.rpartition(".py:")
    return (f"{file}.py", class_name) if separator else (target, "")


def _is_registered(name: str, task: str | None) -> bool:
    """A registered name wins over a folder of that name; ``./bba`` is the folder."""
    return any(name in registered(candidate) for candidate in ([task] if task else tasks.names()))


def _find(name: str, task: str | None) -> Entry:
    found = {candidate: registered(candidate) for candidate in ([task] if task else tasks.names())}
    matches = [candidate for candidate, entries in found.items() if name in entries]
    if not matches:
        known = {entry for entries in found.values() for entry in entries}
        raise PolicyError(unknown_name("policy", name, known) + "; your own: file.py:Name or package.module:Name")
    if len(matches) > 1:
        raise PolicyError(f"policy {name!r} exists for {', '.join(matches)}; say which task")
    return found[matches[0]][name]


def _class_from_module(target: str) -> type[Policy]:
    module_name, _, class_name = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise PolicyError(f"policy {target!r}: cannot import {module_name}: {one_line(error)}") from error
    return _class_of(module, class_name, target)


def _class_from_file(target: str) -> type[Policy]:
    file, class_name = _split_file(target)
    path = Path(file).expanduser()
    if not path.is_file():
        raise PolicyError(f"policy {target!r}: there is no file or checkpoint folder {file}")
    module_spec = importlib.util.spec_from_file_location(f"_policy_{path.stem}", path)
    if module_spec is None or module_spec.loader is None:
        raise PolicyError(f"policy {target!r}: {file} is not a Python file; write file.py:Name")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module  # so that dataclasses and pickle find the module of their classes
    try:
        module_spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise PolicyError(f"policy {target!r}: {one_line(error)}") from error
    return _class_of(module, class_name, target)


def _class_of(module: Any, class_name: str, target: str) -> type[Policy]:
    own = {
        name: value
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, Policy) and value.__module__ == module.__name__
    }
    if not class_name and len(own) == 1:
        return next(iter(own.values()))
    cls = vars(module).get(class_name)
    if cls is None:
        missing = f"no class {class_name!r} there" if class_name else "say which class, with a colon and its name"
        raise PolicyError(f"policy {target!r}: {missing}; policies in it: {', '.join(own) or 'none'}")
    if not (inspect.isclass(cls) and issubclass(cls, Policy)):
        raise PolicyError(f"policy {target!r}: {class_name} must be a subclass of agents.policy.Policy")
    return cls


def _build(cls: type[Policy], name: str, options: dict[str, Any]) -> Policy:
    try:
        inspect.signature(cls).bind(**options)
    except TypeError as error:
        known = ", ".join(inspect.signature(cls).parameters) or "none"
        raise PolicyError(f"policy {name!r}: {error}; options: {known}") from None
    try:
        check_option_types(cls, options)
        return cls(**options)
    except Exception as error:
        raise PolicyError(f"policy {name!r}: {one_line(error)}") from error


def _from_folder(folder: Path, task: str | None, options: dict[str, Any]) -> Policy:
    """A learned policy saved by ``agents.pretrained.save``.

    ``config.json`` names its registered class as ``policy``, and its ``task`` where several have one of that name.
    """
    config = folder / "config.json"
    if not config.is_file():
        raise PolicyError(f"policy {str(folder)!r}: a checkpoint folder has a config.json, this one has none")
    try:
        saved = json.loads(config.read_text(encoding="utf-8"))
        name, own_task = str(saved["policy"]), saved.get("task")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise PolicyError(f"{config}: not a policy's config.json: it must name its 'policy'") from None
    if own_task is not None and own_task not in tasks.names():
        raise PolicyError(f"{config}: {unknown_name('task', str(own_task), tasks.names())}")
    of = [own_task] if own_task else [known for known in tasks.names() if name in registered(known)]
    if task and of and task not in of:
        raise PolicyError(f"policy {str(folder)!r}: weights of {name}, a policy of {', '.join(of)}, not of {task}")
    cls = _class_from_module(_find(name, task or own_task).target)
    load = getattr(cls, "from_pretrained", None)
    if load is None:
        raise PolicyError(f"policy {str(folder)!r}: {name} is a rule, it has no checkpoints")
    try:
        policy = load(folder, **options)
    except Exception as error:
        raise PolicyError(f"policy {str(folder)!r}: {one_line(error)}") from error
    policy.name = folder.name
    return policy
