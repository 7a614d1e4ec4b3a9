"""``netenvs/VPStreaming-v0``: the contract, physics by hand and against the bitrate simulator, what is known when."""

import copy
import json
import pickle

import gymnasium as gym
import numpy as np
import pytest

import netenvs  # noqa: F401
from netenvs.testing import check_task
from netenvs.vp import sphere
from netenvs.vp.recordings import recordings_of
from netenvs.vp.workload import load_recordings
from netenvs.vp_streaming import kernel
from netenvs.vp_streaming.env import VPStreamingEnv
from netenvs.vp_streaming.qoe import make_qoe
from netenvs.vp_streaming.tiles import bytes_at_1_mbps, viewport_rings

ID = "netenvs/VPStreaming-v0"
WHOLE = np.ones(16, dtype=np.int64)
IN_SIGHT = np.zeros((4, 4), dtype=np.bool_)
IN_SIGHT[1:, 1:3] = True  # of the tiny session: pitch -30 to 50, yaw -30 to 50


def rollout(env, actions, **reset):
    """[(observation, reward, info), ...], the reset first."""
    observation, info = env.reset(**reset)
    seen = [(observation, 0.0, info)]
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        seen.append((observation, reward, info))
        assert not truncated
    return seen, terminated


def column(seen, name):
    return [info[name] for *_, info in seen]


# --- the contract ---


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"action_mode": "zones", "tiles": "6x12", "predictor": "line", "qoe": "lin"},
        {"action_mode": "pair", "buffer_cap_s": 5.0, "history": 20, "start": "random"},
        {"action_mode": "zones", "dataset": "synthetic(samples=29)", "rates_mbps": [2, 4], "fov_deg": [90, 60]},
    ],
    ids=str,
)
def test_contract(options):
    check_task(ID, steps=60, **options)


def test_contract_of_a_users_files(tiny):
    check_task(ID, steps=20, **tiny.options)


@pytest.mark.parametrize("rows", [1, 7])
def test_rows_do_not_depend_on_the_batch(rows):
    actions = np.random.default_rng(0).integers(6, size=(60, 20, 3))
    options = {"action_mode": "zones", "start": "random"}
    large, small = (gym.make_vec(ID, num_envs=n, **options) for n in (20, rows))
    left, right = large.reset(seed=3)[0], small.reset(seed=3)[0]
    for row in actions:
        assert all(np.array_equal(left[name][:rows], right[name]) for name in left)
        left, rewards, terminated, *_ = large.step(row)
        right, *others = small.step(row[:rows])
        assert np.array_equal(rewards[:rows], others[0]) and np.array_equal(terminated[:rows], others[1])


def test_seeds_draw_recordings_and_traces():
    env = gym.make(ID)
    pairs = [tuple(env.reset(seed=seed)[1][name] for name in ("recording", "trace")) for seed in range(40)]
    assert len(set(pairs)) > 35 and len({of for of, _ in pairs}) > 20 and len({trace for _, trace in pairs}) > 20
    assert pairs[7] == tuple(env.reset(seed=7)[1][name] for name in ("recording", "trace"))


def test_episodes_of_a_seed_differ_and_begin_with_an_empty_log():
    env = gym.make(ID)
    first = env.reset(seed=1)[1]
    env.step(np.ones(64, dtype=int))
    drawn = [first, *(env.reset()[1] for _ in range(9))]
    assert len({(info["recording"], info["trace"]) for info in drawn}) > 7
    assert len(env.unwrapped.fetched_levels()) == 1
    assert env.unwrapped.episode_log()["buffer_s"].tolist() == [drawn[-1]["buffer_s"]]
    again = [env.reset(seed=1)[1], *(env.reset()[1] for _ in range(9))]
    assert [info["trace"] for info in again] == [info["trace"] for info in drawn]


def test_an_episode_does_not_depend_on_the_one_before():
    used, fresh = gym.make(ID, action_mode="zones"), gym.make(ID, action_mode="zones")
    used.reset(seed=0)
    for _ in range(9):
        used.step([5, 4, 3])
    (left, info), (right, _) = used.reset(seed=3), fresh.reset(seed=3)
    assert not left["throughput_mbps"][:-1].any() and left["throughput_mbps"][-1] > 0
    for _ in range(20):
        assert all(np.array_equal(left[name], right[name]) for name in left)
        (left, reward, _, _, info), (right, other, _, _, other_info) = used.step([3, 2, 1]), fresh.step([3, 2, 1])
        assert reward == other and all(info[name] == other_info[name] for name in kernel.INFO_COLUMNS)


