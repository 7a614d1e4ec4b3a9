"""From recordings to a folder of trained weights: examples, one training, and the ensemble of several."""

from __future__ import annotations

import importlib.metadata
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.pretrained import CARD, CONFIG, TRAINING, save
from agents.vp.angles import wrap
from agents.vp.learned import HISTORY, Ensemble, LearnedPredictor, fit_scale
from agents.vp.scores import predict_windows, score
from agents.vp.training import Schedule, fit
from netenvs.vp.previous_viewers import PreviousViewers, playback_index
from netenvs.vp.recordings import TRIM_HEAD, Recordings, windows
from netenvs.vp.workload import load_recordings

VALIDATION_STEP = 3
"""Samples between the windows of validation users and videos that choose weights: five times the published ones."""


class Examples:
    """Windows of a split as networks take them, without those that have a gap inside."""

    def __init__(
        self,
        recordings: Recordings,
        split: str,
        step: int,
        viewers: PreviousViewers,
        model: Ensemble,
        trim_head: int = TRIM_HEAD,
    ):
        cut = windows(recordings, split, step=step, trim_head=trim_head)
        whole = np.flatnonzero(cut.valid)
        if not len(whole):
            raise ValueError(f"data set {recordings.name!r} has no windows of split {split!r}: recordings too short")
        self.history = torch.from_numpy(np.ascontiguousarray(cut.history[whole]))
        self.displacement = wrap(torch.from_numpy(cut.future[whole]) - self.history[:, -1:])
        self.video, self.user = cut.video[whole], cut.user[whole]
        self.index = playback_index(cut.time_s[whole])
        self._viewers, self._model = viewers, model

    def __len__(self) -> int:
        return len(self.history)

    def batch(self, rows: Tensor) -> tuple[Tensor, Any, Tensor]:
        """History (k, 10, 3), what the model sees of previous viewers, and actual displacement (k, 20, 3)."""
        numbers = rows.numpy()
        context = self._model.context(self._viewers, self.video[numbers], self.index[numbers], self.user[numbers])
        return self.history[rows], context, self.displacement[rows]


@dataclass(frozen=True)
class Experiment:
    """What is trained and how."""

    predictor: type[LearnedPredictor]
    model: Ensemble
    """With one member, initialised by ``initialise``."""
    config: Any
    """Dataclass with the size of the network, for ``config.json``."""
    schedule: Schedule
    loss: Callable[[nn.Module, Tensor, Any, Tensor], Tensor]
    """Mean loss of a member for history, context and actual displacement; augmentation included."""
    distance: Callable[[Tensor, Tensor, Tensor], Tensor]
    """What is validated: mean for history, predicted and actual displacement."""
    initialise: Callable[[nn.Module, Examples], None]
    step: int
    """Samples between training windows."""
    dataset: str
    seed: int
    command: str

    def run(self, folder: Path) -> None:
        """Train, or go on with a training, and write the folder of the weights best in validation."""
        begin = time.process_time()
        recordings = load_recordings(self.dataset)
        viewers = PreviousViewers(recordings)
        examples = Examples(recordings, "train", self.step, viewers, self.model, trim_head=HISTORY)
        validation = Examples(recordings, "valid", VALIDATION_STEP, viewers, self.model)
        member = self.model.members[0]
        self.initialise(member, examples)

        def validate(candidate: nn.Module) -> dict[str, float]:
            total = torch.zeros((), dtype=torch.float64)
            with torch.inference_mode():
                for rows in torch.arange(len(validation)).split(1024):
                    history, context, actual = validation.batch(rows)
                    predicted = self.model.member_displacement(candidate, history, context)
                    total += self.distance(history, predicted, actual).double() * len(rows)
            return {"valid": round(float(total) / len(validation), 6)}

        curve = fit(
            member,
            len(examples),
            lambda trained, rows: self.loss(trained, *examples.batch(rows)),
            validate,
            self.schedule,
            self.seed,
            folder,
            {"dataset": self.dataset, "step": self.step, "config": asdict(self.config)},
        )
        training = {
            "command": self.command,
            "seed": self.seed,
            "dataset": self.dataset,
            "examples": len(examples),
            "schedule": asdict(self.schedule),
            "cpu_s": round(time.process_time() - begin),
            "curve": curve,
        }
        write_folder(self.predictor, self.model, self.config, [training], folder, recordings, self.command)


def absolute_error(history: Tensor, predicted: Tensor, actual: Tensor) -> Tensor:
    """Mean absolute error of displacements in degrees, what ``distance`` may be."""
    return wrap(actual - predicted).abs().mean()


