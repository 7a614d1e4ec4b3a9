"""From what a log says to jobs: slots, waves, queries."""

from __future__ import annotations

import os
from collections.abc import Mapping

from netenvs.cjs.job_files.spark.events import Log, Query, Task, read_log
from netenvs.cjs.job_files.spark.parts import group_parts
from netenvs.cjs.jobs import FIRST, FRESH, REST, Job, Stage
from netenvs.readers.errors import InputError
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source, list_sources

_JOB_SUCCESS = "JobSucceeded"


class _LeftOut(Exception):
    """The job cannot be used: the reason, and what is special to it."""

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason, detail)


def read_jobs(path: str | os.PathLike[str]) -> list[Job]:
    """The jobs of an event log, or of a folder of logs or of one log in parts; warns of what is left out."""
    reading = Reading(str(path))
    jobs = [job for source in group_parts(list_sources(path)) for job in read_event_log(source, reading)]
    reading.warn()
    return jobs


def read_event_log(source: Source, reading: Reading) -> list[Job]:
    """The jobs of one event log, which may be in parts.

    Failed, killed and repeated attempts are not counted, nor ends that are told twice. Stages that Spark skipped,
    because an earlier query had left their output, are dropped. A stage that completed, but whose ends of tasks were
    dropped by Spark's listener bus, keeps its place: its tasks last as long as all of it lasted, over the waves that it
    took on all slots. A job is left out when it did not end or failed, when no task of one of its stages succeeded, or
    when one of them ran, and that is all that is told of it.
    """
    log = read_log(source, reading)
    level = _assign_waves(log)
    by_stage: dict[int, dict[int, Task]] = {}
    for task in log.tasks:
        if task.succeeded:
            by_stage.setdefault(task.stage, {}).setdefault(task.partition, task)
    tried = {task.stage for task in log.tasks}
    untold = {stage for stage in log.spans_ms if log.num_tasks.get(stage) and stage not in tried}
    _note_dropped(log, source.name, reading, untold, by_stage)
    jobs: list[Job] = []
    for name, query in log.queries.items():
        try:
            jobs.append(_make_job(log, name, query, tried, by_stage, untold, level, source.name))
        except _LeftOut as left_out:
            reading.skip("jobs", left_out.args[0], f"{source.name}: {name}", left_out.args[1])
    if not log.queries:
        why = "".join(f"; {line}" for line in reading.skipped_lines())
        raise InputError(f"{source.name}: there is no job in this Spark event log{why}")
    reading.records["jobs"] += len(jobs)
    return jobs


def _note_dropped(
    log: Log, name: str, reading: Reading, untold: set[int], by_stage: Mapping[int, Mapping[int, Task]]
) -> None:
    """Say of which stages ends of tasks were dropped by Spark's listener bus, all or some of them."""
    if untold:
        reading.note(
            "stages completed without the ends of their tasks, which Spark had dropped; their tasks are taken to last "
            "as long as the stage, over its waves",
            f"{name}: {len(untold)} of {len(log.parents)} stages",
        )
    partly = [stage for stage, tasks in by_stage.items() if len(tasks) < log.completed.get(stage, 0)]
    if partly:
        told, ran = (sum(of) for of in zip(*((len(by_stage[s]), log.completed[s]) for s in partly), strict=True))
        reading.note(
            "stages completed without the ends of some of their tasks; the durations of the others stand for them",
            f"{name}: {told} of {ran} tasks of {len(partly)} of {len(log.parents)} stages are told",
        )


def _assign_waves(log: Log) -> int:
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
    log: Log,
    name: str,
    query: Query,
    tried: set[int],
    by_stage: Mapping[int, Mapping[int, Task]],
    untold: set[int],
    level: int,
    source: str,
) -> Job:
    for number in query.spark_jobs:
        if number not in log.results:
            raise _LeftOut("it did not end", f"Spark job {number}")
        if log.results[number] != _JOB_SUCCESS:
            raise _LeftOut("it did not end well", log.results[number])
    run = sorted(stage for stage in query.stages if stage in tried or stage in untold)
    _check_stages(log, query, run)
    if not run:
        raise _LeftOut("all of its stages were skipped")
    positions = {stage: position for position, stage in enumerate(run)}
    computed = {log.rdds[stage]: positions[stage] for stage in run if log.rdds[stage] >= 0}
    for stage in query.stages:  # a stage that was skipped stands for the one that had computed its RDD
        if stage not in positions and log.rdds[stage] in computed:
            positions[stage] = computed[log.rdds[stage]]
    stages = []
    for stage in run:
        parents = _parents_that_ran(log, stage, positions)
        if stage in untold:
            lasted_ms = log.spans_ms[stage] / -(-log.num_tasks[stage] // level)
            stages.append(Stage(num_tasks=log.num_tasks[stage], first={level: [lasted_ms]}, parents=parents))
            continue
        if stage not in by_stage:
            raise _LeftOut("no task of a stage succeeded", f"stage {stage}")
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
                parents=parents,
            )
        )
    return Job(name, stages, query.submitted_ms, source, log.application)


def _check_stages(log: Log, query: Query, run: list[int]) -> None:
    lost = [stage for stage in query.stages if stage in log.submitted.difference(run) and log.num_tasks[stage]]
    if lost:
        raise _LeftOut("the log lacks the tasks of a stage that ran", f"stage {lost[0]}")
    if len(run) > 1 and any(log.parents[stage] is None for stage in run):
        raise _LeftOut(
            "its stages have no 'Parent IDs'",
            "Spark writes them from version 1.4 on; logs of older versions do not tell in what order stages run",
        )


def _parents_that_ran(log: Log, stage: int, positions: Mapping[int, int]) -> tuple[int, ...]:
    """Positions of the stages that a stage waits for; one without tasks does not run, its own parents count instead."""
    found: dict[int, None] = {}
    left, seen = list(log.parents[stage] or ()), {stage}
    while left:
        parent = left.pop(0)
        if parent in seen:
            continue
        seen.add(parent)
        if parent in positions:
            found[positions[parent]] = None
        elif log.num_tasks.get(parent) == 0:
            left += log.parents[parent] or ()
    return tuple(found)