def test_options_of_traces_and_videos():
    def begin(**options):
        env = gym.make(ID, **options)
        observation, _ = env.reset(seed=5, options={"recording": 3, "trace": 8})
        return observation, int(env.unwrapped.simulator.batch.session["start"][0])

    (stored, pointer), (first, begun) = begin(), begin(start="first")
    assert pointer == gym.make(ID).unwrapped.traces.start_pointer[8] != 1 == begun
    drawn = gym.make(ID, start="random")
    starts = {
        drawn.reset(options={"trace": 8}) and drawn.unwrapped.simulator.batch.session["start"][0] for _ in "12345"
    }
    assert len(starts) > 2
    assert np.array_equal(stored["tile_mbyte"], first["tile_mbyte"])
    other, _ = begin(video_seed=1)
    assert not np.isclose(other["tile_mbyte"], stored["tile_mbyte"], rtol=1e-3).all()


def test_the_field_of_view_is_width_then_height(tiny):
    env = tiny.make(fov_deg=[16.0, 120.0])  # yaw 2 to 18, pitch -50 to 70: column 2, all rows
    observation, _ = env.reset(seed=0)
    expected = np.zeros((4, 4))
    expected[:, 2] = 1.0
    assert np.array_equal(observation["viewport"].reshape(4, 4), expected)
    levels = np.where(expected, 2, 0).reshape(-1)
    *_, info = env.step(levels)
    assert info["wasted_mbyte"] == 0 and info["viewport_stall_s"] == 0


# --- physics by hand: 9.5 Mbit/s of payload, round trip 0.1 s ---


def test_hand_computed_episode(tiny):
    env = tiny.make()
    levels = np.where(IN_SIGHT, 3, 1).reshape(-1)
    seen, terminated = rollout(env, [3 * WHOLE, WHOLE, levels, *[3 * WHOLE] * 4], seed=0)
    assert terminated and len(seen) == 8, "40 samples are 8 chunks"
    in_sight = 4 * np.sqrt(0.5) / 8 + 2 * (1 - np.sqrt(0.5)) / 8  # share of the sphere, rows 1 to 3 of two columns
    mbit = np.array([1, 4, 1, 4 * in_sight + (1 - in_sight), 4])
    assert column(seen, "fetched_mbyte")[:5] == pytest.approx(mbit / 8, abs=2e-5)
    delay = mbit / 9.5 + 0.1
    assert np.array(column(seen, "delay_ms"))[:5] / 1000 == pytest.approx(delay, abs=2e-5)
    assert column(seen, "throughput_mbps")[:5] == pytest.approx(mbit / delay, rel=1e-4)
    assert column(seen, "stall_s") == pytest.approx([delay[0], *[0] * 7], abs=2e-5)
    full = 1 + 1 - delay[1] + 1 - delay[2] + 1 - delay[3]  # 2.9 s
    last = full + 1 - delay[4]
    buffer = [1, 2 - delay[1], 3 - delay[1] - delay[2], full, last - 0.5]  # over 3 s: a pause of 0.5 s
    assert column(seen, "buffer_s")[:5] == pytest.approx(buffer, abs=1e-4)
    assert column(seen, "sleep_ms")[:5] == [0, 0, 0, 0, 500]
    waste = np.array([1, 4, 1, 1, 4]) * (1 - in_sight) / 8
    assert column(seen, "wasted_mbyte")[:5] == pytest.approx(waste, abs=2e-5)
    quality = [0.25, 1, 0.25, 1, 1, 1, 1, 1]
    assert column(seen, "quality") == pytest.approx(quality)
    assert column(seen, "quality_change") == pytest.approx(np.abs(np.diff(quality, prepend=0.25)))
    assert not any(column(seen, "quality_spread")) and not any(column(seen, "viewport_stall_s"))
    assert [reward for _, reward, _ in seen] == pytest.approx([0, 1 - 0.75, 0.25 - 0.75, 1 - 0.75, 1, 1, 1, 1])
    assert column(seen, "chunk") == list(range(1, 9))
    assert column(seen, "tile_recall")[1:4] == [1, 1, 1]
    assert column(seen, "tile_precision")[1:4] == pytest.approx([6 / 16, 6 / 16, 1])


