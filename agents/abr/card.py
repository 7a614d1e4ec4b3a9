"""Folders of trained bitrate policies: their model card and training.json, and which of several seeds is shipped."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from agents.abr.scores import VALIDATION
from agents.pretrained import CARD, CONFIG, TRAINING, WEIGHTS
from agents.statistics import bounds, mean
from agents.training import Run
from netenvs.files import write_atomically

POINTS = 12  # of a curve, in the card; training.json has all


@dataclass(frozen=True)
class Training:
    """One training: what was run, what it cost, and how good the weights are that it kept."""

    seed: int
    command: str
    data: str
    """One sentence: what it was trained on, and what chose the weights."""
    settings: dict[str, Any]
    """What else determines the result."""
    steps: int
    unit: str
    """What a step is, in the plural."""
    cpu_s: float
    wall_s: float
    kept: int
    """Step whose weights were kept."""
    measure: str
    """Figure of the curve that chose them."""
    curve: list[dict[str, Any]]
    """Points with their ``step``, as ``agents.training.Run`` records them."""
    scores: dict[str, list[float]]
    """QoE of each trace, by setting, as ``agents.abr.scores.score_all`` returns them."""

    @classmethod
    def of(cls, run: Run, **known: Any) -> Training:
        """With the steps, times and curve of ``run``; ``known`` are the other fields."""
        return cls(
            steps=run.total,
            unit=run.unit,
            cpu_s=round(run.cpu_s, 1),
            wall_s=round(run.wall_s, 1),
            curve=run.curve,
            **known,
        )


def write_card(
    folder: Path,
    policy: str,
    summary: str,
    trainings: Sequence[Training],
    shipped: int = 0,
    notes: str = "",
    command: str = "",
) -> None:
    """Write ``README.md`` and ``training.json`` of a folder that holds the weights of ``trainings[shipped]``.

    Arguments:
        folder: has ``config.json`` and ``model.safetensors`` already.
        policy: registered name.
        summary: what it is, for people.
        trainings: one for each seed, with the same settings scored.
        shipped: which of them the weights are of.
        notes: Markdown that follows the scores, such as what else was tried.
        command: what filled the folder, where no single training did.
    """
    found = {
        "policy": policy,
        "summary": summary,
        "notes": notes,
        "shipped": shipped,
        "command": command or trainings[shipped].command,
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "numpy", "gymnasium")},
        "trainings": [asdict(training) for training in trainings],
    }
    text = json.dumps(found, indent=1)
    write_atomically(folder / TRAINING, text + "\n")
    commands = [*(training.command for training in trainings), *([command] if command else [])]
    card = "\n".join([*_head(folder, policy, summary, trainings, commands), *_scores(policy, trainings, shipped)])
    card = "\n".join([card, *(["", notes.strip()] if notes else []), *_cost(trainings), *_curves(trainings), ""])
    write_atomically(folder / CARD, card)


def read_trainings(folder: Path) -> list[Training]:
    """The trainings of a folder's ``training.json``; ``ValueError``, one line, if there is none to read."""
    names = {field.name for field in fields(Training)}
    try:
        entries = json.loads((folder / TRAINING).read_text(encoding="utf-8"))["trainings"]
        return [Training(**{name: entry[name] for name in names}) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder}: no {TRAINING} of a finished training; train it first") from error


def ship(folders: Sequence[Path], out: Path, policy: str, notes: str = "", command: str = "") -> int:
    """Fill ``out`` with the best of trained ``folders``, one for each seed, and the card of all; which it was.

    The best is the one with the highest mean on fcc-valid-clean. ``ValueError``, one line, before anything is written,
    for folders that are not trained to the end, were not scored there, are not of ``policy``, have the same seed, or
    differ in more than the seed.
    """
    if not folders:
        raise ValueError("no folders of trainings are given")
    trainings: list[Training] = []
    texts: list[dict[str, Any]] = []
    for folder in folders:
        trainings += read_trainings(folder)
        if len(trainings) != len(texts) + 1:
            raise ValueError(f"{folder} is not the folder of a single training")
        texts.append(json.loads((folder / TRAINING).read_text(encoding="utf-8")))
        if VALIDATION not in trainings[-1].scores:
            raise ValueError(
                f"{folder} was not scored on {VALIDATION}; install the data set netllm-abr and train again"
            )
        _check_like(folder, texts[-1], trainings, policy)
    best = max(range(len(folders)), key=lambda i: mean(trainings[i].scores[VALIDATION]))
    out.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, WEIGHTS):
        write_atomically(out / name, functools.partial(shutil.copyfile, folders[best] / name))
    text = texts[best]
    write_card(out, policy, text["summary"], trainings, best, notes or text["notes"], command)
    return best


