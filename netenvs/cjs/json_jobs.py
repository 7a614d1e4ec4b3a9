"""Jobs of one's own as JSON, plain or gzip.

    {"jobs": [{"name": "report", "stages": [
        {"num_tasks": 8, "durations_ms": [120, 130, 128]},
        {"num_tasks": 2, "durations_ms": 400, "parents": [0]}]}]}

A stage has ``num_tasks``, ``durations_ms``, and, where it waits for others, ``parents``: their positions in
the list, from 0. ``durations_ms`` is one number, or a list of samples to draw from, or an object with the
waves ``first`` and, optionally, ``fresh`` and ``rest`` (see ``netenvs.cjs.jobs``), each a number, a list,
or an object executor level -> number or list. A job may have a ``name``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from netenvs.cjs.jobs import LEVELS, WAVES, Job, Stage
from netenvs.cjs.textfile import open_text

_LEVEL = re.compile(r"[1-9][0-9]{0,8}")


def read_jobs(path: Path) -> list[Job]:
    """The jobs of a JSON workload. Raises ``ValueError`` (file, job, stage) for what is not of the format."""
    with open_text(path) as file:
        try:
            content = json.load(file)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}: not JSON ({error})") from None
    if not isinstance(content, dict) or not isinstance(content.get("jobs"), list):
        raise ValueError(f'{path}: a JSON workload is an object with a list "jobs", see docs/cjs_workloads.md')
    _check_keys(content, {"jobs"}, str(path))
    return [_read_job(entry, index, path) for index, entry in enumerate(content["jobs"])]


def _read_job(entry: Any, index: int, path: Path) -> Job:
    name = str(entry.get("name", f"job-{index}")) if isinstance(entry, dict) else f"job-{index}"
    where = f"{path}: job {name!r}"
    if not isinstance(entry, dict) or not isinstance(entry.get("stages"), list):
        raise ValueError(f'{where}: a job is an object with a list "stages"')
    _check_keys(entry, {"name", "stages"}, where)
    return Job(name, [_read_stage(stage, f"{where}: stage {number}") for number, stage in enumerate(entry["stages"])])


def _read_stage(entry: Any, where: str) -> Stage:
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
    waves = {wave: _read_wave(lists, f"{where}: {wave}") for wave, lists in durations.items()}
    levels = sorted({level for lists in waves.values() for level in lists})
    if "first" in waves and len(waves["first"]) < len(levels):
        raise ValueError(f"{where}: 'first' must list every executor level that another wave lists (or [] there)")
    if "first" not in waves:  # fresh durations stand in for it
        waves["first"] = {level: [] for level in levels}
    return Stage(num_tasks=entry["num_tasks"], parents=tuple(parents), **waves)


def _read_wave(lists: Any, where: str) -> dict[int, list[float]]:
    if not isinstance(lists, dict):
        return {LEVELS[0]: _read_list(lists, where)}
    bad = [level for level in lists if not _LEVEL.fullmatch(level)]
    if bad:
        raise ValueError(f"{where}: {bad[0]!r} is not an executor level, a whole number from 1 up")
    return {int(level): _read_list(samples, where) for level, samples in lists.items()}


def _read_list(samples: Any, where: str) -> list[float]:
    numbers = samples if isinstance(samples, list) else [samples]
    if not all(type(number) in (int, float) for number in numbers):
        raise ValueError(f"{where}: durations must be numbers, in ms")
    return numbers


def _check_keys(entry: dict[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(entry) - known)
    if unknown:
        raise ValueError(f"{where}: unknown key {unknown[0]!r}; known: {', '.join(sorted(known))}")
