"""Speed of environments that do not say what is to be measured: steps with random actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.speed.measurement import Measurement
from benchmarks.speed.record import TaskSpeed
from netenvs.errors import reason
from netenvs.tasks import Task

STEPS = 64
"""Of a piece of work; so many actions, drawn before, are taken again and again."""


def default_speed(task: Task) -> TaskSpeed:
    """Steps/s of the environment alone, and of batches of it."""

    def measurements(dataset: str | None, num_envs: Sequence[int]) -> list[Measurement]:
        import gymnasium as gym

        options: dict[str, Any] = {} if dataset is None else {task.dataset_option: dataset}
        try:
            single = gym.make(task.default_id, **options)
            batches = {count: gym.make_vec(task.default_id, num_envs=count, **options) for count in num_envs}
        except Exception as error:
            raise ValueError(reason(error)) from error
        return [
            Measurement("gym.make", ("steps",), single_steps(single)),
            *(Measurement(f"make_vec x {count}", ("steps",), vector_steps(env)) for count, env in batches.items()),
        ]

    return TaskSpeed(measurements=measurements, dataset=None)


def single_steps(env: Any) -> Callable[[], tuple[int]]:
    """Episodes follow one another, with the resets between them."""
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(STEPS)]
    env.reset(seed=0)

    def steps() -> tuple[int]:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        return (STEPS,)

    return steps


def vector_steps(env: Any) -> Callable[[], tuple[int]]:
    """Rows go from one episode to the next."""
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(STEPS)]
    env.reset(seed=0)

    def steps() -> tuple[int]:
        for action in actions:
            env.step(action)
        return (STEPS * env.num_envs,)

    return steps
