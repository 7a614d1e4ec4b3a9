"""What a policy is, and how one is found by name, file, module or checkpoint folder.

A policy acts in a Gymnasium environment; five lines of buffer rule and a large language model share this one
interface::

    from agents.policy import Policy

    class Careful(Policy):
        def act(self, observation, info):
            return 0 if info["buffer_s"] < 10 else 2
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from agents.errors import PolicyError, one_line
from agents.registry import Entry, registered, registered_by_task
from netenvs import tasks
from netenvs.files import is_file, is_folder
from netenvs.loading import named
from netenvs.spec import check_option_types, parse_spec, unknown_name

__all__ = ["BatchPolicy", "Policy", "PolicyError", "grow_rows", "load_policy"]

SHIPPED = "agents.sequence.shipped:shipped_class"
"""(task, name of the policy) -> the class that plays its folders of sequence models."""


class Policy:
    """Base class with defaults: a policy need only define ``act``.

    A policy that decides for many episodes at once subclasses ``BatchPolicy``, and ``agents.rollout`` uses that.
    """

    name: str
    """Row of the table; the class name unless set."""
    observation_options: dict[str, Any] = {}  # noqa: RUF012
    """Observation-side environment options it needs (``history``, ``saliency``, ``observation``)."""
    optional_observation: bool = False
    """It plays, too, where the environment refuses its ``observation_options``, and without them."""
    privileged: bool = False
    """Knows what no deployed policy knows, through ``bind(env)``: marked with an asterisk in tables."""
    sequential: bool = False
    """Its state crosses episodes on purpose: it is played in one stream, in order."""
    parameters: int | None = None
    """Numbers needed for a decision, None for a rule."""
    bytes: int | None = None
    """Size of the files it ships, None for a rule."""
    assumption: str | None = None
    """What must be at hand besides what every policy of the task sees; tables say it."""
    recorded: bool = False
    """Plays what was recorded elsewhere: how long it takes to decide says nothing."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = cls.__name__

    def reset(self, seed: int | None = None) -> None:
        """A new episode begins; ``seed`` determines the policy's random choices in it."""

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        """One decision: an action of the environment's action space."""
        raise NotImplementedError(f"{type(self).__name__} does not define act(observation, info)")

    def finish(self, observation: Any, info: dict[str, Any]) -> None:
        """The episode has ended with this last observation; no action is asked for. Batched play has no such call."""

    def check_environment(self, env: gym.Env | gym.vector.VectorEnv) -> None:
        """Refuse an environment in which it cannot play at all, before the first episode.

        Raises ``PolicyError``, one line, with what to do; ``LeftOut`` where it had better take no part.
        """

    def bind(self, env: gym.Env) -> None:
        """Look into the single environment, after its reset and before the policy's.

        A policy that overrides this is played one episode at a time.
        """


