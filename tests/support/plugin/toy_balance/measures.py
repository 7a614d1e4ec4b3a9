"""What is measured of the task's speed."""

import gymnasium as gym

from benchmarks.speed.measurement import Measurement
from benchmarks.speed.record import TaskSpeed


def _measurements(dataset, num_envs):
    env = gym.make("toy/Balance-v0", load=dataset or "light")

    def steps():
        env.reset(seed=0)
        for number in range(12):
            env.step(number % 3)
        return (12,)

    return [Measurement("gym.make", ("steps",), steps)]


SPEED = TaskSpeed(measurements=_measurements, dataset=None, num_envs=(1,))
