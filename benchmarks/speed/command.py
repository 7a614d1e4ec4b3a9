"""``python -m benchmarks.speed --env abr``: how fast environments, policies and trainings (``--train``) are.

``--policy`` sets a student against its teacher: see ``benchmarks.speed.policy.command``.

Every run measures all sides, the plain loop first, so that a ratio holds when the machine's speed drifts; medians
over the runs are what counts. Everything here runs on one core; seconds are those that it worked for us.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.command_line import Parser, check_json, from_one, positive
from benchmarks.speed.measurement import Measurement
from netenvs.spec import unknown_name

DEFAULTS: dict[str, dict[str, Any]] = {
    "abr": {"dataset": "synthetic", "num_envs": [64, 1024, 4096]},
    "cjs": {"dataset": "synthetic", "num_envs": [64], "num_executors": 50, "num_jobs": 200},
    "vp": {"dataset": "synthetic", "num_envs": [64, 1024]},
    "train": {"num_envs": [64]},
}
"""Options of the ``measurements`` of each environment, and of trainings, in ``benchmarks.speed_<name>``."""
ENVIRONMENTS = [name for name in DEFAULTS if name != "train"]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser(
        prog="python -m benchmarks.speed",
        description="Measure the speed of an environment and its policies, or of trainings, on one core.",
        allow_abbrev=False,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    environments = ", ".join(ENVIRONMENTS)
    what.add_argument("--env", metavar="TASK", help=f"measure an environment and its policies: {environments}")
    what.add_argument("--train", dest="env", action="store_const", const="train", help="measure trainings")
    what.add_argument("--policy", action="store_true", help="a student against its teacher: see --policy --help")
    parser.add_argument(
        "--dataset", metavar="D", help="traces (abr), workload (cjs) or recordings (vp); default: synthetic"
    )
    parser.add_argument(
        "--num-envs",
        type=from_one,
        nargs="+",
        metavar="N",
        help="batch sizes of the vector environment (default: 64 1024 4096 for abr, 64 1024 for vp, else 64)",
    )
    parser.add_argument("--num-executors", type=from_one, metavar="N", help="cjs: executors (default: 50)")
    parser.add_argument("--num-jobs", type=from_one, metavar="J", help="cjs: jobs of an episode (default: 200)")
    parser.add_argument("--runs", type=from_one, default=3, metavar="N", help="paired runs; medians count (default: 3)")
    parser.add_argument(
        "--seconds",
        type=positive,
        default=1.0,
        metavar="S",
        help="processor time for each measurement of a run (default: 1)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of every run to this file")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 2 for a wrong option, before anything is measured."""
    words = sys.argv[1:] if argv is None else list(argv)
    if "--policy" in words:
        return importlib.import_module("benchmarks.speed.policy.command").main(words)
    try:
        arguments = parser().parse_args(words)
    except SystemExit as stop:  # --help, or a line has been printed
        return int(stop.code or 0)
    try:
        options = task_options(arguments)
        check_json(arguments.json)
        task = importlib.import_module(f"benchmarks.speed.{arguments.env}")
        measurements = task.measurements(**options)
        runs = measure(measurements, arguments.runs, arguments.seconds)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    ratios = [", ".join(f"ratio to {name}" for name in task.YARDSTICKS)] if task.YARDSTICKS else []
    settings = ", ".join(f"{name} {value}" for name, value in options.items())
    print(f"{arguments.env}, {settings}; {arguments.runs} runs, {os.cpu_count()} cores")
    print("; ".join(["seconds of one core; median (lowest .. highest)", *ratios]))
    for line in report(measurements, task.YARDSTICKS, runs):
        print(line)
    for line in getattr(task, "PUBLISHED", ()):
        print(line)
    if arguments.json is not None:
        figures = {"schema": 1, "env": arguments.env, **options, "runs": runs}
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


def task_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of the task with their defaults. Raises ``ValueError`` for an unknown task or option."""
    if arguments.env not in DEFAULTS:
        raise ValueError(unknown_name("environment", arguments.env, ENVIRONMENTS))
    options = dict(DEFAULTS[arguments.env])
    for name in {name for defaults in DEFAULTS.values() for name in defaults}:
        value = getattr(arguments, name)
        if value is not None and name not in options:
            asked = "--train" if arguments.env == "train" else f"--env {arguments.env}"
            raise ValueError(f"--{name.replace('_', '-')} is no option of {asked}")
        if value is not None:
            options[name] = value
    return options


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
