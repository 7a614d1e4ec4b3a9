"""The yardstick of the speed benchmark cuts and scores the same windows as the environment's arrays."""

import numpy as np
import pytest

from benchmarks.speed.yardsticks.vp import METRICS, PlainWindows, score
from netenvs.vp.recordings import Split, windows
from netenvs.vp.sphere import score_windows
from netenvs.vp.workload import load_recordings

SMALL = "synthetic(videos=12,users=24,samples=150)"


@pytest.mark.parametrize(("split", "history", "horizon"), [("test", 10, 20), ("valid", 20, 30)])
def test_windows_and_scores_are_the_same(split, history, horizon):
    recordings = load_recordings(SMALL)
    cut = windows(recordings, split, history, horizon)
    expected = score_windows(np.repeat(cut.history[:, -1:], horizon, axis=1), cut.future, cut.history[:, -1])
    loop = PlainWindows(recordings, split, history, horizon)
    assert loop.run() == len(cut.sample) > 20
    assert list(loop) == list(zip(cut.video.tolist(), cut.user.tolist(), cut.sample.tolist(), strict=True))
    found = [loop.results[video][user][sample] for video, user, sample in loop]
    for name, column in zip(METRICS, np.transpose(found), strict=True):
        assert column == pytest.approx(getattr(expected, name), abs=1e-6), name


def test_recordings_that_are_missing_are_passed_over():
    recordings = load_recordings(SMALL)
    videos, users = recordings.splits["test"]
    more = type(recordings)(
        **{name: getattr(recordings, name) for name in ("name", "offset", "angles_deg", "time_s", "video", "user")},
        splits={"test": Split((*videos, 999), users)},
    )
    assert list(PlainWindows(more)) == list(PlainWindows(recordings))


def test_random_predictions_score_the_same_over_the_seam():
    """Angles of both sides anywhere, pitch within what a recording has."""
    rng = np.random.default_rng(0)
    high = np.array([180.0, 90.0, 180.0])
    actual, predicted = (rng.uniform(-high, high, size=(40, 5, 3)).astype(np.float32) for _ in range(2))
    predicted[:20] = actual[:20] + rng.normal(0.0, 20.0, size=(20, 5, 3)).astype(np.float32)
    predicted[..., 1] = predicted[..., 1].clip(-90, 90)
    last = actual[:, 0]
    expected = np.transpose(score_windows(predicted, actual, last)[: len(METRICS)])
    for p, a, x, row in zip(predicted, actual, last, expected, strict=True):
        assert score(p, a, x) == pytest.approx(row, abs=1e-6)
