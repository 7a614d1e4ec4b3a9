"""A comparison by rewards, for tasks that do not say how they are compared."""

from __future__ import annotations

import inspect

import gymnasium as gym
from gymnasium.envs.registration import load_env_creator

from benchmarks.tasks.setup import Metric, Setup, TaskComparison
from netenvs.tasks import Task


def default_comparison(task: Task) -> TaskComparison:
    """By the sum of the rewards of an episode, the higher the better."""

    def setup(env: gym.Env) -> Setup:
        env.reset(seed=0)  # raises what the options have against each other, before anything is played
        return Setup(
            dataset=_dataset(task, env),
            metric=Metric("reward_per_episode", "reward", "higher", "reward per episode"),
            terms=(),
            score=lambda episode: episode.total_reward,
            term_values=lambda episode: {},
        )

    return TaskComparison(setup=setup)


def _dataset(task: Task, env: gym.Env) -> str:
    """The value of the task's dataset option that the environment was made with."""
    given = {} if env.spec is None else env.spec.kwargs
    parameter = inspect.signature(load_env_creator(task.entry_point)).parameters.get(task.dataset_option)
    value = given.get(task.dataset_option, None if parameter is None else parameter.default)
    return "default" if value is None else str(value)
