"""TRACK, which fuses the own motion with where previous viewers looked: the predictor ``track``, and its training.

    python -m agents.vp.track --variant recipe --seed 0
    python -m agents.vp.track --variant recipe --combine runs/vp-track-recipe-0 runs/vp-track-recipe-1

Variants: ``paper`` as published (unit vectors, mean squared error, Adam at 5e-4, 256 units, published windows),
``position-only`` the same without saliency, ``recipe`` the same three LSTMs in degrees with a modern training
(mean absolute error, wrapped displacements, maps centred on the last yaw, dense windows, mirroring, decaying
learning rate, averaged weights). All choose weights on the validation split: the first two by the orthodromic
(great-circle) distance as published, ``recipe`` by the mean absolute error.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from agents.pretrained import CHECKPOINTS
from agents.training import command_line
from agents.vp.angles import MIRROR, wrap
from agents.vp.experiment import Examples, Experiment, absolute_error, combine
from agents.vp.learned import HORIZON, Ensemble, LearnedPredictor
from agents.vp.predictor import PREVIOUS_VIEWERS
from agents.vp.track_model import PAST, TrackConfig, TrackNet, centred, to_degrees, to_vectors
from agents.vp.training import Schedule
from netenvs.command_line import run
from netenvs.vp.previous_viewers import PreviousViewers
from netenvs.vp.recordings import STEP

SHIPPED = CHECKPOINTS / "vp-track"


class TrackEnsemble(Ensemble):
    """Networks of one size; the arguments are those of ``TrackConfig`` and the number of networks."""

    def __init__(self, members: int, hidden: int, saliency: bool, space: str, dropout: float):
        config = TrackConfig(hidden, saliency, space, dropout)
        super().__init__([TrackNet(config) for _ in range(members)])
        self.config = config
        self.needs_viewers = saliency

    def context(
        self, viewers: PreviousViewers, video: np.ndarray, index: np.ndarray, user: np.ndarray
    ) -> Tensor | None:
        """Heat maps, float32 (k, 29, 18, 36), of the last 9 observed and the 20 predicted instants."""
        if not self.config.saliency:
            return None
        return torch.from_numpy(viewers.heat_maps(video, index - PAST + 1, PAST + HORIZON, exclude_user=user))

    def member_displacement(self, member: nn.Module, history: Tensor, context: Tensor | None) -> Tensor:
        maps = None if context is None else context.to(history.dtype)
        if self.config.space == "sphere":
            last = history[:, -1:]
            return wrap(to_degrees(member(history, maps), last[..., 0].expand(-1, HORIZON)) - last)
        mirror = torch.tensor(MIRROR)
        if maps is not None:
            maps = centred(maps, history[:, -1, 2])
            maps = torch.cat([maps, maps.flip(-1)])
        plain, mirrored = member(torch.cat([history, history * mirror]), maps).chunk(2)
        return (plain + mirrored * mirror) / 2


class Track(LearnedPredictor):
    """TRACK: LSTMs of the own positions, of heat maps of previous viewers, and of both; trained by the recipe.

    The shipped weights were trained on ``jin2022``; ``from_pretrained(folder)`` plays others.
    """

    policy = "track"
    ensemble = TrackEnsemble
    shipped = SHIPPED
    assumption = PREVIOUS_VIEWERS


def sphere_loss(member: nn.Module, history: Tensor, maps: Tensor | None, actual: Tensor) -> Tensor:
    """Mean squared error of unit vectors, as published."""
    return (member(history, maps) - to_vectors(history[:, -1:] + actual)).square().mean()


def mirrored_loss(member: nn.Module, history: Tensor, maps: Tensor | None, actual: Tensor) -> Tensor:
    """Mean absolute error in degrees, one window in two mirrored."""
    mirrored = torch.rand(len(history)) < 0.5
    side = torch.where(mirrored[:, None, None], torch.tensor(MIRROR), torch.ones(3))
    if maps is not None:
        maps = centred(maps, history[:, -1, 2])
        maps = torch.where(mirrored[:, None, None, None], maps.flip(-1), maps)
    return wrap(actual * side - member(history * side, maps)).abs().mean()


def orthodromic(history: Tensor, predicted: Tensor, actual: Tensor) -> Tensor:
    """Mean great-circle distance in degrees."""
    last = history[:, -1:]
    u, v = to_vectors(last + predicted), to_vectors(last + actual)
    return torch.rad2deg(torch.atan2(torch.linalg.cross(u, v).norm(dim=-1), (u * v).sum(dim=-1))).mean()


def keep(member: nn.Module, examples: Examples) -> None:
    """The network starts as torch initialised it."""


@dataclass(frozen=True)
class Args:
    """This trains TRACK, or combines trainings into the folder that is shipped."""

    variant: Literal["paper", "position-only", "recipe"] = "recipe"
    """paper is as published, position-only the same without saliency, recipe has a modern training."""
    seed: int = 0
    """The seed determines initial weights, order of the windows, mirroring and dropout."""
    dataset: str = "jin2022"
    """The recordings of this data set are trained on, by their published splits."""
    out: Path | None = None
    """Checkpoint, curve and weights go here; the default is runs/vp-track-VARIANT-SEED, the shipped with --combine."""
    combine: tuple[Path, ...] = ()
    """If folders of trainings are given, nothing is trained: their ensemble is written."""
    transfer: tuple[str, ...] = ()
    """The ensemble is scored on the test splits of these data sets, too."""
    epochs: int | None = None
    """The training windows are passed over so many times; the default is 4, of the recipe 5."""
    step: int | None = None
    """Training windows begin every so many samples; the default is 15 as published, of the recipe 5."""
    hidden: int | None = None
    """Each LSTM has so many units; the default is 256 as published, of the recipe 64."""


def experiment(args: Args, command: str) -> Experiment:
    """What the arguments ask for."""
    recipe = args.variant == "recipe"
    epochs, step, hidden = (5, 5, 64) if recipe else (4, STEP, 256)
    epochs, step, hidden = (
        default if asked is None else asked
        for asked, default in ((args.epochs, epochs), (args.step, step), (args.hidden, hidden))
    )
    if recipe:
        schedule = Schedule(epochs, 256, 1e-3, weight_decay=1e-2, warmup_steps=100, average=0.998)
        config = TrackConfig(hidden, space="degrees", dropout=0.1)
    else:
        schedule = Schedule(epochs, 128, 5e-4, cosine=False, clip_norm=0.0)
        config = TrackConfig(hidden, saliency=args.variant == "paper")
    torch.manual_seed(args.seed)
    return Experiment(
        predictor=Track,
        model=TrackEnsemble(1, **asdict(config)),
        config=config,
        schedule=schedule,
        loss=mirrored_loss if recipe else sphere_loss,
        distance=absolute_error if recipe else orthodromic,
        initialise=keep,
        step=step,
        dataset=args.dataset,
        seed=args.seed,
        command=command,
    )


def main(args: Args) -> None:
    """Run the command line; bad input is a ``ValueError`` of one line."""
    torch.set_num_threads(1)  # sums in one order: the curve depends on the seed alone
    runs = f"runs/vp-track-{args.variant}-"
    command = command_line("agents.vp.track", args, hidden=("out", "combine", "transfer"))
    if args.combine:
        combine(Track, args.combine, args.out or SHIPPED, runs, args.transfer)
        return
    experiment(args, command).run(args.out or Path(f"{runs}{args.seed}"))


if __name__ == "__main__":
    run(main, Args, "python -m agents.vp.track")
