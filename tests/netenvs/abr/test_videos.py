"""Videos by name and path: what is accepted, and one line for everything that is not."""

import json
import re

import gymnasium as gym
import pytest

from agents.policy import PolicyError, load_policy
from agents.rollout import EpisodeSpec, play
from netenvs import datasets
from netenvs.abr.workload import load_video, load_videos

ABR = "netenvs/ABR-v0"
SIZES = [[100_000, 125_000, 150_000], [200_000, 250_000, 300_000]]
MANIFEST = {"bitrates_kbps": [500, 1000], "chunk_sizes_bytes": SIZES, "chunk_duration_s": 2.0}


def write(tmp_path, **changes):
    path = tmp_path / "video.json"
    path.write_text(json.dumps({k: v for k, v in {**MANIFEST, **changes}.items() if v is not None}))
    return str(path)


def test_video_manifest(tmp_path):
    path = write(tmp_path)
    video = load_video(path)
    assert (video.name, video.chunk_duration_s, video.num_chunks, video.num_levels) == (path, 2.0, 3, 2)
    assert video.chunk_sizes.tolist() == [[100_000, 200_000], [125_000, 250_000], [150_000, 300_000]]
    assert video.bitrates_kbps.tolist() == [500, 1000]
    named = load_video(write(tmp_path, name="mine", num_chunks=2))
    assert (named.name, named.num_chunks, len(named.chunk_sizes)) == ("mine", 2, 3)


BAD_MANIFESTS = {
    "no ladder": ({"bitrates_kbps": None}, "the manifest lacks bitrates_kbps"),
    "no sizes": ({"chunk_sizes_bytes": None}, "lacks chunk_sizes_bytes"),
    "no duration": ({"chunk_duration_s": None}, "lacks chunk_duration_s"),
    "descending": ({"bitrates_kbps": [1000, 500]}, "ascending order"),
    "equal after rounding": ({"bitrates_kbps": [500.2, 500.4]}, "ascending order"),
    "Mbit/s": ({"bitrates_kbps": [0.3, 0.75]}, "in kbit/s from 1 up"),
    "one level": ({"bitrates_kbps": [500], "chunk_sizes_bytes": SIZES[:1]}, "at least two bitrates"),
    "zero bitrate": ({"bitrates_kbps": [0, 500]}, "from 1 up"),
    "NaN bitrate": ({"bitrates_kbps": [float("nan"), 500]}, "from 1 up"),
    "huge bitrate": ({"bitrates_kbps": [500, 2**31]}, "from 1 up"),
    "huge integer": ({"bitrates_kbps": [500, 10**400]}, "plain numbers"),
    "number for a ladder": ({"bitrates_kbps": 500}, "at least two bitrates"),
    "missing level": ({"chunk_sizes_bytes": SIZES[:1]}, "has 1 lists for 2 bitrates"),
    "chunks differ": ({"chunk_sizes_bytes": [[100, 200, 300], [200, 400]]}, r"wrong chunk counts \[3, 2\]"),
    "one chunk": ({"chunk_sizes_bytes": [[100], [200]]}, r"wrong chunk counts \[1, 1\]"),
    "flat sizes": ({"chunk_sizes_bytes": [100, 200]}, "wrong chunk counts|plain numbers"),
    "zero size": ({"chunk_sizes_bytes": [[100, 200, 300], [200, 0, 600]]}, "chunk 1 of level 1 has size 0.0"),
    "negative size": ({"chunk_sizes_bytes": [[100, 200, -3], [200, 400, 600]]}, "chunk 2 of level 0 has size -3"),
    "huge size": ({"chunk_sizes_bytes": [[100, 200, 2**31], [200, 400, 600]]}, "chunk 2 of level 0"),
    "words": ({"chunk_sizes_bytes": [["a", 1, 2], [1, 2, 3]]}, "plain numbers"),
    "too many played": ({"num_chunks": 4}, "num_chunks is 4, 3 sizes are listed; give 2 to 3"),
    "one played": ({"num_chunks": 1}, "give 2 to 3"),
    "half a chunk": ({"num_chunks": 2.5}, "num_chunks is 2.5"),
    "infinitely many": ({"num_chunks": float("inf")}, "num_chunks is inf"),
    "counted in words": ({"num_chunks": "two"}, "num_chunks is two"),
    "no time": ({"chunk_duration_s": 0}, "chunk_duration_s must be positive"),
    "NaN duration": ({"chunk_duration_s": float("nan")}, "chunk_duration_s must be positive"),
    "duration in words": ({"chunk_duration_s": "4 s"}, "plain numbers"),
}


