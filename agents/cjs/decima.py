"""``decima``: the graph neural network that schedules the stages of Spark jobs, trained here.

``python -m agents.cjs.decima --seed 0`` trains it; ``agents/checkpoints/cjs-decima/README.md`` has commands and scores.
"""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from agents import pretrained
from agents.cjs.decima_graph import can_choose, collate, pack
from agents.cjs.decima_network import MODES, DecimaNetwork, median
from agents.cjs.decima_plan import Plan
from agents.cjs.decima_released import TIE
from agents.cjs.decima_rollout import Setting
from agents.command_line import parse
from agents.policy import BatchPolicy, PolicyError
from agents.training import command_line
from netenvs.spec import unknown_name

NAME = "decima"
SHIPPED = pretrained.CHECKPOINTS / "cjs-decima"


class Decima(BatchPolicy):
    """Decima, trained here: first the stage, then how many executors it gets, by a graph neural network.

    Mao et al., "Learning Scheduling Algorithms for Data Processing Clusters", SIGCOMM 2019, with the network of
    spark-sched-sim, for clusters of any size. It calculates in double precision, so that decisions do not depend on
    the size of the batch.

    Arguments:
        mode: ``"greedy"`` takes the best stage and number of executors, ``"median"`` the best stage and the median of
            the numbers, ``"sampled"`` draws both from the network's softmax, with a stream of random numbers for each
            episode. The default is what was best in validation.
        folder: weights, by default those that come with the project. ``ValueError``, one line, for others that cannot
            be used.
    """

    observation_options = {"observation": "padded"}  # noqa: RUF012

    def __init__(self, mode: str = "", folder: str = ""):
        if mode and mode not in MODES:
            raise ValueError(unknown_name("mode", str(mode), MODES))
        network, self.bytes = pretrained.load(DecimaNetwork, Path(folder) if folder else SHIPPED, NAME)
        self._use(network, mode)

    @classmethod
    def from_pretrained(cls, folder: str | Path, mode: str = "") -> Self:
        """The policy with the weights of a folder."""
        return cls(mode, str(folder))

    @classmethod
    def of(cls, network: DecimaNetwork, mode: str = "") -> Self:
        """The policy with a network that is in no folder."""
        policy = cls.__new__(cls)
        policy._use(copy.deepcopy(network), mode)
        return policy

    def _use(self, network: DecimaNetwork, mode: str) -> None:
        self.network = network.double().requires_grad_(False)
        self.mode = mode or network.mode
        self.parameters = sum(parameter.numel() for parameter in network.parameters())
        self._streams: dict[int, random.Random] = {}

    def reset_rows(self, rows: np.ndarray, seeds: Sequence[int | None]) -> None:
        for row, seed in zip(rows.tolist(), seeds, strict=True):
            if seed is not None or row not in self._streams:
                self._streams[row] = random.Random(seed)

    def act_batch(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        """int64 (k, 2); declines where no stage may be chosen."""
        if not (isinstance(observations, dict) and "stages" in observations):
            raise PolicyError("decima plays netenvs/CJS-v0 (task cjs) with padded observations")
        num_executors = observations["action_mask"].shape[1] - 1 - observations["stages"].shape[1]
        actions = np.zeros((len(observations["stages"]), 2), np.int64)
        rows = np.flatnonzero(can_choose(observations))
        if not len(rows):
            return actions
        graph = collate(pack(observations, rows, num_executors))
        graph = graph._replace(nodes=graph.nodes.double(), jobs=graph.jobs.double())
        streams = [self._streams.setdefault(row, random.Random()) for row in infos["row"][rows].tolist()]
        with torch.inference_mode(), pretrained.one_thread():
            embeddings = self.network.encoder(graph)
            stages = self._choose(self.network.stage_scores(graph, embeddings), streams)
            scores = self.network.executor_scores(graph, embeddings, stages)
            executors = median(scores.log_softmax(dim=1)) if self.mode == "median" else self._choose(scores, streams)
        actions[rows, 0] = graph.choice_row[graph.choice_offset[:-1] + stages].numpy()
        actions[rows, 1] = executors.numpy()
        return actions

    def _choose(self, scores: Tensor, streams: Sequence[random.Random]) -> Tensor:
        """int64 (k,): a column of each row of the logits, drawn or the best one."""
        if self.mode != "sampled":
            return (scores >= scores.max(dim=1, keepdim=True).values - TIE).int().argmax(dim=1)
        share = scores.softmax(dim=1).cumsum(dim=1)
        points = torch.tensor([stream.random() for stream in streams], dtype=share.dtype)
        last = (scores > -torch.inf).sum(dim=1) - 1
        return torch.minimum((share <= points[:, None]).sum(dim=1), last)


@dataclass(frozen=True)
class Args:
    """Train Decima by PPO with a baseline for each sequence of jobs, or write the folder of a finished training."""

    seed: int = 0
    """Determines the jobs, the decisions drawn and, from scratch, the initial weights."""
    workload: str = "tpch"
    """Job templates, see docs/cjs_workloads.md."""
    initial: str = "scratch"
    """Weights to begin with: scratch or released (data set decima-weights)."""
    imitate: int = 40
    """Iterations that imitate capped-srpt before PPO begins; the paper has none."""
    sharpen: float = 2.0
    """After the imitation logits are multiplied by this: it leaves a policy more random than is good for it."""
    iterations: int = 80
    """Iterations in all, each one rollout and what is learned from it."""
    executors: tuple[int, ...] = (10, 50)
    """Sizes of the clusters that are trained on side by side."""
    jobs: tuple[int, ...] = (20, 30)
    """Jobs of the longest episodes, one number for each size."""
    first_jobs: float = 0.8
    """Curriculum: part of these jobs in the first episodes of PPO; it grows to all of them until half of it is done."""
    sequences: int = 4
    """Sequences of jobs for each size in an iteration."""
    rollouts: int = 4
    """Episodes of each sequence, whose mean return is the baseline."""
    beta: float = 1e-3
    """Discount rate, 1/s."""
    by_state: bool = True
    """Baselines know the backlog besides the time; the paper's know the time only."""
    ahead: float = 50.0
    """Seconds in which what follows a decision fades but for what the baseline says; 0 = never, as in the paper."""
    learning_rate: float = 1e-4
    """Adam's, falls linearly to a tenth."""
    imitation_rate: float = 1e-3
    """The same while imitating."""
    entropy: float = 0.0
    """Weight of the entropy, falls linearly to 0."""
    epochs: int = 2
    """Passes over a rollout, fewer once the policy has moved by 1.5 times target-kl."""
    minibatch: int = 1024
    """Decisions a step, a quarter of them while imitating."""
    clip: float = 0.2
    """PPO's bound of the probability ratio."""
    target_kl: float = 0.02
    """Divergence from the policy that played."""
    validation: int = 20
    """Validation episodes for each size and mode."""
    validate_every: int = 10
    """Iterations between validations; the best weights are kept."""
    test: int = 40
    """Episodes for each size in the figures of the model card, half as many of those with 200 jobs; 0 = no figures."""
    out: Path | None = None
    """Folder for checkpoint, curve and weights; runs/cjs-decima-SEED, or the shipped one when choosing."""
    choose: tuple[Path, ...] = ()
    """Folders of trainings: instead of training, write the one that did best in validation, with the card of all."""


def main(args: Args) -> None:
    """Run the command line; bad input is a ``ValueError`` of one line."""
    from agents.cjs import decima_training  # imports torch-geometric

    if args.test < 0:
        raise ValueError(f"test must be 0 or more, not {args.test}")
    if args.choose:
        decima_training.choose(args.choose, args.out or SHIPPED, args.test)
        return
    if len(args.executors) != len(args.jobs):
        raise ValueError(f"jobs must be one number for each of {len(args.executors)} executors, not {len(args.jobs)}")
    settings = tuple(Setting(*setting) for setting in zip(args.executors, args.jobs, strict=True))
    common = {field.name: getattr(args, field.name) for field in fields(Plan) if field.name != "settings"}
    command = command_line("agents.cjs.decima", args, hidden=("out", "choose"))
    folder = args.out or Path(f"runs/cjs-decima-{args.seed}")
    decima_training.run_training(Plan(settings=settings, **common), folder, command, args.test)


if __name__ == "__main__":
    try:
        main(parse(Args, "python -m agents.cjs.decima"))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
