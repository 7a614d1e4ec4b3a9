"""Model-predictive control against brute force, RobustMPC against a transcription, and the published handicaps."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.abr.mpc import best_first_level, thousandths
from agents.abr.netllm_mpc import NetLLMMPC
from agents.abr.robust_mpc import RobustMPC
from agents.policy import load_policy
from netenvs.abr.qoe import make_qoe, make_table_qoe

LADDER = [300, 750, 1200, 1850, 2850, 4300]


def brute_force(sizes, first, horizon, buffer_s, bandwidth, last, ladder, penalty, max_jump):
    """The published loop: all plans in itertools.product order, the last of equals wins; sizes (chunks, levels)."""
    best, winner = -1e8, None
    for plan in itertools.product(range(len(ladder)), repeat=horizon):
        path = (last, *plan)
        if any(abs(a - b) > max_jump for a, b in itertools.pairwise(path)):
            continue
        buffer, stalled, total, changes = buffer_s, 0.0, 0, 0
        for position, (before, level) in enumerate(itertools.pairwise(path)):
            download = float(sizes[first + position][level]) / 1000000.0 / bandwidth
            if buffer < download:
                stalled += download - buffer
                buffer = 0
            else:
                buffer -= download
            buffer += 4
            total += ladder[level]
            changes += abs(ladder[level] - ladder[before])
        value = total / 1000.0 - penalty * stalled - changes / 1000.0
        if value >= best:
            best, winner = value, plan
    return winner[0]


@st.composite
def states(draw, levels=6):
    ladder = LADDER[:levels]
    variation = st.lists(st.floats(0.7, 1.4), min_size=7, max_size=7)
    constant = draw(st.booleans())
    factors = [1.0] * 7 if constant else draw(variation)
    sizes = np.array([[round(b * 500 * f) for b in ladder] for f in factors], dtype=np.int32)
    buffer_s = draw(st.sampled_from([0.0, 4.0, 8.0, 60.0]) | st.floats(0, 60))
    bandwidth = draw(st.sampled_from([0.0375, 0.15, 1.0, 50.0]) | st.floats(0.005, 2))  # Mbyte/s
    return sizes, buffer_s, bandwidth, draw(st.integers(0, levels - 1)), draw(st.sampled_from([4.3, 10.0]))


def searched(sizes, first, horizon, buffer_s, bandwidth, last, ladder, penalty, max_jump):
    qoe = make_qoe("lin", np.array(ladder), penalty)
    tables = np.round(qoe.utility * 1000, 9), np.round(qoe.switch_cost * 1000, 9)
    sizes.flags.writeable = False  # as those of a video: numba compiles again for another kind
    return best_first_level(sizes, first, horizon, buffer_s, bandwidth, last, *tables, penalty, 4.0, max_jump)


@settings(max_examples=25, deadline=None)
@given(states(), st.integers(1, 2))
def test_search_equals_all_7776_plans(state, first):
    sizes, buffer_s, bandwidth, last, penalty = state
    case = (sizes, first, 5, buffer_s, bandwidth, last, LADDER, penalty)
    assert searched(*case, 6) == brute_force(*case, 6)


@settings(max_examples=150, deadline=None)
@given(states(), st.integers(1, 5))
def test_search_equals_brute_force_over_single_steps(state, horizon):
    sizes, buffer_s, bandwidth, last, penalty = state
    case = (sizes, 1, horizon, buffer_s, bandwidth, last, LADDER, penalty)
    assert searched(*case, 1) == brute_force(*case, 1)


@settings(max_examples=150, deadline=None)
@given(states(levels=3), st.integers(1, 5))
def test_search_equals_brute_force_on_short_ladders_and_horizons(state, horizon):
    sizes, buffer_s, bandwidth, last, penalty = state
    case = (sizes, 0, horizon, buffer_s, bandwidth, last, LADDER[:3], penalty)
    assert searched(*case, 3) == brute_force(*case, 3)


def values_by_chunk(sizes, table, first, horizon, buffer_s, bandwidth, last, penalty, switch, max_jump):
    """Value of the best plan with each first level, trying all, where each chunk has utilities of its own."""
    best = np.full(table.shape[1], -np.inf)
    for plan in itertools.product(range(table.shape[1]), repeat=horizon):
        path, buffer, value = (last, *plan), buffer_s, 0.0
        if any(abs(a - b) > max_jump for a, b in itertools.pairwise(path)):
            continue
        for chunk, (before, level) in enumerate(itertools.pairwise(path), start=first):
            download = float(sizes[chunk][level]) / 1e6 / bandwidth
            value -= penalty * max(download - buffer, 0.0) + switch * abs(
                table[chunk, level] - table[chunk - 1, before]
            )
            value += table[chunk, level]
            buffer = max(buffer - download, 0.0) + 4
        best[plan[0]] = max(best[plan[0]], value)
    return best


@settings(max_examples=100, deadline=None)
@given(
    states(levels=3),
    st.integers(1, 5),
    st.sampled_from([1, 3]),
    st.sampled_from([0.0, 0.5, 3.0]),
    st.sampled_from([0.0, 2.0, 80.0]),
    st.integers(0, 1000),
)
def test_search_equals_brute_force_on_utilities_by_chunk(state, horizon, max_jump, switch, penalty, seed):
    sizes, buffer_s, bandwidth, last, _ = state
    table = np.random.default_rng(seed).uniform(0, 100, (7, 3))
    qoe = make_table_qoe(table, penalty, switch)
    sizes.flags.writeable = False
    found = best_first_level(sizes, 1, horizon, buffer_s, bandwidth, last, *thousandths(qoe), penalty, 4.0, max_jump)
    values = values_by_chunk(sizes, table, 1, horizon, buffer_s, bandwidth, last, penalty, switch, max_jump)
    assert values[found] == pytest.approx(values.max(), abs=1e-6)  # plans may tie but for last bits


@pytest.mark.parametrize("make", [RobustMPC, NetLLMMPC])
def test_policies_play_for_the_objective_given(make):
    """The same row for every chunk is the row by level; without a penalty of changes and stalls the best level wins."""

    def levels(**options):
        env, policy = gym.make("netenvs/ABR-v0", **options), make()
        observation, info = env.reset(seed=1)
        policy.reset()
        found, terminated = [], False
        while not terminated:
            found.append(int(policy.act(observation, info)))
            observation, _, terminated, _, info = env.step(found[-1])
        return found

    row = [10.0, 40.0, 55.0, 70.0, 85.0, 95.0]
    penalties = {"rebuffer_penalty": 90.0, "switch_penalty": 0.5}
    assert levels(qoe=row, **penalties) == levels(qoe=[row] * 48, **penalties)
    best = [3, 1, 4, 1, 5, 2] * 8
    table = [[100.0 if level == of else level for level in range(6)] for of in best]
    free = levels(qoe=table, rebuffer_penalty=0, switch_penalty=0)
    if make is RobustMPC:
        assert free == best[1:]
    else:
        assert levels(qoe=[0.0, 1.0, 9.0, 3.0, 2.0, 1.0], rebuffer_penalty=0)[5:] == [2] * 42, (
            "a level a chunk, then stay"
        )


def test_the_last_of_equal_plans_wins():
    """Going up in the last chunk gains what it costs: all levels are equal then."""
    case = (np.array([[1, 1, 1]], dtype=np.int32), 0, 1, 60.0, 1.0, 0, [1000, 2000, 3000], 4.3, 3)
    assert searched(*case) == brute_force(*case) == 2


# --- RobustMPC ---


class Transcribed:
    """RobustMPC from its description: harmonic mean of five over 1 + the largest of five errors."""

    def __init__(self, robust=True):
        self.measured, self.errors, self.estimate, self.robust = [], [], None, robust

    def act(self, info):
        video, qoe = info["video"], info["qoe"]
        now = info["chunk_bytes"] / info["delay_ms"] / 1000
        self.errors.append(0.0 if self.estimate is None else abs(self.estimate - now) / now)
        self.measured.append(now)
        self.estimate = 1 / np.mean([1 / m for m in self.measured[-5:]])
        bandwidth = self.estimate / (1 + max(self.errors[-5:])) if self.robust else self.estimate
        ladder = video.bitrates_kbps.tolist()
        return brute_force(
            video.chunk_sizes,
            info["chunk"],
            min(5, video.num_chunks - info["chunk"]),
            info["buffer_s"],
            bandwidth,
            ladder.index(info["bitrate_kbps"]),
            ladder,
            qoe.rebuffer_penalty,
            len(ladder),
        )


@pytest.mark.parametrize("robust", [True, False])
@pytest.mark.parametrize("preset", ["netllm", "genet"])
def test_robust_mpc_equals_its_description(robust, preset, video_file):
    ladder = [400, 1000, 2500]
    sizes = (np.array(ladder)[:, None] * 500 * np.random.default_rng(0).uniform(0.7, 1.4, 30)).astype(int)
    options = {"video": video_file(sizes.tolist(), ladder), "preset": preset, "traces": "synthetic"}
    env, policy = gym.make("netenvs/ABR-v0", **options), RobustMPC(robust=robust)
    chosen = set()
    for episode in range(4):
        observation, info = env.reset(seed=episode)
        policy.reset()
        twin, terminated = Transcribed(robust), False
        while not terminated:
            level = policy.act(observation, info)
            assert level == twin.act(info)
            observation, _, terminated, _, info = env.step(level)
            chosen.add(int(level))
    assert chosen == {0, 1, 2}


def test_robust_mpc_serves_the_environments_objective(decide, make_video):
    """A heavier penalty is more careful; the objective comes from the session, not from the policy."""
    policy, levels = RobustMPC(), []
    for penalty in (0.1, 4.3, 100.0):
        policy.reset()
        levels.append(int(decide(policy, penalty=penalty, buffer_s=8.0, chunk_bytes=240_000.0)))
    assert levels == sorted(levels, reverse=True) and levels[0] > levels[-1]
    chosen = {}
    for kind in ("lin", "log", "hd"):
        policy.reset()
        chosen[kind] = int(decide(policy, qoe=kind, buffer_s=12.0, chunk_bytes=200_000.0))
    assert chosen == {"lin": 1, "log": 3, "hd": 3}, "the first step up is worth more in log, the third in hd"


def test_robust_mpc_needs_a_reset(decide):
    with pytest.raises(ValueError, match="call reset_rows first"):
        decide(RobustMPC())


def test_robust_mpc_rows_are_apart():
    """Resetting one row forgets that row's errors and no other's."""
    policy = RobustMPC()
    policy.reset_rows(np.arange(3), [None] * 3)
    policy._errors[:] = 0.5
    policy.reset_rows(np.array([1]), [None])
    assert policy._errors[:, 0].tolist() == [0.5, 0.0, 0.5]


# --- the three handicaps of netllm-mpc, each made visible ---


def both(decide, video=None, **columns):
    """First decisions of the published variant and of RobustMPC."""
    levels = []
    for policy in (NetLLMMPC(), RobustMPC()):
        policy.reset(seed=0)
        levels.append(int(decide(policy, video, **columns)))
    return levels


def test_handicap_one_level_a_chunk(decide):
    assert both(decide, buffer_s=50.0, chunk_bytes=5_000_000.0) == [1, 5]
    assert both(decide, buffer_s=0.0, bitrate_kbps=4300.0, chunk_bytes=20_000.0) == [4, 0]


def test_handicap_sizes_of_the_chunk_after_the_next(decide, make_video):
    """The next chunk is so large at level 1 that it would stall; the one after it is not."""
    sizes = np.tile([150_000, 375_000], (49, 1))
    sizes[1, 1] = 3_000_000
    video = make_video(ladder=(300, 750), sizes=sizes)
    assert both(decide, video, chunk=1, buffer_s=6.0, chunk_bytes=200_000.0) == [1, 0]


def test_handicap_errors_are_never_forgotten(decide):
    """A wild error in the last chunk of one video makes the first decisions of the next one timid."""
    columns = {"buffer_s": 6.0, "chunk_bytes": 400_000.0}
    published, proper = NetLLMMPC(), RobustMPC()
    first, second = [], []
    for policy, levels in ((published, first), (proper, second)):
        policy.reset(seed=0)
        levels.append(int(decide(policy, **columns)))
        decide(policy, chunk=2, chunk_bytes=4_000.0)
        policy.reset(seed=None)
        levels.append(int(decide(policy, **columns)))
    assert first[0] > first[1], "carried over"
    assert second[0] == second[1], "forgotten"


def test_a_new_stream_forgets(decide):
    policy = NetLLMMPC()
    levels = []
    for _ in range(2):
        policy.reset(seed=0)
        levels.append(decide(policy, buffer_s=6.0, chunk_bytes=400_000.0))
        decide(policy, chunk=2, chunk_bytes=4_000.0)
        policy.finish(None, {"chunk_bytes": 1.0, "delay_ms": 9e9})
    assert levels[0] == levels[1]


def test_first_video_is_measured_in_single_precision(decide):
    policy = load_policy("netllm-mpc", "abr")
    kinds = []
    for seed in (0, None):
        policy.reset(seed)
        decide(policy)
        kinds.append(type(policy._throughput[-1]))
    assert kinds == [np.float32, np.float64]
