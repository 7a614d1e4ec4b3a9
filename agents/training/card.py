"""The folder of trained weights: ``training.json``, a ``Record`` of how they came about, and the model card made of it.

``config.json`` and ``model.safetensors`` are written by ``agents.pretrained``.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from agents.pretrained import CARD, CONFIG, TRAINING, WEIGHTS
from agents.scoring import Measure, Score, Scores
from agents.training.run import Run
from netenvs.files import write_atomically

SCHEMA = 1
POINTS = 12  # of a curve, in the card; training.json has all
VERSIONED = ("torch", "numpy", "gymnasium")


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training: what was run, what it cost, and how good the weights are that it kept."""

    seed: int
    command: str
    data: str
    """What it learned from, and what chose the weights: sentences."""
    settings: Mapping[str, Any]
    """What else determines the result."""
    steps: int
    unit: str
    """What a step is, in the plural."""
    kept: int
    """Step whose weights were kept."""
    cpu_s: float
    wall_s: float | None = None
    curve: Sequence[Mapping[str, Any]]
    """Points with their ``step``, as ``agents.training.Run`` records them."""
    chosen_by: Sequence[str] = ("valid",)
    """Figures of the curve that chose the weights."""
    better: str = "higher"
    """Which of them are better: ``higher`` or ``lower`` ones."""
    valid: float | None = None
    """What chooses among trainings."""
    kind: str = ""
    """What tells it from the others besides the seed, for people."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What else there is to say of it, for people: numbers or words by name."""
    scores: Scores = field(default_factory=dict)
    """Of its weights, and of what they are compared with."""

    @classmethod
    def of(cls, run: Run, **known: Any) -> Training:
        """With the steps, times and curve of ``run``; ``known`` are the other fields."""
        spent = {"cpu_s": round(run.cpu_s, 1), "wall_s": round(run.wall_s, 1)}
        return cls(**{"steps": run.total, "unit": run.unit, "curve": run.curve, **spent, **known})


@dataclass(frozen=True, kw_only=True)
class Record:
    """What ``training.json`` holds."""

    schema: int = SCHEMA
    policy: str
    """Registered name."""
    task: str
    summary: str
    """What it is, Markdown."""
    size: str = ""
    """How many numbers were trained, for people."""
    tags: Sequence[str] = ()
    """Of the model hub."""
    measure: Measure
    notes: str = ""
    """Markdown that follows the scores, such as what else was tried."""
    command: str
    """What filled the folder."""
    versions: Mapping[str, str] = field(default_factory=lambda: versions())
    shipped: int | None = 0
    """Which of the trainings the weights are of; None: of all."""
    trainings: Sequence[Training]
    scores: Scores = field(default_factory=dict)
    """Of the weights in the folder beside other policies, where they are not those of a training."""

    @property
    def training(self) -> Training:
        """Whose weights are in the folder, or the first of those."""
        return self.trainings[self.shipped or 0]


def versions(more: Sequence[str] = ()) -> dict[str, str]:
    """Of the libraries that weights depend on."""
    return {name: importlib.metadata.version(name) for name in (*VERSIONED, *more)}


def write(folder: Path, record: Record) -> None:
    """Write ``training.json`` and the card of a folder that has ``config.json`` and ``model.safetensors``."""
    write_atomically(folder / TRAINING, json.dumps(asdict(record), indent=1) + "\n")
    write_atomically(folder / CARD, card(record, (folder / WEIGHTS).stat().st_size))


def read(folder: Path) -> Record:
    """``training.json`` of a folder; ``ValueError``, one line, if there is none to read, or one of another schema."""
    try:
        found = json.loads((folder / TRAINING).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{folder}: no {TRAINING} of a finished training; train it first") from error
    schema = found.get("schema", "older") if isinstance(found, dict) else "unknown"
    if schema != SCHEMA:
        raise ValueError(
            f"{folder}: {TRAINING} has schema {schema!r}, this version reads {SCHEMA}; its weights can be played as "
            "they are, for a card train it anew"
        )
    try:
        trainings = [_made(Training, {**one, "scores": _scores(one["scores"])}) for one in found["trainings"]]
        measure = _made(Measure, found["measure"])
        return _made(Record, {**found, "measure": measure, "trainings": trainings, "scores": _scores(found["scores"])})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder}: no {TRAINING} of a finished training; train it first") from error


