"""From recordings to a folder of trained weights: examples, one training, and the ensemble of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.pretrained import save
from agents.scoring import Measure, Score, Scores
from agents.training.card import Record, Training, read, write
from agents.vp.angles import wrap
from agents.vp.learned import HISTORY, Ensemble, LearnedPredictor, fit_scale
from agents.vp.scores import SCORING, predict_windows, score
from agents.vp.training import Schedule, fit
from netenvs.errors import printable
from netenvs.vp.previous_viewers import PreviousViewers, playback_index
from netenvs.vp.recordings import TRIM_HEAD, Recordings, windows
from netenvs.vp.task import TASK as VP
from netenvs.vp.workload import load_recordings

DATA = (
    "`{dataset}`, published splits: trained on training users and videos, weights chosen on validation users and "
    "videos (windows every 0.6 s), nothing on the test split. 5 Hz, 10 samples in, 20 out, degrees. A column of "
    "another data set is of the same weights, with its own training users as previous viewers."
)
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

        settings = {"dataset": self.dataset, "step": self.step, "config": asdict(self.config)}
        run, kept = fit(
            member,
            len(examples),
            lambda trained, rows: self.loss(trained, *examples.batch(rows)),
            validate,
            self.schedule,
            self.seed,
            folder,
            settings,
        )
        training = Training.of(
            run,
            seed=self.seed,
            command=self.command,
            data=DATA.format(dataset=self.dataset),
            settings=run.identity,
            kept=kept,
            better="lower",
            valid=min(point["valid"] for point in run.curve),
        )
        save(self.model, folder, self.predictor.policy, {"members": 1, **asdict(self.config)})
        scores = scored(self.predictor, folder, recordings)
        write(folder, record_of(self.predictor, folder, [replace(training, scores=scores)], self.command, shipped=0))


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
    members: list[Any] = [one for folder in folders for one in predictor.from_pretrained(folder).model.members]
    trainings = [training for folder in folders for training in read(folder).trainings]
    config, dataset = members[0].config, trainings[0].settings["dataset"]
    if any(one.config != config for one in members) or any(one.settings["dataset"] != dataset for one in trainings):
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
    seeds = " ".join(f"{runs}{training.seed}" for training in trainings)
    command = f"python -m agents.vp.{predictor.policy} --combine {seeds}"
    command += " ".join(["", "--transfer", *transfer]) if transfer else ""
    save(model.half(), out, predictor.policy, {"members": len(members), **asdict(config)})
    scores = scored(predictor, out, recordings, [load_recordings(name) for name in transfer])
    write(out, record_of(predictor, out, trainings, command, shipped=None, scores=scores))


def scored(
    predictor: type[LearnedPredictor], folder: Path, recordings: Recordings, others: Sequence[Recordings] = ()
) -> Scores:
    """Scores of the weights in a folder on the splits that nobody trains on, and on the test splits of ``others``."""
    player = predictor.from_pretrained(folder)
    cuts = {"valid": (recordings, "valid"), "test": (recordings, "test")}
    found: Scores = {}
    for name, (data, split) in (cuts | {f"{other.name} test": (other, "test") for other in others}).items():
        cut = windows(data, split)
        figures = score(predict_windows(player, cut, PreviousViewers(data)), cut)
        one = Score(mean=figures.pop("mae"), ci95=figures.pop("ci95"), figures=figures)
        found[name] = {predictor.policy: one}
        low, high = one.ci95 or (one.mean, one.mean)
        line = f"{name}: MAE {one.mean:.3f} [{low:.3f}, {high:.3f}], static {figures['static']:.3f}"
        print(printable(line), flush=True)
    return found


def record_of(
    predictor: type[LearnedPredictor], folder: Path, trainings: Sequence[Training], command: str, **known: Any
) -> Record:
    """Of the weights in a folder after ``trainings``; ``known`` are other fields."""
    player = predictor.from_pretrained(folder)
    summary = " ".join((predictor.__doc__ or "").split("\n\n")[0].split())
    return Record(
        policy=predictor.policy,
        task=VP.name,
        summary=f"{summary} Assumption: {predictor.assumption or 'none'}.",
        size=f"{player.parameters:,} parameters in {len(player.model.members)} network(s)",
        tags=("viewport-prediction",),
        measure=Measure(name=SCORING.measure.name, item=SCORING.measure.item, decimals=SCORING.measure.decimals),
        command=command,
        trainings=trainings,
        **known,
    )
