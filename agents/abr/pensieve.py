"""Pensieve, trained here: reinforcement learning of the bitrate, and the policy ``pensieve``.

    python -m agents.abr.pensieve --seed 0
    python -m agents.abr.pensieve --ship runs/abr-pensieve-0 runs/abr-pensieve-1 runs/abr-pensieve-2

A training takes about ten minutes on one core; it can be stopped at any moment and goes on when started again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from agents.abr.card import ship, validated
from agents.abr.level_actor import LevelActor, LevelPolicy
from agents.abr.ppo import Settings, fit, settings_of, write_trained
from agents.abr.validation import network_scores
from agents.abr.worlds_ppo import WORLDS, WorldsLearner
from agents.pretrained import CHECKPOINTS
from agents.training import command_line
from netenvs.command_line import run
from netenvs.errors import printable

SHIPPED = CHECKPOINTS / "abr-pensieve"


class Pensieve(LevelPolicy):
    """Pensieve's way, reinforcement learning, on every link, ladder and objective.

    Mao, Netravali, Alizadeh, *Neural Adaptive Video Streaming with Pensieve*, SIGCOMM 2017. Unlike there the network
    sees nothing that has a scale and scores each level by itself (``agents.abr.level_net``), so that a ladder may have
    2 to 12 levels; it is trained by proximal policy optimisation in thousands of worlds (``netenvs.abr.worlds``),
    where a decision is rewarded with minus its regret (``agents.abr.worlds_ppo``). ``mode=sampled`` draws from the
    actor's probabilities.
    """

    registered = "pensieve"
    shipped = SHIPPED


@dataclass(frozen=True)
class Args(Settings):
    """This trains Pensieve, or fills the folder that is shipped from trainings."""

    steps: int = 172_000
    """The whole training has so many decisions."""
    rows: int = 512
    """So many sessions are played at once."""
    batches: int = 8
    """A pass has so many gradient steps."""
    learning_rate: float = 3e-5
    """Adam begins with this rate, which falls along a cosine to a fiftieth."""
    entropy: float = 0.002
    """The entropy bonus has this weight at the beginning; it falls geometrically."""
    last_entropy: float = 0.0005
    """The entropy bonus has this weight at the end."""
    seed: int = 0
    """The seed determines initial weights, worlds, places and actions."""
    validate_every: int = 1
    """Weights are validated after so many iterations."""
    warm_up: int = 360
    """It first imitates experts for so many iterations."""
    gae_lambda: float = 0.98
    """Generalised advantage estimation has this lambda."""
    validation: int = 20
    """So many traces of each validation split choose the weights."""
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
        best = ship(args.ship, out, Pensieve.registered, command=command, quality=validated)
        print(printable(f"{args.ship[best]} is best in validation; written to {out}"))
        return
    if args.validation < 1:
        raise ValueError(f"validation must be 1 or more, not {args.validation}")
    folder = args.out or Path(f"runs/abr-pensieve-{args.seed}")
    learner = WorldsLearner(settings_of(args), args.seed, args.warm_up)

    def validate(net: LevelActor) -> dict[str, float]:
        return {name: round(value, 6) for name, value in network_scores(Pensieve.of(net), args.validation).items()}

    run, net, kept = fit(learner, validate, folder, {"validation": args.validation, "warm_up": args.warm_up})
    names = ", ".join(f"`{name}`" for name in learner.worlds.names)
    write_trained(
        folder,
        Pensieve,
        net,
        run,
        kept,
        command_line("agents.abr.pensieve", args, hidden=("out", "ship")),
        f"Trained in worlds of `netenvs.abr.worlds`, with generated links and recorded ones ({names}): {args.warm_up} "
        f"iterations of imitation (`agents.abr.experts`), then reinforcement learning, {WORLDS} worlds an iteration. "
        f"Weights chosen by greedy decisions in `agents.abr.validation`, {args.validation} traces a split; nothing on "
        "test splits.",
        {"size": net.size, "width": net.width},
    )


if __name__ == "__main__":
    run(main, Args, "python -m agents.abr.pensieve")
