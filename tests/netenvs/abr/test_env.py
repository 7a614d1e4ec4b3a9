"""``netenvs/ABR-v0``: what an episode is, the contract, and that no index leaves an array."""

import json
import math
import os
import pickle
import subprocess
import sys
import textwrap

import gymnasium as gym
import numpy as np
import pytest
from bitrate_sessions import ABR, column, figures, rollout

from netenvs.abr import kernel
from netenvs.testing import check_task

# --- the contract ---


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"preset": "genet", "action_mode": "jump"},
        {"preset": "pensieve", "delay_noise": True, "start": "random", "qoe": "hd"},
        {"observation": "flat", "history": 7},
    ],
    ids=["default", "genet-jump", "pensieve-noise-random", "flat"],
)
def test_contract(options):
    check_task(ABR, steps=110, **options)


def test_contract_of_a_users_files(tiny):
    check_task(ABR, steps=20, **tiny.options)


@pytest.mark.parametrize("rows", [1, 2, 7, 64])
def test_rows_do_not_depend_on_the_batch(rows):
    options = {"delay_noise": True, "start": "random"}
    actions = np.random.default_rng(0).integers(6, size=(100, 64))
    large = gym.make_vec(ABR, num_envs=64, **options)
    small = gym.make_vec(ABR, num_envs=rows, **options)
    observations, _ = large.reset(seed=3)
    assert np.array_equal(small.reset(seed=3)[0], observations[:rows])
    for row in actions:
        left, right = large.step(row), small.step(row[:rows])
        for a, b in zip(left[:4], right[:4], strict=True):
            assert np.array_equal(a[:rows], b)


# --- what an episode is, by hand ---


def test_hand_computed_episode(tiny):
    env = tiny.make(rtt_ms=80)
    seen = rollout(env, [1, 2, 0], seed=0, options={"trace": 0})
    # delays: size / 0.95 MB/s + RTT; the clock stands at 1, 3, 3 + 10 = 13 -> 3 after a lap, 3.5 s
    assert column(seen, "delay_ms") == pytest.approx([1080, 2080, 10080, 580])
    assert column(seen, "rebuffer_s") == pytest.approx([1.08, 0, 10.08 - 5.92, 0])
    assert column(seen, "buffer_s") == pytest.approx([4.0, 5.92, 4.0, 7.42])
    assert column(seen, "bitrate_kbps") == [1000, 2000, 4000, 1000]
    assert column(seen, "chunk_bytes") == [950_000, 1_900_000, 9_500_000, 475_000]
    assert column(seen, "throughput_mbps") == pytest.approx([7.6 / 1.08, 15.2 / 2.08, 76 / 10.08, 3.8 / 0.58])
    assert column(seen, "sleep_ms") == column(seen, "sleep_residual_ms") == [0, 0, 0, 0]
    assert column(seen, "chunk") == [1, 2, 3, 4]
    assert column(seen, "trace") == [0, 0, 0, 0]
    rewards = [reward for _, reward, _ in seen]
    assert rewards == pytest.approx([0, 2 - 1, 4 - 4.3 * 4.16 - 2, 1 - 3])
    assert env.unwrapped.simulator.batch.session[0]["clock_s"] == pytest.approx(3.5)
    ahead = column(seen, "chunk_sizes_ahead")
    assert [part.tolist() for part in ahead] == [np.transpose(tiny.sizes)[done:4].tolist() for done in (1, 2, 3, 4)]
    assert not ahead[0].flags.writeable and ahead[0].dtype == np.int32


def test_hand_computed_pause(tiny):
    """Cap 5 s: after the second chunk 7.42 s are in the buffer, five drain steps (2.5 s) bring it to 4.92."""
    env = tiny.make(buffer_cap_s=5.0)
    seen = rollout(env, [0, 0], seed=0)
    # the pause begins at 1.5 s: 2.5 s end exactly at the segment's end, which the strict rule crosses
    assert column(seen, "buffer_s") == pytest.approx([4.0, 4.92, 4.84])
    assert column(seen, "sleep_ms") == [0, 2500, 3500]
    assert column(seen, "sleep_residual_ms") == pytest.approx([0, 0, 3500], abs=1e-6)
    assert env.unwrapped.simulator.batch.session[0]["clock_s"] == pytest.approx(8.0)


