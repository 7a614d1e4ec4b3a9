"""Speed of job scheduling under ``fair``: both engines, and the environment with decisions in Python or in the kernel.

Decisions of the environment come with full Dict observations and infos. Episodes follow from the seeds in turn.
"""

from __future__ import annotations

import itertools
import math
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

import netenvs  # noqa: F401  (registers the environments)
from benchmarks.speed.measurement import Measurement
from benchmarks.speed.record import Option, PolicySpeed, TaskSpeed

if TYPE_CHECKING:
    from benchmarks.speed.yardsticks.cjs import PlainCluster
    from netenvs.cjs.entities import Job, Stage
    from netenvs.cjs.fast import FastClusters
    from netenvs.cjs.reference import ReferenceSimulator

ENV_ID = "netenvs/CJS-v0"
SEEDS = 4


def measurements(dataset: str, num_envs: Sequence[int], num_executors: int, num_jobs: int) -> list[Measurement]:
    """All that one run measures, the plain loop first. Raises ``ValueError`` for an impossible workload."""
    from benchmarks.speed.yardsticks.cjs import PlainCluster
    from netenvs.cjs.fast import FastClusters
    from netenvs.cjs.reference import ReferenceSimulator
    from netenvs.cjs.workload import load_workload

    jobs = load_workload(dataset)
    size: dict[str, Any] = {"num_executors": num_executors, "num_jobs": num_jobs}
    env_options: dict[str, Any] = {"workload": dataset, **size}
    both, decisions = ("tasks", "decisions"), ("decisions",)
    found = [
        Measurement("plain loop", both, plain_episodes(PlainCluster(jobs, **size))),
        Measurement("simpy engine", both, simpy_episodes(ReferenceSimulator(jobs, **size, record=False))),
        Measurement("fast engine", both, fast_episodes(FastClusters(jobs, **size))),
        Measurement("gym.make, Scheduler in Python", decisions, single_episodes(gym.make(ENV_ID, **env_options))),
    ]
    for count in sorted({1, *num_envs}):
        env = gym.make_vec(ENV_ID, num_envs=count, **env_options)
        found.append(Measurement(f"make_vec x {count}, act_batch", decisions, batched_decisions(env)))
    return found


def plain_episodes(cluster: PlainCluster) -> Callable[[], tuple[int, int]]:
    seeds = itertools.cycle(range(SEEDS))
    return lambda: cluster.play(next(seeds))


def simpy_episodes(simulator: ReferenceSimulator) -> Callable[[], tuple[int, int]]:
    """The scheduler decides on the simulator's own objects, which is the fastest way in Python."""
    seeds = itertools.cycle(range(SEEDS))

    def episode() -> tuple[int, int]:
        simulator.reset(next(seeds))
        decisions = 0
        while not simulator.terminated:
            stage, executors = fair(simulator)
            if stage is None:
                simulator.decline()
            else:
                simulator.commit(stage, executors)
            decisions += 1
        return sum(stage.num_tasks for job in simulator.jobs for stage in job.stages), decisions

    return episode


def fair(simulator: ReferenceSimulator) -> tuple[Stage | None, int]:
    """The job whose executors are on offer first, then jobs in order of arrival, each up to its share."""
    schedulable: dict[Job, list[Stage]] = {}
    for stage in simulator.schedulable():
        schedulable.setdefault(stage.job, []).append(stage)

    def first_of(job: Job) -> Stage:
        return next((stage for stage in schedulable[job] if stage.frontier), schedulable[job][0])

    own = None if simulator.source is None else simulator.source.job
    if own in schedulable:
        return first_of(own), simulator.committable
    share = math.ceil(simulator.num_executors / len(simulator.active_jobs))
    for job in schedulable:
        if job.supply < share:
            return first_of(job), min(simulator.committable, share - job.supply)
    return None, 0


