"""``python -m agents.cjs.decima``: train Decima, or write the folder that is shipped from finished trainings."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from agents.cjs.clusters import Setting
from agents.cjs.decima.plan import Plan
from agents.cjs.decima.policy import SHIPPED
from agents.training import command_line
from netenvs.command_line import run

MODULE = "agents.cjs.decima"


@dataclass(frozen=True)
class Args:
    """This trains Decima by PPO with a baseline for each sequence of jobs, or chooses one of several trainings."""

    seed: int = 0
    """It determines the jobs, the decisions drawn and, from scratch, the initial weights."""
    workload: str = "tpch"
    """The jobs are made from these templates; docs/cjs_workloads.md says which there are."""
    initial: str = "scratch"
    """The training begins with these weights: scratch or released (data set decima-weights)."""
    imitate: int = 40
    """So many iterations imitate capped-srpt before PPO begins; the paper has none."""
    sharpen: float = 2.0
    """After the imitation logits are multiplied by this: it leaves a policy more random than is good for it."""
    iterations: int = 80
    """There are so many iterations in all, each one rollout and what is learned from it."""
    executors: tuple[int, ...] = (10, 50)
    """Clusters of these sizes are trained on side by side."""
    jobs: tuple[int, ...] = (20, 30)
    """The longest episodes have so many jobs, one number for each size."""
    first_jobs: float = 0.8
    """The first episodes of PPO have this part of the jobs; it grows to all of them until half of PPO is done."""
    sequences: int = 4
    """An iteration plays so many sequences of jobs for each size."""
    rollouts: int = 4
    """Each sequence is played so many times; the mean return of these episodes is the baseline."""
    beta: float = 1e-3
    """Later rewards are discounted at this rate, 1/s."""
    by_state: bool = True
    """Baselines know the backlog besides the time; the paper's know the time only."""
    ahead: float = 50.0
    """What follows a decision fades in so many seconds but for what the baseline says; 0 is never, as in the paper."""
    learning_rate: float = 1e-4
    """Adam learns at this rate, which falls linearly to a tenth."""
    imitation_rate: float = 1e-3
    """Adam learns at this rate while imitating, which falls in the same way."""
    entropy: float = 0.0
    """The entropy has this weight, which falls linearly to 0."""
    epochs: int = 2
    """A rollout is passed over so many times, fewer once the policy has moved by 1.5 times target-kl."""
    minibatch: int = 1024
    """A step is made of so many decisions, a quarter of them while imitating."""
    clip: float = 0.2
    """PPO bounds the probability ratio by this."""
    target_kl: float = 0.02
    """The policy should not move further than this divergence from the one that played."""
    validation: int = 20
    """Validation plays so many episodes for each size and mode."""
    validate_every: int = 10
    """So many iterations lie between validations; the best weights are kept."""
    test: int = 40
    """The model card has figures of so many episodes for each size, half as many with 200 jobs; 0 makes none."""
    out: Path | None = None
    """Checkpoint, curve and weights go to this folder: runs/cjs-decima-SEED, or the shipped one when choosing."""
    choose: tuple[Path, ...] = ()
    """Instead of training, this writes the best, in validation, of these folders of trainings, with the card of all."""


def main(args: Args) -> None:
    """Run the command line; bad input is a ``ValueError`` of one line."""
    from agents.cjs.decima import training  # imports torch-geometric

    if args.test < 0:
        raise ValueError(f"test must be 0 or more, not {args.test}")
    if args.choose:
        training.choose(args.choose, args.out or SHIPPED, args.test, _choosing(args))
        return
    if len(args.executors) != len(args.jobs):
        raise ValueError(f"jobs must be one number for each of {len(args.executors)} executors, not {len(args.jobs)}")
    settings = tuple(Setting(*setting) for setting in zip(args.executors, args.jobs, strict=True))
    common = {field.name: getattr(args, field.name) for field in fields(Plan) if field.name != "settings"}
    command = command_line(MODULE, args, hidden=("out", "choose"))
    folder = args.out or Path(f"runs/cjs-decima-{args.seed}")
    training.run_training(Plan(settings=settings, **common), folder, command, args.test)


def _choosing(args: Args) -> str:
    """The command that chooses; the seed has no part in it."""
    command = f"python -m {MODULE} --choose {' '.join(map(str, args.choose))}"
    return command if args.test == Args.test else f"{command} --test {args.test}"


if __name__ == "__main__":
    run(main, Args, "python -m agents.cjs.decima")
