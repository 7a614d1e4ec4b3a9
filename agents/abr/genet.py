"""Genet and uniform domain randomisation, trained here: the policies ``genet`` and ``udr``.

    python -m agents.abr.genet --seed 0 --real-traces fcc-train-clean
    python -m agents.abr.genet --seed 0 --method udr --real-traces fcc-train-clean
    python -m agents.abr.genet --ship runs/abr-genet-0 runs/abr-genet-1 runs/abr-genet-2
    python -m agents.abr.genet --paired agents/checkpoints/abr-genet agents/checkpoints/abr-udr

A training takes a few minutes on one core; it can be stopped at any moment and goes on when started again. Without
``--real-traces`` it needs no data but generated traces, as published.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from agents.abr.card import ship
from agents.abr.curriculum import FIRST_TRIALS, TRIAL_TRACES, TRIALS, Mixture, Randomised, Searched, rule_lead
from agents.abr.fallback import TrainingRange
from agents.abr.pensieve_net import PensieveNet, TrainedActor
from agents.abr.ppo import Learner, Settings, fit, settings_of, sizes_of, write_trained
from agents.abr.scores import SETTINGS, VALIDATION, score
from agents.policy import Policy, load_policy
from agents.pretrained import CHECKPOINTS
from agents.statistics import bounds, mean
from agents.training import command_line
from agents.training.card import read
from netenvs.abr.generators import BITRATES_KBPS
from netenvs.abr.installed import default_video
from netenvs.abr.workload import TraceSet, load_traces
from netenvs.command_line import run
from netenvs.errors import printable

TRAINED = TrainingRange(6, BITRATES_KBPS, 4.0, (0.0, 100.0), 4.3 / 4.0)
"""The space udr3, whose links have up to 100 Mbit/s, and fcc-train-clean; the videos have 4 s chunks on this ladder."""
HELD_OUT = "genet(space={space},seed={seed},count=100)"
VALIDATION_STARTS = 4  # places where each real validation trace is entered
VALID_SEED, TEST_SEED = 2, 1  # of traces that are held out: they choose the weights, and are scored at the end


class Genet(TrainedActor):
    """Genet: Pensieve's actor, trained on generated traces whose mixture follows the gap to a rule-based baseline.

    Xia et al., *Genet: Automatic Curriculum Generation for Learning Adaptation in Networking*, SIGCOMM 2022; the
    curriculum is ``agents.abr.curriculum``. Trained by proximal policy optimisation of the environment's objective,
    4.3 a second of stalling (Genet's own trainings used 10). ``mode=sampled`` draws from the actor's probabilities.
    """

    registered = "genet"
    shipped = CHECKPOINTS / "abr-genet"
    trained = TRAINED


class UDR(TrainedActor):
    """Uniform domain randomisation: as ``genet`` with as many steps, but without its curriculum.

    Every generated trace is of a configuration drawn from the whole space (Genet's own rival; Xia et al., SIGCOMM
    2022). ``mode=sampled`` draws from the actor's probabilities.
    """

    registered = "udr"
    shipped = CHECKPOINTS / "abr-udr"
    trained = TRAINED


CHOICES = """\
## Choices

* Objective: the environment's preset `netllm`, 4.3 a second of stalling, which is also what is scored; Genet's own
  trainings used 10.
* Actions: the next level. Genet's own three moves (`--actions jump`) reached 0.934 in validation after 500,000 steps
  with three rounds, levels 0.955.
* Seeds, schedule, network and optimisation are the same for `genet` and `udr`; of the seeds the one with the highest
  mean on fcc-valid-clean is shipped. Paired differences: `python -m agents.abr.genet --paired
  agents/checkpoints/abr-genet agents/checkpoints/abr-udr`."""

METHODS: dict[str, type[TrainedActor]] = {"genet": Genet, "udr": UDR}


@dataclass(frozen=True)
class Args(Mixture, Settings):
    """This trains Genet or its rival without curriculum, or fills the folder that is shipped from trainings."""

    steps: int = 3_000_000
    """The whole training has so many environment steps (decisions)."""
    seed: int = 0
    """The seed determines initial weights, traces, configurations, starts and actions."""
    method: Literal["genet", "udr"] = "genet"
    """genet has a curriculum, udr has none."""
    real_traces: str = ""
    """These traces, a name or path, are played beside generated ones; if it is empty, there are none."""
    real_valid: str = VALIDATION
    """Where there are real traces, these choose the weights together with generated ones."""
    actions: Literal["quality", "jump"] = "quality"
    """The policy decides the next level (quality), or to go one level down, none or up (jump, Genet's own)."""
    video: str | None = None
    """The video has this name or path; the default is video1 with installed traces, else synthetic."""
    out: Path | None = None
    """Checkpoint, curve and weights go here; the default is runs/abr-METHOD-SEED, with --ship the shipped one."""
    ship: tuple[Path, ...] = ()
    """If folders of trainings are given, nothing is trained: the best is shipped, with the card of all."""
    paired: tuple[Path, ...] = ()
    """If two folders of trainings are given, nothing is trained: it is printed by how much the first is better."""


class Validation:
    """How weights are chosen: QoE of greedy decisions as a share of the rule's, mean over the trace sets.

    The share makes generated traces, with three times the QoE of real ones, count no more than these.
    """

    def __init__(self, policy: type[TrainedActor], rule: Policy, video: str, sets: dict[str, tuple[TraceSet, int]]):
        """``sets``: traces by name, and the number of places where each is entered (1: its beginning)."""
        self._policy, self._video, self._sets = policy, video, sets
        self._unit = self._scores(rule)
        for name, value in self._unit.items():
            if value <= 0:
                raise ValueError(f"the baseline has {value:.3f} QoE on the {name} validation traces: choose others")

    def __call__(self, net: PensieveNet) -> dict[str, float]:
        scores = self._scores(self._policy.of(net))
        share = math.fsum(value / self._unit[name] for name, value in scores.items()) / len(scores)
        return {"valid": round(share, 6), **{f"valid_{name}": round(value, 6) for name, value in scores.items()}}

    def _scores(self, policy: Policy) -> dict[str, float]:
        return {
            name: mean(
                score(
                    policy,
                    traces,
                    self._video,
                    episodes=len(traces) * places,
                    start="first" if places == 1 else "random",
                )
            )
            for name, (traces, places) in self._sets.items()
        }


def main(args: Args) -> None:
    """Run the command line; bad input is a ``ValueError`` of one line."""
    torch.set_num_threads(1)  # sums in one order: the curve depends on the seed alone
    if args.ship:
        out = args.out or METHODS[args.method].shipped
        method = "" if args.method == "genet" else f" --method {args.method}"
        command = f"python -m agents.abr.genet{method} --ship {' '.join(map(str, args.ship))}"
        best = ship(args.ship, out, METHODS[args.method].registered, notes_of(args.ship), command)
        print(printable(f"{args.ship[best]} is best on {VALIDATION}; written to {out}"))
    elif args.paired:
        print("\n".join(paired_table(args.paired)))
    else:
        train(args)


def train(args: Args) -> None:
    """One training, to the end: its folder is written."""
    if args.seed < 0:
        raise ValueError(f"seed must be 0 or more, not {args.seed}")
    policy = METHODS[args.method]
    folder = args.out or Path(f"runs/abr-{args.method}-{args.seed}")
    settings = settings_of(args)
    mixture = Mixture(**{field.name: getattr(args, field.name) for field in fields(Mixture)})
    real = load_traces(args.real_traces) if args.real_traces else None
    video = args.video or ("synthetic" if real is None else default_video(real))
    rule = load_policy(args.baseline, "abr")
    groups = settings.rows // settings.group

    if args.method == "genet":
        lead = rule_lead(rule, policy, video)
        curriculum: Randomised = Searched(lead, mixture, groups, args.seed, real)
    else:
        curriculum = Randomised(mixture, groups, args.seed, real)
    learner = Learner(curriculum.traces(), video, args.actions, settings, args.seed)
    sets = {"generated": (load_traces(HELD_OUT.format(space=args.space, seed=VALID_SEED)), 1)}
    if real is not None:
        sets["real"] = (load_traces(args.real_valid), VALIDATION_STARTS)
    identity = {
        "method": args.method,
        "real_traces": args.real_traces,
        "real_valid": args.real_valid,
        "actions": args.actions,
        "video": video,
        **asdict(mixture),
    }
    run, net, kept = fit(learner, Validation(policy, rule, video, sets), folder, identity, curriculum)
    write_trained(
        folder,
        policy,
        net,
        run,
        kept,
        command_line("agents.abr.genet", args, hidden=("out", "ship", "paired")),
        data_sentence(args, video),
        sizes_of(net),
        {**SETTINGS, f"{args.space}, held out": {"traces": HELD_OUT.format(space=args.space, seed=TEST_SEED)}},
        rounds_table(args, curriculum),
    )


def data_sentence(args: Args, video: str) -> str:
    """What a training saw, and what chose its weights."""
    groups = args.rows // args.group
    share = round(args.real_share * groups) / groups if args.real_traces else 0.0
    beside = f"; {share:.0%} of the rows play `{args.real_traces}`" if share else ""
    chosen = f"`{HELD_OUT.format(space=args.space, seed=VALID_SEED)}`"
    if args.real_traces:
        chosen += f" and `{args.real_valid}` ({VALIDATION_STARTS} places a trace)"
    return (
        f"Trained on {args.pool} generated traces of the space {args.space}"
        + (f", and {args.pool // 10} of each configuration found" if args.method == "genet" else "")
        + f"{beside}; video `{video}`, every trace entered at random places. Weights chosen by greedy decisions on "
        f"{chosen}: QoE as a share of that of {args.baseline}, mean of the sets. Nothing on test splits."
    )


def rounds_table(args: Args, curriculum: Randomised) -> str:
    """Markdown of what the rounds have found; nothing where there are none."""
    if not curriculum.found:
        return ""
    decisions = 47 * TRIALS * TRIAL_TRACES * len(curriculum.found)
    lines = [
        f"## Configurations found (seed {args.seed})",
        "",
        f"Each by {TRIALS} trials ({FIRST_TRIALS} drawn), {TRIAL_TRACES} traces a trial; lead of {args.baseline} over "
        f"the policy of that time in QoE per chunk. The policy's sessions in these trials, {decisions:,} decisions of "
        "a 48-chunk video, are not among the steps.",
        "",
        "| round | Mbit/s | held for samples | RTT ms | buffer s | lead | weight in the end |",
        "|---|---|---|---|---|---|---|",
    ]
    for number, (found, weight) in enumerate(zip(curriculum.found, curriculum.weights()[1:], strict=True), start=1):
        one = found.config
        lines.append(
            f"| {number} | {one.min_bw_mbps:.2f} to {one.max_bw_mbps:.2f} | up to {max(int(one.change_interval), 1)} | "
            f"{one.rtt_ms:.0f} | {one.buffer_cap_s:.0f} | {found.gap:+.3f} | {weight:.3f} |"
        )
    return "\n".join(lines)


def notes_of(folders: Sequence[Path]) -> str:
    """Markdown for the card of several trainings: the choices made for all of them, then what each has found."""
    notes = [CHOICES]
    for folder in folders:
        notes.append(read(folder).notes)
    return "\n\n".join(text for text in notes if text)


def paired_table(folders: Sequence[Path]) -> list[str]:
    """Markdown: by how much the first folder's trainings are better than the second's, setting by setting.

    For each seed, and for the mean over seeds: mean difference over the same traces and its 95 % bootstrap interval.
    ``ValueError``, one line, unless there are two folders with the same seeds.
    """
    if len(folders) != 2:
        raise ValueError(f"give two folders to compare, not {len(folders)}")
    first, second = (
        {one.seed: {name: next(iter(by.values())).values for name, by in one.scores.items()} for one in found.trainings}
        for found in map(read, folders)
    )
    if list(first) != list(second):
        raise ValueError(f"{folders[0]} has the seeds {list(first)}, {folders[1]} has {list(second)}")
    settings = [name for name in first[next(iter(first))] if name in second[next(iter(second))]]
    lines = [f"| seed | {' | '.join(settings)} |", "|---|" + "---|" * len(settings)]
    differences = {
        name: np.array([np.subtract(first[seed][name], second[seed][name]) for seed in first]) for name in settings
    }
    for number, seed in enumerate(first):
        lines.append(_difference_row(str(seed), [differences[name][number] for name in settings]))
    if len(first) > 1:
        lines.append(_difference_row("mean", [differences[name].mean(axis=0) for name in settings]))
    return lines


def _difference_row(label: str, differences: Sequence[np.ndarray]) -> str:
    cells = []
    for values in differences:
        low, high = bounds(values)
        cells.append(f"{mean(values):+.4f} [{low:+.3f}, {high:+.3f}]")
    return f"| {label} | {' | '.join(cells)} |"


if __name__ == "__main__":
    run(main, Args, "python -m agents.abr.genet")
