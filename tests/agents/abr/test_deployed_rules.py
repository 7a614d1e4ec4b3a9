"""The rules of deployed players: their parts by hand, their decisions, and any ladder, chunk and buffer."""

import math

import numpy as np
import pytest

from agents.abr.bola_e import BolaE
from agents.abr.dash_rules import BolaLadder, InsufficientBuffer, carried, shrunk, steady
from agents.abr.dynamic import Dynamic
from agents.abr.ewma import EwmaThroughput
from agents.abr.hyb import HYB
from agents.abr.quetra import LOADS, QUETRA, expected_slack
from agents.policy import load_policy
from agents.rollout import EpisodeSpec, play
from netenvs import datasets
from netenvs.abr.env import ABRVectorEnv
from netenvs.abr.published_logs import load_published_logs

ABR = "netenvs/ABR-v0"
NAMES = ("dynamic", "bola-e", "hyb", "quetra")
ROW = np.zeros(1, dtype=np.int64)
LADDER = np.array([300, 750, 1200, 1850, 2850, 4300])


# --- parts ---


def test_ewma_is_the_smaller_of_a_fast_and_a_slow_mean():
    estimate = EwmaThroughput()
    estimate.clear(ROW)
    assert estimate.push(ROW, np.array([4.0]), np.array([0.5])) == pytest.approx([4.0]), "nothing but what was seen"

    def after(half_life):
        kept = 2 ** (-3 / half_life)
        return (kept * 4 * (1 - 2 ** (-0.5 / half_life)) + 1 - kept) / (1 - 2 ** (-3.5 / half_life))

    assert after(3) < after(8)
    assert estimate.push(ROW, np.array([1.0]), np.array([3.0])) == pytest.approx([after(3)])
    assert estimate.push(ROW, np.array([50.0]), np.array([30.0]))[0] < 50
    estimate.clear(ROW)
    assert estimate.push(ROW, np.array([2.0]), np.array([9.0])) == pytest.approx([2.0])


def test_a_full_buffer_may_lack_half_a_second():
    caps = {"buffer_cap_s": np.array([8.0, 20.5, 60.0])}
    assert shrunk(caps, 20.0).tolist() == [7.5 / 20, 1.0, 1.0]


def test_the_level_that_is_carried():
    assert carried(LADDER, np.array([0.1, 0.3, 0.749, 0.75, 4.3, 99.0])).tolist() == [0, 0, 0, 1, 5, 5]


def test_steps_up_end_at_what_is_carried():
    bola, held, last = np.array([5, 5, 5, 1, 2]), np.array([2, 0, 5, 0, 0]), np.array([1, 3, 3, 4, 2])
    assert steady(bola, held, last).tolist() == [2, 3, 5, 1, 2]


def test_the_rule_against_stalls_grows_strict():
    rule = InsufficientBuffer()
    rule.clear(ROW)

    def highest():
        return int(rule.highest(ROW, LADDER, 4.0, np.array([8.0]), np.array([1.0]))[0])

    # 2 Mbit/s x 0.9, 0.81, ... 0.5
    assert [highest() for _ in range(8)] == [2, 2, 2, 2, 1, 1, 1, 1]
    assert rule.highest(ROW, LADDER, 4.0, np.array([4.8]), np.array([2.0])) == [2], "half of 2.4"


@pytest.mark.parametrize("levels", [2, 3, 6, 12])
def test_bola_leaves_the_lowest_level_after_10_s_and_reaches_the_highest_at_its_target(levels):
    bitrates = np.round(np.geomspace(300, 20000, levels))
    ladder = BolaLadder.of(bitrates, 12.0)
    target = BolaLadder.target_s(levels, 12.0)
    assert target == 10 + 2 * levels
    least, most = ladder.least_buffer_s(), ladder.most_buffer_s()
    assert least[0] == 0 and np.all(np.diff(least) > 0) and least[1] >= 10 and least[-1] <= target
    for level in range(1, levels):
        assert ladder.level(np.array([least[level] - 1e-6, least[level] + 1e-6])).tolist() == [level - 1, level]
    assert most[0] == pytest.approx(10 + ladder.vp) and most[-1] == pytest.approx(target + ladder.vp)
    assert BolaLadder.of(bitrates, 60.0).level(np.array([59.9])) == [levels - 1]


