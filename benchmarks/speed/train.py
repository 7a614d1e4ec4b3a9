"""Speed of trainings: environment, network and optimiser together, on one thread and generated data."""

from __future__ import annotations

from collections.abc import Callable

import torch

from agents.abr.ppo import Learner, Settings
from agents.cjs.decima_network import DecimaNetwork
from agents.cjs.decima_rollout import Setting, play, start
from benchmarks.speed.measurement import Measurement
from netenvs.abr.workload import load_traces

YARDSTICKS = ()
SMALL = Setting(num_executors=10, num_jobs=20)
PUBLISHED = (
    "For comparison, not measured here: the published Decima (spark-sched-sim, PyTorch) makes 90 to 160 decisions/s on",
    "another machine (10 and 50 executors, 20 jobs).",
)


def measurements(num_envs: list[int]) -> list[Measurement]:
    """All that one run measures; ``num_envs`` are numbers of clusters."""
    torch.set_num_threads(1)
    settings = Settings()
    learner = Learner(load_traces("synthetic"), None, "quality", settings, seed=0)
    batch = settings.rows * learner.chunks // settings.batches
    per_iteration = settings.rows * learner.chunks

    def ppo() -> tuple[int]:
        learner.iterate()
        return (per_iteration,)

    name = f"pensieve, PPO: {settings.rows} sessions, {settings.epochs} epochs, batches of {batch:,}"
    rollouts = [
        Measurement(f"decima, rollout: {clusters} clusters of N=10, J=20", ("decisions",), rollout(clusters))
        for clusters in num_envs
    ]
    return [Measurement(name, ("steps",), ppo), *rollouts]


def rollout(clusters: int) -> Callable[[], tuple[int]]:
    """Plays whole episodes with a network of random weights, other jobs each time."""
    torch.manual_seed(0)
    network = DecimaNetwork()
    generator = torch.Generator().manual_seed(0)
    seeds = iter(range(0, 2**62, clusters))

    def decisions() -> tuple[int]:
        first = next(seeds)
        engine = start(SMALL, "synthetic", range(first, first + clusters))
        return (len(play(network, [engine], [SMALL.num_executors], generator).episode),)

    return decisions
