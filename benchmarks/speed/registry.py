"""What is measured of each task; everything else in this package serves all of them."""

from __future__ import annotations

from benchmarks.speed.default import default_speed
from benchmarks.speed.record import PolicySpeed, TaskSpeed
from netenvs import tasks


def task_speed(name: str) -> TaskSpeed:
    """Of the task called ``name``; ``ValueError``, one line, for others.

    It stands in ``benchmarks/speed/<task>.py`` or where a task of another package says; without one, random actions
    are measured.
    """
    found = tasks.part(name, "speed", "benchmarks.speed.{}:SPEED", TaskSpeed)
    if found is None:
        return default_speed(tasks.find(name))
    return found


def policy_speed(name: str) -> PolicySpeed:
    """Of the task called ``name``; ``ValueError``, one line, where no sequence policies are made for it."""
    found = task_speed(name).policy
    if found is None:
        raise ValueError(f"task {name!r} has no sequence policies that could be measured")
    return found


def known() -> dict[str, TaskSpeed]:
    """Of all tasks that can be loaded."""
    found = {}
    for name in tasks.names():
        try:
            found[name] = task_speed(name)
        except ValueError:
            continue  # a plug-in that is broken: its name is refused where it is given
    return found
