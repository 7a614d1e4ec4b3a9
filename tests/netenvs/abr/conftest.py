"""A session small enough to compute by hand."""

from typing import Any, NamedTuple

import gymnasium as gym
import pytest


class Tiny(NamedTuple):
    """Options of ``gym.make`` and what they stand for."""

    options: dict[str, Any]
    """0.95 Mbyte arrive a second, ten seconds a lap; five chunks of 4 s are listed, four are played."""
    sizes: list[list[int]]

    def make(self, **options: Any) -> gym.Env:
        return gym.make("netenvs/ABR-v0", **{**self.options, **options})

    def make_vec(self, num_envs: int = 1, **options: Any) -> Any:
        return gym.make_vec("netenvs/ABR-v0", num_envs=num_envs, **{**self.options, **options})


@pytest.fixture
def tiny(trace_file, video_file) -> Tiny:
    sizes = [
        [950_000, 475_000, 475_000, 475_000, 95_000],
        [1_900_000, 1_900_000, 950_000, 950_000, 95_000],
        [3_800_000, 3_800_000, 9_500_000, 1_900_000, 95_000],
    ]
    traces = trace_file([(0.0, 123.0), (4.0, 8.0), (10.0, 8.0)])
    video = video_file(sizes, [1000, 2000, 4000], num_chunks=4)
    return Tiny({"traces": traces, "video": video, "history": 4}, sizes)
