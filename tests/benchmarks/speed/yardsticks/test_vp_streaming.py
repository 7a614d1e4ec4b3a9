"""The yardstick of tiled streaming follows the environment's rules to the bit."""

import gymnasium as gym
import numpy as np
import pytest

import netenvs  # noqa: F401  (registers the environments)
from benchmarks.speed.yardsticks.vp_streaming import TILES, PlainTiles
from netenvs.abr.workload import load_traces
from netenvs.vp.workload import load_recordings

HEADS = "synthetic(videos=12,users=24,samples=60)"


@pytest.mark.parametrize("traces", ["synthetic(count=3)", "genet(count=2,min_bw_mbps=20)"])
def test_plain_tiles_equal_the_environment(traces):
    """Much bandwidth fills the buffer: pauses are compared; random levels leave holes, little bandwidth stalls."""
    env = gym.make("netenvs/VPStreaming-v0", dataset=HEADS, traces=traces)
    loop, rng = PlainTiles(load_recordings(HEADS), load_traces(traces)), np.random.default_rng(0)
    count, happened = len(env.unwrapped.simulator.recording), dict.fromkeys(["stall_s", "viewport_stall_s"], 0)
    paused = 0
    assert (len(loop.recordings), loop.recording, loop.trace) == (count, 0, 0)
    for number in range(8):
        observation, info = loop.begin_video() if number else (loop.observe([1] * TILES), None)
        options = {"recording": number % count, "trace": number % len(loop.times)}
        expected, expected_info = env.reset(options=options)
        over = False
        while True:
            assert all(np.array_equal(observation[key], value) for key, value in expected.items())
            assert all(observation[key].dtype == value.dtype for key, value in expected.items())
            if info is not None:
                assert {name: expected_info[name] for name in info} == info
                paused += info["sleep_ms"] > 0
                happened = {name: times + (info[name] > 0) for name, times in happened.items()}
            position = env.unwrapped.simulator.batch.session[0]
            assert (loop.pointer, loop.last_time) == (position["pointer"], position["clock_s"])
            if over:
                break
            levels = rng.integers(1 if number % 2 else 6, size=TILES) if number % 3 else np.full(TILES, number % 5 + 1)
            observation, reward, over, info = loop.step(levels.tolist())
            expected, expected_reward, terminated, _, expected_info = env.step(levels)
            assert (reward, over) == (expected_reward, terminated)
    assert happened["viewport_stall_s"] > 20 and (paused if "genet" in traces else happened["stall_s"]) > 5


def test_run_plays_so_many_steps():
    loop = PlainTiles(load_recordings(HEADS), load_traces("synthetic(count=3)"))
    loop.run(25, np.random.default_rng(0))
    assert (loop.recording, loop.trace, loop.chunk) == (3, 0, 4), "two sessions of 11 decisions, then 3 of the next"
