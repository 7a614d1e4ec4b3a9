"""The tasks of comparisons; everything else in this package serves all of them.

A new task is a module with one ``Task``, listed here.
"""

from __future__ import annotations

from benchmarks.tasks import abr as task_abr
from benchmarks.tasks import cjs as task_cjs
from benchmarks.tasks import vp as task_vp
from benchmarks.tasks import vp_streaming as task_vp_streaming
from benchmarks.tasks.setup import Task
from netenvs.spec import unknown_name

TASKS: dict[str, Task] = {module.TASK.name: module.TASK for module in (task_abr, task_cjs, task_vp, task_vp_streaming)}


def find_task(name: str) -> Task:
    """The task called ``name``; ``ValueError``, one line, for others."""
    if name not in TASKS:
        raise ValueError(unknown_name("task", name, TASKS))
    return TASKS[name]
