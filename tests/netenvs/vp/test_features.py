"""Image features from a file."""

import pickle

import numpy as np
import pytest

from netenvs.vp.features import load_features

FRAMES = np.arange(12.0).reshape(6, 2)


@pytest.fixture
def write(tmp_path):
    def save(**arrays):
        np.savez(tmp_path / "features.npz", **arrays)
        return str(tmp_path / "features.npz")

    return save


def test_frames_by_video_and_time(write):
    features = load_features(write(rate=3, **{"4": FRAMES, "8": FRAMES[:2] + 100, "9": FRAMES}), np.array([4, 8]))
    assert features.rate_hz == 3 and features.values.dtype == np.float32
    at = features.at(np.array([4, 4, 4, 4, 4, 8, 8]), np.array([-0.1, 0.0, 0.33, 1 / 3, 99.0, 0.34, 2.0]))
    assert at[:, 0].tolist() == [0, 0, 0, 2, 10, 102, 102]
    assert features.low.tolist() == [0, 1] and features.high.tolist() == [102, 103]


def test_a_frame_is_shown_from_its_time_on(write):
    features = load_features(write(rate=100, **{"4": np.arange(60.0)[:, None]}), np.array([4]))
    assert 0.29 * 100 < 29
    assert features.at(np.array([4, 4]), np.array([0.29, 0.2899]))[:, 0].tolist() == [29, 28]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"4": FRAMES}, "there is no array 'rate'"),
        ({"rate": 5.0}, "there is no array '4'"),
        ({"rate": 0.0, "4": FRAMES}, "rate must be one number"),
        ({"rate": np.array([1.0, 2.0]), "4": FRAMES}, "rate must be one number"),
        ({"rate": np.nan, "4": FRAMES}, "rate must be one number"),
        ({"rate": "5", "4": FRAMES}, "rate must be one number"),
        ({"rate": 5.0, "4": FRAMES[0]}, r"array '4' must be floats \(frames, d\).* float64 \(2,\)"),
        ({"rate": 5.0, "4": FRAMES[:0]}, r"array '4' must be floats"),
        ({"rate": 5.0, "4": FRAMES.astype(int)}, "must be floats"),
        ({"rate": 5.0, "4": FRAMES * np.nan}, "NaN or infinite"),
        ({"rate": 5.0, "4": FRAMES * 1e300}, "beyond the range of float32"),
        ({"rate": 5.0, "4": np.array([{}], dtype=object)}, "pickle"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_wrong_files_are_one_line(write, arrays, message):
    with pytest.raises(ValueError, match=message) as error:
        load_features(write(**arrays), np.array([4]))
    assert "\n" not in str(error.value) and "features.npz" in str(error.value)


def test_features_of_different_lengths(write):
    with pytest.raises(ValueError, match="the same d for all videos"):
        load_features(write(rate=5.0, **{"4": FRAMES, "5": FRAMES[:, :1]}), np.array([4, 5]))


def test_files_that_are_no_npz_are_one_line(tmp_path):
    for number, content in enumerate((b"", b"text", b"PK\x03\x04broken", pickle.dumps([1]))):
        path = tmp_path / f"{number}.npz"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"{number}.npz") as error:
            load_features(str(path), np.array([4]))
        assert "\n" not in str(error.value)
    np.save(tmp_path / "array.npy", FRAMES)
    with pytest.raises(ValueError, match="one array and no names"):
        load_features(str(tmp_path / "array.npy"), np.array([4]))
    with pytest.raises(ValueError, match="features 3"):
        load_features(3, np.array([4]))