def fast_episodes(clusters: FastClusters) -> Callable[[], tuple[int, int]]:
    """Simulated and decided in the kernel, without observations."""
    from netenvs.cjs.rules import FAIR

    seeds = itertools.cycle(range(SEEDS))

    def episode() -> tuple[int, int]:
        clusters.seed(0, next(seeds))
        clusters.reset()
        decisions = clusters.play(FAIR)
        return int(clusters.batch.state["num_tasks"][0]), decisions

    return episode


def single_episodes(env: gym.Env) -> Callable[[], tuple[int]]:
    from agents.policy import load_policy

    seeds, policy = itertools.cycle(range(SEEDS)), load_policy("fair", "cjs")

    def episode() -> tuple[int]:
        observation, info = env.reset(seed=next(seeds))
        decisions, over = 0, False
        while not over:
            observation, _, terminated, truncated, info = env.step(policy.act(observation, info))
            over = terminated or truncated
            decisions += 1
        return (decisions,)

    return episode


def batched_decisions(env: gym.vector.VectorEnv) -> Callable[[], tuple[int]]:
    """The kernel decides, for all clusters at once; clusters go from one episode to the next."""
    from agents.policy import load_policy

    policy: Any = load_policy("fair", "cjs")
    shared, rows = env.unwrapped.shared_info, np.arange(env.num_envs)  # type: ignore[attr-defined]
    observations, infos = env.reset(seed=0)
    over = np.zeros(env.num_envs, dtype=bool)

    def decisions() -> tuple[int]:
        """16 steps; clusters that are over take none of them for a decision, but begin an episode."""
        nonlocal observations, infos, over
        count = 0
        for _ in range(16):
            actions = policy.act_batch(observations, {**infos, **shared, "row": rows})
            count += env.num_envs - int(over.sum())
            observations, _, terminated, truncated, infos = env.step(actions)
            over = terminated | truncated
        return (count,)

    return decisions


def trainings(num_envs: Sequence[int]) -> list[Measurement]:
    """Rollouts of ``decima``; ``num_envs`` are numbers of clusters."""
    return [
        Measurement(f"decima, rollout: {clusters} clusters of N=10, J=20", ("decisions",), rollout(clusters))
        for clusters in num_envs
    ]


def rollout(clusters: int) -> Callable[[], tuple[int]]:
    """Plays whole episodes with a network of random weights, other jobs each time."""
    import torch

    from agents.cjs.clusters import Setting, start
    from agents.cjs.decima.network import DecimaNet
    from agents.cjs.decima.rollout import play

    size = Setting(num_executors=10, num_jobs=20)
    torch.manual_seed(0)
    network = DecimaNet()
    generator = torch.Generator().manual_seed(0)
    seeds = iter(range(0, 2**62, clusters))

    def decisions() -> tuple[int]:
        first = next(seeds)
        engine = start(size, "synthetic", range(first, first + clusters))
        return (len(play(network, [engine], [size.num_executors], generator).episode),)

    return decisions


def _as_of_now(shared: dict[str, Any]) -> dict[str, Any]:
    """The engine goes on, what it said now stays."""
    return {**shared, "clusters": types.SimpleNamespace(outcomes=shared["clusters"].outcomes.copy())}


SPEED = TaskSpeed(
    measurements=measurements,
    options={"num_executors": Option(50, "executors"), "num_jobs": Option(200, "jobs of an episode")},
    yardsticks=("plain loop", "simpy engine"),
    published=(
        "For comparison, not measured here: published simulators under fair on one core of another machine simulate",
        "41,000 to 57,000 tasks/s and take 760 to 1,250 decisions/s (NetLLM, decima-sim; 50 executors, 50 jobs).",
    ),
    trainings=trainings,
    published_trainings=(
        "For comparison, not measured here: the published Decima (spark-sched-sim, PyTorch) makes 90 to 160",
        "decisions/s on another machine (10 and 50 executors, 20 jobs).",
    ),
    policy=PolicySpeed(
        dataset="tpch",
        needs="netllm-tpch",
        heads=frozenset({"stage_head", "executor_head", "decline"}),
        context=19 * 13,
        as_of_now=_as_of_now,
        chunks=(12, 1),  # action, return, ten stages; the chosen one, before its executors are
    ),
)
