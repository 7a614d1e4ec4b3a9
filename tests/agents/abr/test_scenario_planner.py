"""The planner against brute force, and what a plan looks at."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.abr.scenario_planner import (
    SLACK,
    Chunks,
    Objective,
    Scenarios,
    best_level,
    best_levels,
    download_s,
    level_values,
    value_of_buffer,
    values_of_levels,
)
from netenvs.abr.qoe import make_qoe, make_table_qoe


def arrival(size, start, near_s, near, far):
    """When a chunk asked for at ``start`` has arrived, read off the curve of the bytes delivered by then."""
    times = np.array([0.0, near_s, near_s + 1e5]) if near_s else np.array([0.0, 1e5])
    delivered = np.cumsum([0.0, *np.diff(times) * ([near, far] if near_s else [far])])
    return float(np.interp(np.interp(start, times, delivered) + size, delivered, times))


def planned(planner, case):
    """What ``level_values`` or ``values_of_levels`` gives; ``case`` has the fields of what they take by name."""
    case["chunk_sizes"].flags.writeable = False  # as those of a video: numba compiles again for another kind

    def part(kind, **more):
        return kind(**{name: {**case, **more}[name] for name in kind._fields})

    chunks = part(
        Chunks, sizes=case["chunk_sizes"], number=case.get("num_chunks", 0), duration_s=case["chunk_duration_s"]
    )
    names = ("first", "chunk", "horizon", "buffer_s", "cap_s", "last_level")
    return planner(*(case[name] for name in names if name in case), chunks, part(Scenarios), part(Objective))


def best(case):
    """The level that is chosen, and what it is worth."""
    values = planned(level_values, case)
    level = best_level(values, case["last_level"])
    return level, values[level]


def level_value(level, case):
    """Value of a next level: in each scenario the best constant level follows; in plain Python."""
    levels, horizon = case["chunk_sizes"].shape[1], case["horizon"]
    values = [[plan_values([level] + [onward] * (horizon - 1), case)] for onward in range(levels)]
    return float(np.concatenate(values).max(axis=0).mean())


def plan_values(plan, case):
    """Value of a plan in each scenario, in plain Python."""
    values = []
    for near, far in zip(case["near_rate"], case["far_rate"], strict=True):
        clock, buffer, last, value = 0.0, case["buffer_s"], case["last_level"], 0.0
        for position, level in enumerate(plan):
            size = float(case["chunk_sizes"][case["first"] + position][level])
            download = arrival(size, clock, case["near_s"], near, far) - clock + case["rtt_s"]
            clock += download
            chunk = case["first"] + position if "table" in case else 0
            row = len(case["chunk_sizes"][0]) * chunk + level
            value += case["utility"][row] - case["switch_cost"][row][last]
            value -= case["rebuffer_penalty"] * max(SLACK * download - buffer, 0.0)
            buffer = max(buffer - download, 0.0) + case["chunk_duration_s"]
            clock += max(buffer - case["cap_s"], 0.0)
            buffer = min(buffer, case["cap_s"])
            last = level
        kept = min(buffer, case["enough_s"])
        slope = [case["buffer_value"] * (1 - at / case["enough_s"]) for at in (0.0, kept)]
        values.append(value + kept * sum(slope) / 2)
    return np.array(values)


@st.composite
def cases(draw):
    levels, horizon = draw(st.sampled_from([(2, 5), (3, 1), (3, 4), (4, 3), (5, 2), (6, 1)]))
    scenarios = draw(st.integers(1, 4))
    ladder = np.array([300, 750, 1200, 1850, 2850, 4300][:levels], dtype=np.int32)
    factors = draw(st.lists(st.floats(0.6, 1.6), min_size=horizon + 1, max_size=horizon + 1))
    duration_s = draw(st.sampled_from([1.0, 4.0]))
    rates = st.lists(st.floats(1e4, 1e6), min_size=scenarios, max_size=scenarios)
    qoe = make_qoe(draw(st.sampled_from(["lin", "log"])), ladder, draw(st.sampled_from([0.5, 4.3, 10.0])))
    table = {}
    if draw(st.booleans()):
        table = {"table": np.random.default_rng(draw(st.integers(0, 99))).uniform(-3, 9, (horizon + 1, levels))}
        qoe = make_table_qoe(table["table"], qoe.rebuffer_penalty, draw(st.sampled_from([0.0, 0.4, 2.0])))
    return {
        **table,
        "chunk_sizes": np.array([[kbps * 125 * duration_s * f for kbps in ladder] for f in factors], dtype=np.int32),
        "first": draw(st.integers(0, 1)),
        "horizon": horizon,
        "buffer_s": draw(st.sampled_from([0.0, 4.0, 60.0]) | st.floats(0, 30)),
        "cap_s": draw(st.sampled_from([60.0, math.inf, 9.0])),
        "last_level": draw(st.integers(0, levels - 1)),
        "near_s": draw(st.sampled_from([0.0, 6.0])),
        "near_rate": np.array(draw(rates)),
        "far_rate": np.array(draw(rates)),
        "rtt_s": draw(st.sampled_from([0.0, 0.08])),
        "utility": qoe.tables[0],
        "switch_cost": qoe.tables[1],
        "rebuffer_penalty": qoe.rebuffer_penalty,
        "chunk_duration_s": duration_s,
        "buffer_value": draw(st.sampled_from([0.0, 0.05, 0.8])),
        "enough_s": draw(st.sampled_from([5.0, 20.0])),
    }


@settings(max_examples=100, deadline=None)
@given(cases())
def test_planner_equals_brute_force(case):
    found = planned(level_values, case)
    expected = [level_value(first, case) for first in range(case["chunk_sizes"].shape[1])]
    assert found == pytest.approx(expected, abs=1e-6)
    assert expected[best(case)[0]] == pytest.approx(max(expected), abs=1e-6)


def test_of_levels_that_tie_the_nearest_is_chosen_then_the_higher():
    assert [best_level(np.zeros(5), last) for last in range(5)] == [0, 1, 2, 3, 4]
    assert best_level(np.array([0.0, 1.0, 0.0, 1.0, 0.0]), 2) == 3
    assert best_level(np.array([0.0, 1.0, 0.0, 1.0, 1.0 + 1e-12]), 0) == 1, "rounding errors decide nothing"
    assert best_level(np.array([0.0, 1.0, 0.0, 1.0, 2.0]), 0) == 4
    values = np.array([[0.0, 1.0, 1.0], [3.0, 0.0, 3.0]])
    assert best_levels(values, np.array([0, 2])).tolist() == [1, 2]


def test_a_buffer_is_worth_less_the_more_there_is():
    worth = [value_of_buffer(float(s), 2.0, 20.0) for s in range(0, 31, 5)]
    gained = np.diff(worth)
    assert worth[0] == 0 and (np.diff(gained) <= 0).all() and gained[0] > 0
    assert worth[4] == pytest.approx(20.0) and worth[4:] == pytest.approx([20.0] * 3)
    assert value_of_buffer(9.0, 2.0, 0.0) == 0.0


@settings(max_examples=50, deadline=None)
@given(st.floats(1, 1e7), st.floats(0, 20), st.floats(1e3, 1e7), st.floats(1e3, 1e7))
def test_download_time_inverts_the_bytes_delivered(size, start, near, far):
    expected = arrival(size, start, 6.0, near, far) - start + 0.08
    assert download_s(size, start, 6.0, near, far, 0.08) == pytest.approx(expected, rel=1e-6)


def session(**changes):
    """A video at constant bitrate and a scenario of 1 Mbit/s, four seconds in the buffer."""
    ladder = np.array([300, 750, 1200, 1850, 2850, 4300], dtype=np.int32)
    qoe = make_qoe("lin", ladder, 4.3)
    case = {
        "chunk_sizes": np.tile(ladder * 500, (49, 1)).astype(np.int32),
        "first": 1,
        "horizon": 7,
        "buffer_s": 4.0,
        "cap_s": math.inf,
        "last_level": 0,
        "near_s": 6.0,
        "near_rate": np.full(7, 125_000.0),
        "far_rate": np.full(7, 125_000.0),
        "rtt_s": 0.0,
        "utility": qoe.utility,
        "switch_cost": qoe.switch_cost,
        "rebuffer_penalty": 4.3,
        "chunk_duration_s": 4.0,
        "buffer_value": 0.2,
        "enough_s": 20.0,
    }
    return {**case, **changes}


def test_one_bad_scenario_makes_the_plan_careful():
    """In the mean of the rates 1200 kbit/s are safe; one scenario of seven that stalls is worth a level."""
    good = np.full(7, 200_000.0)
    bad = np.array([20_000.0, *np.full(6, 230_000.0)])
    levels = [best(session(buffer_s=12.0, near_rate=rate, far_rate=rate))[0] for rate in (good, bad)]
    assert levels[0] > levels[1]


def test_a_better_future_is_planned_for():
    """The same first six seconds; what comes after them decides how much of the buffer is spent."""
    near = np.full(7, 100_000.0)
    levels = [best(session(buffer_s=8.0, near_rate=near, far_rate=np.full(7, far)))[0] for far in (20_000.0, 500_000.0)]
    assert levels[0] < levels[1]


def test_plans_end_with_the_video():
    """Before the last chunk there is nothing to save the buffer for; after it there is nothing to decide."""
    case = session()
    rows = 3
    arguments = {
        "chunk": np.array([20, 47, 48]),
        "horizon": 1,
        "buffer_s": np.full(rows, 12.0),
        "cap_s": np.full(rows, 60.0),
        "last_level": np.full(rows, 3),
        "near_s": 6.0,
        "near_rate": np.full((rows, 7), 240_000.0),
        "far_rate": np.full((rows, 7), 240_000.0),
        "rtt_s": np.zeros(rows),
        "chunk_sizes": case["chunk_sizes"],
        "num_chunks": 48,
        **{name: case[name] for name in ("utility", "switch_cost", "rebuffer_penalty", "chunk_duration_s")},
        "buffer_value": 5.0,
        "enough_s": 20.0,
    }
    found = planned(values_of_levels, arguments)
    assert found.argmax(axis=1).tolist() == [0, 3, 0] and not found[2].any()
    worthless = planned(values_of_levels, {**arguments, "buffer_value": 0.0})
    assert worthless.argmax(axis=1).tolist() == [3, 3, 0]


def test_pauses_of_a_full_buffer_take_time():
    """A chunk enters a buffer that is full; while it drains the good seconds pass, and the next chunk is late."""
    rates = {"near_rate": np.full(1, 1e7), "far_rate": np.full(1, 30_000.0)}
    case = session(horizon=3, buffer_s=8.0, cap_s=8.0, near_s=6.0, last_level=2, buffer_value=0.0, **rates)
    _, value = best(case)
    assert value == pytest.approx(max(level_value(level, case) for level in range(6)), abs=1e-6)
    assert value < best({**case, "cap_s": math.inf})[1]


def test_a_scenario_goes_on_with_its_own_level():
    """One level for what follows in all scenarios would be worth less than one for each."""
    rates = np.array([60_000.0, 900_000.0])
    case = session(buffer_s=12.0, near_rate=rates, far_rate=rates)
    _, value = best(case)
    together = [plan_values([first, *[onward] * 6], case).mean() for first in range(6) for onward in range(6)]
    assert value > max(together) + 1