def test_hand_computed_stall(tiny):
    """0.95 Mbit/s: 4 Mbit take 4.21 s and the round trip; the buffer has 1 s, the head rests."""
    env = tiny.make(bandwidth_scale=1.0)
    seen, _ = rollout(env, [3 * WHOLE, WHOLE], seed=0)
    delay = np.array([1, 4, 1]) / 0.95 + 0.1
    assert np.array(column(seen, "delay_ms")) / 1000 == pytest.approx(delay, abs=2e-4)
    stall = [delay[0], delay[1] - 1, delay[2] - 1]
    assert column(seen, "stall_s") == pytest.approx(stall, abs=2e-4)
    assert column(seen, "buffer_s") == [1, 1, 1]
    assert [reward for _, reward, _ in seen][1] == pytest.approx(1 - stall[1] - 0.75, abs=2e-4)
    assert column(seen, "time_s") == [0, 1, 2], "a second is played between them, however long it takes"
    assert column(seen, "lead") == [5, 5, 5]


def test_nothing_fetched(tiny):
    env = tiny.make()
    seen, _ = rollout(env, [0 * WHOLE], seed=0)
    *_, info = seen[-1]
    assert (info["fetched_mbyte"], info["wasted_mbyte"], info["throughput_mbps"], info["quality"]) == (0, 0, 0, 0)
    assert info["delay_ms"] == 100 and info["viewport_stall_s"] == pytest.approx(1.0)
    assert (info["tile_recall"], info["tile_precision"]) == (0, 0)
    assert seen[-1][1] == pytest.approx(0 - 1.0 - 0.25)
    free = tiny.make(rtt_ms=0)
    seen, _ = rollout(free, [0 * WHOLE], seed=0)
    observation, _, info = seen[-1]
    assert info["delay_ms"] == 0 and info["throughput_mbps"] == 0 and observation in free.observation_space


def test_known_viewport_with_a_hole(tiny):
    """Half of the tiles in sight: quality and its spread, and a hole during the whole chunk."""
    env = tiny.make(stall_penalty=10.0, change_penalty=0.5, spread_penalty=2.0)
    half = np.zeros((4, 4), dtype=np.int64)
    half[1:, 1] = 2  # three of six tiles, at half the highest rate
    half[0, 0] = 2  # and one that nobody sees
    seen, _ = rollout(env, [half.reshape(-1)], seed=0)
    _, reward, info = seen[-1]
    assert info["quality"] == pytest.approx(0.25) and info["quality_spread"] == pytest.approx(0.25)
    assert info["viewport_stall_s"] == pytest.approx(1.0)
    assert info["tile_recall"] == pytest.approx(0.5) and info["tile_precision"] == pytest.approx(0.75)
    assert info["wasted_mbyte"] == pytest.approx(2 * (1 - np.sqrt(0.5)) / 8 / 8, abs=1e-6)
    assert reward == pytest.approx(0.25 - 10 * 1.0 - 0.5 * 0.0 - 2 * 0.25)


def test_a_hole_lasts_as_long_as_it_is_in_sight(tiny):
    """The viewer turns to the other side at sample 8 of 10: two of the second chunk's five samples."""
    angles = np.tile([10.0, 10.0], (15, 1))
    angles[8:, 1] = 170.0  # yaw 130 to 210: columns 3 and 0
    env = tiny.make(dataset=tiny.recording(angles))
    seen, _ = rollout(env, [np.where(IN_SIGHT, 3, 0).reshape(-1)], seed=0)
    _, reward, info = seen[-1]
    assert info["viewport_stall_s"] == pytest.approx(0.4)
    assert info["quality"] == pytest.approx(0.6) and info["tile_recall"] == pytest.approx(0.5)
    assert info["wasted_mbyte"] == 0
    assert reward == pytest.approx(0.6 - 0.4 - (0.6 - 0.25))


