"""How each task is compared; everything else in this package serves all of them."""

from __future__ import annotations

from benchmarks.tasks.default import default_comparison
from benchmarks.tasks.setup import TaskComparison
from netenvs import tasks


def task_comparison(name: str) -> TaskComparison:
    """Of the task called ``name``; ``ValueError``, one line, for others.

    It stands in ``benchmarks/tasks/<task>.py`` or where a task of another package says; without one, policies are
    compared by the rewards of their episodes.
    """
    found = tasks.part(name, "benchmarks", "benchmarks.tasks.{}:TASK", TaskComparison)
    return default_comparison(tasks.find(name)) if found is None else found
