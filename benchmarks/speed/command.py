"""``python -m benchmarks.speed --env abr``: how fast environments, policies and trainings (``--train``) are.

``--policy`` sets a student against its teacher: see ``benchmarks.speed.policy``.

Every run measures all sides, the plain loop first, so that a ratio holds when the machine's speed drifts; medians
over the runs are what counts. Everything here runs on one core; seconds are those that it worked for us.
"""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import sys
from collections.abc import Sequence
from typing import Annotated, Any

from benchmarks.command_line import (
    File,
    Flag,
    FromOne,
    FromOneOrNone,
    Seconds,
    SeveralFromOne,
    Text,
    check_json,
)
from benchmarks.speed import registry
from benchmarks.speed.measurement import Measurement
from benchmarks.speed.record import TaskSpeed
from netenvs import tasks
from netenvs.command_line import datasets_help, exit_status, listed, option, parse, refuse
from netenvs.files import write_atomically
from netenvs.loading import named
from netenvs.spec import unknown_name

PROGRAM = "python -m benchmarks.speed"
TRAINING_BATCHES = (64,)


def options() -> type:
    """The dataclass of the command line; some options are of a few tasks only."""
    known = registry.known()
    batches = [f"{' '.join(map(str, of.num_envs))} for {name}" for name, of in known.items()]
    environments = f"It measures an environment and its policies: {listed(list(known))}."
    sizes = option("The vector environment has these batch sizes.", ", ".join([*batches, "64 for --train"]))
    figures = option("The figures of every run are written to this file.")
    kinds_of = {
        "env": (Annotated[Text, option(environments, metavar="TASK")], None),
        "train": (Annotated[Flag, option("It measures trainings.")], False),
        "policy": (Annotated[Flag, option("It sets a student against its teacher: see --policy --help.")], False),
        "dataset": (Annotated[Text, option(f"This names {datasets_help()}.", "synthetic", metavar="D")], None),
        "num_envs": (Annotated[SeveralFromOne, sizes], ()),
        **{
            key: (Annotated[FromOneOrNone, option(f"This is the number of {own.meaning} ({name}).", own.default)], None)
            for name, of in known.items()
            for key, own in of.options.items()
        },
        "runs": (Annotated[FromOne, option("So many paired runs are made; medians count.", 3)], 3),
        "seconds": (Annotated[Seconds, option("Each measurement of a run takes this processor time.", 1)], 1.0),
        "json": (Annotated[File, figures], None),
    }
    fields = [(name, kind, dataclasses.field(default=default)) for name, (kind, default) in kinds_of.items()]
    made = dataclasses.make_dataclass("Args", fields, frozen=True)
    made.__doc__ = "This measures the speed of an environment and its policies, or of trainings, on one core."
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 2 for a wrong option, before anything is measured."""
    words = sys.argv[1:] if argv is None else list(argv)
    if "--policy" in words:
        return int(named("benchmarks.speed.policy.command:main")(words))
    try:
        arguments: Any = parse(options(), PROGRAM, words)
        if bool(arguments.env) == arguments.train:
            refuse(PROGRAM, "one of the arguments --env --train --policy is required")
    except SystemExit as stop:  # --help, or a line has been printed
        return int(stop.code or 0)
    return exit_status(lambda: _act(arguments), wrong_words=(ValueError,))


def _act(arguments: Any) -> None:
    subject, settings = checked(arguments)
    check_json(arguments.json)
    measurements = subject.measurements(**settings)
    runs = measure(measurements, arguments.runs, arguments.seconds)
    name = arguments.env or "train"
    show(name, subject, settings, measurements, runs)
    if arguments.json is not None:
        figures = {"schema": 1, "env": name, **settings, "runs": runs}
        write_atomically(arguments.json, json.dumps(figures, indent=1) + "\n")


def checked(arguments: Any) -> tuple[TaskSpeed, dict[str, Any]]:
    """What is measured, and its options with their defaults. ``ValueError`` for an unknown task or option."""
    defaults: dict[str, Any]
    if arguments.train:
        subject, defaults = trainings(), {"num_envs": list(TRAINING_BATCHES)}
    elif arguments.env not in tasks.names():
        raise ValueError(unknown_name("environment", arguments.env, tasks.names()))
    else:
        subject = registry.task_speed(arguments.env)
        defaults = {"dataset": subject.dataset, "num_envs": list(subject.num_envs)}
        defaults.update({name: own.default for name, own in subject.options.items()})
    own = ("env", "train", "policy", "runs", "seconds", "json")
    given = {name: value for name, value in vars(arguments).items() if name not in own and value not in (None, ())}
    for name in given:
        if name not in defaults:
            asked = "--train" if arguments.train else f"--env {arguments.env}"
            raise ValueError(f"--{name.replace('_', '-')} is no option of {asked}")
    given = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    return subject, {**defaults, **given}


def trainings() -> TaskSpeed:
    """Those of all tasks: environment, network and optimiser together, on one thread and generated data."""
    known = [of for of in registry.known().values() if of.trainings is not None]

    def measurements(num_envs: Sequence[int]) -> list[Measurement]:
        import torch

        torch.set_num_threads(1)
        return [part for of in known if of.trainings is not None for part in of.trainings(num_envs)]

    published = [line for of in known for line in of.published_trainings]
    return TaskSpeed(measurements=measurements, published=published)


def show(
    name: str,
    subject: TaskSpeed,
    settings: dict[str, Any],
    measurements: Sequence[Measurement],
    runs: list[dict[str, float]],
) -> None:
    """Print the table."""
    words = ", ".join(f"{key} {value}" for key, value in settings.items() if value is not None)
    ratios = [", ".join(f"ratio to {yardstick}" for yardstick in subject.yardsticks)] if subject.yardsticks else []
    print(f"{name}, {words}; {len(runs)} runs, {os.cpu_count()} cores")
    print("; ".join(["seconds of one core; median (lowest .. highest)", *ratios]))
    for line in [*report(measurements, subject.yardsticks, runs), *subject.published]:
        print(line)


def measure(measurements: Sequence[Measurement], runs: int, seconds: float) -> list[dict[str, float]]:
    """Label -> value of each run; before the first, every piece of work is done once to compile and to fill caches."""
    for measurement in measurements:
        measurement.work()
    found = []
    for _ in range(runs):
        values: dict[str, float] = {}
        for measurement in measurements:
            values.update(measurement.measure(seconds))
        found.append(values)
    return found


def report(measurements: Sequence[Measurement], yardsticks: Sequence[str], runs: list[dict[str, float]]) -> list[str]:
    """One line a label: median, lowest and highest value, and median ratios to those yardsticks that count the same."""
    labels = [label for measurement in measurements for label in measurement.labels]
    width = max(map(len, labels))
    lines = []
    for measurement in measurements:
        for label in measurement.labels:
            values = [run[label] for run in runs]
            number = ",.3f" if max(values) < 100 else ",.0f"
            text = " .. ".join(format(value, number) for value in (min(values), max(values)))
            line = f"{label:{width}}  {statistics.median(values):>12{number}}  ({text})"
            for yardstick in yardsticks:
                reference = label.replace(measurement.name, yardstick, 1)
                if measurement.name != yardsticks[0] and measurement.name != yardstick and reference in runs[0]:
                    line += f"  {statistics.median(run[label] / run[reference] for run in runs):.1f} x"
            lines.append(line)
    return lines