def read_single(folders: Sequence[Path], policy: str | None = None) -> list[Record]:
    """The record of each of some folders of a single training each.

    ``ValueError``, one line, for folders that are not trained to the end, or of another ``policy``.
    """
    if not folders:
        raise ValueError("no folders of trainings are given")
    records = [read(folder) for folder in folders]
    for folder, record in zip(folders, records, strict=True):
        if len(record.trainings) != 1:
            raise ValueError(f"{folder} is not the folder of a single training")
        if policy is not None and record.policy != policy:
            raise ValueError(f"{folder} is a training of {record.policy!r}, not of {policy!r}")
    return records


def check_alike(folders: Sequence[Path], records: Sequence[Record]) -> None:
    """``ValueError``, one line, for trainings that differ in nothing, or in more than the seed."""
    first = records[0].training
    seeds: set[int] = set()
    for folder, record in zip(folders, records, strict=True):
        one = record.training
        if one.seed in seeds:
            raise ValueError(f"{folder} has the seed {one.seed}, as another folder has; give one folder for each seed")
        seeds.add(one.seed)
        names = [name for name in {**first.settings, **one.settings} if name != "seed"]
        other = [name for name in names if first.settings.get(name) != one.settings.get(name)]
        other += ["task"] if record.task != records[0].task else []
        if other or list(first.scores) != list(one.scores):
            what = [*other, "set of scores"][0]
            raise ValueError(f"{folder} was trained or scored with another {what}; train it alike")


def ship(folder: Path, out: Path, record: Record) -> None:
    """Fill ``out`` with the weights of ``folder`` and with ``record``."""
    out.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, WEIGHTS):
        write_atomically(out / name, functools.partial(shutil.copyfile, folder / name))
    write(out, record)


def card(record: Record, size_bytes: int) -> str:
    """Markdown: what it is, data, commands, scores, cost, curves."""
    parts = [
        *("---", "library_name: netenvs", *([f"tags: [{', '.join(record.tags)}]"] if record.tags else []), "---"),
        *(f"# {record.policy} ({record.task})", "", record.summary.strip(), ""),
        f"Weights: {', '.join(filter(None, [record.size, f'{size_bytes / 1000:,.0f} kB']))}; `{CONFIG}` says how they "
        f"are built, `{TRAINING}` has all figures and curves in full.",
        *("", "## Data", "", *dict.fromkeys(training.data for training in record.trainings)),
        *_commands(record),
        *_scored(record),
        *(["", record.notes.strip()] if record.notes else []),
        *_cost(record),
        *_curves(record),
        "",
    ]
    return "\n".join(parts)


def _commands(record: Record) -> list[str]:
    commands = [training.command for training in record.trainings]
    lines = ["", "## Commands", "", "```", *dict.fromkeys([*commands, record.command]), "```"]
    if len({training.seed for training in record.trainings}) < len(commands):
        lines += ["", "(with an `--out` each, where seeds are the same)."]
    return lines


def _scored(record: Record) -> list[str]:
    """Tables of means, of differences, and of what else was measured."""
    measure = record.measure
    rows = _rows(record)
    if not rows:
        return []
    lines = ["", f"## Scores: {measure.name}", "", f"With 95 % bootstrap intervals over {measure.item}."]
    lines += [measure.note] if measure.note else []
    lines += _table(
        "policy", {label: {at: _mean(one, measure) for at, one in by.items()} for label, by in rows.items()}
    )
    differences: dict[str, dict[str, str]] = {}
    for label, by in rows.items():
        for setting, one in by.items():
            for other, difference in one.minus.items():
                differences.setdefault(f"{label} minus {other}", {})[setting] = _difference(difference, measure)
    figures: dict[str, dict[str, str]] = {}
    for setting, scores in (record.scores or record.training.scores).items():
        for row, one in scores.items():
            for name, value in one.figures.items():
                figures.setdefault(f"{row}: {name.replace('_', ' ')}", {})[setting] = _figure(value)
    if differences:
        unit = ", in percent of what is subtracted" if measure.percent else ""
        lines += ["", f"Differences are paired{unit}:", *_table("difference", differences)]
    return lines + (["", "What else was measured:", *_table("figure", figures)] if figures else [])


