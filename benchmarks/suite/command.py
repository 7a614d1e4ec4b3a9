"""``python -m benchmarks.compare --suite``: what the command does with a suite."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import files, machine
from benchmarks.compare import table as compare_table
from benchmarks.compare.evaluate import Contender, default_policies, load_contenders
from benchmarks.compare.options import Options
from benchmarks.suite import plots, report, store, table
from benchmarks.suite.play import Field, Place, Row, check_policy, find_suite, make_optima, prepare, score
from benchmarks.suite.results import Results, best_first, columns, to_json
from netenvs import tasks
from netenvs.errors import printable
from netenvs.files import only_one, write_atomically
from netenvs.spec import split_specs

PROGRAM = ("python", "-m", "benchmarks.compare")
LOCK = ".lock"
"""Held in the folder of results by who writes there."""
SAY_EVERY_S = 20.0
"""Where optima are made and there is no terminal."""


@dataclass(frozen=True)
class Plan:
    """A suite that has been checked and can be played."""

    options: Options
    contenders: list[Contender]
    out: Path
    created: bool
    """Whether ``out`` was made for this run."""


def run(options: Options, words: Sequence[str]) -> int:
    """Play a suite, or make its optima; return the exit status of the command.

    ``ValueError`` or ``PolicyError``, one line, where a name, an option or a folder is wrong: then nothing has run.
    """
    _check_options(options)
    if options.make_optima:
        return _make_optima(options)
    plan = _plan(options)
    try:
        with only_one(plan.out / LOCK) as alone:
            if not alone:
                raise ValueError(f"--out {plan.out}: another comparison is writing there; name another")
            return _play(plan, words)
    except BaseException:
        if plan.created and not any(plan.out.iterdir()):
            plan.out.rmdir()
        raise


def _check_options(options: Options) -> None:
    suite = find_suite(options.task, str(options.suite))
    if options.dataset is not None or options.options:
        raise ValueError(f"--suite {options.suite}: it chooses data sets and options; leave out --dataset and --set")
    if options.split is not None and options.split not in suite.splits:
        raise ValueError(f"--split {options.split}: the suite has {', '.join(suite.splits)}")
    if options.full and options.episodes is not None:
        raise ValueError("--episodes and --full: give one of them")
    given = {
        "--policies": options.policies is not None,
        "--policy": bool(options.policy),
        "--out": options.out is not None,
        "--json": options.json is not None,
    }
    useless = [name for name, there in given.items() if there]
    if options.make_optima and useless:
        raise ValueError(f"--make-optima plays {suite.top} alone and writes no results; leave out {', '.join(useless)}")


def _plan(options: Options) -> Plan:
    """Check names and folders before anything is played."""
    task, suite = tasks.find(options.task), find_suite(options.task, str(options.suite))
    specs = [name for name in default_policies(task) if name != suite.top and name not in suite.left_out]
    specs = [*(specs if options.policies is None else split_specs(options.policies)), *options.policy]
    if not specs:
        raise ValueError("no policy is named; see --list, or give --policy FILE.py:CLASS")
    contenders = load_contenders(task, specs, {})
    files.check_json(options.json)
    out = options.out or Path("runs") / f"{task.name}-{options.suite}-{time.strftime('%Y%m%d-%H%M%S')}"
    return Plan(options, contenders, out, files.writable_folder(out, "--out"))


def _prepared(options: Options, values_of_floor: bool) -> Field:
    return prepare(
        options.task,
        str(options.suite),
        split=options.split,
        episodes=options.episodes,
        full=options.full,
        seed=options.seed,
        optima=options.optima,
        values_of_floor=values_of_floor,
    )


def optima_command(options: Options) -> str:
    """What is typed to make the optima that these options need."""
    words = [*PROGRAM, "--task", options.task, "--suite", str(options.suite), "--make-optima"]
    for name, value in (("--split", options.split), ("--episodes", options.episodes), ("--optima", options.optima)):
        words += [] if value is None else [name, str(value)]
    return shlex.join([*words, *(["--full"] if options.full else [])])


def _play(plan: Plan, words: Sequence[str]) -> int:
    options = plan.options
    begun = time.perf_counter()
    field = _prepared(options, values_of_floor=True)
    for contender in plan.contenders:
        check_policy(contender.policy, field)
    console = compare_table.console()
    rows = best_first(_rows(plan.contenders, field))
    results = Results(
        field=field,
        rows=rows,
        settings={
            "seed": options.seed,
            "optima": str(field.optima),
            "optima_command": optima_command(options),
            "command": shlex.join([*PROGRAM, *words]),
            "wall_s": round(time.perf_counter() - begun, 1),
            **machine.machine(),
        },
        versions=machine.versions(),
    )
    table.show(results, console)  # first: wherever files cannot be written, there are the figures
    files.write_results(plan.out, options.json, to_json(results))
    write_atomically(plan.out / "cells.csv", files.to_csv(columns(results)))
    drawn = plots.draw(results)
    files.write_report(plan.out, drawn, report.html(results, drawn))
    console.print(f"report: {printable(plan.out / 'report.html')}", soft_wrap=True)
    return 1 if any(row.errors for row in rows) else 0


def _rows(contenders: Sequence[Contender], field: Field) -> list[Row]:
    """A row for each policy; a progress bar on standard error if that is a terminal."""
    console = _console()
    rows = []
    with _progress(console) as progress:
        for contender in contenders:
            total = sum(len(place.digests) for place in field.places)
            bar = progress.add_task(printable(contender.policy.name), total=total)
            rows.append(score(contender.policy, field, lambda _, bar=bar: progress.advance(bar)))  # type: ignore[misc]
            for error in rows[-1].errors:
                console.print(f"failed: {error}", soft_wrap=True)
    return rows


def _make_optima(options: Options) -> int:
    field = _prepared(options, values_of_floor=False)
    console = _console()
    wanted = sum(len(place.digests) for place in field.places if place.top is None)
    for note in field.notes:
        console.print(note, soft_wrap=True)
    field.optima.mkdir(parents=True, exist_ok=True)
    with only_one(field.optima / store.LOCK) as alone:
        if not alone:
            raise ValueError(f"--optima {field.optima}: optima are being made there; wait, or name another folder")
        said = begun = time.monotonic()
        with _progress(console) as progress:
            bar = progress.add_task("optima", total=wanted)

            def say(place: Place, made: int) -> None:
                nonlocal said
                progress.update(bar, completed=made, description=printable(place.cell.name))
                if not console.is_terminal and time.monotonic() - said > SAY_EVERY_S:
                    said = time.monotonic()
                    console.print(f"{made:,} optima, {place.cell.name}, {said - begun:.0f} s", soft_wrap=True)

            made = make_optima(field, say)
    print(f"{made:,} optima made, in {field.optima}")
    return 0


def _console() -> Console:
    return Console(stderr=True, markup=False, highlight=False, emoji=False)


def _progress(console: Console) -> Progress:
    text = TextColumn("{task.description}", markup=False)
    return Progress(
        text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console, disable=not console.is_terminal
    )