def test_first_chunk_belongs_to_reset():
    env = gym.make(ABR)
    seen = rollout(env, [2] * 60, seed=0)
    assert len(seen) - 1 == 47
    assert column(seen, "chunk") == list(range(1, 49))
    assert seen[0][2]["bitrate_kbps"] == 300 and seen[0][0][0, -1] == np.float32(300 / 4300)
    assert np.count_nonzero(seen[0][0][1, :-1]) == 0, "one column is filled"


def test_return_over_47_is_the_mean_qoe_per_chunk():
    seen = rollout(gym.make(ABR), [3, 1] * 24, seed=4)
    kbps, stall = np.array(column(seen, "bitrate_kbps")), np.array(column(seen, "rebuffer_s"))
    qoe = kbps[1:] / 1000 - 4.3 * stall[1:] - np.abs(np.diff(kbps)) / 1000
    assert sum(reward for _, reward, _ in seen) / 47 == pytest.approx(qoe.mean(), rel=1e-12)


def test_flat_observations_are_the_rows_one_after_the_other():
    flat, matrix = gym.make(ABR, observation="flat"), gym.make(ABR)
    assert flat.observation_space == gym.wrappers.FlattenObservation(matrix).observation_space
    for ours, theirs in zip(rollout(flat, [1, 2, 0], seed=0), rollout(matrix, [1, 2, 0], seed=0), strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0].ravel(), strict=True)


@pytest.mark.parametrize("history", [4, 6, 8])
def test_observations_follow_the_published_layout(history, tiny):
    """numpy.roll as in the published code: with a long history old sizes stay visible in row 4."""
    env = tiny.make(history=history)
    seen, state = rollout(env, [1, 2, 0], seed=0), np.zeros((6, history))
    for chunk, (observation, _, info) in enumerate(seen, start=1):
        state = np.roll(state, -1, axis=1)
        state[0, -1] = info["bitrate_kbps"] / 4000
        state[1, -1] = info["buffer_s"] / 10
        state[2, -1] = info["chunk_bytes"] / info["delay_ms"] / 1000
        state[3, -1] = info["delay_ms"] / 1000 / 10
        state[4, :3] = [level[chunk] / 1000 / 1000 if chunk < 4 else 0.0 for level in tiny.sizes]
        state[5, -1] = (4 - chunk) / 4
        assert observation.dtype == np.float32
        assert np.array_equal(observation, state.astype(np.float32))
        assert observation in env.observation_space


def test_terminal_observation_has_no_next_sizes(tiny):
    env = tiny.make()
    env.reset(seed=0)
    *_, (observation, _, info) = rollout(env, [0, 0, 0], seed=0)
    assert observation[4, :3].tolist() == [0, 0, 0] and observation[5, -1] == 0
    assert info["chunk_sizes_ahead"].shape == (0, 3)
    with pytest.raises(ValueError, match="over"):
        env.step(0)


@pytest.mark.parametrize("rtt_ms", [0, 900])
@pytest.mark.parametrize("traces", ["synthetic(count=5)", "genet(count=8)", "genet(space=udr1,count=8)"])
def test_observations_stay_inside_their_bounds(traces, rtt_ms):
    env = gym.make_vec(ABR, num_envs=32, traces=traces, rtt_ms=rtt_ms, delay_noise=True, start="random")
    env.reset(seed=0)
    assert np.all(np.isfinite(env.single_observation_space.high))
    for actions in np.random.default_rng(1).integers(6, size=(100, 32)):
        observations = env.step(actions)[0]
        assert np.all(observations >= env.observation_space.low) and np.all(observations <= env.observation_space.high)


# --- resets and seeds ---


def test_seed_alone_determines_the_episode():
    env, options = gym.make(ABR, delay_noise=True, start="random"), {"delay_noise": True, "start": "random"}
    assert figures(env, seed=5) == figures(env, seed=5) == figures(gym.make(ABR, **options), seed=5)
    assert figures(env, seed=5) != figures(env, seed=6)
    env.reset(seed=5)
    following = figures(env, options={})
    assert following != figures(env, seed=5), "the second episode of a seed is another one"
    env.reset(seed=5)
    assert following == figures(env, options={})


