"""Records of trained bitrate policies, and which of several seeds is shipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agents.abr.scores import SCORING, VALIDATION
from agents.training.card import Record, Training, check_alike, read_single
from agents.training.card import ship as fill
from netenvs.abr.task import TASK as ABR

MEAN = "The interval of the seeds' mean is that of their mean on each trace."
TAGS = ("adaptive-bitrate",)


def record(policy: str, summary: str, trainings: Sequence[Training], command: str = "", **known: Any) -> Record:
    """Of weights of ``policy``, a registered name, after ``trainings``; ``known`` are other fields."""
    compare = f"`python -m benchmarks.compare --task {ABR.name} --dataset fcc-test --policies bba,robust-mpc,oracle"
    return Record(
        policy=policy,
        task=ABR.name,
        summary=" ".join(summary.split()),
        tags=TAGS,
        measure=replace(
            SCORING.measure, note=f"{MEAN} The shipped weights beside other policies: {compare},{policy}`."
        ),
        command=command or trainings[0].command,
        trainings=trainings,
        **known,
    )


def scored(folder: Path, training: Training, policy: str) -> float:
    """Mean on fcc-valid-clean; ``ValueError``, one line, for a training that was not scored there."""
    if VALIDATION not in training.scores:
        raise ValueError(f"{folder} was not scored on {VALIDATION}; install the data set netllm-abr and train again")
    return float(training.scores[VALIDATION][policy].mean)


def validated(folder: Path, training: Training, policy: str) -> float:
    """What the weights that were kept reached in their training's own validation.

    ``ValueError``, one line, for a training whose curve does not say.
    """
    found = [point["valid"] for point in training.curve if point["step"] == training.kept and "valid" in point]
    if not found:
        raise ValueError(f"{folder}: no validation of the weights of step {training.kept} is on record; train it again")
    return float(found[-1])


def ship(
    folders: Sequence[Path],
    out: Path,
    policy: str,
    notes: str = "",
    command: str = "",
    quality: Callable[[Path, Training, str], float] = scored,
) -> int:
    """Fill ``out`` with the best of trained ``folders``, one for each seed, and the card of all; which it was.

    The best is the one with the highest ``quality``. ``ValueError``, one line, before anything is written, for folders
    that are not trained to the end, whose quality is not known, are not of ``policy``, have the same seed, or differ in
    more than the seed.
    """
    records = read_single(folders, policy)
    found = [quality(folder, one.training, policy) for folder, one in zip(folders, records, strict=True)]
    check_alike(folders, records)
    best = found.index(max(found))
    trainings = [one.training for one in records]
    notes = notes or records[best].notes
    fill(folders[best], out, record(policy, records[best].summary, trainings, command, shipped=best, notes=notes))
    return best
