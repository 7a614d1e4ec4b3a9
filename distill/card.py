"""Records of trained sequence policies, and which of several seeds is shipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from agents import scoring
from agents.training.card import Record, Training, check_alike, read_single, versions
from agents.training.card import ship as fill


def record(policy: str, task: str, summary: str, parameters: int, training: Training) -> Record:
    """Of the weights of a training with so many trained parameters; ``summary`` is what they are, for people."""
    return Record(
        policy=policy,
        task=task,
        summary=summary,
        size=f"{parameters:,} trained parameters",
        measure=scoring.scoring(task).measure,
        command=training.command,
        versions=versions(("transformers",)),
        trainings=[training],
    )


def candidates(folders: Sequence[Path]) -> list[Record]:
    """The record of each folder; ``ValueError``, one line, for folders that differ in more than the seed."""
    records = read_single(folders)
    records = read_single(folders, records[0].policy)
    check_alike(folders, records)
    return records


def ship(folders: Sequence[Path], out: Path, command: str, valid: Sequence[float] | None = None) -> int:
    """Fill ``out`` with the trained folder, one for each seed, that is best in validation; which one it was.

    ``valid`` are figures of a validation after the trainings, which count instead of those in them.
    ``ValueError``, one line, before anything is written, for folders that differ in more than the seed.
    """
    records = candidates(folders)
    trainings = [found.training for found in records]
    if valid is not None:
        trainings = [replace(training, valid=figure) for training, figure in zip(trainings, valid, strict=True)]
    best = max(range(len(trainings)), key=lambda number: trainings[number].valid or 0.0)
    fill(folders[best], out, replace(records[best], trainings=trainings, shipped=best, command=command))
    return best
