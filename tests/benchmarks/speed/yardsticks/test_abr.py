"""The yardstick of the speed benchmark follows the environment's rules to the bit."""

import gymnasium as gym
import numpy as np
import pytest

from benchmarks.speed.yardsticks.abr import PlainLoop
from netenvs.abr.workload import load_traces, load_video

ABR = "netenvs/ABR-v0"


@pytest.mark.parametrize("traces", ["synthetic(count=6)", "pensieve-markov(count=3)", "genet(count=6,min_bw_mbps=20)"])
def test_plain_loop_equals_the_environment(traces):
    """genet with much bandwidth fills the buffer: pauses are compared too."""
    options = {"rtt_ms": 80, "buffer_cap_s": 60}
    env = gym.make(ABR, traces=traces, **options)
    loop, rng = PlainLoop(load_traces(traces), load_video("synthetic")), np.random.default_rng(0)
    paused = 0
    for trace in range(len(load_traces(traces))):
        assert loop.trace == trace
        _, info = env.reset(options={"trace": trace})
        loop.step(0)
        over = False
        while not over:
            level = int(rng.integers(6)) if trace % 2 else 0
            state, reward, over = loop.step(level)
            observation, expected, terminated, _, info = env.step(level)
            assert (reward, over) == (expected, terminated)
            assert np.array_equal(state.astype(np.float32), observation)
            position = env.unwrapped.simulator.batch.session[0]
            assert (loop.pointer, loop.last_time) == (position["pointer"], position["clock_s"])
            paused += info["sleep_ms"] > 0
        loop.begin_video()
    assert loop.trace == 0, "round to the first trace"
    if "genet" in traces:
        assert paused > 20


def test_run_plays_so_many_steps():
    loop = PlainLoop(load_traces("synthetic(count=3)"), load_video("synthetic"))
    loop.run(100, np.random.default_rng(0))
    assert (loop.trace, loop.chunk) == (0, 7), "two videos of 47 decisions, then 6 of the third"
