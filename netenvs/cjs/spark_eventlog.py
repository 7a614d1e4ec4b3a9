"""Jobs of Apache Spark event logs (``spark.eventLog.enabled``), plain or gzip.

An event log is one JSON object per line. Read here: ``SparkListenerExecutorAdded`` (task slots of an
executor), ``SparkListenerJobStart`` (the stages of a Spark job and their 'Parent IDs'),
``SparkListenerTaskEnd`` (launch and finish time in ms) and ``SparkListenerJobEnd``. Format:
``core/src/main/scala/org/apache/spark/util/JsonProtocol.scala`` of https://github.com/apache/spark.

A job here is a query: adaptive execution of Spark SQL starts one Spark job per stage, so Spark jobs that share
``spark.sql.execution.root.id`` (or, before Spark 3.4, ``spark.sql.execution.id``) make one job. A later
Spark job of a query lists the stages of the earlier ones again, under new numbers, and skips them; they are
known by the RDD that they compute. A Spark job outside SQL is a job of its own.

An executor of the simulator runs one task at a time, so it is one *slot* of a Spark executor. Tasks are put
on slots in the order of their launch. The first task of a slot in the application is ``fresh`` (it pays for
the start of the executor), the first of a slot in a stage is ``first``, all others are ``rest``. The level is
the number of slots that were used. Arrival times are not kept: an environment draws its own.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netenvs.cjs.jobs import FIRST, FRESH, REST, Job, Stage
from netenvs.cjs.textfile import open_text

PREFIX = "SparkListener"
_SUCCESS, _JOB_SUCCESS = "Success", "JobSucceeded"


@dataclass
class _Task:
    stage: int
    index: int
    executor: str
    launch_ms: int
    finish_ms: int
    succeeded: bool
    wave: int = REST


@dataclass
class _Query:
    spark_jobs: list[int] = field(default_factory=list)
    stages: list[int] = field(default_factory=list)


@dataclass
class _Log:
    """What the events say."""

    slots: dict[str, int] = field(default_factory=dict)
    """Spark executor -> tasks at a time."""
    queries: dict[str, _Query] = field(default_factory=dict)
    """By name; a stage that several queries list belongs to the first of them."""
    parents: dict[int, list[int]] = field(default_factory=dict)
    num_tasks: dict[int, int] = field(default_factory=dict)
    rdds: dict[int, int] = field(default_factory=dict)
    """Stage -> the RDD that it computes, the first of its list; -1 where none is told."""
    results: dict[int, str] = field(default_factory=dict)
    """Spark job -> how it ended."""
    tasks: list[_Task] = field(default_factory=list)


class _LeftOut(Exception):
    """The job cannot be used; the text says why."""


def read_jobs(path: Path) -> list[Job]:
    """The jobs of an event log, or of a folder ``eventlog_v2_*`` of a log that Spark wrote in parts.

    Failed, killed and repeated tasks are not counted. Stages that Spark skipped, because an earlier query had
    left their output, are dropped. A job is left out, with a warning that counts them and names the first,
    when it did not end or failed, or when no task of one of its stages succeeded. A last line that is cut
    short (of an application that still runs) is ignored. Raises ``ValueError`` for a line that is not an
    event, and when no job is left.
    """
    log = _read_log(path)
    level = _assign_waves(log)
    by_stage: dict[int, dict[int, _Task]] = {}
    for task in log.tasks:
        if task.succeeded:
            by_stage.setdefault(task.stage, {}).setdefault(task.index, task)
    submitted = {task.stage for task in log.tasks}
    jobs: list[Job] = []
    left_out: list[str] = []
    for name, query in log.queries.items():
        try:
            jobs.append(_make_job(log, name, query, submitted, by_stage, level))
        except _LeftOut as reason:
            left_out.append(f"{name} ({reason})")
    if not log.queries:
        raise ValueError(f"{path}: there is no job in this Spark event log")
    if left_out:
        text = f"{path}: {len(left_out)} of {len(log.queries)} jobs left out, the first: {left_out[0]}"
        if not jobs:
            raise ValueError(f"{text}; no job is left")
        warnings.warn(text, stacklevel=2)
    return jobs


def parts(path: Path) -> list[Path]:
    """The files of a log in their order: one file, or ``events_1_...``, ``events_2_...`` of a folder."""
    if path.is_file():
        return [path]
    files = [file for file in path.glob("events_*_*") if file.name.split("_")[1].isdigit()]
    return sorted(files, key=lambda file: int(file.name.split("_")[1]))


def _read_log(path: Path) -> _Log:
    log = _Log()
    for event, where in _events(path):
        try:
            _read_event(log, event)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            raise ValueError(f"{where}: {event.get('Event')} is not as Spark writes it ({reason})") from None
    return log


def _events(path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield (event, file and line)."""
    files = parts(path)
    for file in files:
        with open_text(file) as lines:
            bad = ""
            for number, line in enumerate(lines, start=1):
                if bad:
                    raise ValueError(bad)
                where = f"{file}:{number}"
                try:
                    event = json.loads(line)
                except json.JSONDecodeError as error:
                    bad = f"{where}: not an event of a Spark event log ({error})"
                    continue  # an error, unless it is the last line
                if not isinstance(event, dict) or not isinstance(event.get("Event"), str):
                    raise ValueError(f"{where}: not an event of a Spark event log")
                yield event, where
            if bad and file != files[-1]:
                raise ValueError(bad)