@pytest.mark.filterwarnings("ignore:.*sizes are .* times what the bitrates make")  # they are those of tiles
def test_download_and_buffer_are_those_of_the_bitrate_environment(video_file):
    """The same bytes over the same trace with chunks of a second: equal to the last bit."""
    env = gym.make(ID, rtt_ms=35.0, buffer_cap_s=4.0)
    levels = np.random.default_rng(1).integers(1, 6, 47)
    seen, terminated = rollout(env, [np.full(64, level) for level in levels], seed=5, options={"trace": 17})
    assert terminated
    sizes = np.rint(np.array(column(seen, "fetched_mbyte")) * 1e6).astype(int).tolist()
    times, bandwidth = env.unwrapped.traces.trace(17)
    pointer = int(env.unwrapped.traces.start_pointer[17])
    rolled = [(float(t), float(b) * 10.0) for t, b in zip(times, bandwidth, strict=True)]
    manifest = video_file([sizes, [size + 1 for size in sizes]], [1000, 2000], chunk_duration_s=1.0)
    options = {"rtt_ms": 35.0, "buffer_cap_s": 4.0, "history": 4}
    abr = gym.make("netenvs/ABR-v0", video=manifest, disable_env_checker=True, **options)
    world = abr.unwrapped.simulator.world
    mine = abr.unwrapped.traces.offset[17] + np.arange(len(rolled))
    world.bandwidth_mbps[mine] = [b for _, b in rolled]
    _, info = abr.reset(seed=0, options={"trace": 17})
    assert abr.unwrapped.start_pointer == pointer
    infos = [info, *(abr.step(0)[-1] for _ in range(47))]
    for name in ("delay_ms", "sleep_ms", "stall_s", "buffer_s", "throughput_mbps"):
        other = "rebuffer_s" if name == "stall_s" else name
        assert column(seen, name) == [info[other] for info in infos], name
    assert any(column(seen, "sleep_ms")) and any(column(seen, "stall_s")[1:])


def test_waste_is_what_was_fetched_and_not_seen():
    env = gym.make(ID, tiles="6x12")
    rng = np.random.default_rng(2)
    env.reset(seed=3)
    recordings = load_recordings("synthetic")
    number = recordings_of(recordings, "test")[env.unwrapped.simulator.batch.session["recording"][0]]
    angles = recordings.angles_deg[recordings.offset[number] : recordings.offset[number + 1]]
    sizes = bytes_at_1_mbps(env.unwrapped.grid, int(recordings.video[number]), 48, 0)
    assert np.array_equal(env.unwrapped.watched(), angles.reshape(48, 5, 3))
    rates = np.array([0.0, 1.0, 5.0, 8.0, 16.0, 35.0])
    for chunk in range(1, 48):
        levels = rng.integers(6, size=72)
        *_, info = env.step(levels)
        masks = sphere.tile_masks(angles[5 * chunk : 5 * chunk + 5], 6, 12).reshape(5, -1)
        fetched = np.rint(rates[levels] * sizes[chunk])
        assert info["fetched_mbyte"] == pytest.approx(fetched.sum() / 1e6)
        assert info["wasted_mbyte"] == pytest.approx(fetched[~masks.any(axis=0)].sum() / 1e6)
        assert info["viewport_stall_s"] == pytest.approx(0.2 * sum((levels[mask] == 0).any() for mask in masks))


# --- what is known, and when ---


def test_the_head_is_seen_up_to_the_playback_position(tiny):
    """Sample i has yaw i: the last one seen is that of the playback position, which stands still in stalls."""
    env = tiny.make(dataset=tiny.recording([(0.0, float(i)) for i in range(60)]), buffer_cap_s=5.0)
    rng, (_, info) = np.random.default_rng(0), env.reset(seed=0)
    wall_ms, played_ms, done = info["delay_ms"], 0.0, False
    while not done:
        observation, _, done, _, info = env.step(rng.integers(4, size=16))
        wall_ms += info["delay_ms"] + info["sleep_ms"]
        played_ms += info["delay_ms"] + info["sleep_ms"] - info["stall_s"] * 1000
        assert info["chunk"] - info["buffer_s"] == pytest.approx(played_ms / 1000, abs=1e-9)
        last = int(played_ms / 200 + 1e-6)
        assert observation["history"][-1, 2] == pytest.approx(last, abs=1e-3)
        expected = np.maximum(np.arange(last - 9, last + 1), 0)
        assert observation["history"][:, 2] == pytest.approx(expected, abs=1e-3), "at rest before the recording"
        assert info["time_s"] == pytest.approx(last / 5) and observation["time_s"] == pytest.approx(last / 5)
        assert last + info["lead"] == 5 * info["chunk"]
        assert 5 <= info["lead"] <= info["horizon"] - 5


