"""Objectives of sessions: the published ones, penalties and utilities of one's own."""

import json
import math

import gymnasium as gym
import numpy as np
import pytest
from bitrate_sessions import ABR, rollout

from netenvs.abr.qoe import HD_UTILITY


@pytest.mark.parametrize(
    ("kind", "utility"),
    [
        ("lin", [0.3, 0.75, 1.2, 1.85, 2.85, 4.3]),
        ("log", [math.log(b / 4300) for b in (300, 750, 1200, 1850, 2850, 4300)]),
        ("hd", HD_UTILITY),
    ],
)
def test_qoe_kinds(kind, utility):
    seen = rollout(gym.make(ABR, qoe=kind), [5, 2, 4, 4, 0], seed=1)
    levels = [0, 5, 2, 4, 4, 0]
    expected = [
        utility[q] - 4.3 * info["rebuffer_s"] - abs(utility[q] - utility[p])
        for p, q, (_, _, info) in zip(levels, levels[1:], seen[1:], strict=False)
    ]
    assert [reward for _, reward, _ in seen[1:]] == pytest.approx(expected, rel=1e-12)
    assert seen[0][2]["qoe"].kind == kind


@pytest.mark.parametrize("vector", [False, True])
def test_penalties_of_ones_own(vector):
    options = {"rebuffer_penalty": 35, "switch_penalty": np.float32(0.5)}
    env = gym.make_vec(ABR, num_envs=1, **options) if vector else gym.make(ABR, **options)
    utility, last = [0.3, 0.75, 1.2, 1.85, 2.85, 4.3], 0
    env.reset(seed=1)
    for level in (5, 5, 5, 2, 4, 0):
        _, reward, _, _, info = env.step(np.array([level]) if vector else level)
        stall_s = float(np.ravel(info["rebuffer_s"])[0])
        expected = utility[level] - 35 * stall_s - 0.5 * abs(utility[level] - utility[last])
        assert float(np.ravel(reward)[0]) == pytest.approx(expected, rel=1e-12)
        last = level
    qoe = env.unwrapped.qoe
    assert (qoe.rebuffer_penalty, qoe.switch_penalty) == (35.0, 0.5)


def test_penalties_win_over_those_of_the_preset():
    qoe = gym.make(ABR, preset="genet", rebuffer_penalty=0, switch_penalty=2).unwrapped.qoe
    assert (qoe.rebuffer_penalty, qoe.switch_penalty) == (0.0, 2.0)
    qoe = gym.make(ABR, preset="genet").unwrapped.qoe
    assert (qoe.rebuffer_penalty, qoe.switch_penalty) == (10.0, 1.0)


BY_CHUNK = [[20.0, 45.0, 80.0], [31.0, 60.0, 88.0], [12.0, 40.0, 71.0], [18.0, 52.0, 90.0]]


def test_hand_computed_rewards_of_utilities_by_chunk(tiny):
    """The session above, levels 0, 1, 2, 0: what each chunk is worth, and a change from what the one before was."""
    options = {"rtt_ms": 80, "rebuffer_penalty": 100, "switch_penalty": 0.5}
    seen = rollout(tiny.make(qoe=BY_CHUNK, **options), [1, 2, 0], seed=0, options={"trace": 0})
    expected = [0, 60 - 0.5 * (60 - 20), 71 - 100 * 4.16 - 0.5 * (71 - 60), 18 - 0.5 * (71 - 18)]
    assert [reward for _, reward, _ in seen] == pytest.approx(expected)
    vector = tiny.make_vec(2, qoe=np.array(BY_CHUNK), **options)
    vector.reset(seed=0, options={"trace": 0})
    rewards = [vector.step(np.array([level, level]))[1] for level in (1, 2, 0)]
    assert np.array_equal(rewards, np.repeat([[reward] for _, reward, _ in seen[1:]], 2, axis=1))
    qoe = seen[0][2]["qoe"]
    assert qoe is vector.shared_info["qoe"] or qoe == vector.shared_info["qoe"]
    assert qoe.kind == "table" and qoe.by_chunk.tolist() == BY_CHUNK


def test_utilities_by_level_are_those_of_the_kinds(tiny):
    for kind in ("lin", "log"):
        seen = rollout(tiny.make(qoe=kind), [1, 2, 0], seed=0)
        table = tiny.make().unwrapped.qoe.utility if kind == "lin" else np.log(np.array([1, 2, 4]) / 4)
        again = rollout(tiny.make(qoe=table), [1, 2, 0], seed=0)
        assert [one[1] for one in again] == pytest.approx([one[1] for one in seen], rel=1e-12)


def test_the_same_table_of_every_chunk_moves_no_bit():
    one, many = (
        gym.make(ABR, qoe=table, switch_penalty=0.3) for table in ([1, 5, 2, 8, 9, 9.5], [[1, 5, 2, 8, 9, 9.5]] * 48)
    )
    actions = np.random.default_rng(0).integers(6, size=47)
    assert [one[1] for one in rollout(one, actions, seed=1)] == [other[1] for other in rollout(many, actions, seed=1)]


def test_tables_in_files_and_in_the_spec(tiny, tmp_path):
    path = tmp_path / "vmaf.json"
    path.write_text(json.dumps(BY_CHUNK))
    env = tiny.make(qoe=BY_CHUNK)
    for other in (path, str(path), np.array(BY_CHUNK), tuple(map(np.array, BY_CHUNK))):
        assert tiny.make(qoe=other).unwrapped.qoe == env.unwrapped.qoe
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert again.unwrapped.options == env.unwrapped.options and again.unwrapped.qoe == env.unwrapped.qoe


def test_tables_do_not_change_behind_the_environment(tiny):
    table = np.array(BY_CHUNK)
    env = tiny.make(qoe=table)
    table[:] = 0.0
    assert env.unwrapped.qoe.by_chunk.tolist() == BY_CHUNK
    with pytest.raises(ValueError, match="read-only"):
        env.unwrapped.qoe.by_chunk[0, 0] = 1.0