class BatchPolicy(Policy):
    """A policy that decides for many episodes at once; ``act`` and ``reset`` are the batch of one.

    State, where there is any, is kept per row of the batch: ``infos["row"]`` numbers the rows, which need not be
    all of the batch. ``infos`` holds the environment's scalar columns as arrays (rows,) and what all rows share
    (ABR: ``video``, ``qoe``; VP: ``horizon``, ``previous_viewers``).
    """

    def reset_rows(self, rows: np.ndarray, seeds: Sequence[int | None]) -> None:
        """New episodes begin in ``rows``, int (k,), with one seed each."""

    def act_batch(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        """One decision for each live row: actions (k, ...) for observations (k, ...)."""
        raise NotImplementedError(f"{type(self).__name__} does not define act_batch(observations, infos)")

    def reset(self, seed: int | None = None) -> None:
        self.reset_rows(np.zeros(1, dtype=np.int64), [seed])

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        infos = {
            name: np.array([value]) if isinstance(value, bool | int | float | np.generic) else value
            for name, value in info.items()
        }
        infos["row"] = np.zeros(1, dtype=np.int64)
        if isinstance(observation, dict):
            observations: Any = {name: value[None] for name, value in observation.items()}
        elif isinstance(observation, np.ndarray):
            observations = observation[None]
        else:
            observations = (observation,)  # a graph: vector environments have tuples of them
        return self.act_batch(observations, infos)[0]


def grow_rows(state: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """``state`` (n, ...) with enough zero rows added that every index of ``rows`` is inside."""
    missing = int(rows.max(initial=-1)) + 1 - len(state)
    if missing <= 0:
        return state
    return np.concatenate([state, np.zeros((missing, *state.shape[1:]), dtype=state.dtype)])


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
    known = _is_registered(name, task)
    if _is_path(name) and not known:
        if is_folder(name):
            return _from_folder(Path(name), task, options)
        cls = _class_from_file(name)
    elif ":" in name and not _is_of_a_family(name, task):
        cls = _class_from_module(name)
    else:
        entry = _find(name, task)
        policy = _build(_class_from_module(entry.target), name, {**dict(entry.options), **options})
        policy.name = spec.replace(" ", "")
        return policy
    return _build(cls, name, options)


def _is_path(name: str) -> bool:
    file, _ = _split_file(name)
    return file.endswith(".py") or "/" in file or (name != "" and is_folder(name))


def _split_file(target: str) -> tuple[str, str]:
    """``file.py:Name`` as file and name; a Windows drive's colon is not the one that separates them."""
    file, separator, class_name = target.rpartition(".py:")
    return (f"{file}.py", class_name) if separator else (target, "")


def _is_registered(name: str, task: str | None) -> bool:
    """A registered name wins over a folder of that name; ``./bba`` is the folder."""
    return any(name in entries for entries in registered_by_task(task).values())


def _is_of_a_family(name: str, task: str | None) -> bool:
    """Whether what stands before the colon begins registered names, ``published:ppo``; it is no module then."""
    family = f"{name.partition(':')[0]}:"
    return any(entry.startswith(family) for entries in registered_by_task(task).values() for entry in entries)


def _find(name: str, task: str | None) -> Entry:
    found = registered_by_task(task)
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
    if not is_file(path):
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


def _class_of_folder(saved: Mapping[str, Any], task: str | None) -> type[Policy]:
    """The registered class; of a sequence model whose task registers none, the one that plays any."""
    name = str(saved["policy"])
    if task is not None and "backbone" in saved and name not in registered(task):
        made: type[Policy] = named(SHIPPED)(task, name)
        return made
    return _class_from_module(_find(name, task).target)


def _from_folder(folder: Path, task: str | None, options: dict[str, Any]) -> Policy:
    """A learned policy saved by ``agents.pretrained.save``.

    ``config.json`` names its registered class as ``policy``, and its ``task`` where several have one of that name.
    """
    config = folder / "config.json"
    if not is_file(config):
        raise PolicyError(f"policy {str(folder)!r}: a checkpoint folder has a config.json, this one has none")
    from agents.pretrained import saved_config  # with torch, which rules do without

    try:
        saved = saved_config(folder)
    except ValueError as error:
        raise PolicyError(str(error)) from None
    name, own_task = str(saved["policy"]), saved.get("task")
    if own_task is not None and own_task not in tasks.names():
        raise PolicyError(f"{config}: {unknown_name('task', str(own_task), tasks.names())}")
    of = [own_task] if own_task else [known for known, entries in registered_by_task().items() if name in entries]
    if task and of and task not in of:
        raise PolicyError(f"policy {str(folder)!r}: weights of {name}, a policy of {', '.join(of)}, not of {task}")
    try:
        load = getattr(_class_of_folder(saved, task or own_task), "from_pretrained", None)
    except PolicyError as error:
        raise PolicyError(f"{config}: {error}") from None
    if load is None:
        raise PolicyError(f"policy {str(folder)!r}: {name} is a rule, it has no checkpoints")
    try:
        policy: Policy = load(folder, **options)
    except Exception as error:
        raise PolicyError(f"policy {str(folder)!r}: {one_line(error)}") from error
    policy.name = folder.name
    return policy
