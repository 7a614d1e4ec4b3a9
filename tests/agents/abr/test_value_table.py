"""Tables of the values of known sessions: bounds, closed forms, the oracle's values, bad input."""

import gymnasium as gym
import numpy as np
import pytest

import netenvs  # noqa: F401
from agents.abr.oracle import action_values, best_plan, session_state
from agents.abr.value_table import ValueTable
from netenvs.abr.workload import make_trace_set

ABR = "netenvs/ABR-v0"
TRACES = "synthetic(count=6)"


def play(env, choose, rows):
    env.reset(seed=0, options={"trace": np.arange(rows)})
    total, over = np.zeros(rows), np.zeros(rows, dtype=bool)
    while not over.all():
        _, rewards, over, _, _ = env.step(choose(env))
        total += rewards
    return total


def test_the_best_actions_come_close_to_the_optimum_and_values_to_what_they_reach():
    env = gym.make_vec(ABR, num_envs=6, traces=TRACES, autoreset_mode="disabled")
    table = ValueTable(env)
    env.reset(seed=0, options={"trace": np.arange(6)})
    optimum = np.array([best_plan(session_state(env, row))[0] for row in range(6)])
    expected = table.action_values(env).max(axis=1)
    reached = play(env, lambda env: table.action_values(env).argmax(axis=1), 6)
    chunks = 47
    assert np.all(reached <= optimum + 1e-6)
    assert np.mean(optimum - reached) / chunks < 0.02
    assert np.abs(expected - reached).mean() / chunks < 0.02
    finer = ValueTable(env, clock_step_s=0.5, buffers=64)
    env.reset(seed=0, options={"trace": np.arange(6)})
    nearer = finer.action_values(env).max(axis=1)
    assert np.abs(nearer - optimum).mean() < np.abs(expected - optimum).mean()


def test_values_rank_actions_as_the_oracle_does_from_any_state():
    env = gym.make_vec(ABR, num_envs=6, traces=TRACES, start="random", autoreset_mode="disabled")
    table, rng = ValueTable(env), np.random.default_rng(1)
    env.reset(seed=3, options={"trace": np.arange(6)})
    lost = []
    for step in range(47):
        if step % 9 == 4:
            values = table.action_values(env)
            for row in range(0, 6, 2):
                exact = action_values(session_state(env, row))
                lost.append(exact.max() - exact[values[row].argmax()])
                near = exact > exact.max() - 5
                assert np.abs(values[row] - exact)[near].max() < 3.0
        env.step(rng.integers(3, size=6))
    assert np.mean(lost) < 0.3  # of sums over tens of chunks


VMAF = np.sort(np.random.default_rng(3).uniform(20, 99, (48, 6)), axis=1)
OBJECTIVES = [{}, {"rebuffer_penalty": 60, "switch_penalty": 0.7, "qoe": VMAF}]


@pytest.mark.parametrize(
    "options", [{"rebuffer_penalty": 60, "switch_penalty": 0.7, "qoe": VMAF}, {"switch_penalty": 3}]
)
def test_other_objectives(options):
    """The optimum of the exact search, in the table's own units: those of 100 points are 25 times those of bitrates."""
    env = gym.make_vec(ABR, num_envs=6, traces=TRACES, autoreset_mode="disabled", **options)
    table = ValueTable(env)
    env.reset(seed=0, options={"trace": np.arange(6)})
    optimum = np.array([best_plan(session_state(env, row))[0] for row in range(6)])
    expected = table.action_values(env).max(axis=1)
    reached = play(env, lambda env: table.action_values(env).argmax(axis=1), 6)
    least = 0.02 * (25 if "qoe" in options else 1)
    assert np.all(reached <= optimum + 1e-6)
    assert np.mean(optimum - reached) / 47 < least
    assert np.abs(expected - reached).mean() / 47 < least
    other = gym.make_vec(ABR, num_envs=6, traces=TRACES, **{**options, "switch_penalty": 2})
    with pytest.raises(ValueError, match="objective"):
        table.action_values(other)


@pytest.mark.parametrize("options", OBJECTIVES, ids=["lin", "table"])
def test_the_last_chunk_is_exact(options):
    env = gym.make_vec(ABR, num_envs=4, traces=TRACES, autoreset_mode="disabled", **options)
    table = ValueTable(env)
    for level in range(6):
        env.reset(seed=0, options={"trace": np.arange(4)})
        for _ in range(46):
            env.step(np.full(4, 2))
        values = table.action_values(env)
        _, rewards, over, _, _ = env.step(np.full(4, level))
        np.testing.assert_allclose(values[:, level], rewards, rtol=0, atol=1e-12)
        assert over.all() and not table.action_values(env).any()


def test_a_link_that_carries_everything_is_worth_the_highest_level_to_the_end():
    fast = make_trace_set("fast", [("fast", np.arange(0.0, 50.0), np.full(50, 500.0))])
    env = gym.make(ABR, traces=fast)
    env.reset(seed=0)
    values = ValueTable(env).action_values(env)
    # from 0.3 Mbit/s up to 4.3 at once, and 47 chunks of it
    assert values.shape == (1, 6) and values.argmax() == 5
    assert values.max() == pytest.approx(47 * 4.3 - 4.0, abs=1e-4)
    assert values[0, 0] == pytest.approx(0.3 + 46 * 4.3 - 4.0, abs=1e-4)


def test_only_some_traces_and_rows():
    env = gym.make_vec(ABR, num_envs=3, traces=TRACES, autoreset_mode="disabled")
    some, every = ValueTable(env, traces=[4, 1]), ValueTable(env)
    env.reset(seed=0, options={"trace": np.array([1, 4, 4])})
    assert np.array_equal(some.action_values(env), every.action_values(env))
    assert np.array_equal(some.action_values(env, np.array([2, 0])), every.action_values(env)[[2, 0]])
    env.reset(seed=0, options={"trace": np.array([1, 2, 4])})
    with pytest.raises(ValueError, match="trace 2 is not in the table"):
        some.action_values(env)


def test_tables_are_of_one_world_wherever_its_episodes_begin():
    table = ValueTable(gym.make(ABR, traces=TRACES))
    other = gym.make(ABR, traces=TRACES, start="random", history=8)
    other.reset(seed=4)
    assert table.action_values(other).max() > 0
    for options in (
        {"traces": "synthetic(count=6,seed=1)"},
        {"qoe": "log"},
        {"video": "synthetic(seed=1)"},
        {"rtt_ms": 0},
    ):
        env = gym.make(ABR, **{"traces": TRACES, **options})
        env.reset(seed=0)
        with pytest.raises(ValueError, match="the table is of other traces, another video"):
            table.action_values(env)


def test_what_cannot_be_tabulated_is_one_line():
    for options, message in (({"delay_noise": True}, "without delay noise"), ({"action_mode": "jump"}, "not of jumps")):
        with pytest.raises(ValueError, match=message):
            ValueTable(gym.make(ABR, **options))
    for traces in ([-1], [0, 100]):
        with pytest.raises(ValueError, match="traces are numbered from 0 to 99"):
            ValueTable(gym.make(ABR), traces)
    with pytest.raises(ValueError, match="clock_step_s must be positive and buffers 2 or more"):
        ValueTable(gym.make(ABR), buffers=1)
    with pytest.raises(ValueError, match=r"a table of 100 traces would take .* GB; tabulate less"):
        ValueTable(gym.make(ABR), clock_step_s=0.01)
