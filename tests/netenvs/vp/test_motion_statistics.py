"""Statistics of head motion on paths whose figures are known, and on the data set they were taken from."""

import numpy as np
import pytest

from netenvs.vp import motion_statistics as module
from netenvs.vp.motion_statistics import REAL, missed, motion_statistics, rule_errors
from netenvs.vp.recordings import Recordings, Split, pack_recordings
from netenvs.vp.workload import load_recordings

SAMPLES = 200


def recorded(*paths: np.ndarray, time_s: np.ndarray | None = None) -> Recordings:
    """One video, watched along each of the paths (samples, 3)."""
    both = {
        (1, user): (np.arange(len(path)) / 5 if time_s is None else time_s, path)
        for user, path in enumerate(paths, start=1)
    }
    return pack_recordings("made", both, {"test": Split((1,), tuple(range(1, len(paths) + 1)))})


def turning(yaw_deg: np.ndarray) -> np.ndarray:
    path = np.zeros((len(yaw_deg), 3))
    path[:, 2] = (yaw_deg + 180) % 360 - 180
    return path


def test_a_steady_turn():
    """30 deg/s around the horizon, 6 degrees a sample: one shift, no pause; lines fail where yaw wraps."""
    rows = motion_statistics(recorded(turning(6.0 * np.arange(SAMPLES)), turning(6.0 * np.arange(SAMPLES) + 40)))
    assert [rows["speed mean"], rows["speed p50"]] == pytest.approx([30, 30], abs=1e-3)
    assert rows["share > 20 deg/s"] == 1 and rows["share > 60 deg/s"] == 0
    assert rows["displacement 1 s"] == pytest.approx(30, abs=1e-3)
    assert rows["displacement 5 s"] == pytest.approx(150, abs=1e-3)
    assert rows["shifts per minute"] == pytest.approx(60 / ((SAMPLES - 1) / 5))
    assert rows["shift mean s"] == pytest.approx((SAMPLES - 1) / 5)
    assert rows["pauses per minute"] == 0 and np.isnan(rows["pause mean s"])
    assert rows["from the other users"] == pytest.approx(40, abs=1e-3)
    assert rows["MAE static"] == pytest.approx(6 * 10.5 / 3, abs=1e-3)  # 6 x the mean of 1 to 20, one axis of three
    assert rows["MAE velocity"] > 0  # where the history wraps


def test_straight_lines_foretell_a_turn_that_does_not_wrap():
    errors = rule_errors(recorded(turning(np.linspace(-100, 100, SAMPLES + 1)[:-1])))
    assert errors["MAE static"] == pytest.approx(10.5 / 3, abs=1e-4)
    assert errors["MAE velocity"] == pytest.approx(0, abs=1e-4)
    assert errors["MAE regression"] == pytest.approx(0, abs=1e-4)


def test_rules_on_a_window_by_hand():
    """Nine samples at 0, the last at 9, and so the future: static is right, velocity goes on at 1 a sample."""
    yaw = np.full(91, 9.0)
    yaw[:29] = 0.0
    errors = rule_errors(recorded(turning(yaw)))
    slope = 9 * 4.5 / 82.5  # sum of (index - 4.5)^2 is 82.5
    assert errors["MAE static"] == 0
    assert errors["MAE velocity"] == pytest.approx(10.5 / 3)
    line = 0.9 + slope * (np.arange(10, 30) - 4.5)
    assert errors["MAE regression"] == pytest.approx(np.abs(line - 9).mean() / 3)


def test_starts_and_stops():
    """1 s at rest, 1 s at 30 deg/s, in turn: runs of 5 samples, 30 degrees a shift."""
    yaw = np.concatenate([[0.0], np.cumsum(np.tile([0.0] * 5 + [6.0] * 5, 20))])
    rows = motion_statistics(recorded(turning(yaw), turning(yaw)))
    assert rows["pauses per minute"] == rows["shifts per minute"] == pytest.approx(30)
    assert rows["pause mean s"] == rows["pause median s"] == rows["shift mean s"] == pytest.approx(1)
    assert rows["shift mean deg"] == pytest.approx(30, abs=1e-3)
    assert rows["share < 1 deg/s"] == rows["share > 20 deg/s"] == pytest.approx(0.5)
    assert rows["yaw velocity kurtosis"] == pytest.approx(-2, abs=1e-3)  # two equally probable values
    assert rows["yaw velocity acf 5"] == pytest.approx(-1, abs=0.05)
    assert rows["yaw velocity acf 10"] == pytest.approx(1, abs=0.1)
    assert rows["from the other users"] == pytest.approx(0, abs=1e-3)


def test_nothing_is_measured_across_recordings_or_gaps():
    at_rest, elsewhere = turning(np.zeros(SAMPLES)), turning(np.full(SAMPLES, 100.0))
    rows = motion_statistics(recorded(at_rest, elsewhere))
    assert rows["speed mean"] == rows["displacement 5 s"] == 0
    assert rows["from the other users"] == rows["from the other users 20 s ago"] == pytest.approx(100)
    assert (rows["yaw within 30 deg"], rows["yaw within 60 deg"]) == (0, 1)
    time_s = np.arange(SAMPLES) / 5.0
    time_s[100:] += 30
    jump = turning(np.where(np.arange(SAMPLES) < 100, 0.0, 90.0))
    assert motion_statistics(recorded(jump, jump, time_s=time_s))["speed p99.9"] == 0
    assert motion_statistics(recorded(jump, jump))["speed p99.9"] > 0


def test_agreement_is_a_quarter_or_eight_hundredths():
    real = REAL["jin"]
    assert missed("jin", dict(real)) == []
    assert missed("jin", real | {"speed mean": 1.24 * real["speed mean"], "yaw velocity acf 5": -0.029}) == []
    assert missed("jin", real | {"speed mean": 1.26 * real["speed mean"], "yaw velocity acf 5": -0.031}) == [
        "speed mean",
        "yaw velocity acf 5",
    ]


def test_the_real_figures_are_those_of_the_data_set(jin2022):
    measured = motion_statistics(load_recordings("jin2022"))
    assert measured == pytest.approx(REAL["jin"], rel=2e-3, abs=1e-3)


def test_the_table_is_printed(capsys):
    module.main(module.Args(videos=4, users=6, seeds=1))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(REAL["jin"]) + 2
    assert lines[1].split()[:3] == ["speed", "mean", "16.470"]
    assert "*" in "".join(lines[1:-1])  # so few videos are not like the set