def _check_like(folder: Path, text: dict[str, Any], trainings: Sequence[Training], policy: str) -> None:
    """``ValueError`` unless the last of ``trainings``, that of ``folder``, can stand beside the others."""
    first, last = trainings[0], trainings[-1]
    if text["policy"] != policy:
        raise ValueError(f"{folder} is a training of {text['policy']!r}, not of {policy!r}")
    if any(earlier.seed == last.seed for earlier in trainings[:-1]):
        raise ValueError(f"{folder} has the seed {last.seed}, as another folder has; give one folder for each seed")
    other = [name for name in {**first.settings, **last.settings} if name != "seed"]
    other = [name for name in other if first.settings.get(name) != last.settings.get(name)]
    if other or list(first.scores) != list(last.scores):
        raise ValueError(f"{folder} was trained or scored with another {[*other, 'set of traces'][0]}; train it alike")


def _head(folder: Path, policy: str, summary: str, trainings: Sequence[Training], commands: Sequence[str]) -> list[str]:
    return [
        "---",
        "library_name: netenvs",
        "tags: [adaptive-bitrate]",
        "---",
        f"# {policy}",
        "",
        " ".join(summary.split()),
        "",
        f"Weights: {(folder / WEIGHTS).stat().st_size / 1000:.0f} kB, their sizes in `{CONFIG}`; scores of every trace "
        f"and curves in full in `{TRAINING}`.",
        "",
        "## Data",
        "",
        *dict.fromkeys(training.data for training in trainings),
        "",
        "## Commands",
        "",
        "```",
        *commands,
        "```",
    ]


def _scores(policy: str, trainings: Sequence[Training], shipped: int) -> list[str]:
    """Table of the scores: a row for each seed, and for their mean."""
    names = list(trainings[0].scores)
    lines = [
        "",
        "## Scores",
        "",
        "Mean QoE per decided chunk [95 % bootstrap interval over traces]; the interval of the seeds' mean is that of "
        "their mean on each trace. The shipped weights beside other policies: "
        f"`python -m benchmarks.compare --task abr --dataset fcc-test --policies bba,robust-mpc,oracle,{policy}`.",
        "",
        f"| seed | {' | '.join(names)} |",
        "|---|" + "---|" * len(names),
    ]
    for number, training in enumerate(trainings):
        cells = " | ".join(_with_interval(training.scores[name]) for name in names)
        lines.append(f"| {training.seed}{' (shipped)' if number == shipped and len(trainings) > 1 else ''} | {cells} |")
    if len(trainings) > 1:
        means = [np.mean([training.scores[name] for training in trainings], axis=0) for name in names]
        lines.append(f"| mean of {len(trainings)} | {' | '.join(map(_with_interval, means))} |")
    return lines


def _cost(trainings: Sequence[Training]) -> list[str]:
    lines = [
        "",
        "## Training",
        "",
        "One thread; wall seconds of a machine that did other work besides.",
        "",
        "| seed | steps | weights of step | CPU s | wall s |",
        "|---|---|---|---|---|",
    ]
    for one in trainings:
        lines.append(f"| {one.seed} | {one.steps:,} {one.unit} | {one.kept:,} | {one.cpu_s:.0f} | {one.wall_s:.0f} |")
    settings = {name: value for name, value in trainings[0].settings.items() if name != "seed"}
    return [*lines, "", f"Settings: `{json.dumps(settings)}`"]


def _curves(trainings: Sequence[Training]) -> list[str]:
    """The figure that chose the weights, at some steps."""
    lines = ["", "## Curves", "", f"`{trainings[0].measure}` at some steps.", "", "| seed | step: value |", "|---|---|"]
    for training in trainings:
        points = [point for point in training.curve if training.measure in point]
        shown = np.unique(np.linspace(0, len(points) - 1, min(POINTS, len(points))).round().astype(int))
        row = ", ".join(f"{points[i]['step']:,}: {points[i][training.measure]:.4f}" for i in shown)
        lines.append(f"| {training.seed} | {row} |")
    return lines


def _with_interval(values: Sequence[float] | np.ndarray) -> str:
    low, high = bounds(values)
    return f"{mean(values):.4f} [{low:.3f}, {high:.3f}]"
