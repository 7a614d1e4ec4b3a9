"""Planning against learned throughput quantiles: the policy ``stochastic-mpc``, and the training of its quantiles.

    python -m agents.abr.stochastic_mpc --seed 0
    python -m agents.abr.stochastic_mpc --ship runs/abr-stochastic-mpc-0 runs/abr-stochastic-mpc-1

A training takes a minute or two; it can be stopped at any moment and goes on when started again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from agents.abr.bandwidth_examples import SESSIONS, Downloads, Examples, collect, collect_in_worlds, joined
from agents.abr.card import record, ship
from agents.abr.scenario_planner import Chunks, Objective, Scenarios, best_levels, values_of_levels
from agents.abr.scores import VALIDATION, score, score_all
from agents.abr.throughput_quantiles import (
    WINDOWS_S,
    QuantileConfig,
    QuantileNet,
    features,
    pinball,
    reference,
)
from agents.abr.validation import valid_scores
from agents.policy import BatchPolicy, grow_rows
from agents.pretrained import CHECKPOINTS, load, one_thread, save
from agents.statistics import mean
from agents.training import Run, command_line
from agents.training.card import Training, write
from agents.training.fit import Course, run_course
from netenvs.abr.installed import default_video
from netenvs.abr.workload import load_traces
from netenvs.command_line import run
from netenvs.errors import printable

SHIPPED = CHECKPOINTS / "abr-stochastic-mpc"
POLICY = "stochastic-mpc"
PAYLOAD_PORTION = 0.95  # of a link's bandwidth (netenvs.abr.kernel); the network predicts the link's
RTT_S = 0.08  # the environment's default; a session does not say its own, but none is longer than a download
LEAST_FAR = 0.2  # least bandwidth after the first window, as a share of the mean over both
FEWEST_CHUNKS, MOST_CHUNKS = 5, 40  # that are looked ahead
VALIDATION_SEED = 1_000_000_007  # of the sessions whose loss chooses weights, for every seed of the training


class StochasticMPC(BatchPolicy):
    """The next level that is best on average over seven scenarios of throughput, whose quantiles a network learned.

    A network of 23,000 weights reads the last 16 downloads and predicts the 5, 20, 35, 50, 65, 80 and 95 % quantiles of
    the mean bandwidth of the next 6 s and of the next 20 s, relative to the recent one. It learned them from sessions
    on links, ladders and players of every kind. Each quantile is a scenario. The next chunk has one level in all of
    them; after it each goes on with the level that is best there, since a player sees in time how it fares. Chosen is
    the level with the highest mean of the environment's objective over the scenarios, plus a value of the buffer that
    is left, in units of the rebuffering penalty. No policy is trained, so ladder, chunk duration and objective may be
    any. The session's round trip is unknown to it; it takes 80 ms, or the shortest download if that was shorter.

    Arguments:
        folder: trained weights; empty: those shipped.
        horizon_s: playing time of the chunks looked ahead, which are 5 at least and 40 at most.
        buffer_value: worth of the first second of buffer left, as a share of the penalty of a second's rebuffering.
        enough_s: further seconds are worth less and less, those above this nothing.
        constant: whether a scenario is the mean of the next 20 s throughout, not one of 6 s and what then remains.
    """

    def __init__(
        self,
        folder: str = "",
        horizon_s: float = 40.0,
        buffer_value: float = 0.2,
        enough_s: float = 20.0,
        constant: bool = False,
    ):
        if not (math.isfinite(horizon_s) and horizon_s > 0):
            raise ValueError(f"horizon_s must be a positive number of seconds, not {horizon_s}")
        for name, value in (("buffer_value", buffer_value), ("enough_s", enough_s)):
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be a number from 0 up, not {value}")
        self.horizon_s, self.constant = float(horizon_s), constant
        self.buffer_value, self.enough_s = float(buffer_value), float(enough_s)
        self.model, self.bytes = load(QuantileNet, Path(folder) if folder else SHIPPED, POLICY)
        self.model.double()  # sums in single precision depend on the size of the batch
        self.parameters = sum(value.numel() for value in self.model.state_dict().values())
        self._downloads = Downloads()
        self._rtt_s = np.zeros(0)

    @classmethod
    def from_pretrained(cls, folder: str | Path, **options: Any) -> Self:
        """The policy with the weights of a folder."""
        return cls(str(folder), **options)

    def reset_rows(self, rows: np.ndarray, seeds: Sequence[int | None]) -> None:
        self._downloads.clear(rows)
        self._rtt_s = grow_rows(self._rtt_s, rows)
        self._rtt_s[rows] = RTT_S

    def scenarios(self, throughput: np.ndarray, delay_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bandwidth in the first 6 s and after them, Mbit/s (k, quantiles) each, for past downloads (k, 16)."""
        with torch.inference_mode(), one_thread():
            logarithms = self.model(torch.from_numpy(features(throughput, delay_s))).numpy()
        predicted = np.exp(np.sort(logarithms, axis=2)) * reference(throughput)[:, None, None]
        near, both = predicted[:, 0], predicted[:, 1]
        if self.constant:
            return both, both
        first_s, both_s = WINDOWS_S
        far = (both_s * both - first_s * near) / (both_s - first_s)
        return near, np.maximum(far, LEAST_FAR * both)

    def act_batch(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        last = np.searchsorted(infos["video"].bitrates_kbps, infos["bitrate_kbps"])
        found: np.ndarray = best_levels(self.values(infos), last)
        return found

    def values(self, infos: dict[str, Any]) -> np.ndarray:
        """What each level is worth, float64 (k, levels), at the next decision of rows; once a decision."""
        video, qoe, rows = infos["video"], infos["qoe"], infos["row"]
        utility, switch_cost = qoe.tables
        throughput, delay_s = self._downloads.push(rows, infos)
        near, far = self.scenarios(throughput, delay_s)
        self._rtt_s[rows] = np.minimum(self._rtt_s[rows], delay_s[:, -1])
        byte_rate = 1e6 / 8 * PAYLOAD_PORTION
        found: np.ndarray = values_of_levels(
            np.asarray(infos["chunk"], dtype=np.int64),
            int(np.clip(round(self.horizon_s / video.chunk_duration_s), FEWEST_CHUNKS, MOST_CHUNKS)),
            np.asarray(infos["buffer_s"], dtype=np.float64),
            np.asarray(infos["buffer_cap_s"], dtype=np.float64),
            np.searchsorted(video.bitrates_kbps, infos["bitrate_kbps"]),
            Chunks(video.chunk_sizes, video.num_chunks, video.chunk_duration_s),
            Scenarios(
                WINDOWS_S[0],
                np.ascontiguousarray(near * byte_rate),
                np.ascontiguousarray(far * byte_rate),
                self._rtt_s[rows],
            ),
            Objective(
                utility, switch_cost, qoe.rebuffer_penalty, self.buffer_value * qoe.rebuffer_penalty, self.enough_s
            ),
        )
        return found


@dataclass(frozen=True)
class Args:
    """This trains the quantiles of stochastic-mpc, or fills the shipped folder with the best of several trainings."""

    seed: int = 0
    """The seed determines the sessions watched, initial weights and batches."""
    traces: str = "fcc-train-clean"
    """The network learns from these traces, with one video, besides its worlds."""
    valid: str = "fcc-valid-clean"
    """The loss on these traces, averaged with that in other worlds, chooses the weights."""
    video: str | None = None
    """This video is streamed meanwhile; the default is video1 with installed traces, else the synthetic one."""
    sessions: int = 1360
    """So many sessions on the traces are watched; a fourth as many for validation."""
    worlds: int = 800
    """Eight sessions are watched in each of so many worlds (``netenvs.abr.worlds``); a fifth as many for validation."""
    steps: int = 6000
    """The optimiser takes so many steps."""
    batch_size: int = 1024
    """A step sees so many decisions."""
    learning_rate: float = 2e-3
    """The first step has this rate; it falls to 0 along a cosine."""
    weight_decay: float = 0.1
    """AdamW has this weight decay."""
    hidden: int = 128
    """Each of the two hidden layers has so many units."""
    out: Path | None = None
    """Checkpoint, curve and weights go here; the default is runs/abr-stochastic-mpc-SEED, the shipped with --ship."""
    ship: tuple[Path, ...] = ()
    """If folders of trainings are given, nothing is trained: a folder is filled with the best and the card of all."""

    def check(self) -> None:
        """Raise ``ValueError``, one line, for a number that makes no sense."""
        for name in ("steps", "batch_size", "learning_rate", "hidden"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name.replace('_', '-')} must be positive, not {getattr(self, name)}")
        for name in ("seed", "worlds", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name.replace('_', '-')} must be 0 or more, not {getattr(self, name)}")


INTERVAL = 250  # steps between validations, after each of which the training can be continued


def fit(args: Args, run: Run) -> tuple[QuantileNet, int]:
    """Train, or go on with a training; the network with the lowest validation loss, and the step it is of."""
    examples = collect(args.traces, args.video, args.sessions, args.seed)
    validation = [collect(args.valid, args.video, max(args.sessions // 4, 5), VALIDATION_SEED)]
    if args.worlds:
        examples = joined([examples, collect_in_worlds(args.worlds, args.seed)])
        validation.append(collect_in_worlds(max(args.worlds // 5, 5), VALIDATION_SEED))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(args.seed)
        net = QuantileNet(args.hidden)
    net.standardise(examples.features)

    def loss(step: int) -> Tensor:
        rows = torch.from_numpy(np.random.default_rng([args.seed, step]).integers(len(examples), size=args.batch_size))
        return pinball(net(examples.features[rows]), examples.target[rows])

    course = Course(
        steps=args.steps,
        rate=lambda step: args.learning_rate * 0.5 * (1 + math.cos(math.pi * step / args.steps)),
        validate_every=INTERVAL,
        validate_first=True,
    )
    optimiser = torch.optim.AdamW(net.parameters(), lr=args.learning_rate, weight_decay=args.weight_decay)
    kept = run_course(
        net,
        optimiser,
        course,
        loss,
        lambda model, *_: {
            "train": _loss(model, examples),
            "valid": mean([_loss(model, found) for found in validation]),
        },
        run,
    )
    return net, kept


def _loss(net: nn.Module, examples: Examples) -> float:
    with torch.inference_mode():
        return round(float(pinball(net(examples.features), examples.target)), 6)


def train(args: Args, folder: Path) -> None:
    """Train and fill ``folder`` with weights, figures and card."""
    settings = {name: value for name, value in asdict(args).items() if name not in ("out", "ship")}
    with Run(folder, settings, args.steps) as run:
        net, kept = fit(args, run)
    save(net, folder, POLICY, asdict(QuantileConfig(args.hidden)))
    scores = score_all(StochasticMPC(str(folder)))
    video = args.video or default_video(load_traces(args.traces))
    training = Training.of(
        run,
        seed=args.seed,
        command=command_line("agents.abr.stochastic_mpc", args, hidden=("out", "ship")),
        data=f"Quantiles trained on `{args.traces}` with `{video}`: {args.sessions:,} sessions of rule-based policies, "
        f"random starts; and in {args.worlds:,} worlds (`agents.abr.training_worlds`), {SESSIONS} sessions in each. "
        f"Weights chosen by the quantile loss on `{args.valid}` and in worlds held out, sessions alike.",
        settings=settings,
        kept=kept,
        better="lower",
        scores={setting: {POLICY: found} for setting, found in scores.items()},
    )
    summary = (StochasticMPC.__doc__ or "").split("\n\n    Arguments:")[0]
    write(folder, record(POLICY, summary, [training]))
    for name, found in scores.items():
        print(printable(f"{name}: QoE {found.mean:.4f}"), flush=True)


STARTS = 8  # places where each validation trace is entered when planners are compared
TRACES = 8  # of each validation split
CHOSEN_BY = 20  # traces of each, that choose among seeds
TRIED: tuple[dict[str, Any], ...] = (
    *({"horizon_s": value} for value in (20.0, 28.0, 40.0, 48.0, 64.0)),
    *({"buffer_value": value} for value in (0.0, 0.1, 0.4)),
    *({"enough_s": value} for value in (12.0, 16.0, 30.0)),
    {"constant": True},
)
"""Planner settings that are compared; what is not named has its default."""


def compare_planners(folders: Sequence[Path], tried: Sequence[dict[str, Any]] = TRIED) -> str:
    """Markdown table of planner settings on validation splits and worlds, means over the weights of ``folders``."""
    lines = [
        "## Planner settings",
        "",
        f"Means over the seeds: QoE on {VALIDATION}, each trace entered at {STARTS} drawn places; and over the places "
        f"of `agents.abr.validation`, with {TRACES} traces of each split, the share of the way from robust-mpc to a "
        "clairvoyant, and that of the worst place. The settings were chosen on the validation splits of the suite "
        "`worlds` (`python -m benchmarks.compare --task abr --suite worlds --split valid`).",
        "",
        f"| horizon_s | buffer_value | enough_s | throughput of a scenario | {VALIDATION} | places | worst |",
        "|---|---|---|---|---|---|---|",
    ]
    for setting in tried:
        players = [StochasticMPC(str(folder), **setting) for folder in folders]
        episodes = STARTS * len(load_traces(VALIDATION))
        drawn = np.mean([score(player, VALIDATION, episodes=episodes, start="random") for player in players])
        shares = [valid_scores(player, TRACES) for player in players]
        one = players[0]
        within = "constant" if one.constant else "6 s, then another"
        values = f"{one.horizon_s:g} | {one.buffer_value:g} | {one.enough_s:g} | {within}"
        valid, worst = (mean([found[name] for found in shares]) for name in ("share", "worst"))
        lines.append(f"| {values} | {drawn:.4f} | {valid:.3f} | {worst:.3f} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def in_places(folder: Path, training: Training, policy: str) -> float:
    """What ``agents.abr.validation`` says of the weights of a folder."""
    return valid_scores(StochasticMPC(str(folder)), CHOSEN_BY)["valid"]


def main(args: Args) -> None:
    """Run the command line; bad input is a ``ValueError`` of one line."""
    args.check()
    if args.ship:
        out = args.out or SHIPPED
        command = f"python -m agents.abr.stochastic_mpc --ship {' '.join(map(str, args.ship))}"
        best = ship(args.ship, out, POLICY, compare_planners(args.ship), command, in_places)
        print(printable(f"{out} has the weights of {args.ship[best]}"))
        return
    torch.set_num_threads(1)  # sums in one order: the curve depends on the seed alone
    train(args, args.out or Path(f"runs/abr-stochastic-mpc-{args.seed}"))


if __name__ == "__main__":
    run(main, Args, "python -m agents.abr.stochastic_mpc")
