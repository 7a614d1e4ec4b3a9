"""Decima on a scheduler's view of one cluster, with the weights released for it.

``DecimaReleased`` is the released policy; ``DecimaScheduler`` decides with weights of one's own::

    from agents.cjs.decima_released import DecimaNet, DecimaScheduler

    policy = DecimaScheduler(DecimaNet(weights), mode="sampled")
"""

from __future__ import annotations

import copy
import random

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from agents.cjs.decima.decisions import of_view, stage_heights
from agents.cjs.decima.graph import collate
from agents.cjs.decima.network import TIE, DecimaNet
from agents.cjs.scheduler import Decision, Scheduler
from agents.pretrained import one_thread
from netenvs import datasets
from netenvs.arrays import named_arrays
from netenvs.cjs.cluster_view import ClusterView
from netenvs.cjs.jobs import JobSet
from netenvs.datasets.decima_weights import PACKED
from netenvs.spec import unknown_name

DATASET = "decima-weights"
MODES = ("greedy", "sampled")
"""Those of ``network.MODES`` in which a ``DecimaScheduler`` decides."""


class DecimaScheduler(Scheduler):
    """Decides with a ``DecimaNet``: first the stage, then how many executors it gets.

    It calculates in double precision. The weights are single precision, but single precision sums depend on the
    machine's order of additions by up to 1e-6, enough to change a sampled decision now and then.

    Arguments:
        net: the network.
        mode: ``"greedy"`` takes the best stage and number, ``"sampled"`` draws both from the network's softmax, with
            one random number each. With ``rng="netllm"`` they come from the environment's ``shared_random``, as in
            the published experiments, else from a stream of the policy's own that ``reset`` seeds.
    """

    def __init__(self, net: DecimaNet, mode: str = "greedy"):
        if mode not in MODES:
            raise ValueError(unknown_name("mode", str(mode), MODES))
        self.net = copy.deepcopy(net).double().requires_grad_(False)
        self.mode = mode
        self.parameters = sum(parameter.numel() for parameter in net.parameters())
        self.bytes = 4 * self.parameters
        self._own_stream = random.Random()
        self._shared_stream: random.Random | None = None
        self._heights: tuple[JobSet | None, np.ndarray] = (None, np.zeros(0, dtype=np.int64))

    def bind(self, env: gym.Env) -> None:
        """Share the environment's stream of random numbers, if it has one."""
        self._shared_stream = getattr(env.unwrapped, "shared_random", None)

    def reset(self, seed: int | None = None) -> None:
        if seed is not None:
            self._own_stream = random.Random(seed)

    def decide(self, view: ClusterView) -> Decision:
        if self._heights[0] is not view.job_set:
            self._heights = view.job_set, stage_heights(view.job_set)
        with torch.inference_mode(), one_thread():
            graph = collate(of_view(view, self._heights[1]))
            embedding = self.net.embed(graph)
            choice = self._choose(self.net.stage_scores(graph, embedding)[0])
            executors = 1 + self._choose(self.net.executor_scores(graph, embedding, torch.tensor([choice]))[0])
        return Decision(view.schedulable[choice], executors)

    def _choose(self, logits: Tensor) -> int:
        if self.mode == "greedy":
            return int(torch.nonzero(logits >= logits.max() - TIE)[0])
        stream = self._own_stream if self._shared_stream is None else self._shared_stream
        return stream.choices(range(len(logits)), logits.softmax(dim=0).tolist())[0]


class DecimaReleased(DecimaScheduler):
    """The released Decima: ``mode`` ``"greedy"`` or ``"sampled"`` (as its results were published).

    Mao et al., "Learning Scheduling Algorithms for Data Processing Clusters", SIGCOMM 2019. Weights: data set
    ``decima-weights``, trained with PPO on 50 executors and TPC-H jobs in spark-sched-sim
    (github.com/ArchieGertsman/spark-sched-sim, ``models/decima/model.pt``), the same file in NetLLM (Wu et al.,
    SIGCOMM 2024; github.com/duowuyms/NetLLM), whose decisions it reproduces.
    """

    def __init__(self, mode: str = "greedy"):
        super().__init__(released_network(), mode)


def released_network() -> DecimaNet:
    """With the released weights, in double precision; ``DatasetError``, one line, where they cannot be read."""
    with datasets.reading(DATASET) as folder, named_arrays(folder / PACKED) as weights:
        return DecimaNet(weights)