def test_unseeded_environments_differ():
    keys = {int(e.unwrapped.simulator.batch.session["key"][0]) for e in (gym.make(ABR), gym.make(ABR)) if e.reset()}
    assert len(keys) == 2
    vector = gym.make_vec(ABR, num_envs=50)
    vector.reset()
    assert len(set(vector.unwrapped.simulator.batch.session["key"])) == 50


def test_traces_are_drawn_evenly():
    env = gym.make_vec(ABR, num_envs=4000, traces="synthetic(count=4)")
    _, infos = env.reset(seed=0)
    assert np.bincount(infos["trace"], minlength=4) == pytest.approx([1000] * 4, abs=130)


def test_pinned_traces():
    env = gym.make(ABR)
    for trace in (0, 99, np.int64(7)):
        assert env.reset(options={"trace": trace})[1]["trace"] == trace
    vector = gym.make_vec(ABR, num_envs=3)
    assert vector.reset(options={"trace": 5})[1]["trace"].tolist() == [5, 5, 5]
    drawn = vector.reset(seed=0)[1]["trace"]
    assert vector.reset(seed=0, options={"trace": [4, -1, 9]})[1]["trace"].tolist() == [4, drawn[1], 9]


@pytest.mark.parametrize("trace", [-2, 100, 1.0, "0", True, [1, 2]])
def test_bad_pins(trace):
    for env in (gym.make(ABR), gym.make_vec(ABR, num_envs=3)):
        with pytest.raises(ValueError, match="trace"):
            env.reset(options={"trace": trace})


def test_bad_resets():
    env = gym.make_vec(ABR, num_envs=3)
    for mask in ([True, False, True], [1, 1, 1], np.zeros(3, bool), np.ones(2, bool)):
        with pytest.raises(ValueError, match="reset"):
            env.reset(options={"reset_mask": np.array(mask)})
    with pytest.raises(ValueError, match="seed has 2 entries for 3 rows"):
        env.reset(seed=[1, 2])
    with pytest.raises(ValueError, match="did you mean 'trace'"):
        env.reset(options={"traces": 1})
    with pytest.raises(ValueError, match="call reset"):
        env.step([0, 0, 0])


def test_seeds_as_numpy_integers():
    env = gym.make_vec(ABR, num_envs=2)
    expected, _ = env.reset(seed=4)
    for seed in (np.int64(4), np.array([4, 5]), [4, 5]):
        assert np.array_equal(env.reset(seed=seed)[0], expected)


def test_reset_mask_leaves_the_other_rows_alone():
    env = gym.make_vec(ABR, num_envs=4, autoreset_mode="disabled", delay_noise=True)
    env.reset(seed=0)
    before, *_ = env.step([1, 2, 3, 4])
    mask = np.array([False, True, False, True])
    observations, infos = env.reset(seed=[None, 77, None, None], options={"reset_mask": mask})
    assert np.array_equal(observations[~mask], before[~mask])
    assert infos["chunk"].tolist() == [2, 1, 2, 1]
    single = gym.make(ABR, delay_noise=True)
    assert np.array_equal(observations[1], single.reset(seed=77)[0])
    single.reset(seed=3)
    assert np.array_equal(observations[3], single.reset()[0]), "no seed: the row's own stream goes on"


def test_disabled_autoreset_refuses_finished_rows(tiny):
    env = tiny.make_vec(2, autoreset_mode="disabled")
    env.reset(seed=0)
    for _ in range(3):
        *_, terminated, _, _ = env.step([0, 0])
    assert terminated.all()
    for _ in range(2):
        with pytest.raises(ValueError, match="reset it first"):
            env.step([0, 0])
    env.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(ValueError, match="reset it first"):
        env.step([0, 0])
    env.reset(options={"reset_mask": np.array([False, True])})
    assert env.step([0, 0])[4]["chunk"].tolist() == [2, 2]