def _read_event(log: _Log, event: dict[str, Any]) -> None:
    kind = event["Event"].removeprefix(PREFIX)
    if kind == "ExecutorAdded":
        log.slots[str(event["Executor ID"])] = int(event["Executor Info"]["Total Cores"])
    elif kind == "JobStart":
        number, properties = int(event["Job ID"]), event.get("Properties") or {}
        execution = properties.get("spark.sql.execution.root.id") or properties.get("spark.sql.execution.id")
        query = log.queries.setdefault(f"query-{execution}" if execution else f"job-{number}", _Query())
        query.spark_jobs.append(number)
        for info in event["Stage Infos"]:
            stage = int(info["Stage ID"])
            if stage in log.parents:
                continue
            query.stages.append(stage)
            rdds = info.get("RDD Info") or [{"RDD ID": -1}]
            log.rdds[stage] = int(rdds[0]["RDD ID"])
            log.parents[stage] = [int(parent) for parent in info["Parent IDs"]]
            log.num_tasks[stage] = int(info["Number of Tasks"])
    elif kind == "JobEnd":
        log.results[int(event["Job ID"])] = str(event["Job Result"]["Result"])
    elif kind == "TaskEnd":
        info = event["Task Info"]
        succeeded = event["Task End Reason"]["Reason"] == _SUCCESS and not info["Failed"] and not info["Killed"]
        launch_ms, finish_ms = int(info["Launch Time"]), int(info["Finish Time"])
        if finish_ms < launch_ms:
            raise ValueError(f"task {info['Task ID']} finishes before it starts")
        stage, index, executor = int(event["Stage ID"]), int(info["Index"]), str(info["Executor ID"])
        log.tasks.append(_Task(stage, index, executor, launch_ms, finish_ms, succeeded))


def _assign_waves(log: _Log) -> int:
    """Put every task on a slot of its executor, which gives its wave; return the number of slots used.

    The driver notes the finish of a task a little late, often after the launch of the next task on the same
    core. So a task takes the slot that is or gets free first once all cores of its executor are in use.
    """
    free_at: dict[str, list[int]] = {}
    seen: set[tuple[str, int, int]] = set()
    for task in sorted(log.tasks, key=lambda task: (task.launch_ms, task.finish_ms)):
        slots = free_at.setdefault(task.executor, [])
        first_free = min(range(len(slots)), key=slots.__getitem__, default=-1)
        most = log.slots.get(task.executor)
        if first_free < 0 or (slots[first_free] > task.launch_ms and (most is None or len(slots) < most)):
            slots.append(task.finish_ms)
            slot, task.wave = len(slots) - 1, FRESH
        else:
            slot = first_free
            slots[slot] = max(slots[slot], task.finish_ms)
            task.wave = REST if (task.executor, slot, task.stage) in seen else FIRST
        seen.add((task.executor, slot, task.stage))
    return max(1, sum(len(slots) for slots in free_at.values()))


def _make_job(
    log: _Log, name: str, query: _Query, submitted: set[int], by_stage: dict[int, dict[int, _Task]], level: int
) -> Job:
    for number in query.spark_jobs:
        if number not in log.results:
            raise _LeftOut("did not end")
        if log.results[number] != _JOB_SUCCESS:
            raise _LeftOut(f"it ended as {log.results[number]}")
    run = sorted(stage for stage in query.stages if stage in submitted)
    if not run:
        raise _LeftOut("all of its stages were skipped")
    positions = {stage: position for position, stage in enumerate(run)}
    computed = {log.rdds[stage]: stage for stage in run if log.rdds[stage] >= 0}
    for stage in query.stages:  # a stage that was skipped stands for the one that had computed its RDD
        if stage not in positions and log.rdds[stage] in computed:
            positions[stage] = positions[computed[log.rdds[stage]]]
    stages = []
    for stage in run:
        if stage not in by_stage:
            raise _LeftOut(f"no task of its stage {stage} succeeded")
        waves: list[list[int]] = [[], [], []]
        for task in by_stage[stage].values():
            waves[task.wave].append(task.finish_ms - task.launch_ms)
        fresh, first, rest = waves
        stages.append(
            Stage(
                num_tasks=log.num_tasks[stage],
                fresh={level: fresh},
                first={level: first or rest},  # where every first task paid for a start, the rest are nearer
                rest={level: rest},
                parents=tuple(positions[parent] for parent in log.parents[stage] if parent in positions),
            )
        )
    return Job(name, stages)