def test_other_recordings_are_never_seen():
    """Before its own beginning the head was at rest, whoever comes before in the data set."""
    env = gym.make(ID, history=50)
    for number in (0, 7, 49):
        observation, info = env.reset(seed=0, options={"recording": number})
        own = env.unwrapped.watched().reshape(-1, 3)
        for _ in range(12):
            last = 5 * info["chunk"] - info["lead"]
            expected = own[np.maximum(np.arange(last - 49, last + 1), 0)]
            assert np.array_equal(observation["history"], expected)
            observation, *_, info = env.step(np.ones(64, dtype=int))


@pytest.mark.parametrize("chunks", range(2, 16))
def test_a_sample_is_seen_at_its_time_although_times_are_rounded(tiny, chunks):
    """Round trips of 200 ms / n: after n of them the sample at 0.2 s, whatever their sum in floating point."""
    env = tiny.make(dataset=tiny.recording(np.zeros((100, 2))), rtt_ms=200 / chunks, buffer_cap_s=30.0)
    env.reset(seed=0)
    seconds = [env.step(0 * WHOLE)[-1]["time_s"] for _ in range(chunks)]
    assert seconds == [0.0] * (chunks - 1) + [0.2]


@pytest.mark.parametrize("cap", [1.0, 2.5, 3.0, 5.0])
def test_the_horizon_reaches_the_end_of_the_next_chunk(cap):
    env = gym.make_vec(ID, num_envs=30, buffer_cap_s=cap, action_mode="zones", rtt_ms=1.0)
    env.reset(seed=0)
    leads = [env.step(np.tile([1, 1, 0], (30, 1)))[-1]["lead"] for _ in range(40)]
    horizon = env.unwrapped.shared_info["horizon"]
    assert np.max(leads) == horizon - 5 == np.ceil(5 * cap)
    assert np.min(leads) >= (5 if cap >= 1.5 else 3), "a pause may drain up to half a second more than it has to"


def test_observations_hold_nothing_of_the_future(tiny):
    """Two recordings that are alike up to the playback position look alike."""
    same = np.random.default_rng(0).uniform(-80, 80, (60, 2))
    other = same.copy()
    envs = []
    for at in (40, 60):
        other[at:] = -same[at:]
        envs.append(tiny.make(dataset=tiny.recording(other, f"{at}.csv"), action_mode="zones", tiles="8x8"))
        other = same.copy()
    observations = [env.reset(seed=0)[0] for env in envs]
    differed = False
    for _ in range(9):
        last = round(float(observations[0]["time_s"][0]) * 5)
        if last < 40:
            for name in observations[0]:
                assert np.array_equal(observations[0][name], observations[1][name]), (name, last)
        results = [env.step([3, 2, 1]) for env in envs]
        differed |= results[0][1] != results[1][1]
        observations = [result[0] for result in results]
    assert differed, "rewards are of the future"


def test_observation_is_what_it_says(tiny):
    env = tiny.make(action_mode="zones")
    observation, info = env.reset(seed=0)
    assert observation["fetched"] == pytest.approx(np.full(16, 0.25))
    assert observation["tile_mbyte"] == pytest.approx(np.rint(env.unwrapped.grid.shares() * 125_000) / 1e6)
    assert observation["viewport"].reshape(4, 4).tolist() == IN_SIGHT.tolist()
    assert observation["throughput_mbps"][-1] == pytest.approx(info["throughput_mbps"])
    assert not observation["throughput_mbps"][:-1].any()
    assert observation["chunks_left"] == pytest.approx(7 / 8)
    first = info["delay_ms"]
    observation, *_, info = env.step([3, 2, 0])
    grid = np.where(IN_SIGHT, 1.0, 0.5)  # the margin is everything else here
    assert observation["fetched"].reshape(4, 4) == pytest.approx(grid)
    assert observation["download_s"][-2:] == pytest.approx([first / 1000, info["delay_ms"] / 1000])
    for _ in range(6):
        observation, _, terminated, _, info = env.step([0, 0, 0])
    assert terminated and observation["chunks_left"] == 0 and not observation["tile_mbyte"].any()