@pytest.mark.parametrize(
    "actions",
    [
        [0],
        [[0, 0]],
        [0, 6],
        [-1, 0],
        [0.5, 0],
        [math.nan, 0],
        [math.inf, 0],
        ["0", "1"],
        [None, 0],
        None,
        [2**70, 0],
        np.array([0, 2**64 - 1], dtype=np.uint64),
        np.array([1 + 1j, 0]),
    ],
    ids=str,
)
def test_bad_batches_of_actions(actions):
    env = gym.make_vec(ABR, num_envs=2)
    before, _ = env.reset(seed=0)
    with pytest.raises(ValueError, match="action"):
        env.step(actions)
    assert np.array_equal(env.unwrapped.simulator.batch.observation, before)


@pytest.mark.parametrize("kind", [int, np.int8, np.uint64, np.float64, ">i4", bool])
def test_kinds_of_actions(kind):
    """Every kind of whole number is the same action; strided and read-only arrays compile nothing anew."""
    env, levels = gym.make_vec(ABR, num_envs=3), [1, 0, 1]
    env.reset(seed=0)
    expected = env.step(levels)[1]
    single = gym.make(ABR)
    single.reset(seed=0)
    assert single.step(np.array(1, dtype=kind))[1] == expected[0]
    compiled = len(kernel.step_rows.signatures)
    strided = np.zeros((3, 2), dtype=kind)
    strided[:, 0] = levels
    frozen = np.array(levels, dtype=kind)
    frozen.flags.writeable = False
    for actions in (strided[:, 0], frozen):
        env.reset(seed=0)
        assert np.array_equal(env.step(actions)[1], expected)
    assert len(kernel.step_rows.signatures) == compiled


# --- what is handed out is the caller's ---


def test_nothing_handed_out_is_shared():
    env = gym.make_vec(ABR, num_envs=2)
    observations, infos = env.reset(seed=0)
    twin = gym.make_vec(ABR, num_envs=2)
    twin.reset(seed=0)
    observations[:] = -1
    for name in kernel.INFO_COLUMNS:
        infos[name][:] = -1
    stepped = env.step([2, 2])
    stepped[1][:] = 99
    expected = twin.step([2, 2])
    assert np.array_equal(stepped[0], expected[0])
    assert np.array_equal(env.step([1, 1])[1], twin.step([1, 1])[1])
    assert np.array_equal(stepped[0], expected[0]), "a later step leaves earlier observations alone"
    assert not np.shares_memory(stepped[0], env.step([1, 1])[0])


def test_tables_handed_out_are_read_only():
    _, info = gym.make(ABR).reset()
    video, qoe = info["video"], info["qoe"]
    for table in (video.bitrates_kbps, video.chunk_sizes, qoe.utility, qoe.switch_cost, info["chunk_sizes_ahead"]):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 1


def test_vector_attributes():
    env = gym.make_vec(ABR, num_envs=2).unwrapped
    assert env.chunk_sizes is env.video.chunk_sizes and env.chunk_sizes.shape == (49, 6)
    assert env.shared_info == {"video": env.video, "qoe": env.qoe}
    assert len(env.traces) == 100


def test_info_columns_are_scalars_per_row():
    env = gym.make_vec(ABR, num_envs=2)
    _, infos = env.reset(seed=0)
    names = [name for name in infos if not name.startswith("_")]
    assert sorted(names) == sorted([*kernel.INFO_COLUMNS, "buffer_cap_s", "chunk", "trace", "invalid_action"])
    assert all(infos[name].shape == (2,) and infos[f"_{name}"].all() for name in names)
    assert infos["chunk"].dtype == np.int64 and infos["delay_ms"].dtype == np.float64


def test_a_pickled_batch_goes_on_equally():
    env = gym.make_vec(ABR, num_envs=3, delay_noise=True).unwrapped
    env.reset(seed=0)
    env.step([1, 2, 3])
    twin = pickle.loads(pickle.dumps(env))
    for _ in range(60):
        assert np.array_equal(env.step([1, 0, 2])[1], twin.step([1, 0, 2])[1])


