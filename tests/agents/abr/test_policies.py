"""Rules and released networks: decisions computed by hand."""

import math

import numpy as np
import pytest

from agents.abr.bba import BBA
from agents.abr.bola import BOLA
from agents.abr.genet_released import CHECKPOINTS, GenetReleased
from agents.abr.random_and_constant import Constant, Random
from agents.abr.throughput import Throughput
from agents.policy import PolicyError, load_policy
from agents.rollout import EpisodeSpec, play
from netenvs import datasets

ABR = "netenvs/ABR-v0"


# --- BBA ---


@pytest.mark.parametrize(
    ("buffer_s", "level"),
    [(0, 0), (4.99, 0), (5, 0), (6.99, 0), (7, 1), (9, 2), (12.99, 3), (13, 4), (14.99, 4), (15, 5), (60, 5)],
)
def test_bba(buffer_s, level, decide):
    assert decide(BBA(), buffer_s=buffer_s) == level


def test_bba_options_and_ladders(decide, make_video):
    policy, video = BBA(reservoir_s=2, cushion_s=4), make_video(ladder=(500, 1000, 2000))
    assert [decide(policy, video, buffer_s=b) for b in (1.9, 3.9, 4.0, 5.9, 6.0)] == [0, 0, 1, 1, 2]
    for options in ({"reservoir_s": -1}, {"cushion_s": 0}):
        with pytest.raises(ValueError, match="reservoir_s must be 0 or more and cushion_s positive"):
            BBA(**options)


# --- throughput ---


def test_throughput_takes_the_highest_level_that_is_carried(decide):
    for mbps, level in ((0.2, 0), (0.3, 0), (0.74, 0), (0.75, 1), (1.9, 3), (4.29, 4), (4.3, 5), (99, 5)):
        policy = Throughput()
        policy.reset()
        assert decide(policy, chunk_bytes=mbps * 125_000, delay_ms=1000.0) == level, mbps


def test_throughput_uses_the_harmonic_mean_of_the_window(decide):
    policy = Throughput(past_chunks=2)
    policy.reset()
    levels = [decide(policy, chunk_bytes=m * 125_000.0) for m in (1.0, 4.0, 2.0, 16.0)]
    # 1; 2 / (1 + 1/4) = 1.6; 2 / (1/4 + 1/2) = 2.67; 2 / (1/2 + 1/16) = 3.56 Mbit/s
    assert levels == [1, 2, 3, 4]
    policy.reset()
    assert decide(policy, chunk_bytes=0.4 * 125_000) == 0, "an episode begins with an empty window"


def test_throughput_window_holds_five(decide):
    policy = Throughput()
    policy.reset()
    decide(policy, chunk_bytes=0.01 * 125_000)
    levels = [decide(policy, chunk_bytes=4.4 * 125_000) for _ in range(5)]
    assert levels == [0, 0, 0, 0, 5]


def test_throughput_safety(decide):
    for safety, level in ((1.0, 2), (0.9, 1), (2.0, 3)):
        policy = Throughput(safety=safety)
        policy.reset()
        assert decide(policy, chunk_bytes=1.25 * 125_000) == level


# --- BOLA ---


def test_bola_by_hand(decide, make_video):
    """Two levels, sizes 1 and 2: V = 14 / (ln 2 + 2); level 1 wins from Q = 2 V 2 - V (2 + ln 2) chunks on."""
    video = make_video(ladder=(1000, 2000))
    v = 14 / (math.log(2) + 2)
    threshold_s = 4 * (2 * v * 2 - v * (2 + math.log(2)))
    assert threshold_s == pytest.approx(27.17, abs=0.01)
    assert [decide(BOLA(), video, buffer_s=threshold_s + d) for d in (-20, -0.01, 0.01, 20)] == [0, 0, 1, 1]


def test_bola_takes_the_highest_level_where_it_would_pause(decide):
    assert decide(BOLA(), buffer_s=60.0) == 5
    assert [decide(BOLA(), buffer_s=b) for b in (0.0, 4.0)] == [0, 0]


def test_bola_is_monotone_and_uses_every_level(decide):
    levels = [int(decide(BOLA(), buffer_s=b)) for b in np.linspace(0, 60, 241)]
    assert levels == sorted(levels) and set(levels) == set(range(6))
    assert [decide(BOLA(buffer_s=30), buffer_s=b) for b in (28.0, 8.0)] > [
        decide(BOLA(), buffer_s=b) for b in (28.0, 8.0)
    ]
    small, large = BOLA(gp=0.5), BOLA(gp=20)
    assert decide(small, buffer_s=30.0) != decide(large, buffer_s=30.0)
    with pytest.raises(ValueError, match="must be positive"):
        BOLA(buffer_s=0)


