"""Jobs of the public Alibaba cluster trace v2018, tables ``batch_task`` and ``batch_instance``.

One line of ``batch_task`` is one task (here: a stage) of a batch job: task_name, instance_num, job_name, task_type,
status, start_time, end_time, plan_cpu, plan_mem; no header; times in seconds. A name such as ``R3_1_2`` is a kind
(M, R, J, ...), the task's number 3, and the numbers of the tasks it waits for, 1 and 2; other names
(``task_LTg0MTUw...``) belong to tasks that wait for nothing. Format: ``trace_2018.md`` of
https://github.com/alibaba/clusterdata.

``start_time`` is when a task was registered, which may be long before it could run
(https://github.com/alibaba/clusterdata/issues/56). So a task lasts from the later of its start and the ends of those
that it waits for, to its end, and every instance of it as long; there is one sample a stage, and no difference between
waves. Where ``batch_instance`` is given (instance_name, task_name, job_name, task_type, status, start_time, end_time,
and seven more columns), the durations of the instances that ended well are the samples. A job arrives with its first
task.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from netenvs.cjs.jobs import LEVELS, Job, Stage
from netenvs.readers.errors import InputError
from netenvs.readers.reader import check_share
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source, list_sources

COLUMNS = 9
MAX_TIME_S = 1e12
MOST_SAMPLES = 10_000
"""Durations of instances that are kept of one stage."""
_DEPENDENT = re.compile(r"[A-Za-z]+(\d+)((?:_\d+)*)(?:_Stg\d+)?")
_COUNT = re.compile(r"\d+(\.\d*)?", re.ASCII)
"""Tables that went through other programs have 2.0 for 2."""
_DONE = "Terminated"  # the trace's word for a task that ended well
_STATUS = {_DONE, "Failed", "Running", "Waiting", "Ready", "Interrupted", "Cancelled", "Timeout", ""}


@dataclass(frozen=True)
class _Row:
    task: str
    instances: str
    status: str
    start_s: str
    end_s: str


@dataclass(frozen=True)
class _Task:
    """A row whose numbers have been read."""

    name: str
    number: str
    waits: list[str]
    """Numbers of tasks."""
    instances: int
    start_s: float
    end_s: float
    samples_ms: list[float] = field(default_factory=list)
    """Durations of its instances, where they are known."""


class _LeftOut(Exception):
    """The job cannot be used: the reason, and what is special to it."""

    def __init__(self, reason: str, detail: str):
        super().__init__(reason, detail)


def is_table(source: Source) -> bool:
    """Whether one of the first lines has the columns of ``batch_task``."""
    lines = source.head.splitlines()[:20]
    return any(_is_row(line.strip().split(",")) for line in lines)


def _is_row(fields: list[str]) -> bool:
    if len(fields) != COLUMNS:
        return False
    return fields[0] == "task_name" or bool(fields[4] in _STATUS and (fields[1] == "" or _COUNT.fullmatch(fields[1])))


def read_table(source: Source, reading: Reading, *, count: int = 1000, instances: str = "") -> list[Job]:
    """The first ``count`` jobs of a ``batch_task`` table, less those that cannot be used.

    A job is left out when one of its tasks did not end well, has no times or no instances, stands there twice, waits
    for itself or for a task that is not in the table, or ends before one that it waits for. Lines of a job need not
    stand together: the file is read to its end.

    Arguments:
        source: the table, however packed.
        reading: is told what is left out.
        count: so many jobs are taken.
        instances: path of the table ``batch_instance``; empty: there is none.
    """
    if not isinstance(count, int) or count < 1:
        raise InputError(f"{source.name}: count must be a whole number from 1 up, it is {count!r}")
    jobs: dict[str, list[_Task]] = {}
    for name, rows in _read_rows(source, reading, count).items():
        try:
            jobs[name] = _read_tasks(rows)
        except _LeftOut as left_out:
            reading.skip("jobs", left_out.args[0], f"{source.name}: {name}", left_out.args[1])
    if instances:
        _read_instances(instances, reading, jobs)
    made = []
    for name, tasks in jobs.items():
        try:
            made.append(_make_job(name, tasks, source.name))
        except _LeftOut as left_out:
            reading.skip("jobs", left_out.args[0], f"{source.name}: {name}", left_out.args[1])
    return made


def _read_rows(source: Source, reading: Reading, count: int) -> dict[str, list[_Row]]:
    rows: dict[str, list[_Row]] = {}
    total, skipped_before = 0, reading.num_skipped("rows")
    for number, line in source.lines():
        fields = line.strip().split(",")
        if fields == [""] or (number == 1 and fields[0] == "task_name"):
            continue
        total += 1
        if len(fields) != COLUMNS:
            detail = f"{len(fields)} columns; every line of batch_task has {COLUMNS}"
            reading.skip("rows", "another number of columns", f"{source.name}:{number}", detail)
            continue
        task, instances, job, _, status, start_s, end_s, _, _ = fields
        if job in rows or len(rows) < count:
            rows.setdefault(job, []).append(_Row(task, instances, status, start_s, end_s))
            reading.records["rows"] += 1
    check_share(source.name, reading, skipped_before, total)
    if not rows:
        raise InputError(f"{source.name}: there is no job in it")
    return rows


def _read_tasks(rows: list[_Row]) -> list[_Task]:
    seen: set[str] = set()
    tasks = []
    for row in rows:
        match = _DEPENDENT.fullmatch(row.task)
        number = match[1] if match else row.task
        if number in seen:
            raise _LeftOut("a task stands there twice", f"the number of {row.task}")
        seen.add(number)
        waits = [text for text in match[2].split("_") if text] if match else []
        tasks.append(_Task(row.task, number, waits, *_numbers(row)))
    return tasks


def _numbers(row: _Row) -> tuple[int, float, float]:
    """Instances, start and end in s."""
    if row.status != _DONE:
        raise _LeftOut("a task did not end well", f"{row.task} is {row.status or 'without status'}, not {_DONE}")
    try:
        instances, start_s, end_s = (float(text) for text in (row.instances, row.start_s, row.end_s))
    except ValueError:
        instances = start_s = end_s = math.nan
    if not all(math.isfinite(number) for number in (instances, start_s, end_s)):
        raise _LeftOut("a task lacks its instances or times", row.task)
    if not instances.is_integer() or instances < 1:
        raise _LeftOut("a task has no instances", row.task)
    if not 0 < start_s <= end_s < MAX_TIME_S:
        raise _LeftOut("a task has no times from start to end", f"{row.task}: {row.start_s} to {row.end_s}")
    return int(instances), start_s, end_s


def _make_job(name: str, tasks: list[_Task], source: str) -> Job:
    positions = {task.number: position for position, task in enumerate(tasks)}
    stages = []
    for task in tasks:
        unknown = [number for number in task.waits if number not in positions]
        if unknown:
            raise _LeftOut("a task waits for one that is not in the table", f"{task.name} for task {unknown[0]}")
        if task.number in task.waits:
            raise _LeftOut("a task waits for itself", task.name)
        parents = tuple(positions[number] for number in task.waits)
        began_s = max([task.start_s, *(tasks[parent].end_s for parent in parents)])
        if began_s > task.end_s:
            raise _LeftOut("a task ends before one that it waits for", task.name)
        samples: list[float] = task.samples_ms or [1000.0 * (task.end_s - began_s)]
        stages.append(Stage(num_tasks=task.instances, first={LEVELS[0]: samples}, parents=parents))
    return Job(name, stages, arrival_ms=1000.0 * min(task.start_s for task in tasks), source=source)


def _read_instances(path: str, reading: Reading, jobs: dict[str, list[_Task]]) -> None:
    """Add the durations of instances to the tasks that they are of; the table is read to its end."""
    wanted = {(name, task.name): task.samples_ms for name, tasks in jobs.items() for task in tasks}
    for job, task, duration_ms in _instance_durations(path, reading, jobs):
        samples = wanted.get((job, task))
        if samples is not None and len(samples) < MOST_SAMPLES:
            samples.append(duration_ms)
    without = sum(not samples for samples in wanted.values())
    if without:
        reading.note(
            f"{without} of {len(wanted)} stages have no instance in {path}; the times of their tasks are taken"
        )


def _instance_durations(path: str, reading: Reading, jobs: dict[str, list[_Task]]) -> Iterator[tuple[str, str, float]]:
    for source in list_sources(path):
        for number, line in source.lines():
            fields = line.split(",", 7)
            if len(fields) < 8:
                if line.strip():
                    reading.skip("instances", "another number of columns", f"{source.name}:{number}")
                continue
            _, task, job, _, status, start_s, end_s, _ = fields
            if job not in jobs or status != _DONE:
                continue
            try:
                begun, ended = float(start_s), float(end_s)
            except ValueError:
                begun, ended = 0.0, -1.0
            if not 0 < begun <= ended < MAX_TIME_S:
                reading.skip(
                    "instances", "no times from start to end", f"{source.name}:{number}", f"{start_s} to {end_s}"
                )
                continue
            reading.records["instances"] += 1
            yield job, task, 1000 * (ended - begun)