def brun_garcia(capacity, rho):
    """Mean free places of M/D/1/K: Brun, Garcia, Analytical solution of finite capacity M/D/1 queues, 2000."""
    b = [
        sum((-rho * (n - k)) ** k / math.factorial(k) * math.exp((n - k) * rho) for k in range(n + 1)) if n else 1.0
        for n in range(capacity)
    ]
    return sum(b) / (1 + rho * b[-1])


@pytest.mark.parametrize("capacity", [1, 2, 5, 15])
def test_the_queue_has_its_closed_form(capacity):
    slack = expected_slack(capacity)
    for place in (240, 380, 400, 420, 460):
        assert slack[place] == pytest.approx(brun_garcia(capacity, LOADS[place]), rel=1e-6)


@pytest.mark.parametrize("capacity", [1, 15, 120])
def test_the_slack_falls_with_the_load(capacity):
    slack = expected_slack(capacity)
    assert np.all(np.diff(slack) <= 0) and slack[0] == pytest.approx(capacity, rel=0.02) and 0 < slack[-1] < 0.02


# --- decisions ---


def started(policy):
    policy.reset(0)
    return policy


def of(decide, policy, video=None, mbps=2.0, **columns):
    columns = {"sleep_ms": 0.0, "rebuffer_s": 0.0, **columns}
    return int(decide(policy, video, chunk_bytes=mbps * 125_000, delay_ms=1000.0, **columns))


def test_dynamic_is_the_throughput_rule_at_first_then_bola(decide):
    policy = started(Dynamic())
    assert of(decide, policy, buffer_s=9.0) == 2, "0.9 x 2 Mbit/s"
    assert of(decide, policy, buffer_s=12.0) == 2, "BOLA would play the lowest"
    assert of(decide, policy, buffer_s=25.0, bitrate_kbps=1200.0) == 2, "BOLA, which is not led beyond what is carried"
    assert of(decide, policy, buffer_s=25.0, bitrate_kbps=2850.0) == 4, "nor taken back while the buffer is there"
    assert of(decide, policy, buffer_s=11.0, bitrate_kbps=1200.0) == 0, "BOLA, still"
    assert of(decide, policy, buffer_s=9.0, bitrate_kbps=300.0) == 2, "the throughput again"
    assert of(decide, policy, buffer_s=1.0) == 0, "half a second's worth of 2 Mbit/s does not hold a chunk"


@pytest.mark.parametrize(("buffer_cap_s", "level"), [(60.0, 3), (11.5, 5)])
def test_dynamic_bola_shrinks_with_the_player(buffer_cap_s, level, decide):
    """11 s are too little for BOLA to hold the highest level, unless they are all that there can be."""
    policy = started(Dynamic())
    of(decide, policy, buffer_s=11.0, mbps=3.0, buffer_cap_s=buffer_cap_s)
    assert of(decide, policy, buffer_s=11.0, mbps=3.0, bitrate_kbps=4300.0, buffer_cap_s=buffer_cap_s) == level


def test_bola_e_starts_at_the_throughput_and_stays(decide):
    policy = started(BolaE())
    assert of(decide, policy, buffer_s=2.5) == 1, "1200 kbit/s are carried, but would take more than 0.9 x 2.5 s"
    policy = started(BolaE())
    assert of(decide, policy, buffer_s=8.0) == 2
    assert of(decide, policy, buffer_s=9.0, bitrate_kbps=1200.0) == 2, "the placeholder stands in for 10 s and more"
    policy = started(BolaE())
    of(decide, policy, buffer_s=8.0, mbps=0.1)
    assert of(decide, policy, buffer_s=9.0, bitrate_kbps=300.0) == 0, "no placeholder, no step up"
    policy = started(BolaE())
    of(decide, policy, buffer_s=8.0)
    for _ in range(5):
        after_stall = of(decide, policy, buffer_s=4.0, rebuffer_s=3.0, mbps=0.3, bitrate_kbps=1200.0)
    assert after_stall == 0


