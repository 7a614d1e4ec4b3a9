"""Data sets jin2022 and wu2017: the converter on small data in the upstream layout, and the committed manifests."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest

from netenvs import datasets
from netenvs.datasets import DatasetError, entries, netllm_vp
from netenvs.vp.workload import load_recordings

JIN = "viewport_prediction/data/viewports/Jin2022"
WU = "viewport_prediction/data/viewports/Wu2017"
ROWS = [(0.000286, 1.5, -2.25, 179.999001), (0.208298, 1.499999, 89.999999, -180.0), (0.408255, -180.0, -90.0, 180.0)]


def csv(rows):
    return "".join(",".join(f"{value:.6f}" for value in row) + "\n" for row in rows).encode()


def later(rows, by_s):
    return [(time_s + by_s, *angles) for time_s, *angles in rows]


def name(folder, video, user):
    return f"{folder}/video{video}/5Hz/simple_5Hz_user{user}.csv"


def install(dataset, files, folder, monkeypatch):
    monkeypatch.setenv("NETENVS_DATA", str(folder / "store"))
    manifest = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    entry = dataclasses.replace(entries.CATALOGUE[dataset], url="http://127.0.0.1:9/none", manifest=manifest)
    monkeypatch.setitem(entries.CATALOGUE, dataset, entry)
    for path, content in files.items():
        (folder / "upstream" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "upstream" / path).write_bytes(content)
    return datasets.install(dataset, folder / "upstream")


def test_recordings_stand_in_numeric_order_and_nothing_is_lost(tmp_path, monkeypatch):
    files = {
        name(WU, 10, 1): csv(ROWS[:2]),
        name(WU, 9, 11): csv(later(ROWS, 600)),
        name(WU, 9, 2): csv([(0.3, 0, 0, 1), (0.2, 0, 0, 2), (0.2, 0, 0, 3)]),  # times that run backwards are kept
    }
    folder = install("wu2017", files, tmp_path, monkeypatch)
    assert sorted(path.name for path in folder.iterdir()) == ["dataset.json", "recordings.npz", "splits.json"]
    recordings = load_recordings("wu2017")
    assert recordings.video.tolist() == [9, 9, 10]
    assert recordings.user.tolist() == [2, 11, 1]
    assert recordings.offset.tolist() == [0, 3, 6, 8]
    expected = [(0.3, 0, 0, 1), (0.2, 0, 0, 2), (0.2, 0, 0, 3), *later(ROWS, 600), *ROWS[:2]]
    assert recordings.time_s.tolist() == [round(row[0], 6) for row in expected]
    np.testing.assert_array_equal(recordings.angles_deg, np.array([row[1:] for row in expected], np.float32))
    assert [field.dtype for field in (recordings.angles_deg, recordings.time_s)] == [np.float32, np.float64]
    assert recordings.splits["valid"] == ((8, 2), (40, 20, 14, 1, 31, 12, 33, 27, 10))
    datasets.verify("wu2017")


@pytest.mark.parametrize(("session_s", "lead_s"), [(0, 0.0), (60, 0.0), (480, 42.93)])
def test_times_of_a_session_become_those_of_the_video(tmp_path, monkeypatch, session_s, lead_s):
    install("jin2022", {name(JIN, 8, 3): csv(later(ROWS, session_s + lead_s))}, tmp_path, monkeypatch)
    expected = [round(row[0] + lead_s, 6) for row in ROWS]
    assert load_recordings("jin2022").time_s.tolist() == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a recording"),
        (b"0,1,2\n0.2,1,2\n", "is not a recording"),
        (b"0,1,2,3\n0.2,1,2\n", "is not a recording"),
        (b"time,roll,pitch,yaw\n0,1,2,3\n", "is not a recording"),
        (csv([(0, 0, 90.5, 0)]), "an angle lies outside"),
        (csv([(0, 0, 0, 181)]), "an angle lies outside"),
        (b"0,0,0,nan\n", "an angle lies outside"),
        (csv([(-0.2, 0, 0, 0)]), "a time is not in 0 to 1000 s"),
        (csv([(2000, 0, 0, 0)]), "a time is not in 0 to 1000 s"),
        (b"0.1234567,0,0,0\n", "a time is not in 0 to 1000 s with six decimals"),
    ],
)
def test_content_that_is_not_as_it_should_be_is_refused(tmp_path, monkeypatch, content, message):
    files = {name(WU, 1, 1): csv(ROWS), name(WU, 1, 2): content}
    with pytest.raises(DatasetError, match=message) as caught:
        install("wu2017", files, tmp_path, monkeypatch)
    assert str(caught.value).startswith(name(WU, 1, 2))
    assert "commit" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not datasets.installed("wu2017")


def test_a_name_that_does_not_say_video_and_user_is_refused(tmp_path, monkeypatch):
    with pytest.raises(DatasetError, match="does not say which video and user"):
        install("wu2017", {f"{WU}/video1/5Hz/user1.csv": csv(ROWS)}, tmp_path, monkeypatch)


def test_committed_manifests_hold_every_recording():
    for dataset, folder, videos, users in (("jin2022", JIN, 27, 84), ("wu2017", WU, 18, 48)):
        expected = {name(folder, video, user) for video in range(1, videos + 1) for user in range(1, users + 1)}
        assert set(entries.CATALOGUE[dataset].digests()) == expected


def test_installed_splits_are_the_converter_s(jin2022, wu2017):
    for dataset, splits in (("jin2022", netllm_vp.JIN2022_SPLITS), ("wu2017", netllm_vp.WU2017_SPLITS)):
        assert json.loads((datasets.path(dataset) / "splits.json").read_text()) == splits