def test_zones_and_pairs_are_tiles_around_the_own_prediction():
    """The same chunks, chosen tile by tile."""
    rng = np.random.default_rng(4)
    for mode, predictor in (("zones", "static"), ("zones", "line"), ("pair", "static"), ("pair", "line")):
        env, plain = gym.make(ID, action_mode=mode, predictor=predictor), gym.make(ID)
        observation, _ = env.reset(seed=6)
        plain.reset(seed=6)
        moved = False
        for _ in range(47):
            action = rng.integers(6, size=3) if mode == "zones" else int(rng.integers(15))
            simulator = env.unwrapped.simulator
            path = np.empty((3, 5))
            last = simulator.world.recordings["begin"][simulator.batch.session["recording"][0]]
            begin, last = last, last + simulator.batch.session["last"][0]
            kernel.predict(simulator.world.angles_deg, begin, last, simulator.lead[0], predictor == "line", path)
            (ring,) = viewport_rings(simulator.grid, path.T[None], simulator.fov_deg)
            assert np.array_equal(observation["viewport"], ring == 0)
            moved |= bool(np.ptp(path[2]))
            levels = np.empty(64, dtype=np.int64)
            chosen = np.atleast_1d(action)
            kernel.choose_levels(
                simulator.world.mode, chosen, simulator.world.pairs, simulator.world.rates_mbps, ring, levels
            )
            observation, reward, _, _, info = env.step(action)
            _, other, _, _, other_info = plain.step(levels)
            assert (reward, info["delay_ms"]) == (other, other_info["delay_ms"])
        assert moved == (predictor == "line")


# --- objectives, options, errors ---


def test_objectives():
    rates = np.array([1.0, 2.0, 8.0])
    log, lin = (make_qoe(kind, rates, None, 1.0, 1.0) for kind in ("log", "lin"))
    assert log.utility == pytest.approx([0, 0, np.log(2), np.log(8)]) and log.stall_penalty == pytest.approx(np.log(8))
    assert lin.utility == pytest.approx([0, 1 / 8, 1 / 4, 1]) and lin.stall_penalty == 1
    assert make_qoe("lin", rates, 4, 0.5, 2).reward(0.5, 0.75, 0.1, 0.2) == pytest.approx(0.5 - 0.4 - 0.125 - 0.4)
    env = gym.make(ID, action_mode="zones", change_penalty=0.3, spread_penalty=0.7, stall_penalty=2)
    rng, (_, info) = np.random.default_rng(0), env.reset(seed=1)
    for _ in range(47):
        previous = info["quality"]
        _, reward, _, _, info = env.step(rng.integers(6, size=3))
        stalls = info["stall_s"] + info["viewport_stall_s"]
        expected = info["qoe"].reward(info["quality"], previous, stalls, info["quality_spread"])
        assert reward == pytest.approx(expected, abs=1e-12)
        assert info["quality_change"] == pytest.approx(abs(info["quality"] - previous), abs=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"action_mode": "tile"}, "unknown action_mode 'tile'; did you mean 'tiles'?"),
        ({"predictor": "viewers"}, "unknown predictor 'viewers'; known: line, static"),
        ({"tiles": "8"}, "tiles must be rows x columns"),
        ({"fov_deg": [100]}, "fov_deg must be the width and the height"),
        ({"fov_deg": [0, 100]}, "from 1 to 360"),
        ({"rates_mbps": [5, 1]}, "ascending"),
        ({"rates_mbps": "fast"}, "rates_mbps must be"),
        ({"rates_mbps": [1, float("inf")]}, "rates_mbps must be"),
        ({"qoe": "hd"}, "unknown qoe 'hd'; known: lin, log"),
        ({"stall_penalty": -1}, "stall_penalty must be a finite number from 0 up"),
        ({"spread_penalty": None}, "spread_penalty must be a finite number"),
        ({"history": 0}, "history must be a whole number of samples"),
        ({"start": "middle"}, "unknown start 'middle'"),
        ({"rtt_ms": -1}, "rtt_ms must be a number from 0 to"),
        ({"rtt_ms": float("nan")}, "rtt_ms must be a number from 0 to"),
        ({"buffer_cap_s": 0.5}, "buffer_cap_s must be a number from 1 to 60"),
        ({"buffer_cap_s": 1e6}, "buffer_cap_s must be a number from 1 to 60"),
        ({"bandwidth_scale": 0}, "bandwidth_scale must be"),
        ({"video_seed": -1}, "video_seed must be a whole number from 0 up"),
        ({"video_seed": 2**64}, "video_seed must be a whole number from 0 up"),
        ({"dataset": "synthetics"}, "did you mean 'synthetic'?"),
        ({"split": "tset"}, "did you mean 'test'?"),
        ({"traces": "elsewhere"}, "unknown traces 'elsewhere'"),
        ({"dataset": "synthetic(samples=9)"}, "no recording of 2 s or more"),
        ({"render_mode": "text"}, "unknown render_mode 'text'"),
    ],
    ids=str,
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        VPStreamingEnv(**options)


