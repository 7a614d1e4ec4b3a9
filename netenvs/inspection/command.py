"""The command ``python -m netenvs inspect``."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from netenvs import tasks
from netenvs.command_line import AppendAction, Positional, option, refuse
from netenvs.errors import flat, reason
from netenvs.files import write_atomically
from netenvs.inspection.record import Inspection, count
from netenvs.loading import named
from netenvs.readers.reader import AUTO, NotRecognised
from netenvs.readers.sources import exists
from netenvs.spec import parse_settings, parse_spec
from netenvs.tasks import Task

PROGRAM = "python -m netenvs inspect"
WIDTH = 20


@dataclass(frozen=True)
class Inspect:
    """This says what a file, folder or archive is taken for, what is in it, and how to play it."""

    path: Annotated[str, Positional, option("This is a file, a folder or an archive.", metavar="PATH")]
    task: str | None = None
    """Only this task's formats are tried; without it, those of all tasks are."""
    format: str = AUTO
    """The format has this name; otherwise the files' content decides."""
    set: Annotated[
        tuple[str, ...],
        option(
            "This is an option of the format, such as unit=kbit/s; may be given again.", "none", metavar="KEY=VALUE"
        ),
        AppendAction,
    ] = ()
    strict: bool = False
    """The first record that cannot be used is an error."""
    out: Annotated[
        Path | None, option("The picture is written to this file.", "runs/inspect-NAME.png", metavar="FILE.png")
    ] = None

    def run(self) -> int:
        """0; 1 for what cannot be read or written; wrong words end with 2."""
        try:
            args, in_brackets = _taken_apart(self)
            candidates = _inspectable(self.task)
            options = {**in_brackets, **parse_settings(self.set)}
        except ValueError as error:
            refuse(PROGRAM, reason(error))
        try:
            task, inspection, others = _inspect(args, candidates, options)
            picture = _draw(inspection, args.out or Path("runs") / f"inspect-{_plain(args.path)}.png")
        except (ValueError, OSError) as error:
            print(f"error: {flat(reason(error))}", file=sys.stderr)
            return 1
        for name, text in _lines(args.path, task, inspection, picture, others):
            print(f"{name:<{WIDTH}}{flat(text)}" if name else flat(text))
        return 0


def _taken_apart(args: Inspect) -> tuple[Inspect, dict[str, Any]]:
    """A path as environments take it, ``csv(path=FILE,unit=kbit/s)``, as the words of the command, and its options."""
    if exists(args.path) or "(path=" not in args.path:
        return args, {}
    format, options = parse_spec(args.path)
    path, strict = str(options.pop("path")), options.pop("strict", args.strict)
    if not isinstance(strict, bool):
        raise ValueError(f"{args.path}: strict must be true or false, not {strict!r}")
    return replace(args, path=path, format=format, strict=strict), options


def _inspectable(name: str | None) -> list[Task]:
    """The task of that name; without one, all tasks that have something to inspect, one for each function."""
    if name is not None:
        task = tasks.find(name)
        if not task.inspect:
            raise ValueError(f"--task {name}: it has no files of its own")
        return [task]
    found: dict[str, Task] = {}
    for known in tasks.names():
        try:
            task = tasks.find(known)
        except ValueError:
            continue  # a plug-in that is broken
        if task.inspect:
            found.setdefault(task.inspect, task)
    return list(found.values())


def _inspect(args: Inspect, candidates: list[Task], options: dict[str, Any]) -> tuple[Task, Inspection, list[Task]]:
    """The task that reads it with least left out, what it found, and the other tasks that can read it."""
    found, errors = _tried(args, candidates, options, args.strict)
    if not found:
        if args.strict:  # the reason of a task that can read it otherwise is the one that matters
            readable, _ = _tried(args, candidates, options, False)
            errors = {task.name: errors[task.name] for task, _ in readable} or errors
        if len(errors) == 1 or len({str(error) for error in errors.values()}) == 1:
            raise next(iter(errors.values()))
        raise ValueError(f"{args.path}: {_why_not(args, errors)}")
    found.sort(key=lambda one: one[1].skipped_share)  # stable: the order of tasks decides between equals
    return *found[0], [task for task, _ in found[1:]]


def _why_not(args: Inspect, errors: dict[str, ValueError]) -> str:
    """What the tasks say that recognised the input and could not read it."""
    told = {name: error for name, error in errors.items() if not isinstance(error, NotRecognised)}
    if not told and args.format != AUTO:
        told = errors
    if not told:
        known = ", ".join(errors)
        return f"not recognised by any task; --task T says why one cannot read it (T is one of {known})"
    reasons = [f"--task {name}: {reason(error).removeprefix(f'{args.path}: ')}" for name, error in told.items()]
    if others := [name for name in errors if name not in told]:
        reasons.append(f"not recognised with --task {' or '.join(others)}")
    return f"no task can read it; {'; '.join(reasons)}"


def _tried(
    args: Inspect, candidates: list[Task], options: dict[str, Any], strict: bool
) -> tuple[list[tuple[Task, Inspection]], dict[str, ValueError]]:
    """The tasks that can read it, with what they found, and by name why the others cannot."""
    found: list[tuple[Task, Inspection]] = []
    errors: dict[str, ValueError] = {}
    for task in candidates:
        try:
            found.append((task, named(task.inspect)(args.path, format=args.format, strict=strict, **options)))
        except ValueError as error:
            errors[task.name] = error
    return found, errors


def _lines(
    path: str, task: Task, inspection: Inspection, picture: Path, others: list[Task]
) -> Iterator[tuple[str, str]]:
    reading = inspection.reading
    formats = ", ".join(f"{name} ({count(files, 'files')})" for name, files in reading.formats.items())
    yield "", f"{path}: {inspection.found}, read as {formats}, for {task.title} (--task {task.name})"
    yield "  read", ", ".join(count(many, kind) for kind, many in reading.records.items())
    for line in reading.skipped_lines() or ["nothing"]:
        yield "  left out", line.replace(" left out", "", 1)
    for note in reading.notes:
        yield "  warning", note
    for name, value in inspection.facts:
        yield f"  {name}", value
    yield "  picture", str(picture)
    dataset = inspection.play.get(task.dataset_option)
    settings = [f"{key}={value}" for key, value in inspection.play.items() if key != task.dataset_option]
    words = [f"python -m benchmarks.compare --task {task.name}"]
    words += [f"--dataset {shlex.quote(dataset)}"] if dataset is not None else []
    words += [f"--set {shlex.quote(setting)}" for setting in settings]
    yield "  compare policies", " ".join(words)
    arguments = "".join(f", {key}={value!r}" for key, value in inspection.play.items())
    yield "  in Python", f'gym.make("{task.env_id}"{arguments})'
    for other in others:
        yield "  also read", f"for {other.title}: {PROGRAM} {shlex.quote(path)} --task {other.name}"


def _draw(inspection: Inspection, path: Path) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), dpi=100, facecolor="white", layout="constrained")
    inspection.draw(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda part: figure.savefig(part, format="png"))
    return path


def _plain(path: str) -> str:
    """The last part of a path as part of a file name."""
    return re.sub(r"[^\w.-]+", "-", Path(path).resolve().stem)[:80] or "input"