def test_hyb_by_hand(decide):
    # 1200 kbit/s x 4 s over a quarter of 2 Mbit/s: 9.6 s
    assert [of(decide, started(HYB()), buffer_s=b) for b in (2.0, 9.6, 9.61, 60.0)] == [0, 1, 2, 5]
    assert of(decide, started(HYB(beta=1)), buffer_s=2.41) == 2
    with pytest.raises(ValueError, match="beta must be positive"):
        HYB(beta=0)


def test_quetra_is_in_balance_at_half_a_buffer(decide):
    assert of(decide, started(QUETRA()), buffer_s=30.0, mbps=1.85) == 3
    levels = [of(decide, started(QUETRA()), buffer_s=b, mbps=1.85) for b in np.linspace(0, 60, 61)]
    assert levels == sorted(levels) and levels[0] < 3 < levels[-1]
    assert of(decide, started(QUETRA()), buffer_s=10.0, mbps=1.85, buffer_cap_s=20.0) == 3


@pytest.mark.parametrize(
    ("policy", "options", "message"),
    [
        (Dynamic, {"low_buffer_s": -1}, "low_buffer_s must be 0 or more and stable_buffer_s positive"),
        (BolaE, {"buffer_s": 0}, "buffer_s must be positive"),
    ],
)
def test_bad_options(policy, options, message):
    with pytest.raises(ValueError, match=message):
        policy(**options)


# --- any world ---


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("levels", "chunk_s", "cap_s"), [(1, 4, 60), (2, 1, 8), (2, 10, 10), (12, 1, 120), (12, 10, 120)]
)
def test_any_ladder_chunk_and_buffer(name, levels, chunk_s, cap_s, make_video):
    ladder = np.round(200 * 1.26 ** np.arange(levels)).astype(int)
    sizes = np.outer(np.random.default_rng(0).uniform(0.6, 1.5, 41), ladder * 125 * chunk_s).astype(int)
    video = make_video(ladder, sizes, 40, float(chunk_s))
    options = {"traces": "synthetic", "video": video, "buffer_cap_s": float(cap_s), "history": 12}
    specs = [EpisodeSpec(seed, options={"trace": seed}) for seed in range(6)]
    policy = load_policy(name, "abr")
    batched = play(policy, ABR, specs, options)
    alone = play(policy, ABR, specs, options, num_envs=1)
    assert all(np.array_equal(a.actions, b.actions) for a, b in zip(batched, alone, strict=True))
    actions = np.concatenate([episode.actions for episode in batched])
    assert set(actions) <= set(range(levels)) and (levels == 1 or max(actions) > 0)


def test_hyb_makes_the_decisions_of_its_published_log():
    for data in ("pensieve-logs", "pensieve", "netllm-abr"):
        if not datasets.installed(data):
            pytest.skip(f"{data} is not installed; python -m netenvs.datasets install {data}")
    quality = load_published_logs("hyb").quality
    env = ABRVectorEnv(len(quality), autoreset_mode="disabled", traces="pensieve-test", preset="pensieve")
    rows = np.arange(len(quality))
    observations, infos = env.reset(seed=0, options={"trace": rows})
    policy, same = HYB(), []
    policy.reset_rows(rows, [None] * len(rows))
    for action in quality[:, 1:].T:
        same.append(policy.act_batch(observations, {**infos, "row": rows, **env.shared_info}) == action)
        observations, _, _, _, infos = env.step(action)
    assert np.mean(same) >= 0.9898
