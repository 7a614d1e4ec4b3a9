"""Options and calls of ``netenvs/CJS-v0`` that make no sense are one line."""

import gymnasium as gym
import numpy as np
import pytest
from cjs_episodes import SMALL, first_stage, play

import netenvs  # noqa: F401


@pytest.mark.filterwarnings("ignore:.*render_mode=:UserWarning")  # Gymnasium's own, of the same mistake
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workload": "tpch2"}, "tpch"),
        ({"num_executors": 0}, "num_executors must be a whole number from 1 up, not 0"),
        ({"num_executors": 2.5}, "num_executors"),
        ({"num_jobs": -1}, "num_jobs"),
        ({"num_jobs": None}, "time_limit_ms"),
        ({"mean_interarrival_ms": 0}, "mean_interarrival_ms must be a number above 0"),
        ({"mean_interarrival_ms": float("nan")}, "mean_interarrival_ms"),
        ({"moving_delay_ms": -1}, "moving_delay_ms must be a number from 0 up"),
        ({"warmup_delay_ms": "1"}, "warmup_delay_ms"),
        ({"beta": float("inf")}, "beta"),
        ({"time_limit_ms": 0}, "time_limit_ms"),
        ({"rng": "netlm"}, "netllm"),
        ({"engine": "numba"}, "fast"),
        ({"engine": "fast", "rng": "netllm"}, "engine='fast' cannot follow rng='netllm'"),
        ({"observation": "dict"}, "padded"),
        ({"max_jobs": 0}, "max_jobs"),
        ({"max_stages": 3}, "max_stages=3 has no room for a job of synthetic"),
        ({"work_conserving": 1}, "work_conserving must be True or False"),
        ({"work_conserving": True, "moving_delay_ms": 0}, "moving_delay_ms above 0"),
        ({"render_mode": "svg"}, "render_mode"),
        ({"rng": "netllm"}, "'tpch'"),
    ],
    ids=str,
)
def test_wrong_options_are_one_line(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        gym.make("netenvs/CJS-v0", **options).reset(seed=0)
    assert "\n" not in str(caught.value)


def test_whole_numbers_of_numpy_are_whole_numbers():
    env = gym.make(SMALL, num_executors=np.int64(3), num_jobs=np.int32(2), max_stages=np.int64(50)).unwrapped
    assert env.action_space.nvec.tolist() == [51, 3]


def test_wrong_vector_arguments():
    for arguments, message in (
        ({"num_envs": 0}, "num_envs"),
        ({"num_envs": 2, "max_episode_steps": 5}, "max_episode_steps"),
        ({"num_envs": 2, "render_mode": "ansi"}, "does not render"),
        ({"num_envs": 2, "autoreset_mode": "never"}, "autoreset_mode"),
    ):
        with pytest.raises(ValueError, match=message):
            gym.make_vec(SMALL, vectorization_mode="vector_entry_point", **arguments)
    env = gym.make_vec(SMALL, num_envs=3)
    with pytest.raises(ValueError, match="reset"):
        env.step(np.zeros((3, 2), np.int64))
    with pytest.raises(ValueError, match="seed has 2 entries for 3 rows"):
        env.reset(seed=[1, 2])
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action 10 \(component 1, row 1\) is not in"):
        env.step(np.array([[0, 0], [0, 10], [0, 0]]))


def test_wrong_steps():
    env = gym.make(SMALL).unwrapped
    with pytest.raises(ValueError, match="call reset"):
        env.step(np.array([0, 0]))
    with pytest.raises(ValueError, match="there is nothing to render yet"):
        env.render()
    env.reset(seed=0)
    for wrong in (np.array([401, 0]), np.array([0, 10]), np.array([-1, 0]), 3, np.array([0.5, 0])):
        with pytest.raises(ValueError, match="action"):
            env.step(wrong)
    with pytest.raises(ValueError, match="render_mode='rgb_array'"):
        env.tasks()
    env = gym.make("netenvs/CJS-v0", num_jobs=1, num_executors=1).unwrapped
    play(env, first_stage)
    with pytest.raises(ValueError, match="the episode is over"):
        env.step(np.array([0, 0]))
