"""Attention over previous viewers of the same video: the predictor ``viewers``, and its training.

    python -m agents.vp.viewers --seed 0
    python -m agents.vp.viewers --combine runs/vp-viewers-0 runs/vp-viewers-1 runs/vp-viewers-2

A training takes about two minutes on an idle core; it can be stopped at any moment and goes on when started again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from agents.pretrained import CHECKPOINTS
from agents.training import command_line
from agents.vp.angles import MIRROR, UPSIDE_DOWN, wrap
from agents.vp.experiment import Examples, Experiment, absolute_error, combine
from agents.vp.irls import least_absolute
from agents.vp.learned import HISTORY, HORIZON, Ensemble, LearnedPredictor
from agents.vp.predictor import PREVIOUS_VIEWERS
from agents.vp.training import Schedule
from agents.vp.viewers_model import ViewersConfig, ViewersNet
from netenvs.command_line import run
from netenvs.vp.previous_viewers import PreviousViewers

FIT_STEP = 4  # the linear fit needs fewer windows than the network
SHIPPED = CHECKPOINTS / "vp-viewers"
RUNS = "runs/vp-viewers-"
Context = tuple[Tensor, Tensor]
"""Previous viewers' samples, float32 (k, v, 30, 3), and who has all of them, bool (k, v)."""


class ViewersEnsemble(Ensemble):
    """Networks of one size; the arguments are those of ``ViewersConfig`` and the number of networks."""

    def __init__(self, members: int, hidden: int, width: int, heads: int, dropout: float):
        config = ViewersConfig(hidden, width, heads, dropout)
        super().__init__([ViewersNet(config) for _ in range(members)])

    def context(self, viewers: PreviousViewers, video: np.ndarray, index: np.ndarray, user: np.ndarray) -> Context:
        paths = viewers.paths(video, index, HISTORY, HORIZON, exclude_users=user)
        return torch.from_numpy(paths.angles_deg), torch.from_numpy(paths.present.all(axis=2))

    def member_displacement(self, member: nn.Module, history: Tensor, context: Context) -> Tensor:
        viewers, present = context[0].to(history.dtype), context[1]
        mirror = torch.tensor(MIRROR)
        mirrored = member(history * mirror, viewers * mirror, present) * mirror
        return (member(history, viewers, present) + mirrored) / 2


class Viewers(LearnedPredictor):
    """Attends to what previous viewers of the video did at the same moment and shortly after; no user sees itself.

    The shipped weights were trained on ``jin2022``; ``from_pretrained(folder)`` plays others.
    """

    policy = "viewers"
    ensemble = ViewersEnsemble
    shipped = SHIPPED
    assumption = PREVIOUS_VIEWERS


def mirrored_loss(member: nn.Module, history: Tensor, context: Context, actual: Tensor) -> Tensor:
    """Mean absolute error in degrees, one window in two mirrored and one in two upside down."""
    viewers, present = context
    side = torch.ones(len(history), 1, 3)
    for factors in (MIRROR, UPSIDE_DOWN):
        side = side * torch.where(torch.rand(len(history), 1, 1) < 0.5, torch.tensor(factors), torch.ones(3))
    return wrap(actual * side - member(history * side, viewers * side[:, None], present)).abs().mean()


def start_linear(member: nn.Module, examples: Examples) -> None:
    """Set the linear path to the least absolute deviations fit, so that the network starts as that predictor."""
    assert isinstance(member, ViewersNet)
    past = wrap(examples.history[:, :-1] - examples.history[:, -1:]).numpy()[::FIT_STEP]
    actual = examples.displacement.numpy()[::FIT_STEP]
    for axis, weight in enumerate(member.history_weight.data):
        weight.copy_(torch.from_numpy(least_absolute(past[:, :, axis], actual[:, :, axis])))


@dataclass(frozen=True)
class Args:
    """This trains the attention over previous viewers, or combines trainings into the folder that is shipped."""

    seed: int = 0
    """The seed determines initial weights, order of the windows, mirroring and dropout."""
    dataset: str = "jin2022"
    """The recordings of this data set are trained on, by their published splits."""
    out: Path | None = None
    """Checkpoint, curve and weights go here; the default is runs/vp-viewers-SEED, with --combine the shipped one."""
    combine: tuple[Path, ...] = ()
    """If folders of trainings are given, nothing is trained: their ensemble is written."""
    transfer: tuple[str, ...] = ()
    """The ensemble is scored on the test splits of these data sets, too."""
    epochs: int = 5
    """The training windows are passed over so many times."""
    step: int = 2
    """Training windows begin every so many samples."""
    batch_size: int = 512
    """An optimiser step sees so many windows."""
    learning_rate: float = 2e-3
    """The learning rate is this at its highest."""
    hidden: int = 192
    """The layers that see everything have so many units."""
    width: int = 64
    """The description of a previous viewer has so many units."""
    heads: int = 4
    """The attention has so many heads."""
    dropout: float = 0.1
    """This share of the units is left out in training."""


def main(args: Args) -> None:
    """Run the command line; bad input is a ``ValueError`` of one line."""
    torch.set_num_threads(1)  # sums in one order: the curve depends on the seed alone
    config = ViewersConfig(args.hidden, args.width, args.heads, args.dropout)
    command = command_line("agents.vp.viewers", args, hidden=("out", "combine", "transfer"))
    if args.combine:
        combine(Viewers, args.combine, args.out or SHIPPED, RUNS, args.transfer)
        return
    torch.manual_seed(args.seed)
    experiment = Experiment(
        predictor=Viewers,
        model=ViewersEnsemble(1, **asdict(config)),
        config=config,
        schedule=Schedule(
            args.epochs, args.batch_size, args.learning_rate, weight_decay=1e-2, warmup_steps=100, average=0.998
        ),
        loss=mirrored_loss,
        distance=absolute_error,
        initialise=start_linear,
        step=args.step,
        dataset=args.dataset,
        seed=args.seed,
        command=command,
    )
    experiment.run(args.out or Path(f"{RUNS}{args.seed}"))


if __name__ == "__main__":
    run(main, Args, "python -m agents.vp.viewers")
