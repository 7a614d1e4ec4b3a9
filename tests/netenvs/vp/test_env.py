"""``netenvs/VP-v0`` as a Gymnasium environment: windows and replay, options, scores, errors, rows."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import registry

import netenvs  # noqa: F401
from netenvs.testing import check_task
from netenvs.vp import sphere
from netenvs.vp.env import VPEnv
from netenvs.vp.playback import SCORE_COLUMNS
from netenvs.vp.previous_viewers import playback_index
from netenvs.vp.recordings import find_recording, recordings_of, windows
from netenvs.vp.workload import load_recordings

VP = "netenvs/VP-v0"


@pytest.fixture(scope="module")
def recordings():
    return load_recordings("synthetic")


@pytest.fixture(scope="module")
def cut(recordings):
    return windows(recordings, "test")


@pytest.fixture
def features_file(tmp_path, recordings):
    """Features that say which video and frame they are of: (video, frame), two frames a second."""
    frames = {str(v): np.array([[v, k] for k in range(60)], np.float32) for v in recordings.splits["test"].videos}
    np.savez(tmp_path / "features.npz", rate=2.0, **frames)
    return str(tmp_path / "features.npz")


def a_path(horizon=20, seed=0):
    return np.random.default_rng(seed).uniform(-200, 200, (horizon, 3)).astype(np.float32)


def stay(observation, horizon=20):
    return np.repeat(observation["history"][..., -1:, :], horizon, axis=-2)


# the contract


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mode": "replay"},
        {"mode": "replay", "stride_s": 4.6, "split": "valid"},
        {"history": 20, "horizon": 30},
        {"saliency": True, "mode": "replay", "horizon": 5},
    ],
    ids=str,
)
def test_contract(options):
    check_task(VP, steps=60, **options)


def test_contract_with_features(features_file):
    check_task(VP, steps=40, features=features_file)


class AcceptsNaN(VPEnv):
    def step(self, action):
        return super().step(np.nan_to_num(action) if isinstance(action, np.ndarray) else action)


class Clips(VPEnv):
    def step(self, action):
        legal = isinstance(action, np.ndarray) and action.dtype.kind == "f" and not np.isnan(action).any()
        return super().step(np.clip(action, -36000, 36000) if legal else action)


class Masked(VPEnv):
    def action_masks(self):
        return np.ones(1, dtype=np.bool_)


@pytest.mark.parametrize(
    ("broken", "message"),
    [(AcceptsNaN, "must raise ValueError"), (Clips, "must raise ValueError"), (Masked, "masks")],
)
@pytest.mark.filterwarnings("ignore")
def test_the_contract_of_box_actions_finds_what_is_broken(broken, message):
    gym.register("netenvs-broken/VP-v0", entry_point=f"{broken.__module__}:{broken.__name__}")
    try:
        with pytest.raises(AssertionError, match=message):
            check_task("netenvs-broken/VP-v0", steps=10)
    finally:
        registry.pop("netenvs-broken/VP-v0")


# windows


def test_windows_are_those_of_the_protocol(recordings, cut):
    env = gym.make(VP)
    assert len(cut.history) == 500
    for number in (0, 1, 49, 137, 499):
        observation, info = env.reset(options={"window": number})
        assert np.array_equal(observation["history"], cut.history[number])
        assert observation["time_s"] == np.float32(cut.time_s[number])
        found = [info[name] for name in ("video", "user", "window", "time_s", "horizon")]
        assert found == [cut.video[number], cut.user[number], number, cut.time_s[number], 20]
        assert not any(info[name] for name in SCORE_COLUMNS) and not info["great_circle_deg"].any()
        assert info["recordings"] is recordings and info["split"] == "test"

        prediction = a_path(seed=number)
        observation, reward, terminated, truncated, info = env.step(prediction)
        actual, last = cut.future[number], cut.history[number, -1]
        great_circle = sphere.great_circle_deg(prediction, actual)
        recall, precision, iou = (score.mean() for score in sphere.tile_scores(prediction, actual))
        expected = [
            sphere.mae(prediction, actual),
            sphere.mae(np.tile(last, (20, 1)), actual),
            great_circle.mean(),
            recall,
            precision,
            iou,
        ]
        assert [info[name] for name in SCORE_COLUMNS] == pytest.approx(expected, rel=1e-9)
        assert info["great_circle_deg"] == pytest.approx(great_circle, rel=1e-9)
        assert reward == pytest.approx(-great_circle.mean() / 180, rel=1e-9)
        assert terminated and not truncated
        assert (info["video"], info["user"], info["window"]) == (cut.video[number], cut.user[number], number)
        # what the viewer did then
        assert np.array_equal(observation["history"], actual[-10:])
        assert observation["time_s"] == pytest.approx(cut.time_s[number] + 4.0, abs=1e-4)


def test_standing_still_has_the_static_error():
    env = gym.make(VP)
    for seed in range(5):
        observation, _ = env.reset(seed=seed)
        *_, info = env.step(stay(observation))
        assert info["mae"] == info["static_mae"] > 0


def test_published_means_through_the_vector_environment(jin2022):
    env = gym.make_vec(VP, num_envs=1698, dataset="jin2022", autoreset_mode="disabled")
    observations, _ = env.reset(options={"window": np.arange(1698)})
    *_, infos = env.step(stay(observations))
    means = [infos[name].mean() for name in ("mae", "static_mae", "gc_deg", "tile_recall", "tile_iou")]
    assert means == pytest.approx([9.7634, 9.7634, 20.03, 0.847, 0.773], abs=5e-3)
    with pytest.raises(ValueError, match=r"from 0 to 1697 \(jin2022, test\), not 1698"):
        env.reset(options={"window": 1698})


def test_all_windows_are_drawn_about_equally_often():
    env = gym.make_vec(VP, num_envs=5000)
    _, infos = env.reset(seed=0)
    counts = np.bincount(infos["window"], minlength=500)
    assert counts.min() > 0 and counts.max() < 30 and len(counts) == 500


def test_a_seed_determines_all_later_episodes():
    left, right = gym.make(VP), gym.make(VP)
    drawn = [[env.reset(seed=seed)[1]["window"] for seed in (7, None, None, None)] for env in (left, right)]
    assert drawn[0] == drawn[1] and len(set(drawn[0])) > 1


def test_other_splits_and_sizes(recordings):
    for split, size in (("train", (5, 25)), ("valid", (20, 30))):
        env = gym.make(VP, split=split, history=size[0], horizon=size[1])
        own = windows(recordings, split, *size)
        observation, info = env.reset(options={"window": len(own.history) - 1})
        assert np.array_equal(observation["history"], own.history[-1]) and info["split"] == split
        assert env.action_space.shape == (size[1], 3) and env.observation_space["history"].shape == (size[0], 3)


# replay


@pytest.mark.parametrize(("stride_s", "stride"), [(1.0, 5), (0.2, 1), (3.4, 17), (6.8, 34)])
def test_replay_decides_every_stride_until_the_horizon_is_no_longer_recorded(recordings, stride_s, stride):
    env = gym.make(VP, mode="replay", stride_s=stride_s)
    number = recordings_of(recordings, "test")[3]
    begin, end = recordings.offset[number : number + 2]
    angles, time_s = recordings.angles_deg[begin:end], recordings.time_s[begin:end]
    observation, info = env.reset(options={"recording": 3})
    assert (info["video"], info["user"]) == (recordings.video[number], recordings.user[number])
    terminated, first = False, 10
    while not terminated:
        assert info["window"] == (first - 10) // stride
        assert np.array_equal(observation["history"], angles[first - 10 : first])
        assert observation["time_s"] == np.float32(time_s[first - 1])
        observation, _, terminated, _, info = env.step(angles[first : first + 20])
        assert info["mae"] == 0 and info["gc_deg"] == 0 and info["tile_iou"] == 1
        first += stride
    assert first + 20 > len(angles) >= first - stride + 20
    seen = min(first, len(angles))
    assert np.array_equal(observation["history"], angles[seen - 10 : seen])
    assert env.unwrapped.errors_by_step().shape == (info["window"], 20)
    with pytest.raises(ValueError, match="the episode is over"):
        env.step(a_path())


def test_replay_of_a_video_by_a_user(recordings):
    env = gym.make(VP, mode="replay")
    video, user = recordings.splits["test"].videos[-1], recordings.splits["test"].users[2]
    observation, info = env.reset(options={"video": video, "user": user})
    begin = recordings.offset[find_recording(recordings, video, user)]
    assert (info["video"], info["user"]) == (video, user)
    assert np.array_equal(observation["history"], recordings.angles_deg[begin : begin + 10])


# options of reset


@pytest.mark.parametrize(
    ("mode", "options", "message"),
    [
        ("windows", {"window": 500}, "from 0 to 499"),
        ("windows", {"window": -2}, "whole number from 0 up"),
        ("windows", {"window": 1.0}, "whole number from 0 up"),
        ("windows", {"window": True}, "whole number from 0 up"),
        ("windows", {"window": [1, 2]}, "whole number from 0 up"),
        ("windows", {"window": "first"}, "whole number from 0 up"),
        ("windows", {"recording": 1}, "unknown reset option 'recording'"),
        ("windows", {"windows": 1}, "did you mean 'window'"),
        ("replay", {"window": 1}, "unknown reset option 'window'"),
        ("replay", {"recording": 50}, "from 0 to 49"),
        ("replay", {"video": 99, "user": 55}, "there is no video 99; known: 16, 17, 18, 19, 20"),
        ("replay", {"video": 16, "user": 1}, "there is no user 1; known: 51"),
        ("replay", {"video": 16, "user": None}, "whole number from 0 up"),
        ("replay", {"video": 16}, "video and user go together"),
        ("replay", {"user": 55}, "video and user go together"),
        ("replay", {"recording": 1, "video": 16, "user": 55}, "either the recording, or"),
    ],
)
def test_episodes_that_do_not_exist_are_one_line(mode, options, message):
    env = gym.make(VP, mode=mode)
    with pytest.raises(ValueError, match=message) as error:
        env.reset(options=options)
    assert "\n" not in str(error.value)


# actions


@pytest.mark.parametrize("convert", [lambda p: p.astype(np.float64), lambda p: p.tolist(), np.asfortranarray])
def test_actions_in_other_types(convert):
    env = gym.make(VP, disable_env_checker=True).unwrapped
    prediction = a_path()
    outcomes = []
    for action in (prediction, convert(prediction)):
        env.reset(options={"window": 4})
        outcomes.append(env.step(action)[1])
    assert outcomes[0] == outcomes[1]
    env.reset(options={"window": 4})
    assert env.step(np.zeros((20, 3), dtype=np.int64))[1] < 0


def test_predictions_are_scored_as_given():
    env = gym.make(VP)
    observation, _ = env.reset(options={"window": 4})
    *_, once = env.step(stay(observation))
    env.reset(options={"window": 4})
    *_, round_more = env.step(stay(observation) + np.array([0, 0, 1080], np.float32))
    assert round_more["mae"] == pytest.approx(once["mae"] + 720 / 3, abs=60)
    assert round_more["gc_deg"] == pytest.approx(once["gc_deg"], abs=1e-3)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "action nan, axis 2, step 7 is not in Box"),
        (np.inf, "action inf, axis 2, step 7"),
        (-36001, "action -36001.0, axis 2, step 7"),
    ],
)
def test_impossible_angles_are_named(value, message):
    env = gym.make(VP)
    env.reset(seed=0)
    action = a_path()
    action[7, 2] = value
    with pytest.raises(ValueError, match=message) as error:
        env.step(action)
    assert "\n" not in str(error.value)
    env = gym.make_vec(VP, num_envs=3)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message.split(" is")[0] + ", row 1 is not in Box"):
        env.step(np.stack([a_path(), action, action]))


@pytest.mark.parametrize(
    "action",
    [np.zeros((19, 3)), np.zeros(60), np.zeros((1, 20, 3)), [[1, 2], [3]], "path", None, np.zeros((20, 3), bool)],
)
def test_actions_of_other_shapes_and_kinds_are_one_line(action):
    env = gym.make(VP, disable_env_checker=True)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"\(20, 3\)") as error:
        env.step(action)
    assert "\n" not in str(error.value)


def test_steps_need_an_episode():
    with pytest.raises(ValueError, match=r"call reset\(\) first"):
        gym.make(VP).unwrapped.step(a_path())
    with pytest.raises(ValueError, match=r"call reset\(\) before"):
        gym.make_vec(VP, num_envs=2).step(np.zeros((2, 20, 3)))


# options of the environment


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "synthetics"}, "unknown dataset 'synthetics'"),
        ({"split": "tests"}, "unknown split 'tests'; did you mean 'test'"),
        ({"split": 3}, "unknown split '3'"),
        ({"mode": "window"}, "unknown mode 'window'; did you mean 'windows'"),
        ({"history": 0}, "history must be a whole number"),
        ({"history": 31}, "trim_head"),
        ({"history": 2.5}, "history must be a whole number"),
        ({"horizon": True}, "horizon must be a whole number"),
        ({"horizon": 61}, "trim_tail"),
        ({"horizon": 500, "mode": "replay"}, "the longest has 240 samples of 0.2 s, mode='replay' needs 510"),
        ({"stride_s": 0.3, "mode": "replay"}, "stride_s must be a multiple of 0.2 s"),
        ({"stride_s": 0, "mode": "replay"}, "stride_s must be a multiple of 0.2 s"),
        ({"stride_s": np.nan, "mode": "replay"}, "stride_s must be a multiple of 0.2 s"),
        ({"stride_s": "1", "mode": "replay"}, "stride_s must be a multiple of 0.2 s"),
        ({"saliency": 1}, "saliency must be True or False"),
        ({"features": "missing.npz"}, "features 'missing.npz': .*No such file"),
        ({"render_mode": "human"}, "unknown render_mode 'human'"),
    ],
)
def test_wrong_options_are_one_line(options, message):
    with pytest.raises(ValueError, match=message) as error:
        VPEnv(**options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_envs": 0}, "num_envs"),
        ({"num_envs": 2, "autoreset_mode": "never"}, "unknown autoreset_mode"),
        ({"num_envs": 2, "render_mode": "rgb_array"}, "does not render"),
        ({"num_envs": 2, "max_episode_steps": 3}, "max_episode_steps is not supported"),
    ],
)
def test_wrong_options_of_the_vector_environment_are_one_line(options, message):
    from netenvs.vp.env import VPVectorEnv

    with pytest.raises(ValueError, match=message):
        VPVectorEnv(**options)


# previous viewers and features


@pytest.mark.parametrize("split", ["test", "train"])
def test_heat_maps_are_those_of_the_previous_viewers_without_the_own_user(split):
    env = gym.make(VP, saliency=True, split=split)
    observation, info = env.reset(options={"window": 13})
    viewers = info["previous_viewers"]
    assert (info["user"] in viewers.users) == (split == "train")
    first = int(playback_index(info["time_s"])) - 9
    maps = viewers.heat_maps(info["video"], first, 30, exclude_user=info["user"])
    assert observation["saliency"].shape == (30, 18, 36) and np.array_equal(observation["saliency"], maps)
    if split == "train":
        assert not np.array_equal(maps, viewers.heat_maps(info["video"], first, 30))


def test_features_are_of_the_frame_shown_last(features_file):
    env = gym.make(VP, features=features_file, mode="replay")
    assert env.observation_space["features"].shape == (2,)
    observation, info = env.reset(options={"recording": 21})
    frames = []
    for _ in range(5):
        assert observation["features"].tolist() == [info["video"], np.floor(info["time_s"] * 2 + 1e-6)]
        frames.append(int(observation["features"][1]))
        observation, *_, info = env.step(a_path())
    assert frames == [3, 5, 7, 9, 11]  # at 1.8, 2.8, ... s


# copies


def test_copies_share_what_never_changes(recordings):
    env = gym.make(VP, mode="replay").unwrapped
    env.reset(seed=3)
    env.step(a_path())
    packed = pickle.dumps(env)
    assert len(packed) < 100_000
    for twin in (copy.deepcopy(env), pickle.loads(packed)):
        assert twin.recordings is recordings
        assert twin.playback.previous_viewers is env.playback.previous_viewers
        assert twin.step(a_path(seed=1))[1] == copy.deepcopy(env).step(a_path(seed=1))[1]


# rows


def test_rows_can_be_pinned_or_drawn():
    env = gym.make_vec(VP, num_envs=4, autoreset_mode="disabled")
    _, infos = env.reset(seed=1, options={"window": np.array([7, -1, 3, -1])})
    _, drawn = gym.make_vec(VP, num_envs=4).reset(seed=1)
    assert infos["window"].tolist() == [7, drawn["window"][1], 3, drawn["window"][3]]
    _, _, terminated, _, scored = env.step(env.action_space.sample())
    assert terminated.all() and (env.unwrapped.great_circle_deg > 0).all()
    with pytest.raises(ValueError, match="autoreset is disabled"):
        env.step(env.action_space.sample())
    mask = np.array([True, False, True, True])
    _, infos = env.reset(options={"window": 9, "reset_mask": mask})
    assert infos["window"].tolist() == [9, drawn["window"][1], 9, 9]
    assert infos["mae"].tolist() == [0, scored["mae"][1], 0, 0]
    assert (env.unwrapped.great_circle_deg.any(axis=1) == ~mask).all()


def test_a_row_that_is_reset_leaves_the_draws_of_the_others():
    env = gym.make_vec(VP, num_envs=2, autoreset_mode="disabled")
    env.reset(seed=5)
    for _ in range(3):
        env.reset(options={"reset_mask": np.array([True, False])})
    _, infos = env.reset(options={"reset_mask": np.array([False, True])})
    singles = [gym.make(VP) for _ in range(2)]
    for row, (single, resets) in enumerate(zip(singles, (3, 1), strict=True)):
        single.reset(seed=5 + row)
        for _ in range(resets):
            _, info = single.reset()
        assert infos["window"][row] == info["window"]


def test_recordings_of_rows_by_video_and_user():
    env = gym.make_vec(VP, num_envs=3, mode="replay")
    _, infos = env.reset(seed=0, options={"video": np.array([17, -1, 20]), "user": np.array([52, -1, 60])})
    assert (infos["video"][[0, 2]].tolist(), infos["user"][[0, 2]].tolist()) == ([17, 20], [52, 60])
    with pytest.raises(ValueError, match="there is no video -1"):
        env.reset(options={"video": np.array([17, -1, 20]), "user": 52})


def test_in_the_next_step_rows_that_are_over_get_their_next_window():
    env = gym.make_vec(VP, num_envs=3)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    observations, rewards, terminated, truncated, infos = env.step(env.action_space.sample())
    assert not rewards.any() and not terminated.any() and not truncated.any() and not infos["mae"].any()
    rows = [windows(load_recordings("synthetic"), "test").history[number] for number in infos["window"]]
    assert np.array_equal(observations["history"], rows)


def test_what_all_rows_share():
    env = gym.make_vec(VP, num_envs=2, horizon=15).unwrapped
    shared = env.shared_info
    assert shared["recordings"] is env.recordings and (shared["split"], shared["horizon"]) == ("test", 15)
    assert len(shared["previous_viewers"]) == 40
    _, infos = env.reset(seed=0)
    assert infos["horizon"].tolist() == [15, 15]


# pictures


def test_rendering_needs_an_episode_and_a_mode():
    env = gym.make(VP, render_mode="ansi").unwrapped
    with pytest.raises(ValueError, match="nothing to render"):
        env.render()
    env.reset(options={"window": 0})
    assert env.render() == (
        "synthetic, video 16, user 51, 5.8 s: looking to pitch "
        f"{env.playback.observations()['history'][0, -1, 1]:.1f}, "
        f"yaw {env.playback.observations()['history'][0, -1, 2]:.1f} deg"
    )
    silent = gym.make(VP).unwrapped
    silent.reset(seed=0)
    with pytest.warns(UserWarning, match="without a render_mode"):
        assert silent.render() is None


def test_pictures_show_the_decision_made_last():
    env = gym.make(VP, mode="replay", render_mode="rgb_array")
    env.reset(seed=0)
    pictures = [env.render()]
    for seed in range(2):
        env.step(a_path(seed=seed))
        pictures.append(env.render())
    assert all(picture.shape == (800, 1200, 3) for picture in pictures)
    assert not np.array_equal(pictures[0], pictures[1]) and not np.array_equal(pictures[1], pictures[2])
    texts = [text.get_text() for text in env.unwrapped.episode_figure().axes[1].get_legend().get_texts()]
    assert texts == ["prediction", "standing still", "prediction, mean of 2"]
