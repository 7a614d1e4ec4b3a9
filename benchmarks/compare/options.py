"""The options of ``python -m benchmarks.compare``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from benchmarks.command_line import (
    File,
    Flag,
    Folder,
    FromOneOrNone,
    FromZero,
    Repeated,
    Text,
)
from netenvs import tasks
from netenvs.command_line import datasets_help, listed, option


@dataclass(frozen=True)
class Options:
    """This plays the same episodes with every policy, prints a table, and writes plots and a report."""

    task: Annotated[str, option(f"Policies of this task are compared: {listed(tasks.names())}.", metavar="TASK")]
    dataset: Annotated[
        Text, option(f"This names {datasets_help()}; a file or a folder may be one.", "synthetic", metavar="D")
    ] = None
    options: Annotated[
        Repeated,
        option(
            "This sets another option of the environment, such as qoe=log or num_executors=50; it may be repeated.",
            name="set",
            metavar="KEY=VALUE",
        ),
    ] = ()
    policies: Annotated[
        Text,
        option(
            "These play in place of the default ones, options in brackets: bba,constant(quality=2).", metavar="A,B,C"
        ),
    ] = None
    policy: Annotated[
        Repeated,
        option(
            "One more plays: a name, file.py:Name, package.module:Name or a checkpoint folder; it may be repeated.",
            metavar="SPEC",
        ),
    ] = ()
    episodes: Annotated[
        FromOneOrNone,
        option("The first N are played.", "each trace or window of the split once, or 10 where there is no end"),
    ] = None
    seed: Annotated[FromZero, option("Episodes have the seeds S, S + 1, ...", 0, metavar="S")] = 0
    out: Annotated[Folder, option("Results are written to this folder.", "runs/TASK-TIME")] = None
    json: Annotated[File, option("results.json is written to this file as well.")] = None
    list: Annotated[Flag, option("It shows policies and data sets of the task, and stops.")] = False
    suite: Annotated[
        Text, option("Cells of many environments are played in place of one, such as worlds of abr.", metavar="SUITE")
    ] = None
    split: Annotated[
        Text, option("Of a suite: test, which judges policies, or valid, for choosing them.", "test", metavar="SPLIT")
    ] = None
    full: Annotated[Flag, option("Of a suite: all traces of each set are played, not 40 of them.")] = False
    make_optima: Annotated[Flag, option("Of a suite: it makes the optima that scores need, once, and stops.")] = False
    optima: Annotated[Folder, option("Of a suite: the folder of its optima.", "in the user's cache folder")] = None
