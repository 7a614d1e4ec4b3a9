"""Pensieve, trained here: reinforcement learning of the bitrate, and the policy ``pensieve``.

    python -m agents.abr.pensieve --seed 0
    python -m agents.abr.pensieve --ship runs/abr-pensieve-0 runs/abr-pensieve-1 runs/abr-pensieve-2

A training takes a few minutes on one core; it can be stopped at any moment and goes on when started again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from agents.abr.card import ship
from agents.abr.fallback import TrainingRange
from agents.abr.pensieve_net import TrainedActor
from agents.abr.ppo import VALIDATION_STARTS, Learner, Settings, Validation, fit, settings_of, write_trained
from agents.abr.scores import VALIDATION
from agents.pretrained import CHECKPOINTS
from agents.training import command_line
from netenvs.abr.generators import BITRATES_KBPS
from netenvs.abr.workload import load_traces
from netenvs.command_line import run
from netenvs.errors import printable

SHIPPED = CHECKPOINTS / "abr-pensieve"


class Pensieve(TrainedActor):
    """Pensieve's actor, trained by proximal policy optimisation.

    Mao, Netravali, Alizadeh, *Neural Adaptive Video Streaming with Pensieve*, SIGCOMM 2017. The observation is
    Pensieve's; the network has its branches, narrower, and takes logarithms of throughputs and times
    (``PensieveFeatures``); the objective is Pensieve's, in training without what lies below -20 a chunk. Pensieve
    itself was trained with actor-critic steps of single videos, here hundreds of videos make a step.
    ``mode=sampled`` draws from the actor's probabilities.
    """

    registered = "pensieve"
    shipped = SHIPPED
    # fcc-train-clean with video1, measured up to 4.6 Mbit/s; of FCC-like traces, synthetic among them, up to 16
    trained = TrainingRange(6, BITRATES_KBPS, 4.0, (0.05, 16.0), 4.3 / 4.0)


@dataclass(frozen=True)
class Args(Settings):
    """This trains Pensieve, or fills the folder that is shipped from trainings."""

    seed: int = 0
    """The seed determines initial weights, traces, starts and actions."""
    traces: str = "fcc-train-clean"
    """The policy is trained on these traces, a name or path."""
    valid: str = VALIDATION
    """These traces choose the weights."""
    video: str | None = None
    """The video has this name or path; the default is video1 with installed traces, else synthetic."""
    out: Path | None = None
    """Checkpoint, curve and weights go here; the default is runs/abr-pensieve-SEED, with --ship the shipped one."""
    ship: tuple[Path, ...] = ()
    """If folders of trainings are given, nothing is trained: the best is shipped, with the card of all."""


def main(args: Args) -> None:
    """Run the command line; bad input is a ``ValueError`` of one line."""
    torch.set_num_threads(1)  # sums in one order: the curve depends on the seed alone
    if args.ship:
        out = args.out or SHIPPED
        command = f"python -m agents.abr.pensieve --ship {' '.join(map(str, args.ship))}"
        best = ship(args.ship, out, Pensieve.registered, command=command)
        print(printable(f"{args.ship[best]} is best on {VALIDATION}; written to {out}"))
        return
    folder = args.out or Path(f"runs/abr-pensieve-{args.seed}")
    learner = Learner(load_traces(args.traces), args.video, "quality", settings_of(args), args.seed)
    identity = {"traces": args.traces, "valid": args.valid, "video": args.video}
    run, net, kept = fit(learner, Validation(Pensieve, args.valid, args.video), folder, identity)
    write_trained(
        folder,
        Pensieve,
        net,
        run,
        kept,
        command_line("agents.abr.pensieve", args, hidden=("out", "ship")),
        f"Trained on `{args.traces}` with the video `{learner.video}`, every trace entered at random places; weights "
        f"chosen by greedy decisions on `{args.valid}`, {VALIDATION_STARTS} places a trace; nothing on test splits.",
    )


if __name__ == "__main__":
    run(main, Args, "python -m agents.abr.pensieve")
