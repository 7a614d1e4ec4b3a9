"""``decima``: the graph neural network that schedules the stages of Spark jobs, trained here.

``python -m agents.cjs.decima --seed 0`` trains it; ``agents/checkpoints/cjs-decima/README.md`` has commands and scores.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from agents import pretrained
from agents.cjs.decima.decisions import can_choose, pack
from agents.cjs.decima.graph import collate
from agents.cjs.decima.network import MODES, TIE, DecimaNet, median
from agents.policy import BatchPolicy, PolicyError
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
        network, self.bytes = pretrained.load(DecimaNet, Path(folder) if folder else SHIPPED, NAME)
        self._use(network, mode)

    @classmethod
    def from_pretrained(cls, folder: str | Path, mode: str = "") -> Self:
        """The policy with the weights of a folder."""
        return cls(mode, str(folder))

    @classmethod
    def of(cls, network: DecimaNet, mode: str = "") -> Self:
        """The policy with a network that is in no folder."""
        policy = cls.__new__(cls)
        policy._use(copy.deepcopy(network), mode)
        return policy

    def _use(self, network: DecimaNet, mode: str) -> None:
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
        graph = collate(pack(observations, rows, num_executors)).double()
        streams = [self._streams.setdefault(row, random.Random()) for row in infos["row"][rows].tolist()]
        with torch.inference_mode(), pretrained.one_thread():
            embedding = self.network.embed(graph)
            stages = self._choose(self.network.stage_scores(graph, embedding), streams)
            scores = self.network.executor_scores(graph, embedding, stages)
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
