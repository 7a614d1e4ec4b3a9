"""The option ``--task``, with the tasks that a command knows."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import tyro

from netenvs import tasks


def one_of(names: Sequence[str], meaning: str) -> Any:
    """How tyro shows it: ``meaning``, a clause that begins a sentence, and the ``names``."""
    return tyro.conf.arg(metavar="TASK", help=f"{meaning}: {listed(names)}.")


def listed(names: Sequence[str]) -> str:
    """``a, b or c``."""
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def dataset_kinds() -> str:
    """What ``--dataset`` chooses, task by task; those that cannot be loaded are left out."""
    kinds = []
    for name in tasks.names():
        with contextlib.suppress(ValueError):
            kinds.append(f"{name}: {tasks.find(name).dataset_kind}")
    return "; ".join(kinds)
