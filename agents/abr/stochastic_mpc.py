"""Planning against learned throughput quantiles: the policy ``stochastic-mpc``, and the training of its quantiles.

    python -m agents.abr.stochastic_mpc --seed 0
    python -m agents.abr.stochastic_mpc --ship runs/abr-stochastic-mpc-0 runs/abr-stochastic-mpc-1

A training takes about twenty seconds; it can be stopped at any moment and goes on when started again.
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

from agents.abr.bandwidth_examples import Downloads, Examples, collect
from agents.abr.card import record, ship
from agents.abr.scenario_planner import Chunks, Objective, Scenarios, first_levels
from agents.abr.scores import VALIDATION, score, score_all
from agents.abr.throughput_quantiles import (
    WINDOWS_S,
    QuantileConfig,
    QuantileNet,
    features,
    pinball,
    reference,
)
from agents.policy import BatchPolicy, grow_rows
from agents.pretrained import CHECKPOINTS, load, one_thread, save
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
RTT_S = 0.08  # a session does not say its own: the environment's default
LEAST_FAR = 0.2  # least bandwidth after the first window, as a share of the mean over both
MOST_PLANS = 2_000_000  # 8 chunks of 6 levels, 5 of 12: longer ladders are planned over fewer chunks
VALIDATION_SEED = 1_000_000_007  # of the sessions whose loss chooses weights, for every seed of the training


class StochasticMPC(BatchPolicy):
    """The plan that is best on average over seven scenarios of throughput, from the quantiles that a network learned.

    A network of 8,000 weights reads the last 16 downloads and predicts the 5, 20, 35, 50, 65, 80 and 95 % quantiles of
    the mean bandwidth of the next 6 s and of the next 20 s. Each level is a scenario. All plans of ``horizon`` chunks
    are searched exactly (Yin et al., SIGCOMM 2015, section 4) for the one with the highest mean of the environment's
    objective over the scenarios plus a value of the buffer that is left. No policy is trained, so ladder, chunk
    duration and objective may be any. Like ``robust-mpc`` it is not told the session's round trip and buffer cap; it
    takes 80 ms, and the buffer at the last pause for the cap.

    Arguments:
        folder: trained weights; empty: those shipped.
        horizon: chunks of a plan; at most as many as make two million plans, 8 for six levels, 5 for twelve.
        buffer_value: worth of a second of buffer left, as a share of the range of the utility.
        enough_s: more buffer than this is worth nothing.
        constant: whether a scenario is the mean of the next 20 s throughout, not one of 6 s and what then remains.
    """

    def __init__(
        self,
        folder: str = "",
        horizon: int = 7,
        buffer_value: float = 0.4,
        enough_s: float = 20.0,
        constant: bool = False,
    ):
        if horizon < 1:
            raise ValueError(f"horizon must be 1 chunk or more, not {horizon}")
        for name, value in (("buffer_value", buffer_value), ("enough_s", enough_s)):
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be a number from 0 up, not {value}")
        self.horizon, self.constant = horizon, constant
        self.buffer_value, self.enough_s = float(buffer_value), float(enough_s)
        self.model, self.bytes = load(QuantileNet, Path(folder) if folder else SHIPPED, POLICY)
        self.model.double()  # sums in single precision depend on the size of the batch
        self.parameters = sum(value.numel() for value in self.model.state_dict().values())
        self._downloads = Downloads()
        self._cap_s = np.zeros(0)

    @classmethod
    def from_pretrained(cls, folder: str | Path, **options: Any) -> Self:
        """The policy with the weights of a folder."""
        return cls(str(folder), **options)

    def reset_rows(self, rows: np.ndarray, seeds: Sequence[int | None]) -> None:
        self._downloads.clear(rows)
        self._cap_s = grow_rows(self._cap_s, rows)
        self._cap_s[rows] = np.inf

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
        video, qoe = infos["video"], infos["qoe"]
        utility, switch_cost = qoe.tables
        near, far = self.scenarios(*self._downloads.push(infos["row"], infos))
        buffer_s = np.asarray(infos["buffer_s"], dtype=np.float64)
        paused = np.asarray(infos["sleep_ms"]) > 0
        self._cap_s[infos["row"][paused]] = buffer_s[paused]
        byte_rate = 1e6 / 8 * PAYLOAD_PORTION
        return first_levels(
            np.asarray(infos["chunk"], dtype=np.int64),
            min(self.horizon, max(1, int(math.log(MOST_PLANS) / math.log(video.num_levels)))),
            buffer_s,
            self._cap_s[infos["row"]],
            np.searchsorted(video.bitrates_kbps, infos["bitrate_kbps"]),
            Chunks(video.chunk_sizes, video.num_chunks, video.chunk_duration_s),
            Scenarios(
                WINDOWS_S[0], np.ascontiguousarray(near * byte_rate), np.ascontiguousarray(far * byte_rate), RTT_S
            ),
            Objective(
                utility,
                switch_cost,
                qoe.rebuffer_penalty,
                self.buffer_value * float(qoe.utility.max() - qoe.utility.min()),
                self.enough_s,
            ),
        )


@dataclass(frozen=True)
class Args:
    """This trains the quantiles of stochastic-mpc, or fills the shipped folder with the best of several trainings."""

    seed: int = 0
    """The seed determines the sessions watched, initial weights and batches."""
    traces: str = "fcc-train-clean"
    """The network learns from these traces."""
    valid: str = "fcc-valid-clean"
    """The loss on these traces chooses the weights."""
    video: str | None = None
    """This video is streamed meanwhile; the default is video1 with installed traces, else the synthetic one."""
    sessions: int = 2720
    """So many sessions are watched, of 47 decisions each for a video of 48 chunks; a fourth as many for validation."""
    steps: int = 2500
    """The optimiser takes so many steps."""
    batch_size: int = 1024
    """A step sees so many decisions."""
    learning_rate: float = 1e-3
    """The first step has this rate; it falls to 0 along a cosine."""
    weight_decay: float = 0.1
    """AdamW has this weight decay."""
    hidden: int = 64
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
        for name in ("seed", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name.replace('_', '-')} must be 0 or more, not {getattr(self, name)}")


INTERVAL = 250  # steps between validations, after each of which the training can be continued


def fit(args: Args, run: Run) -> tuple[QuantileNet, int]:
    """Train, or go on with a training; the network with the lowest validation loss, and the step it is of."""
    examples = collect(args.traces, args.video, args.sessions, args.seed)
    validation = collect(args.valid, args.video, max(args.sessions // 4, 5), VALIDATION_SEED)
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
        lambda model, *_: {"train": _loss(model, examples), "valid": _loss(model, validation)},
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
        f"random starts; weights chosen by the quantile loss on `{args.valid}`, sessions alike.",
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
TRIED: tuple[dict[str, Any], ...] = (
    *({"horizon": horizon} for horizon in (4, 5, 6, 7, 8)),
    *({"buffer_value": value} for value in (0.0, 0.0125, 0.05, 0.1, 0.2, 0.8)),
    *({"enough_s": value} for value in (12.0, 28.0)),
    {"constant": True},
    {"horizon": 6, "buffer_value": 0.0125},
    {"horizon": 6, "buffer_value": 0.0125, "constant": True},
)
"""Planner settings that are compared on fcc-valid-clean; what is not named has its default."""


def compare_planners(folders: Sequence[Path], tried: Sequence[dict[str, Any]] = TRIED) -> str:
    """Markdown table of planner settings on fcc-valid-clean, mean QoE over the weights of ``folders``."""
    lines = [
        "## Planner settings",
        "",
        f"Chosen on {VALIDATION} only: mean QoE over the seeds, each trace entered at {STARTS} drawn places (this "
        "figure decided), and at its stored one.",
        "",
        f"| horizon | buffer_value | enough_s | throughput of a scenario | {STARTS} drawn | stored |",
        "|---|---|---|---|---|---|",
    ]
    for setting in tried:
        players = [StochasticMPC(str(folder), **setting) for folder in folders]
        episodes = STARTS * len(load_traces(VALIDATION))
        drawn = np.mean([score(player, VALIDATION, episodes=episodes, start="random") for player in players])
        stored = np.mean([score(player, VALIDATION) for player in players])
        one = players[0]
        within = "constant" if one.constant else "6 s, then another"
        values = f"{one.horizon} | {one.buffer_value:g} | {one.enough_s:g} | {within}"
        lines.append(f"| {values} | {drawn:.4f} | {stored:.4f} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def main(args: Args) -> None:
    """Run the command line; bad input is a ``ValueError`` of one line."""
    args.check()
    if args.ship:
        out = args.out or SHIPPED
        command = f"python -m agents.abr.stochastic_mpc --ship {' '.join(map(str, args.ship))}"
        best = ship(args.ship, out, POLICY, compare_planners(args.ship), command)
        print(printable(f"{out} has the weights of {args.ship[best]}"))
        return
    torch.set_num_threads(1)  # sums in one order: the curve depends on the seed alone
    train(args, args.out or Path(f"runs/abr-stochastic-mpc-{args.seed}"))


if __name__ == "__main__":
    run(main, Args, "python -m agents.abr.stochastic_mpc")