def test_wrong_resets_and_actions(tiny):
    env = gym.make(ID)
    for options, message in [
        ({"trace": 100}, "whole number from 0 to 99"),
        ({"recording": 50}, "whole number from 0 to 49"),
        ({"recording": 1.5}, "must be a whole number"),
        ({"recording": 1, "video": 2, "user": 3}, "give either the recording"),
        ({"video": 17}, "video and user go together"),
        ({"video": 17, "user": 9999}, "no recording of video 17 by user 9999"),
        ({"video": 1, "user": 1}, "not of split 'test'"),
        ({"window": 3}, "unknown reset option 'window'"),
    ]:
        with pytest.raises(ValueError, match=message):
            env.reset(options=options)
    with pytest.raises(ValueError, match=r"call reset\(\) first"):
        env.unwrapped.step(np.ones(64, dtype=int))
    with pytest.raises(ValueError, match="nothing to render"):
        env.unwrapped.render()
    env.reset(seed=0)
    for action, message in [
        (np.ones(63, dtype=int), r"shape \(63,\)"),
        (np.full(64, 6), "action 6 .component 0. is not in MultiDiscrete"),
        (np.full(64, -1), "give 0 to 5"),
        (np.full(64, 0.5), "whole numbers"),
    ]:
        with pytest.raises(ValueError, match=message):
            env.unwrapped.step(action)
    pair = gym.make(ID, action_mode="pair")
    pair.reset(seed=0)
    for action in (15, -1, 0.5, "two", [1, 2], None):
        with pytest.raises(ValueError, match="Discrete"):
            pair.unwrapped.step(action)
    results = [pair.unwrapped.step(action) for action in (3, np.int64(3), np.array([3]))]
    assert all(not result[2] for result in results)
    vector = gym.make_vec(ID, num_envs=2)
    with pytest.raises(ValueError, match="not support"):
        gym.make_vec(ID, num_envs=2, max_episode_steps=5)
    vector.reset(seed=0)
    with pytest.raises(ValueError, match="row 1"):
        vector.step(np.array([np.ones(64), np.full(64, 7)], dtype=int))


def test_pinned_episodes():
    env, vector = gym.make(ID), gym.make_vec(ID, num_envs=3)
    recordings = load_recordings("synthetic")
    number = recordings_of(recordings, "test")[7]
    video, user = int(recordings.video[number]), int(recordings.user[number])
    for options in ({"recording": 7, "trace": 5}, {"video": video, "user": user, "trace": 5}):
        _, info = env.reset(seed=9, options=options)
        assert [info[name] for name in ("recording", "trace", "video", "user")] == [7, 5, video, user]
    _, infos = vector.reset(seed=9, options={"recording": np.array([7, -1, 7]), "trace": 5})
    assert infos["trace"].tolist() == [5, 5, 5] and infos["recording"][[0, 2]].tolist() == [7, 7]


def test_pickled_environments_go_on_and_do_not_carry_the_data():
    env = gym.make(ID, action_mode="zones").unwrapped
    env.reset(seed=0)
    env.step([3, 2, 1])
    text = pickle.dumps(env)
    assert len(text) < 200_000
    for twin in (pickle.loads(text), copy.deepcopy(env)):
        assert twin.simulator.recordings is env.simulator.recordings
        before = copy.deepcopy(env)
        assert twin.step([3, 2, 1])[1] == before.step([3, 2, 1])[1]
    assert json.loads(gym.make(ID, tiles="6x12").spec.to_json())["kwargs"]["tiles"] == "6x12"
