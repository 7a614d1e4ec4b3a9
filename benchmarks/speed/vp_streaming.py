"""Speed of tiled streaming: environment steps, and decisions of ``static-rate``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

import netenvs  # noqa: F401  (registers the environments)
from benchmarks.speed.measurement import Measurement
from benchmarks.speed.record import TaskSpeed

ENV_ID = "netenvs/VPStreaming-v0"
POLICY = "static-rate"
BATCH = 64  # sessions that a batched policy decides for


def measurements(dataset: str, num_envs: Sequence[int]) -> list[Measurement]:
    """All that one run measures, the plain loop first. Raises ``ValueError`` for an impossible data set."""
    from benchmarks.speed.decisions import batched_decisions, single_decisions
    from benchmarks.speed.yardsticks.vp_streaming import PlainTiles

    rng = np.random.default_rng(0)
    single: Any = gym.make(ENV_ID, dataset=dataset)
    loop = PlainTiles(single.unwrapped.recordings, single.unwrapped.traces)

    def loop_steps() -> tuple[int]:
        loop.run(200, rng)
        return (200,)

    batch: Any = gym.make_vec(ENV_ID, num_envs=BATCH, dataset=dataset)
    batched = batched_decisions(POLICY, "vp-streaming", batch)
    alone = single_decisions(POLICY, "vp-streaming", single, {"recording": 0, "trace": 0})
    return [
        Measurement("plain loop", ("steps",), loop_steps),
        Measurement("gym.make", ("steps",), single_steps(single, rng)),
        *(Measurement(f"make_vec x {rows}", ("steps",), vector_steps(dataset, rows, rng)) for rows in num_envs),
        Measurement(f"{POLICY} act_batch x {BATCH} with environment", ("decisions",), batched),
        Measurement(f"{POLICY} act", ("decisions",), alone),
    ]


def single_steps(env: Any, rng: np.random.Generator) -> Callable[[], tuple[int]]:
    """Random levels, one session after another."""
    actions = rng.integers(env.action_space.nvec, size=(500, len(env.action_space.nvec)))

    def steps() -> tuple[int]:
        env.reset(seed=0)
        for levels in actions:
            if env.step(levels)[2]:
                env.reset()
        return (len(actions),)

    return steps


def vector_steps(dataset: str, rows: int, rng: np.random.Generator) -> Callable[[], tuple[int]]:
    """The same in many sessions at once, which go from one episode to the next."""
    env: Any = gym.make_vec(ENV_ID, num_envs=rows, dataset=dataset)
    env.reset(seed=0)
    actions = rng.integers(env.single_action_space.nvec, size=(16, rows, len(env.single_action_space.nvec)))

    def steps() -> tuple[int]:
        for levels in actions:
            env.step(levels)
        return (16 * rows,)

    return steps


SPEED = TaskSpeed(measurements=measurements, num_envs=(64, 1024), yardsticks=("plain loop",))
