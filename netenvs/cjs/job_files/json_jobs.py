"""Jobs of one's own as JSON.

    {"jobs": [{"name": "report", "stages": [
        {"num_tasks": 8, "durations_ms": [120, 130, 128]},
        {"num_tasks": 2, "durations_ms": 400, "parents": [0]}]}]}

A stage has ``num_tasks``, ``durations_ms``, and, where it waits for others, ``parents``: their positions in
the list, from 0. ``durations_ms`` is one number, or a list of samples to draw from, or an object with the
waves ``first`` and, optionally, ``fresh`` and ``rest`` (see ``netenvs.cjs.jobs``), each a number, a list,
or an object executor level -> number or list. A job may have a ``name``, and
``arrival_ms``, when it was submitted, counted from anywhere.
"""

from __future__ import annotations

import json
import re
from typing import Any

from netenvs.cjs.jobs import LEVELS, WAVES, Job, Stage
from netenvs.readers.errors import InputError, decoding
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source
from netenvs.readers.units import SECONDS
from netenvs.spec import unknown_name

MAX_ARRIVAL = 1e18
"""In whatever unit; times in ns since 1970 are smaller than twice that."""

_LEVEL = re.compile(r"[1-9][0-9]{0,8}")


def is_workload(source: Source) -> bool:
    """Whether a file is a JSON object; event logs, which begin as one, are looked for before."""
    return source.head.lstrip().startswith("{")


def read_workload(source: Source, reading: Reading, *, unit: str = "ms") -> list[Job]:
    """The jobs of a JSON workload, less those that are not of the format, which ``reading`` is told.

    Arguments:
        source: the file.
        reading: is told what is left out.
        unit: of durations and arrivals, a key of ``netenvs.readers.units.SECONDS``, whatever the keys are called.

    Raises :class:`InputError` for a file that is no JSON, or not an object with a list of jobs.
    """
    if unit not in SECONDS:
        raise InputError(f"{source.name}: {unknown_name('unit', unit, SECONDS)}")
    with decoding(source.name, "it must be JSON (docs/cjs_workloads.md)"):
        content = json.loads(source.text())
    if not isinstance(content, dict) or not isinstance(content.get("jobs"), list):
        raise InputError(f'{source.name}: a JSON workload is an object with a list "jobs", see docs/cjs_workloads.md')
    _check_keys(content, {"jobs"}, source.name)
    if not content["jobs"]:
        raise InputError(f"{source.name}: there is no job in it")
    jobs = []
    for index, entry in enumerate(content["jobs"]):
        where = f"{source.name}: job {_name(entry, index)!r}"
        try:
            jobs.append(_read_job(entry, index, source.name, 1000 * SECONDS[unit]))
            reading.records["jobs"] += 1
        except (ValueError, OverflowError) as error:
            reading.skip("jobs", "not of the format", where, str(error))
    return jobs


def _name(entry: Any, index: int) -> str:
    return str(entry.get("name", f"job-{index}")) if isinstance(entry, dict) else f"job-{index}"


def _read_job(entry: Any, index: int, source: str, unit_ms: float) -> Job:
    if not isinstance(entry, dict) or not isinstance(entry.get("stages"), list):
        raise ValueError('a job is an object with a list "stages"')
    _check_keys(entry, {"name", "stages", "arrival_ms"}, "the job")
    arrival = entry.get("arrival_ms")
    if arrival is not None and (type(arrival) not in (int, float) or not 0 <= arrival < MAX_ARRIVAL):
        raise ValueError(f"arrival_ms must be a number from 0 up, not {arrival!r}")
    stages = [_read_stage(stage, f"stage {number}", unit_ms) for number, stage in enumerate(entry["stages"])]
    return Job(_name(entry, index), stages, None if arrival is None else arrival * unit_ms, source)


def _read_stage(entry: Any, where: str, unit_ms: float) -> Stage:
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: a stage is an object with num_tasks and durations_ms")
    _check_keys(entry, {"num_tasks", "durations_ms", "parents"}, where)
    missing = [key for key in ("num_tasks", "durations_ms") if key not in entry]
    if missing:
        raise ValueError(f"{where}: {missing[0]} is missing")
    parents = entry.get("parents", [])
    if not isinstance(parents, list) or not all(type(parent) is int for parent in parents):
        raise ValueError(f"{where}: parents must be a list of positions of stages, from 0")
    durations = entry["durations_ms"]
    if not isinstance(durations, dict):
        durations = {"first": durations}
    _check_keys(durations, set(WAVES), f"{where}: durations_ms")
    waves = {wave: _read_wave(lists, f"{where}: {wave}", unit_ms) for wave, lists in durations.items()}
    levels = sorted({level for lists in waves.values() for level in lists})
    if "first" in waves and len(waves["first"]) < len(levels):
        raise ValueError(f"{where}: 'first' must list every executor level that another wave lists (or [] there)")
    if "first" not in waves:  # fresh durations stand in for it
        waves["first"] = {level: [] for level in levels}
    return Stage(num_tasks=entry["num_tasks"], parents=tuple(parents), **waves)


def _read_wave(lists: Any, where: str, unit_ms: float) -> dict[int, list[float]]:
    if not isinstance(lists, dict):
        return {LEVELS[0]: _read_list(lists, where, unit_ms)}
    bad = [level for level in lists if not _LEVEL.fullmatch(level)]
    if bad:
        raise ValueError(f"{where}: {bad[0]!r} is not an executor level, a whole number from 1 up")
    return {int(level): _read_list(samples, where, unit_ms) for level, samples in lists.items()}


def _read_list(samples: Any, where: str, unit_ms: float) -> list[float]:
    numbers = samples if isinstance(samples, list) else [samples]
    if not all(type(number) in (int, float) for number in numbers):
        raise ValueError(f"{where}: durations must be numbers, in ms")
    return [number * unit_ms for number in numbers]


def _check_keys(entry: dict[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(entry) - known)
    if unknown:
        raise InputError(f"{where}: unknown key {unknown[0][:40]!r}; known: {', '.join(sorted(known))}")
