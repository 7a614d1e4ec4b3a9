"""The published data: splits, windows, closed-form errors of the three published rules, and samples of the logs."""

import gzip
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from netenvs import datasets
from netenvs.datasets import DatasetError
from netenvs.vp.recordings import windows
from netenvs.vp.workload import load_recordings

ARTIFACTS = Path(__file__).parents[2] / "artifacts" / "vp"
COUNTS = {
    "jin2022": {"train": 8820, "valid": 1754, "test": 1698},
    "wu2017": {"train": 16_530, "valid": 999, "test": 1395},
}


@pytest.fixture(params=["jin2022", "wu2017"])
def published(request):
    request.getfixturevalue(request.param)
    return load_recordings(request.param)


def test_number_of_windows_is_the_published_one(published):
    for split, count in COUNTS[published.name].items():
        assert len(windows(published, split).history) == count
        assert len(windows(published, split, history=20, horizon=30).history) == count


def test_splits_have_nothing_in_common_and_every_pair_was_recorded(published):
    for one, other in itertools.combinations(published.splits.values(), 2):
        assert not set(one.videos) & set(other.videos)
        assert not set(one.users) & set(other.users)
    pairs = set(zip(published.video.tolist(), published.user.tolist(), strict=True))
    for split in published.splits.values():
        assert set(itertools.product(split.videos, split.users)) <= pairs


def test_sizes(jin2022, wu2017):
    jin, wu = load_recordings("jin2022"), load_recordings("wu2017")
    assert (len(jin), len(jin.time_s)) == (27 * 84, 673_708)
    assert (len(wu), len(wu.time_s)) == (18 * 48, 1_263_888)
    assert np.diff(jin.offset).min() == 58
    assert (np.diff(wu.offset).min(), np.diff(wu.offset).max()) == (822, 3276)
    sizes = [(len(split.videos), len(split.users)) for split in (*jin.splits.values(), *wu.splits.values())]
    assert sizes == [(15, 42), (6, 21), (6, 21), (5, 30), (2, 9), (2, 9)]
    assert repr(jin) == "<Recordings 'jin2022': 2268 recordings, 673708 samples>"


def test_times_are_those_of_the_video_not_of_the_session(jin2022):
    recordings = load_recordings("jin2022")
    first = recordings.time_s[recordings.offset[:-1]]
    assert recordings.time_s.max() < 60
    assert np.sort(first)[-2] < 0.01
    assert first.max() == pytest.approx(42.934, abs=1e-3)  # the shortest recording starts late


def test_gaps_are_those_of_the_upstream_times(jin2022, wu2017):
    for name, gaps, backwards, marked in (("jin2022", 11, 0, (0, 6, 0)), ("wu2017", 5, 13, (2, 0, 0))):
        recordings = load_recordings(name)
        inside = np.ones(len(recordings.time_s) - 1, dtype=bool)
        inside[recordings.offset[1:-1] - 1] = False
        steps = np.diff(recordings.time_s)[inside]
        assert (np.sum(steps > 0.6), np.sum(steps <= 0)) == (gaps, backwards)
        assert tuple(np.sum(~windows(recordings, split).valid) for split in ("train", "valid", "test")) == marked


def published_mae(predicted, actual):
    apart = [np.abs(actual + turn - predicted) for turn in (0, 360, -360)]
    return np.mean(np.min(apart, axis=0))


@pytest.mark.parametrize(
    ("name", "history", "horizon", "expected"),
    [
        ("jin2022", 10, 20, (9.763, 17.500, 19.474)),
        ("jin2022", 20, 30, (11.386, 19.430, 23.096)),
        ("wu2017", 10, 20, (11.122, 18.708, 20.523)),
    ],
)
def test_errors_of_the_published_rules(request, name, history, horizon, expected):
    """Mean absolute errors of standing still, constant velocity and a straight line, on the test split."""
    request.getfixturevalue(name)
    cut = windows(load_recordings(name), "test", history, horizon)
    past, future = cut.history.astype(np.float64), cut.future.astype(np.float64)
    ahead = np.arange(1, horizon + 1)[:, None]
    last = past[:, -1:]
    velocity = (last - past[:, :1]) / (history - 1)
    centred = np.arange(history)[:, None] - (history - 1) / 2
    slope = np.sum(centred * past, axis=1, keepdims=True) / np.sum(centred**2)
    line = past.mean(axis=1, keepdims=True) + slope * (ahead + (history - 1) / 2)
    errors = [published_mae(predicted, future) for predicted in (last, last + ahead * velocity, line)]
    assert errors == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize(
    ("log", "history", "horizon"), [("default_Jin2022_h10_f20", 10, 20), ("unseen1_Jin2022_h20_f30", 20, 30)]
)
def test_windows_of_the_published_loader(jin2022, log, history, horizon):
    with gzip.open(ARTIFACTS / f"golden_{log}.json.gz") as file:
        samples = json.load(file)["samples"]
    cut = windows(load_recordings("jin2022"), "test", history, horizon)
    index = [sample["index"] for sample in samples]
    assert len(samples) == 300
    assert index[-1] == len(cut.sample) - 1
    for field, name in ((cut.video, "video"), (cut.user, "user"), (cut.sample, "timestep")):
        assert field[index].tolist() == [sample[name] for sample in samples]
    whole = [sample for sample in samples if "history" in sample]
    assert len(whole) == 20
    for sample in whole:
        for values, name in ((cut.history, "history"), (cut.future, "future")):
            ours, theirs = values[sample["index"]], np.array(sample[name], dtype=np.float32)
            # the published loader scales the angles down and up again, which may move the last bit
            assert np.all(np.abs(ours - theirs) <= np.spacing(np.abs(theirs)))


def test_data_are_loaded_once(published):
    assert load_recordings(published.name) is published


def test_a_path_is_imported(tmp_path):
    (tmp_path / "video1").mkdir()
    (tmp_path / "video1" / "user4.csv").write_text("0,0,0,10\n0.2,0,0,20\n0.4,0,0,30\n")
    for spec in (str(tmp_path), f"csv(path={tmp_path})"):
        recordings = load_recordings(spec)
        assert recordings.user.tolist() == [4]
        np.testing.assert_allclose(recordings.angles_deg[:, 2], [10, 20, 30], atol=1e-5)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("jin2023", "unknown dataset 'jin2023'; did you mean 'jin2022'"),
        ("jin2022(seed=1)", "jin2022 has no options"),
        ("no/such/folder", "no such folder or file"),
        ("csv(path=none)", r"there is no file 'none'; write csv\(path=FILE\)"),
        ("csv", r"write csv\(path=FILE\)"),
        ("auto(unit=rad)", r"write auto\(path=FILE\)"),
        ("synthetic(sede=1)", "unknown option 'sede'"),
        ("synthetic(seed=a)", "seed"),
        (3, "must be a name or a path, not int"),
    ],
)
def test_names_that_are_none(spec, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_recordings(spec)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["jin2022", "wu2017"])
def test_a_data_set_that_is_not_installed_says_how(name, tmp_path, monkeypatch):
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path))
    with pytest.raises(DatasetError, match=f"python -m netenvs.datasets install {name}"):
        load_recordings(name)


def test_a_damaged_install_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path))
    (tmp_path / "wu2017").mkdir()
    record = {"name": "wu2017", "format": datasets.catalogue()["wu2017"].format, "files": {}}
    (tmp_path / "wu2017" / "dataset.json").write_text(json.dumps(record))
    (tmp_path / "wu2017" / "recordings.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(DatasetError, match=r"is damaged .*run: python -m netenvs\.datasets install wu2017"):
        load_recordings("wu2017")