def test_spec_options_are_json():
    spec = gym.make(ABR, preset="pensieve", traces="genet(space=udr1,count=3)", rtt_ms=7).spec
    assert json.loads(spec.to_json())["kwargs"] == {
        "preset": "pensieve",
        "traces": "genet(space=udr1,count=3)",
        "rtt_ms": 7,
    }


def test_episode_log(tiny):
    env = tiny.make().unwrapped
    assert all(len(values) == 0 for values in env.episode_log().values())
    seen = rollout(env, [1, 2, 0], seed=0)
    log = env.episode_log()
    assert set(log) == set(kernel.INFO_COLUMNS)
    assert all(log[name].tolist() == column(seen, name) for name in log)
    env.reset()
    assert all(len(values) == 1 for values in env.episode_log().values())


# --- memory safety: numba does not check indices unless asked ---

DRIVER = """
    import gymnasium as gym, numpy as np, netenvs
    from agents.policy import load_policy
    from netenvs.abr import kernel

    try:
        kernel.play_chunk(np.zeros(2), np.zeros(2), 0, 2, 7, 0.0, 0.0, 1, 0.0, 1.0, 1.0, 1.0)
    except IndexError:
        print("checked")
    rng = np.random.default_rng(0)
    configurations = [
        {"action_mode": "jump", "start": "random", "delay_noise": True, "history": 9},
        {"traces": "genet(space=udr1,count=5)", "preset": "genet"},
    ]
    policies = [load_policy(name, "abr") for name in ("robust-mpc", "throughput", "bba", "bola")]
    for options in configurations:
        for mode in ("next-step", "same-step", "disabled"):
            env = gym.make_vec("netenvs/ABR-v0", num_envs=5, autoreset_mode=mode, **options)
            observations, infos = env.reset(seed=0)
            for policy in policies:
                policy.reset_rows(np.arange(5), [None] * 5)
            over = np.zeros(5, dtype=bool)
            for step in range(220):
                for policy in policies:  # finished rows included
                    policy.act_batch(observations, {**infos, **env.unwrapped.shared_info, "row": np.arange(5)})
                if mode == "disabled" and over.any():
                    env.reset(options={"reset_mask": over | (rng.random(5) < 0.2)})
                elif rng.random() < 0.05:
                    some = rng.random(5) < 0.4
                    if some.any():
                        env.reset(options={"reset_mask": some, "trace": rng.integers(-1, 5, size=5)})
                over = np.zeros(5, dtype=bool) if mode == "disabled" else over
                observations, _, over, _, infos = env.step(rng.integers(env.single_action_space.n, size=5))
    print("done")
"""


def test_no_sequence_of_legal_calls_leaves_an_array(tmp_path):
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(DRIVER)], env=environment, capture_output=True, text=True, check=False
    )
    assert run.stdout.split() == ["checked", "done"], run.stderr[-2000:]


def test_sessions_compare_by_content():
    """What two environments hand out in ``info`` is equal where their options are, and hashable."""
    one, two = (gym.make("netenvs/ABR-v0").reset(seed=0)[1] for _ in range(2))
    other = gym.make("netenvs/ABR-v0", video="synthetic(seed=1)", qoe="log").reset(seed=0)[1]
    for name in ("video", "qoe"):
        assert one[name] == two[name]
        assert hash(one[name]) == hash(two[name])
        assert one[name] != other[name]
    assert gym.make("netenvs/ABR-v0").unwrapped.traces == gym.make("netenvs/ABR-v0").unwrapped.traces


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="resident memory is read from /proc")
def test_a_large_batch_fits_into_little_memory():
    """4,096 rows in a process that imports netenvs only: under 400 MB resident, and steps leave nothing behind."""
    script = """
import os
import gymnasium as gym, netenvs, numpy as np
env = gym.make_vec("netenvs/ABR-v0", num_envs=4096)
env.reset(seed=0)
actions = np.random.default_rng(0).integers(0, 6, (64, 4096))
resident = []
for _ in range(3):
    for row in actions:
        env.step(row)
    with open("/proc/self/statm") as file:
        resident.append(int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE"))
assert max(resident) < 400e6, resident
assert resident[-1] - resident[0] < 10e6, resident
"""
    subprocess.run([sys.executable, "-c", script], check=True)
