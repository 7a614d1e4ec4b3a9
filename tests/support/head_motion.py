"""Made head motion and files of it, by formulas of their own."""

from pathlib import Path

import numpy as np

AMPLITUDES = np.array([12.0, 25.0, 70.0])
PERIODS_S = np.array([3.1, 4.3, 9.7])


def head_motion(time_s):
    """Smooth roll, pitch, yaw in degrees; yaw turns round, so that it passes the seam."""
    swing = AMPLITUDES * np.sin(2 * np.pi * time_s[:, None] / PERIODS_S)
    swing[:, 2] += 40.0 * time_s
    return np.stack([swing[:, 0], swing[:, 1], (swing[:, 2] + 180) % 360 - 180], axis=1)


def quaternions_of(angles_deg):
    """By the half-angle formulas, x y z w: the turn about Z by roll, times X by pitch, times Y by yaw."""
    (cz, cx, cy), (sz, sx, sy) = np.cos(np.deg2rad(angles_deg.T) / 2), np.sin(np.deg2rad(angles_deg.T) / 2)
    x = cz * sx * cy - sz * cx * sy
    y = cz * cx * sy + sz * sx * cy
    z = cz * sx * sy + sz * cx * cy
    w = cz * cx * cy - sz * sx * sy
    return np.stack([x, y, z, w], axis=1)


def write_table(file: Path, table, header=None, separator=","):
    """Rows of numbers with nine decimals, and a first line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [separator.join(f"{value:.9f}" for value in row) for row in table]
    file.write_text("\n".join([*([header] if header else []), *lines]) + "\n")
    return file


def wrapped(degrees):
    """In [-180, 180)."""
    return (degrees + 180) % 360 - 180


def assert_angles(recordings, time_s, expected_deg, within_deg):
    """The recordings have these samples."""
    np.testing.assert_allclose(recordings.time_s, time_s, atol=1e-9)
    assert np.max(np.abs(wrapped(recordings.angles_deg - expected_deg))) < within_deg
