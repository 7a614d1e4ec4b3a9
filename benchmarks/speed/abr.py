"""Speed of bitrate adaptation: environment steps, policy decisions and the oracle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

import netenvs  # noqa: F401  (registers the environments)
from benchmarks.speed.measurement import Measurement
from benchmarks.speed.record import PolicySpeed, TaskSpeed

ENV_ID = "netenvs/ABR-v0"
BATCH = 256  # sessions that a batched policy decides for


def measurements(dataset: str, num_envs: Sequence[int]) -> list[Measurement]:
    """All that one run measures, the plain loop first. Raises ``ValueError`` for an impossible data set."""
    from agents.abr.oracle import best_plan, session_state
    from benchmarks.speed.decisions import batched_decisions, single_decisions
    from benchmarks.speed.yardsticks.abr import PlainLoop

    rng = np.random.default_rng(0)
    single: Any = gym.make(ENV_ID, traces=dataset)
    traces, video = single.unwrapped.traces, single.unwrapped.video
    if traces.rtt_ms is not None or traces.latency_ms is not None:
        raise ValueError(f"--dataset {dataset}: the plain loop has one round-trip time for all traces")
    loop = PlainLoop(traces, video)
    levels = rng.integers(video.num_levels, size=5_000)

    def loop_steps() -> tuple[int]:
        loop.run(2_000, rng)
        return (2_000,)

    def single_steps() -> tuple[int]:
        single.reset(seed=0)
        for level in levels:
            if single.step(level)[2]:
                single.reset()
        return (len(levels),)

    def vector_steps(count: int) -> Callable[[], tuple[int]]:
        env = gym.make_vec(ENV_ID, num_envs=count, traces=dataset)
        env.reset(seed=0)
        actions = rng.integers(video.num_levels, size=(64, count))

        def steps() -> tuple[int]:
            for row in actions:
                env.step(row)
            return (actions.size,)

        return steps

    def oracle_traces() -> tuple[int]:
        count = min(10, len(traces))
        for trace in range(count):
            single.reset(seed=0, options={"trace": trace})
            best_plan(session_state(single))
        return (count,)

    found = [
        Measurement("plain loop", ("steps",), loop_steps),
        Measurement("gym.make", ("steps",), single_steps),
        *(Measurement(f"make_vec x {count}", ("steps",), vector_steps(count)) for count in num_envs),
    ]
    for name in ("bba", "robust-mpc"):
        batched = f"{name} act_batch x {BATCH} with environment"
        env: Any = gym.make_vec(ENV_ID, num_envs=BATCH, traces=dataset)
        found.append(Measurement(batched, ("decisions",), batched_decisions(name, "abr", env)))
        found.append(Measurement(f"{name} act", ("decisions",), single_decisions(name, "abr", single, {"trace": 0})))
    return [*found, Measurement("oracle", ("trace",), oracle_traces, inverse=True)]


def trainings(num_envs: Sequence[int]) -> list[Measurement]:
    """PPO of ``udr`` and ``genet``, with environment, network and optimiser."""
    from agents.abr.ppo import Learner, Settings
    from netenvs.abr.workload import load_traces

    settings = Settings()
    learner = Learner(load_traces("synthetic"), None, "quality", settings, seed=0)
    steps = settings.rows * learner.chunks

    def ppo() -> tuple[int]:
        learner.iterate()
        return (steps,)

    batches = f"{settings.epochs} epochs, batches of {steps // settings.batches:,}"
    return [Measurement(f"udr, PPO: {settings.rows} sessions, {batches}", ("steps",), ppo)]


SPEED = TaskSpeed(
    measurements=measurements,
    num_envs=(64, 1024, 4096),
    yardsticks=("plain loop",),
    trainings=trainings,
    policy=PolicySpeed(
        dataset="fcc-test",
        needs="netllm-abr",
        heads=frozenset({"from_token", "from_level", "from_hidden", "scorer", "head"}),
        context=19 * 8,
        chunks=(8,),  # action, return, six of the state
    ),
)