# --- random and constant ---


def test_random_is_uniform_and_seeded(decide):
    policy = Random()

    def draw(seed):
        policy.reset(seed)
        return [decide(policy) for _ in range(600)]

    first = draw(0)
    assert first == draw(0) != draw(1)
    assert np.bincount(first, minlength=6) == pytest.approx([100] * 6, abs=35)


def test_constant():
    specs = [EpisodeSpec(0), EpisodeSpec(1)]
    assert {int(a) for e in play(Constant(3), ABR, specs) for a in e.actions} == {3}
    (lowest,) = play(Constant(), ABR, [EpisodeSpec(0, options={"trace": 0})], {"traces": "genet(min_bw_mbps=2)"})
    assert lowest.total_reward / 47 == pytest.approx(0.3), "the lowest level without a stall"
    with pytest.raises(PolicyError, match=r"constant\(quality=6\): .*decision 0: .*Discrete\(6\)"):
        play(load_policy("constant(quality=6)"), ABR, specs)


# --- released networks ---


@pytest.mark.parametrize("model", CHECKPOINTS)
def test_released_networks_equal_a_plain_transcription(model, genet_weights):
    """Branches, tap 1 of the kernels, ReLU and softmax in double precision, from the file alone."""
    checkpoint = CHECKPOINTS[model][0]
    path = datasets.path("genet-weights") / "genet_weights.npz"
    with np.load(path) as arrays:
        prefix = f"{model}__nn_model_ep_{checkpoint}|actor/"
        weights = {k.removeprefix(prefix): arrays[k].astype(float) for k in arrays.files if k.startswith(prefix)}
    observations = np.random.default_rng(0).random((50, 6, 6), dtype=np.float32)

    def layer(name, x):
        kernel = weights[f"{name}/W"]
        return x @ (kernel[1, 0] if kernel.ndim == 4 else kernel) + weights[f"{name}/b"]

    inputs = {
        "FullyConnected": observations[:, 0, -1:],
        "FullyConnected_1": observations[:, 1, -1:],
        "Conv1D": observations[:, 2],
        "Conv1D_1": observations[:, 3],
        "Conv1D_2": observations[:, 4],
        "FullyConnected_2": observations[:, 5, -1:],
    }
    hidden = np.concatenate([np.maximum(layer(name, x), 0) for name, x in inputs.items()], axis=1)
    logits = layer("FullyConnected_4", np.maximum(layer("FullyConnected_3", hidden), 0))
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    policy = GenetReleased(model)
    assert policy.probabilities(observations) == pytest.approx(expected, abs=1e-5)
    alone = np.concatenate([policy.probabilities(row[None]) for row in observations])
    assert np.array_equal(policy.probabilities(observations), alone), "equal to the bit in any batch"


def test_released_networks_have_their_published_size(genet_weights):
    dense = 3 * (128 + 128) + 3 * (6 * 128 + 128) + 768 * 128 + 128 + 128 * 3 + 3
    assert GenetReleased().parameters == dense and GenetReleased().bytes == 4 * dense


def test_greedy_and_sampled(genet_weights, decide):
    greedy, sampled = GenetReleased("udr_1"), GenetReleased("udr_1", mode="sampled")
    probabilities = greedy.probabilities(np.zeros((1, 6, 6), dtype=np.float32))[0]
    sampled.reset(0)
    moves = [decide(sampled, bitrate_kbps=1200.0) - 1 for _ in range(3000)]
    assert np.bincount(moves, minlength=3) / 3000 == pytest.approx(probabilities, abs=0.04)
    assert {decide(greedy, bitrate_kbps=1200.0) - 1 for _ in range(10)} == {int(np.argmax(probabilities))}
    assert not greedy.sequential and sampled.sequential


def test_moves_stay_on_the_ladder(genet_weights, decide):
    policy = GenetReleased(mode="sampled")
    policy.reset(0)
    for kbps, allowed in ((300.0, {0, 1}), (1850.0, {2, 3, 4}), (4300.0, {4, 5})):
        assert {int(decide(policy, bitrate_kbps=kbps)) for _ in range(3000)} <= allowed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "gennet"}, "unknown model 'gennet'; did you mean 'genet'"),
        ({"mode": "beam"}, "unknown mode 'beam'; known: greedy, sampled"),
        ({"model": "udr_2", "checkpoint": 57600}, "unknown checkpoint '57600'; .*known: 52400"),
    ],
)
def test_bad_network_options(options, message):
    with pytest.raises(ValueError, match=message):
        GenetReleased(**options)
