"""The offline optimum against brute force over all plans of short videos."""

import gymnasium as gym
import numpy as np
import pytest

from agents.abr import oracle
from agents.abr.oracle import action_values, best_plan, replay, session_state
from agents.policy import PolicyError, load_policy
from agents.rollout import EpisodeSpec, play
from netenvs.abr import kernel

ABR = "netenvs/ABR-v0"


def worth(world, chunk, level):
    """Utility of a level of a chunk, straight from the table."""
    table = world.utility.reshape(-1, world.chunk_sizes.shape[1])
    return table[chunk if len(table) > 1 else 0, level]


def continuations(state, pointer, clock, buffer_ms, chunk, last):
    """Largest sum of rewards over all plans from here on, by trying every level of every chunk."""
    world, trace = state.world, state.world.traces[state.trace]
    if chunk == world.num_chunks:
        return 0.0
    best = -np.inf
    for level in range(world.chunk_sizes.shape[1]):
        _, rebuffer, filled, _, _, at, now = kernel.play_chunk(
            world.time_s,
            world.bandwidth_mbps,
            trace["begin"],
            trace["end"],
            pointer,
            clock,
            buffer_ms,
            world.chunk_sizes[chunk, level],
            kernel.round_trip(world.latency_ms, trace, pointer),
            trace["buffer_cap_ms"],
            world.chunk_duration_ms,
            state.noise[chunk],
        )
        reward = worth(world, chunk, level) - world.rebuffer_penalty * rebuffer / 1000
        reward -= world.switch_penalty * abs(worth(world, chunk, level) - worth(world, chunk - 1, last))
        best = max(best, reward + continuations(state, at, now, filled, chunk + 1, level))
    return best


def optimum(state):
    return continuations(state, state.pointer, state.clock_s, state.buffer_ms, state.chunk, state.quality)


@pytest.fixture
def short(video_file):
    """Three levels, eight chunks of 4 s: 2,187 plans."""

    def make(**options):
        sizes = np.array([300, 1200, 4300])[:, None] * 500 * np.random.default_rng(1).uniform(0.8, 1.25, (3, 8))
        video = video_file(sizes.astype(int).tolist(), [300, 1200, 4300])
        return gym.make(ABR, video=video, **options)

    return make


VMAF = np.random.default_rng(7).uniform([20, 50, 60], [60, 90, 99], (8, 3)).tolist()
"""Of each chunk its own; what comes next may be worth less at a higher level."""

CASES = [
    {},
    {"delay_noise": True, "start": "random"},
    {"buffer_cap_s": 4.0},
    {"buffer_cap_s": 6.0, "rtt_ms": 0},
    {"preset": "genet", "traces": "genet(space=udr1)"},
    {"preset": "genet", "traces": "genet(space=udr2)", "delay_noise": True},
    {"qoe": "log"},
    {"traces": "genet(min_bw_mbps=0,max_bw_mbps=2,change_interval=3)", "buffer_cap_s": 9},
    {"rebuffer_penalty": 35.0, "switch_penalty": 0.0},
    {"rebuffer_penalty": 0.3, "switch_penalty": 4.0, "traces": "genet(min_bw_mbps=0,max_bw_mbps=2)"},
    {"rebuffer_penalty": 0, "switch_penalty": 0.5, "qoe": [3.0, 1.0, 2.0]},
    {"rebuffer_penalty": 100.0, "switch_penalty": 0.5, "qoe": VMAF},
    {"rebuffer_penalty": 2.0, "switch_penalty": 3.0, "qoe": VMAF, "traces": "genet(min_bw_mbps=0,max_bw_mbps=2)"},
    {"rebuffer_penalty": 20.0, "qoe": VMAF, "delay_noise": True, "start": "random", "buffer_cap_s": 9},
]


@pytest.mark.parametrize("options", CASES, ids=str)
def test_oracle_equals_brute_force(options, short):
    env = short(**options)
    gaps = []
    for seed in range(12):
        env.reset(seed=seed)
        state = session_state(env)
        value, plan = best_plan(state)
        gaps.append(optimum(state) - value)
        assert value == pytest.approx(replay(state, plan), abs=1e-9)
        rewards = [env.step(level)[1] for level in plan]
        assert value == pytest.approx(sum(rewards), abs=1e-9), "the plan can be played"
    assert max(gaps) <= 1e-9
    assert min(gaps) >= -1e-9, "nothing is better than the best of all plans"


