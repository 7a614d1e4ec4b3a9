"""Folders of trained sequence policies: ``training.json`` with everything, and the model card made of it."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from agents.pretrained import CARD, CONFIG, TRAINING, WEIGHTS
from distill.scoring import MEASURES, Scores
from netenvs.files import write_atomically

POINTS = 12  # of a curve, in the card; training.json has all


@dataclass(frozen=True)
class Training:
    """One training: what was run, what it cost, and how good the weights are that it kept."""

    seed: int
    command: str
    data: str
    """What it learned from, and what chose the weights: sentences."""
    settings: dict[str, Any]
    """What else determines the result."""
    parameters: int
    """That are trained."""
    cpu_s: float
    wall_s: float
    kept: int
    """Iteration whose weights were kept."""
    valid: float
    """Its figure in validation: higher is better."""
    curve: list[dict[str, Any]]
    """Points with their ``step``, the iteration."""
    scores: dict[str, dict[str, Any]]
    """By setting and policy: ``values`` and ``weights`` of items, see ``distill.scoring.Scores``."""

    def scored(self, setting: str, policy: str) -> Scores:
        """Scores of a policy in a setting."""
        return Scores(**self.scores[setting][policy])


def write(
    folder: Path,
    policy: str,
    task: str,
    summary: str,
    trainings: Sequence[Training],
    shipped: int = 0,
    command: str = "",
) -> None:
    """Write ``training.json`` and the card of a folder with the weights of ``trainings[shipped]``.

    Arguments:
        folder: has ``config.json`` and ``model.safetensors``.
        policy: registered name; the trained policies are the rows of the scores that begin with it.
        summary: what it is, for people.
        shipped: which of the trainings the weights are of.
        command: what filled the folder, where no single training did.
    """
    found = {
        "policy": policy,
        "task": task,
        "summary": summary,
        "shipped": shipped,
        "command": command,
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "numpy")},
        "trainings": [asdict(training) for training in trainings],
    }
    write_atomically(folder / TRAINING, json.dumps(found, indent=1) + "\n")
    write_atomically(folder / CARD, card(found))


def read(folder: Path) -> tuple[dict[str, Any], list[Training]]:
    """``training.json`` of a folder, and its trainings; ``ValueError``, one line, if there is none to read."""
    names = [field.name for field in fields(Training)]
    try:
        found = json.loads((folder / TRAINING).read_text(encoding="utf-8"))
        trainings = [Training(**{name: entry[name] for name in names}) for entry in found["trainings"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder}: no {TRAINING} of a finished training; train it first") from error
    return found, trainings


def candidates(folders: Sequence[Path]) -> list[Training]:
    """The training of each folder; ``ValueError``, one line, for folders that differ in more than the seed."""
    pairs = [read(folder) for folder in folders]
    trainings = [training for _, own in pairs for training in own]
    seeds = [training.seed for training in trainings]
    same = {json.dumps([found["policy"], found["task"], own[0].settings]) for found, own in pairs}
    if len(same) > 1 or len(trainings) != len(folders):
        raise ValueError(f"{', '.join(map(str, folders))}: not trainings of one kind; they may differ in the seed only")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"{', '.join(map(str, folders))}: two of them have the same seed")
    return trainings


def ship(folders: Sequence[Path], out: Path, command: str, valid: Sequence[float] | None = None) -> int:
    """Fill ``out`` with the trained folder, one for each seed, that is best in validation; which one it was.

    ``valid`` are figures of a validation after the trainings, which count instead of those in them.
    ``ValueError``, one line, before anything is written, for folders that differ in more than the seed.
    """
    found, trainings = read(folders[0])[0], candidates(folders)
    if valid is not None:
        trainings = [replace(training, valid=figure) for training, figure in zip(trainings, valid, strict=True)]
    best = max(range(len(trainings)), key=lambda number: trainings[number].valid)
    out.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, WEIGHTS):
        shutil.copyfile(folders[best] / name, out / name)
    write(out, found["policy"], found["task"], found["summary"], trainings, best, command)
    return best


def card(found: dict[str, Any]) -> str:
    """Markdown: what it is, data, commands, scores, cost, curves."""
    trainings = [Training(**entry) for entry in found["trainings"]]
    shipped = trainings[found["shipped"]]
    policy, measure = found["policy"], MEASURES[found["task"]]
    seed = f" (seed {shipped.seed})" if len(trainings) > 1 else ""
    lines = [
        "---",
        "library_name: netenvs",
        "---",
        f"# {policy} ({found['task']})",
        "",
        found["summary"],
        "",
        f"{shipped.parameters:,} trained parameters; `{CONFIG}` says how it is built, `{TRAINING}` has all figures.",
        "",
        "## Data",
        "",
        shipped.data,
        "",
        "## Commands",
        "",
        "```",
        *dict.fromkeys([*(training.command for training in trainings), *filter(None, [found["command"]])]),
        "```",
        "",
        f"## Scores: {measure.name}",
        "",
        f"With 95 % bootstrap intervals over {measure.item}; differences are paired, `{policy}`{seed} minus the row"
        + (", in percent of the row's mean." if measure.relative else ".")
        + (f" {measure.note}" if measure.note else ""),
    ]
    for setting in shipped.scores:
        lines += _setting(policy, trainings, found["shipped"], setting, measure.relative)
    lines += ["", "## Cost", "", "| seed | iterations | kept | processor s | wall s |", "|---|---|---|---|---|"]
    for training in trainings:
        last = training.curve[-1]["step"] if training.curve else 0
        lines.append(f"| {training.seed} | {last} | {training.kept} | {training.cpu_s:,.0f} | {training.wall_s:,.0f} |")
    lines += ["", "## Validation while training", "", "| seed | iteration: figure (higher is better) |", "|---|---|"]
    for training in trainings:
        every = max(1, -(-len(training.curve) // POINTS))
        points = [training.curve[i] for i in range(len(training.curve) - 1, -1, -every)][::-1]
        text = ", ".join(f"{point['step']}: {point['valid']:.4f}" for point in points)
        lines.append(f"| {training.seed} | {text} |")
    return "\n".join([*lines, ""])


def _setting(policy: str, trainings: Sequence[Training], shipped: int, setting: str, relative: bool) -> list[str]:
    """A table of one setting: the trained policies, seed by seed, and the baselines."""
    own = trainings[shipped]
    lines = ["", f"### {setting}", "", "| policy | mean | difference |", "|---|---|---|"]
    for row in own.scores[setting]:
        if row.startswith(policy):
            parts = [training.scored(setting, row) for training in trainings]
            for training, scores in zip(trainings, parts, strict=True):
                seed = f", seed {training.seed}" if len(parts) > 1 else ""
                lines.append(f"| {row}{seed} | {_with_interval(scores)} | |")
            if len(parts) > 1:
                lines.append(f"| {row}, mean of seeds | {_with_interval(Scores.average(parts))} | |")
        else:
            scores = own.scored(setting, row)
            found, low, high = own.scored(setting, policy).minus(scores, relative)
            unit = " %" if relative else ""
            lines.append(f"| {row} | {_with_interval(scores)} | {found:+.3g}{unit} [{low:+.3g}, {high:+.3g}] |")
    return lines


def _with_interval(scores: Scores) -> str:
    low, high = scores.interval()
    return f"{scores.mean():.4g} [{low:.4g}, {high:.4g}]"
