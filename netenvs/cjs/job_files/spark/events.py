"""What the events of a log say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from netenvs.cjs.jobs import REST
from netenvs.readers.errors import InputError
from netenvs.readers.reading import MOST_SKIPPED, Reading
from netenvs.readers.sources import Source

PREFIX = "SparkListener"
MAX_TIME_MS = 1e15
"""The year 33658."""
SNIFFED_LINES = 20
_SUCCESS, _RESUBMITTED = "Success", "Resubmitted"
_BEGINS = re.compile(r'\s*\{.*?"Event"\s*:\s*"')
_WRONG = (KeyError, TypeError, ValueError, AttributeError, OverflowError, IndexError)
"""What reading an event that is not as Spark writes it may raise."""


@dataclass
class Task:
    """One attempt that ended."""

    stage: int
    partition: int
    executor: str
    launch_ms: int
    finish_ms: int
    succeeded: bool
    wave: int = REST


@dataclass
class Query:
    """Spark jobs that make one job."""

    spark_jobs: list[int] = field(default_factory=list)
    stages: list[int] = field(default_factory=list)
    submitted_ms: float | None = None


@dataclass
class Log:
    """What the events say."""

    application: str = ""
    """Its id, and the attempt where there are several; empty where it is not told."""
    slots: dict[str, int] = field(default_factory=dict)
    """Spark executor -> tasks at a time."""
    queries: dict[str, Query] = field(default_factory=dict)
    """By name; a stage that several queries list belongs to the first of them."""
    parents: dict[int, list[int] | None] = field(default_factory=dict)
    """Stage -> those it waits for; None where they are not told, as before Spark 1.4."""
    num_tasks: dict[int, int] = field(default_factory=dict)
    rdds: dict[int, int] = field(default_factory=dict)
    """Stage -> the RDD that it computes, the first of its list; -1 where none is told."""
    results: dict[int, str] = field(default_factory=dict)
    """Spark job -> how it ended."""
    tasks: list[Task] = field(default_factory=list)
    ended: set[int] = field(default_factory=set)
    """Numbers of the tasks whose end was told."""
    submitted: set[int] = field(default_factory=set)
    """Stages that began to run."""
    spans_ms: dict[int, int] = field(default_factory=dict)
    """Stage -> time from its submission to its completion, for those that completed well."""
    completed: dict[int, int] = field(default_factory=dict)
    """Stage -> the most tasks of an attempt that completed well."""


def is_event_log(source: Source) -> bool:
    """Whether one of the first lines is, or begins as, an object with a string ``Event``."""
    lines = [line for line in source.head.splitlines() if line.strip()]
    return any(_is_event(line) for line in lines[:SNIFFED_LINES])


def _is_event(line: str) -> bool:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return _BEGINS.match(line[:1000]) is not None
    return isinstance(event, dict) and isinstance(event.get("Event"), str)


def read_log(source: Source, reading: Reading) -> Log:
    """All events of a log. What is no event, or not as Spark writes it, ``reading`` is told.

    Raises :class:`InputError` where more than half of the lines are no events.
    """
    log, good, bad = Log(), 0, 0
    for piece in source.pieces:
        last = piece is source.pieces[-1]
        for number, event in _events(piece, reading, last):
            where = f"{piece.name}:{number}"
            try:
                if not isinstance(event, dict) or not isinstance(event.get("Event"), str):
                    raise ValueError("no object with an 'Event'")
                _read_event(log, event)
                good += 1
            except _WRONG as error:
                kind = event.get("Event") if isinstance(event, dict) else ""
                reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
                reading.skip("events", "not as Spark writes it", where, f"{kind or 'no event'}: {reason}")
                bad += 1
    if bad > MOST_SKIPPED * (good + bad):
        raise InputError(f"{source.name}: {bad} of {good + bad} lines are no events; is it a Spark event log?")
    reading.records["events"] += good
    return log


def _events(piece: Source, reading: Reading, last: bool) -> Iterator[tuple[int, Any]]:
    """Yield (line, event), ``None`` for what is no JSON. A last line that is cut short is of a running application."""
    cut: tuple[int, str] | None = None
    try:
        for number, line in piece.lines():
            if cut is not None:
                yield cut[0], None
                cut = None
            if not line.strip():
                continue
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                cut = (number, line)
                continue
            yield number, event
    except InputError as error:  # a compressed log of an application that still runs, or was killed, has no end
        if reading.strict:
            raise
        reading.note("it ends too early, what stands before the damage is read", str(error))
    if cut is not None and not last:
        yield cut[0], None


def _read_event(log: Log, event: dict[str, Any]) -> None:
    kind = event["Event"].removeprefix(PREFIX)
    if kind == "ApplicationStart":
        name, attempt = event.get("App ID"), event.get("App Attempt ID")
        log.application = "-".join(str(part) for part in (name, attempt) if part is not None)
    elif kind == "ExecutorAdded":
        log.slots[str(event["Executor ID"])] = int(event["Executor Info"]["Total Cores"])
    elif kind == "JobStart":
        _read_job(log, event)
    elif kind == "JobEnd":
        log.results[int(event["Job ID"])] = str(event["Job Result"]["Result"])
    elif kind == "TaskEnd":
        _read_task(log, event)
    elif kind == "StageSubmitted":
        log.submitted.add(int(event["Stage Info"]["Stage ID"]))
    elif kind == "StageCompleted":
        info = event["Stage Info"]
        log.submitted.add(int(info["Stage ID"]))
        if info.get("Failure Reason") is None and "Submission Time" in info and "Completion Time" in info:
            span_ms = int(info["Completion Time"]) - int(info["Submission Time"])
            log.spans_ms[int(info["Stage ID"])] = max(0, span_ms)
            stage, tasks = int(info["Stage ID"]), int(info.get("Number of Tasks", 0))
            log.completed[stage] = max(log.completed.get(stage, 0), tasks)


def _read_job(log: Log, event: dict[str, Any]) -> None:
    number, properties = int(event["Job ID"]), event.get("Properties") or {}
    execution = properties.get("spark.sql.execution.root.id") or properties.get("spark.sql.execution.id")
    stages = [
        (int(info["Stage ID"]), int(info["Number of Tasks"]), _parents(info), _rdd(info))
        for info in event["Stage Infos"]
    ]
    query = log.queries.setdefault(f"query-{execution}" if execution else f"job-{number}", Query())
    query.spark_jobs.append(number)
    submitted = event.get("Submission Time")
    if submitted is not None and query.submitted_ms is None:
        query.submitted_ms = _moment(submitted)
    for stage, num_tasks, parents, rdd in stages:
        if stage not in log.parents:
            query.stages.append(stage)
            log.rdds[stage], log.parents[stage], log.num_tasks[stage] = rdd, parents, num_tasks


def _moment(ms: Any) -> float:
    if not 0 <= float(ms) < MAX_TIME_MS:
        raise ValueError(f"a time of {ms} ms")
    return float(ms)


def _parents(info: dict[str, Any]) -> list[int] | None:
    return [int(parent) for parent in info["Parent IDs"]] if "Parent IDs" in info else None


def _rdd(info: dict[str, Any]) -> int:
    rdds = info.get("RDD Info") or [{"RDD ID": -1}]
    return int(rdds[0]["RDD ID"])


def _read_task(log: Log, event: dict[str, Any]) -> None:
    info, reason = event["Task Info"], event["Task End Reason"]["Reason"]
    number = int(info["Task ID"])
    if reason == _RESUBMITTED or number in log.ended:
        return  # the end of a task that had ended, told again when its executor was lost: it takes no slot
    succeeded = reason == _SUCCESS and not info.get("Failed", False) and not info.get("Killed", False)
    launch_ms, finish_ms = int(info["Launch Time"]), int(info["Finish Time"])
    if finish_ms < launch_ms:
        raise ValueError(f"task {number} finishes before it starts")
    partition = int(info.get("Partition ID", -1))
    partition = partition if partition >= 0 else int(info["Index"])
    log.ended.add(number)
    log.tasks.append(Task(int(event["Stage ID"]), partition, str(info["Executor ID"]), launch_ms, finish_ms, succeeded))
