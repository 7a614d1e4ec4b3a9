"""Jobs of the public Alibaba cluster trace v2018, table ``batch_task``.

One line is one task (here: a stage) of a batch job: task_name, instance_num, job_name, task_type, status,
start_time, end_time, plan_cpu, plan_mem; no header; times in seconds. A name such as ``R3_1_2`` is a kind
(M, R, J, ...), the task's number 3, and the numbers of the tasks it waits for, 1 and 2; other names
(``task_LTg0MTUw...``) belong to tasks that wait for nothing. Format: ``trace_2018.md`` of
https://github.com/alibaba/clusterdata.

The table knows no durations of single instances: every instance of a task is taken to last as long as the
task, from its start to its end. So there is one sample per stage, and no difference between waves.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from netenvs.cjs.jobs import LEVELS, Job, Stage
from netenvs.cjs.textfile import open_text

COLUMNS = 9
_DEPENDENT = re.compile(r"[A-Za-z]+(\d+)((?:_\d+)*)(?:_Stg\d+)?")
_DONE = "Terminated"  # the trace's word for a task that ended well


@dataclass(frozen=True)
class _Row:
    task: str
    instances: str
    status: str
    start_s: str
    end_s: str


class _LeftOut(Exception):
    """The job cannot be used; the text says why."""


def read_jobs(path: Path, count: int = 1000) -> list[Job]:
    """The first ``count`` jobs of a ``batch_task`` table, plain or gzip, less those that cannot be used.

    A job is left out, with a warning that counts them and names the first, when one of its tasks did not end
    well, has no times or no instances, stands there twice, or waits for a task that is not in the table.
    Lines of a job need not stand together: the file is read to its end. Raises ``ValueError`` for a line
    that is not of this table, and when no job is left.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"{path}: count must be a whole number from 1 up, it is {count!r}")
    jobs: list[Job] = []
    left_out: list[str] = []
    for name, rows in _read_rows(path, count).items():
        try:
            jobs.append(_make_job(name, rows))
        except _LeftOut as reason:
            left_out.append(f"{name} ({reason})")
    if left_out:
        text = f"{path}: {len(left_out)} of {len(jobs) + len(left_out)} jobs left out, the first: {left_out[0]}"
        if not jobs:
            raise ValueError(f"{text}; no job is left")
        warnings.warn(text, stacklevel=2)
    return jobs


def _read_rows(path: Path, count: int) -> dict[str, list[_Row]]:
    rows: dict[str, list[_Row]] = {}
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            fields = line.strip().split(",")
            if fields == [""] or (number == 1 and fields[0] == "task_name"):
                continue
            if len(fields) != COLUMNS:
                raise ValueError(f"{path}:{number}: {len(fields)} columns; every line of batch_task has {COLUMNS}")
            task, instances, job, _, status, start_s, end_s, _, _ = fields
            if job in rows or len(rows) < count:
                rows.setdefault(job, []).append(_Row(task, instances, status, start_s, end_s))
    if not rows:
        raise ValueError(f"{path}: there is no job in it")
    return rows


def _make_job(name: str, rows: list[_Row]) -> Job:
    positions: dict[str, int] = {}
    waits: list[list[str]] = []
    for position, row in enumerate(rows):
        match = _DEPENDENT.fullmatch(row.task)
        number = match[1] if match else row.task
        if number in positions:
            raise _LeftOut(f"task {row.task}: its number stands there twice")
        positions[number] = position
        waits.append([text for text in match[2].split("_") if text] if match else [])
    stages = []
    for row, parents in zip(rows, waits, strict=True):
        unknown = [parent for parent in parents if parent not in positions]
        if unknown:
            raise _LeftOut(f"task {row.task} waits for task {unknown[0]}, which is not in the table")
        instances, duration_s = _numbers(row)
        own = tuple(positions[parent] for parent in parents)
        stages.append(Stage(num_tasks=instances, first={LEVELS[0]: [1000 * duration_s]}, parents=own))
    return Job(name, stages)


def _numbers(row: _Row) -> tuple[int, int]:
    """Instances and duration in s."""
    if row.status != _DONE:
        raise _LeftOut(f"task {row.task} is {row.status or 'without status'}, not {_DONE}")
    try:
        instances, start_s, end_s = (int(float(text)) for text in (row.instances, row.start_s, row.end_s))
    except (ValueError, OverflowError):
        raise _LeftOut(f"task {row.task} lacks its instances or times") from None
    if instances < 1:
        raise _LeftOut(f"task {row.task} has {instances} instances")
    if not 0 < start_s <= end_s:
        raise _LeftOut(f"task {row.task} has no times from start to end")
    return instances, end_s - start_s