@pytest.mark.parametrize("what", BAD_MANIFESTS)
def test_bad_manifests_are_one_line(what, tmp_path):
    changes, message = BAD_MANIFESTS[what]
    path = write(tmp_path, **changes)
    with pytest.raises(ValueError, match=re.escape(path) + ": .*(" + message + ")") as caught:
        load_video(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{not json", "not a JSON video manifest"),
        (b"\xff\xfe", "not a JSON video manifest"),
        (b"[1, 2]", "is a JSON object"),
        (b"", "not a JSON video manifest"),
    ],
)
def test_manifests_that_are_not_json(content, message, tmp_path):
    path = tmp_path / "video.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(path)) + ": .*" + message) as caught:
        load_video(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("video3", "unknown video 'video3'; did you mean 'video"),
        ("nowhere/video.json", "no such file or folder"),
        ("missing.json", "no such file"),
        ("synthetic(sead=1)", "unknown option 'sead'; known: seed"),
        ("synthetic(seed=x)", r"video 'synthetic\(seed=x\)'"),
        ("a" * 300, "unknown video"),
        (None, "video must be a name, a path, a Video or a list of these, not NoneType"),
    ],
)
def test_bad_video_names_are_one_line(spec, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_video(spec)
    assert "\n" not in str(caught.value)


def test_hd_needs_six_levels(tmp_path):
    with pytest.raises(ValueError, match="six bitrate levels, this video has 2"):
        gym.make(ABR, video=write(tmp_path), history=6, qoe="hd")


def ladder_of(tmp_path, levels, chunks=12):
    ladder = [300 * (i + 1) for i in range(levels)]
    return write(tmp_path, bitrates_kbps=ladder, chunk_sizes_bytes=[[b * 250] * chunks for b in ladder])


@pytest.mark.parametrize(("levels", "preset", "columns"), [(10, "netllm", 10), (7, "pensieve", 8), (2, "genet", 6)])
def test_the_history_grows_with_the_ladder(levels, preset, columns, tmp_path):
    path = ladder_of(tmp_path, levels)
    env = gym.make(ABR, video=path, preset=preset)
    assert env.observation_space.shape == (6, columns) and env.action_space.n == levels
    env.reset(seed=0)
    rows = gym.make_vec(ABR, num_envs=2, video=path, preset=preset)
    rows.reset(seed=0)
    for _ in range(11):
        observation, _, terminated, _, info = env.step(levels - 1)
        assert env.observation_space.contains(observation)
        observations, *_ = rows.step([levels - 1] * 2)
        assert observations[0].tolist() == observation.tolist()
    assert terminated and info["bitrate_kbps"] == 300 * levels


def test_a_history_that_was_asked_for_is_not_changed(tmp_path):
    path = ladder_of(tmp_path, 8)
    with pytest.raises(ValueError, match="history must be a whole number from 8 up"):
        gym.make(ABR, video=path, history=6)
    assert gym.make(ABR, video=path, history=9).observation_space.shape == (6, 9)


def test_a_policy_that_needs_another_history_says_so(tmp_path):
    if not datasets.installed("genet-weights"):
        pytest.skip("genet-weights is not installed: python -m netenvs.datasets install genet-weights")
    path = ladder_of(tmp_path, 10)
    with pytest.raises(
        PolicyError, match=r"genet-released.*: it is made for history=6, .*history must be .* from 10 up"
    ):
        play(load_policy("genet-released(fallback=none)", "abr"), ABR, [EpisodeSpec(0)], {"video": path})


@pytest.mark.parametrize(
    "ladder", [[400, 1200], [400, 900, 2000, 3500], [230, 331, 477, 688, 991, 1427, 2056, 2962, 5027]]
)
@pytest.mark.parametrize("spare", [0, 1])
@pytest.mark.parametrize("policy", ["bba", "robust-mpc", "netllm-mpc", "oracle", "throughput", "bola", "random"])
def test_a_users_video_plays_with_every_policy(policy, spare, ladder, tmp_path):
    sizes = [[kbps * 250 + 1000 * (chunk % 3) for chunk in range(40 + spare)] for kbps in ladder]
    path = write(tmp_path, bitrates_kbps=ladder, chunk_sizes_bytes=sizes, num_chunks=40)
    specs = [EpisodeSpec(seed=seed) for seed in range(5)]
    episodes = play(load_policy(policy, "abr"), ABR, specs, {"video": path}, num_envs=3)
    assert [len(episode.rewards) for episode in episodes] == [39] * 5
    levels = {int(action) for episode in episodes for action in episode.actions}
    assert levels <= set(range(len(ladder))) and len(levels) > 1


def test_names_win_over_files_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "synthetic").write_text(json.dumps(MANIFEST))
    assert load_video("synthetic").num_levels == 6
    assert load_video("./synthetic").num_levels == 2


def test_a_folder_of_manifests_leaves_out_what_is_none(tmp_path):
    for number, factor in enumerate((1, 1.1, 1)):
        sizes = [[int(size * factor) for size in row] for row in SIZES]
        (tmp_path / f"{number}.json").write_text(json.dumps({**MANIFEST, "chunk_sizes_bytes": sizes}))
    (tmp_path / "README.md").write_text("three videos")
    (tmp_path / "other.json").write_text("[1]")
    with pytest.warns(UserWarning, match="left out|one is kept") as caught:
        videos = load_videos(str(tmp_path))
    assert [video.name for video in videos] == [str(tmp_path / "0.json"), str(tmp_path / "1.json")]
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == 2 and "1 file left out: cannot be used" in messages[0]
    assert "with the same segments one is kept" in messages[1]
    with pytest.raises(ValueError, match=r"other\.json: "):
        load_videos(f'auto(path="{tmp_path}",strict=true)')


def test_lists_of_videos(tmp_path):
    path = write(tmp_path)
    made = load_video(path)
    assert [video.num_levels for video in load_videos(["synthetic", path, made])] == [6, 2, 2]
    with pytest.raises(ValueError, match="the list is empty"):
        load_videos([])
    with pytest.raises(ValueError, match="not int"):
        load_videos([3])


def test_bits_in_a_manifest_are_told(tmp_path):
    path = write(tmp_path, chunk_sizes_bytes=[[size * 8 for size in row] for row in SIZES])
    with pytest.warns(UserWarning, match=r"sizes are 8 times .* unit=bit .*8000 kbit/s at the level of 1000"):
        load_video(path)
    assert (
        load_video(f'json(path="{path}",unit=bit)').chunk_sizes.tolist()
        == load_video(write(tmp_path)).chunk_sizes.tolist()
    )
