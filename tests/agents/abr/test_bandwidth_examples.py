"""Examples to learn the bandwidth from: what the simulator delivers, the same for a seed."""

import itertools
import math

import numpy as np
import pytest
import torch

from agents.abr.bandwidth_examples import SESSIONS, collect, collect_in_worlds, joined, mean_bandwidth
from agents.abr.throughput_quantiles import FEATURES
from agents.abr.training_worlds import TrainingWorlds
from netenvs.abr import kernel
from netenvs.abr.workload import load_traces


def test_mean_bandwidth_is_what_the_simulator_delivers():
    """A download that takes a whole window, wraps of the trace included, carries its mean bandwidth."""
    traces = load_traces("genet(count=3,seed=4)")
    for number, clock_s, window_s in itertools.product(range(3), (0.5, 100.0, 325.0), (6.0, 20.0, 700.0)):
        time_s, bandwidth = traces.trace(number)
        (found,) = mean_bandwidth(traces, np.array([number]), np.array([clock_s]), window_s)
        segment = int(np.searchsorted(time_s, clock_s))
        size = found * window_s * 1e6 / 8 * kernel.PAYLOAD_PORTION
        arguments = (time_s, bandwidth, 0, len(time_s), max(segment, 1), clock_s, 0.0, size, 0.0, 1e9, 4000.0, 1.0)
        assert kernel.play_chunk(*arguments)[0] == pytest.approx(1000 * window_s, abs=2.0)


def test_examples_are_the_same_for_a_seed_and_have_the_right_scale():
    first, again, other = (collect("synthetic(count=4)", None, 10, seed) for seed in (0, 0, 1))
    assert len(first) == 10 * 47 and first.features.shape == (470, FEATURES)
    assert torch.equal(first.features, again.features) and torch.equal(first.target, again.target)
    assert not torch.equal(first.target, other.target)
    steady = collect("genet(count=3,min_bw_mbps=2,max_bw_mbps=2,rtt_ms=0)", None, 10, 0)
    assert steady.target.numpy() == pytest.approx(-math.log(kernel.PAYLOAD_PORTION), abs=1e-5)
    with pytest.raises(ValueError, match="sessions must be 5 or more, not 4"):
        collect("synthetic", None, 4, 0)


def test_examples_of_worlds_are_the_same_for_a_seed_and_have_no_unit():
    first, again, other = (collect_in_worlds(5, seed) for seed in (0, 0, 1))
    worlds = TrainingWorlds()
    decisions = [worlds.make([0, number]).video.num_chunks - 1 for number in range(5)]
    assert len(first) == SESSIONS * sum(decisions) and torch.isfinite(first.features).all()
    assert torch.equal(first.features, again.features) and torch.equal(first.target, again.target)
    assert len(other) != len(first) or not torch.equal(other.target, first.target)
    assert first.target.abs().max() < 7 and first.target.abs().mean() < 1.5
    both = joined([first, other])
    assert len(both) == len(first) + len(other) and torch.equal(both.target[len(first) :], other.target)