def combine(
    predictor: type[LearnedPredictor], folders: Sequence[Path], out: Path, runs: str, transfer: Sequence[str] = ()
) -> None:
    """Write the ensemble of trained ``folders``, its displacements scaled as suits the validation split.

    The weights are stored in half precision, which moves the mean absolute error by less than a millidegree.
    ``runs`` is the usual name of such a folder without its seed, for the model card; the test splits of the data sets
    ``transfer`` are scored, too. ``ValueError`` unless all folders are of one size and one data set.
    """
    members: list[Any] = []
    trainings: list[dict[str, Any]] = []
    for folder in folders:
        members += list(predictor.from_pretrained(folder).model.members)
        trained = json.loads((folder / TRAINING).read_text(encoding="utf-8"))
        trainings += [{"figures": trained["figures"], **entry} for entry in trained["trainings"]]
    config, dataset = members[0].config, trainings[0]["dataset"]
    if any(member.config != config for member in members) or any(entry["dataset"] != dataset for entry in trainings):
        raise ValueError(f"{', '.join(map(str, folders))}: trained with different sizes or data sets, no ensemble")
    make: Any = predictor.ensemble
    model = make(members=len(members), **asdict(config))
    for member, chosen in zip(model.members, members, strict=True):
        member.load_state_dict(chosen.state_dict())
    model.eval()
    recordings = load_recordings(dataset)
    validation = Examples(recordings, "valid", VALIDATION_STEP, PreviousViewers(recordings), model)
    predicted = []
    with torch.inference_mode():
        for rows in torch.arange(len(validation)).split(1024):
            history, context, _ = validation.batch(rows)
            predicted.append(model.displacement(history, context))
        model.scale.copy_(fit_scale(torch.cat(predicted), validation.displacement))
    seeds = " ".join(f"{runs}{entry['seed']}" for entry in trainings)
    command = f"python -m agents.vp.{predictor.policy} --combine {seeds}"
    command += " ".join(["", "--transfer", *transfer]) if transfer else ""
    others = [load_recordings(name) for name in transfer]
    write_folder(predictor, model.half(), config, trainings, out, recordings, command, others)


def write_folder(
    predictor: type[LearnedPredictor],
    model: Ensemble,
    config: Any,
    trainings: list[dict[str, Any]],
    folder: Path,
    recordings: Recordings,
    command: str,
    others: Sequence[Recordings] = (),
) -> None:
    """Write the folder of a model with the figures of what is in it; print them."""
    save(model, folder, predictor.policy, {"members": len(model.members), **asdict(config)})
    player = predictor.from_pretrained(folder)
    figures = {}
    scored = {"valid": (recordings, "valid"), "test": (recordings, "test")}
    for name, (data, split) in (scored | {f"{other.name} test": (other, "test") for other in others}).items():
        cut = windows(data, split)
        figures[name] = score(predict_windows(player, cut, PreviousViewers(data)), cut)
        print(f"{name}: MAE {_with_interval(figures[name])}, static {figures[name]['static']:.3f}", flush=True)
    training = {
        "command": command,
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "numpy")},
        "figures": figures,
        "trainings": trainings,
    }
    (folder / TRAINING).write_text(json.dumps(training, indent=1) + "\n", encoding="utf-8")
    (folder / CARD).write_text(card(player, training), encoding="utf-8")


def card(predictor: LearnedPredictor, training: dict[str, Any]) -> str:
    """Model card: what it is, data, commands, figures, curves."""
    trainings = training["trainings"]
    dataset = trainings[0]["dataset"]
    summary = " ".join((type(predictor).__doc__ or "").split("\n\n")[0].split())
    lines = [
        "---",
        "library_name: netenvs",
        "tags: [viewport-prediction]",
        "---",
        f"# {predictor.policy}",
        "",
        f"{summary} Assumption: {predictor.assumption or 'none'}.",
        "",
        f"{predictor.parameters} parameters in {len(predictor.model.members)} network(s), see `{CONFIG}`; figures and "
        f"curves in full in `{TRAINING}`.",
        "",
        "## Data",
        "",
        f"`{dataset}`, published splits: trained on training users and videos, weights chosen on validation users "
        "and videos (windows every 0.6 s), nothing on the test split. 5 Hz, 10 samples in, 20 out, degrees. A row of "
        "another data set is of the same weights, with its own training users as previous viewers.",
        "",
        "## Commands",
        "",
        "```",
        *[entry["command"] for entry in trainings],
        *([training["command"]] if training["command"] != trainings[0]["command"] else []),
        "```",
        "",
        "## Mean absolute error, degrees (95 % bootstrap interval over viewer-video pairs)",
        "",
        "| split | MAE | static | skill | roll / pitch / yaw | second 1 / 2 / 3 / 4 | great circle |",
        "|---|---|---|---|---|---|---|",
    ]
    for split, figures in training["figures"].items():
        axes, seconds = (" / ".join(f"{value:.2f}" for value in figures[name]) for name in ("axes", "by_second"))
        lines.append(
            f"| {split} | {_with_interval(figures)} | {figures['static']:.3f} "
            f"| {100 * figures['skill']:.1f} % | {axes} | {seconds} | {figures['great_circle']:.2f} |"
        )
    if len(trainings) > 1:
        lines += ["", "Each seed alone:", "", "| seed | valid MAE | test MAE | CPU s |", "|---|---|---|---|"]
        for entry in trainings:
            alone = " | ".join(_with_interval(entry["figures"][split]) for split in ("valid", "test"))
            lines.append(f"| {entry['seed']} | {alone} | {entry['cpu_s']} |")
    lines += ["", "## Curves", "", "Validation distance after each epoch; the lowest was kept.", ""]
    lines += ["| seed | epoch: distance |", "|---|---|"]
    for entry in trainings:
        curve = ", ".join(f"{point['epoch']}: {point['valid']:.4f}" for point in entry["curve"])
        lines.append(f"| {entry['seed']} | {curve} |")
    return "\n".join([*lines, ""])


def _with_interval(figures: dict[str, Any]) -> str:
    low, high = figures["ci95"]
    return f"{figures['mae']:.3f} [{low:.3f}, {high:.3f}]"