def _rows(record: Record) -> dict[str, dict[str, Score]]:
    """Label of a row -> setting -> score: the policies in the folder, each training, their mean, and the others."""
    rows: dict[str, dict[str, Score]] = {}
    trainings = record.trainings
    several, alike = len(trainings) > 1, len({training.kind for training in trainings}) == 1

    def add(label: str, setting: str, score: Score) -> None:
        rows.setdefault(label, {})[setting] = score

    own = [row for by in trainings[0].scores.values() for row in by if row.startswith(record.policy)]
    for row in dict.fromkeys(own):
        for number, training in enumerate(trainings):
            for setting, by in training.scores.items():
                if row in by:
                    add(_label(record, row, number) if several else row, setting, by[row])
        for setting in trainings[0].scores:
            parts = [training.scores[setting][row] for training in trainings if row in training.scores.get(setting, {})]
            if len(parts) == len(trainings) > 1 and alike and parts[0].values:
                add(f"{row}, mean of {len(parts)}", setting, Score.average(parts))
    for setting, by in (record.scores or record.training.scores).items():
        for row, score in by.items():
            if row not in own or record.scores:
                add(row, setting, score)
    return rows


def _label(record: Record, row: str, number: int) -> str:
    training = record.trainings[number]
    kind = f", {training.kind}" if training.kind else ""
    return f"{row}{kind}, seed {training.seed}" + (" (shipped)" if number == record.shipped else "")


def _cost(record: Record) -> list[str]:
    first = record.trainings[0]
    kinds = ["training"] if any(training.kind for training in record.trainings) else []
    valid = ["validation"] if any(training.valid is not None for training in record.trainings) else []
    rows = []
    for number, training in enumerate(record.trainings):
        name = training.kind + (
            " (shipped)" if kinds and len(record.trainings) > 1 and number == record.shipped else ""
        )
        rows.append(
            [
                *([name] if kinds else []),
                str(training.seed),
                f"{training.steps:,} {training.unit}",
                f"{training.kept:,}",
                *(["" if training.valid is None else f"{training.valid:.4f}"] if valid else []),
                *(_figure(training.details[name]) if name in training.details else "" for name in first.details),
                f"{training.cpu_s:,.0f}",
                "" if training.wall_s is None else f"{training.wall_s:,.0f}",
            ]
        )
    heads = [*kinds, "seed", "steps", "weights of step", *valid, *first.details, "CPU s", "wall s"]
    settings = {name: value for name, value in record.training.settings.items() if name != "seed"}
    return [
        *("", "## Training", ""),
        "On one thread, unless the command says otherwise; wall seconds of a machine that did other work besides.",
        *("", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)),
        *(f"| {' | '.join(row)} |" for row in rows),
        *("", f"Settings: `{json.dumps(settings)}`"),
    ]


def _curves(record: Record) -> list[str]:
    """The figures that chose the weights, at some steps."""
    first = record.training
    names = " / ".join(f"`{name}`" for name in first.chosen_by)
    lines = ["", "## Curves", "", f"{names} at some steps; {first.better} is better.", ""]
    lines += ["| seed | step: value |", "|---|---|"]
    for training in record.trainings:
        points = [point for point in training.curve if all(name in point for name in training.chosen_by)]
        shown = np.unique(np.linspace(0, len(points) - 1, min(POINTS, len(points))).round().astype(int))
        cells = [
            f"{points[i]['step']:,}: " + " / ".join(f"{points[i][name]:.4f}" for name in training.chosen_by)
            for i in shown
        ]
        kind = f", {training.kind}" if training.kind else ""
        lines.append(f"| {training.seed}{kind} | {', '.join(cells)} |")
    return lines


def _table(head: str, rows: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Rows by label, with a cell for each setting."""
    settings = list(dict.fromkeys(setting for by in rows.values() for setting in by))
    lines = ["", f"| {head} | {' | '.join(settings)} |", "|---|" + "---|" * len(settings)]
    return lines + [f"| {label} | {' | '.join(by.get(at, '') for at in settings)} |" for label, by in rows.items()]


def _mean(score: Score, measure: Measure) -> str:
    mean, ends = f"{score.mean:.{measure.decimals}f}", score.ci95
    return mean if ends is None else f"{mean} [{ends[0]:.{measure.decimals}f}, {ends[1]:.{measure.decimals}f}]"


def _difference(difference: Sequence[float], measure: Measure) -> str:
    value, low, high = difference
    decimals = 2 if measure.percent else measure.decimals
    unit = " %" if measure.percent else ""
    return f"{value:+.{decimals}f}{unit} [{low:+.{decimals}f}, {high:+.{decimals}f}]"


def _figure(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " / ".join(map(_figure, value))
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _scores(found: Mapping[str, Mapping[str, Any]]) -> Scores:
    return {setting: {row: _made(Score, one) for row, one in by.items()} for setting, by in found.items()}


def _made(record: Any, found: Mapping[str, Any]) -> Any:
    return record(**{one.name: found[one.name] for one in fields(record)})