def test_oracle_plans_from_any_chunk(short):
    env = short(delay_noise=True)
    env.reset(seed=0)
    for level in (0, 2, 1):
        env.step(level)
        state = session_state(env)
        assert best_plan(state)[0] == pytest.approx(optimum(state), abs=1e-9)
    for _ in range(4):
        env.step(0)
    value, plan = best_plan(session_state(env))
    assert value == 0.0 and len(plan) == 0, "nothing is left"


@pytest.mark.parametrize("options", [{"video": "synthetic-4k"}, {"qoe": "hd"}, {"rebuffer_penalty": 1}], ids=str)
def test_cheap_stalls_do_not_end_the_search_too_early(options, monkeypatch):
    """Where a change is worth many seconds of stalling, plans that fill the buffer first lie far behind for a while."""
    found = []
    env = gym.make(ABR, **{"traces": "genet(min_bw_mbps=1,max_bw_mbps=60,change_interval=60,count=4)", **options})
    for margin_s in (oracle.MARGIN_STALL_S, 1000.0):
        monkeypatch.setattr(oracle, "MARGIN_STALL_S", margin_s)
        for trace in (1, 3):
            env.reset(seed=0, options={"trace": trace})
            found.append(best_plan(session_state(env))[0])
    assert found[:2] == pytest.approx(found[2:], abs=1e-3)


def test_action_values(short):
    env = short(delay_noise=True)
    for seed in range(4):
        env.reset(seed=seed)
        for level in (1, 0, 2):
            state = session_state(env)
            values = action_values(state)
            assert values.shape == (3,)
            assert values.max() == pytest.approx(best_plan(state)[0], abs=1e-9)
            for first, value in enumerate(values):
                _, plan = best_plan_after(state, first)
                assert value == pytest.approx(replay(state, np.array([first, *plan])), abs=1e-9)
            env.step(level)


def best_plan_after(state, level):
    """Best continuation by brute force over the rest: its value and levels."""
    left = state.world.num_chunks - state.chunk - 1
    plans = [np.array(p) for p in np.ndindex(*(3,) * min(left, 6))]
    values = [replay(state, np.array([level, *plan])) for plan in plans]
    return max(values), plans[int(np.argmax(values))]


def test_action_values_of_a_finished_episode(short):
    env = short()
    env.reset(seed=0)
    for _ in range(7):
        env.step(0)
    with pytest.raises(ValueError, match="no next chunk"):
        action_values(session_state(env))


def test_policy_plays_its_plan_and_labels_states(short):
    env = short()
    policy = load_policy("oracle", "abr")
    policy.bind(env)
    observation, info = env.reset(seed=3)
    policy.reset()
    value, total, terminated = best_plan(session_state(env))[0], 0.0, False
    while not terminated:
        labels = policy.action_values()
        level = policy.act(observation, info)
        assert labels[level] == pytest.approx(labels.max(), abs=1e-9)
        observation, reward, terminated, _, info = env.step(level)
        total += reward
    assert total == pytest.approx(value, abs=1e-9)


def test_rows_of_a_vector_environment():
    vector = gym.make_vec(ABR, num_envs=3, delay_noise=True)
    vector.reset(seed=5)
    single = gym.make(ABR, delay_noise=True)
    single.reset(seed=7)
    left, right = session_state(vector, row=2), session_state(single)
    assert (left.trace, left.pointer, left.clock_s, left.buffer_ms) == (
        right.trace,
        right.pointer,
        right.clock_s,
        right.buffer_ms,
    )
    assert np.array_equal(left.noise, right.noise)


def test_oracle_beats_every_rule_on_synthetic_traces():
    specs = [EpisodeSpec(seed=0, options={"trace": trace}) for trace in range(5)]
    best = np.array([episode.total_reward for episode in play(load_policy("oracle", "abr"), ABR, specs)])
    for name in ("bba", "bola", "throughput", "robust-mpc", "netllm-mpc", "constant(quality=1)"):
        others = np.array([episode.total_reward for episode in play(load_policy(name, "abr"), ABR, specs)])
        assert np.all(others <= best + 1e-9), name


def test_oracle_refuses_jumps():
    with pytest.raises(PolicyError, match=r"oracle: .*does not play action_mode='jump'"):
        play(load_policy("oracle", "abr"), ABR, [EpisodeSpec(0)], {"action_mode": "jump"})
