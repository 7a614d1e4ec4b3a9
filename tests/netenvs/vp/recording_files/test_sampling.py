"""Recordings of any rate at 5 Hz: round trips through files, interpolation on the sphere, gaps."""

import numpy as np
import pytest
from head_motion import assert_angles, head_motion, quaternions_of, wrapped, write_table
from scipy.spatial.transform import Rotation

from netenvs.vp.recordings import windows
from netenvs.vp.workload import load_recordings

RATE = 60.0


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("time_s,qx,qy,qz,qw", lambda t, angles: [t, *quaternions_of(angles).T]),
        ("time_s,qx,qy,qz,qw", lambda t, angles: [t, *-quaternions_of(angles).T]),  # the same turns
        ("QW, qx ,time_ms,qy,QZ", lambda t, angles: [*quaternions_of(angles).T[[3, 0]], 1000 * t, *_yz(angles)]),
        ("time_s,roll,pitch,yaw", lambda t, angles: [t, *angles.T]),
        (None, lambda t, angles: [t, *angles.T]),
        ("yaw,pitch,roll,time_s", lambda t, angles: [*angles.T[::-1], t]),
        ("time_s,roll,pitch,yaw", lambda t, angles: [t, *np.rad2deg(np.unwrap(np.deg2rad(angles.T)))]),
    ],
)
def test_known_angles_at_60_hz_come_back(tmp_path, recwarn, header, columns):
    time_s = np.arange(0, 20, 1 / RATE)
    file = write_table(tmp_path / "video1" / "user1.csv", np.stack(columns(time_s, head_motion(time_s)), 1), header)
    grid = np.arange(100) / 5
    # every twelfth row lies on the grid: nothing is left to interpolation
    assert_angles(load_recordings(tmp_path), grid, head_motion(grid), within_deg=1e-4)
    assert_angles(load_recordings(file), grid, head_motion(grid), within_deg=1e-4)
    assert not recwarn.list


def _yz(angles):
    return quaternions_of(angles).T[[1, 2]]


@pytest.mark.parametrize(("rate", "within_deg"), [(240.0, 0.002), (60.0, 0.03), (29.97, 0.15), (8.0, 1.5)])
def test_any_rate_is_resampled_near_the_true_motion(tmp_path, rate, within_deg):
    time_s = np.arange(0.013, 20, 1 / rate)
    table = np.stack([time_s, *quaternions_of(head_motion(time_s)).T], 1)
    write_table(tmp_path / "1" / "1.csv", table, "time_s,qx,qy,qz,qw")
    grid = np.arange(1, np.floor(time_s[-1] * 5) + 1) / 5
    assert_angles(load_recordings(tmp_path), grid, head_motion(grid), within_deg)


def test_between_two_rows_the_head_turns_evenly_about_one_axis(tmp_path):
    """Rows 0.5 s apart, across the seam: samples divide the arc, which no interpolation of angles would do."""
    ends = np.array([[0.0, 50.0, 100.0], [20.0, 60.0, -120.0]])
    write_table(tmp_path / "1" / "1.csv", np.column_stack([[0.0, 0.5, 1.0], ends[[0, 1, 1]]]))
    recordings = load_recordings(tmp_path)
    at = Rotation.from_euler("ZXY", recordings.angles_deg, degrees=True)
    turns = [(at[i].inv() * at[i + 1]).as_rotvec(degrees=True) for i in range(2)]  # 0 to 0.2, 0.2 to 0.4 s
    np.testing.assert_allclose(turns[0], turns[1], atol=1e-4)
    first, second = Rotation.from_euler("ZXY", ends, degrees=True)
    arc_deg = np.rad2deg((first.inv() * second).magnitude())
    assert np.linalg.norm(turns[0]) == pytest.approx(0.4 * arc_deg, abs=1e-4)


def test_the_short_way_across_the_seam(tmp_path):
    write_table(tmp_path / "1" / "1.csv", [[0.0, 0, 0, 170], [0.4, 0, 0, -170]])
    np.testing.assert_allclose(np.abs(load_recordings(tmp_path).angles_deg[:, 2]), [170, 180, 170], atol=1e-4)


def test_looking_straight_up_gives_numbers(tmp_path, recwarn):
    write_table(tmp_path / "1" / "1.csv", [[0.0, 0, 90, 10], [0.2, 0, 90, 10], [0.4, 0, 0, 10]])
    recordings = load_recordings(tmp_path)
    np.testing.assert_allclose(recordings.angles_deg[:, 1], [90, 90, 0], atol=0.05)
    assert np.isfinite(recordings.angles_deg).all()
    assert not recwarn.list


def test_nothing_is_invented_in_a_gap(tmp_path):
    time_s = np.concatenate([np.arange(0, 10, 1 / RATE), np.arange(10.65, 30, 1 / RATE)])
    write_table(tmp_path / "1" / "1.csv", np.column_stack([time_s, head_motion(time_s)]))
    recordings = load_recordings(tmp_path)
    left_out = sorted(set(range(148)) - set(np.rint(recordings.time_s * 5).astype(int).tolist()))
    assert left_out == [50, 51, 52, 53]  # 10.0 to 10.6: the rows around are 9.983 and 10.65
    cut = windows(recordings, "test", history=3, horizon=2, step=1, trim_head=3, trim_tail=2)
    around = (cut.sample > 50 - 2) & (cut.sample < 50 + 3)
    np.testing.assert_array_equal(cut.valid, ~around)


def test_pauses_up_to_the_longest_are_bridged(tmp_path):
    write_table(tmp_path / "1" / "1.csv", [[t, 0, 0, 10 * t] for t in (0.0, 0.6, 1.2, 1.8, 2.4)])
    assert_angles(load_recordings(tmp_path), np.arange(13) / 5, np.outer(np.arange(13) / 5, [0, 0, 10]), 1e-4)


def test_rows_on_both_edges_of_a_gap_are_kept(tmp_path):
    rows = [[t, 0, 0, 0] for t in (0.0, 0.2, 0.4, 1.4, 1.6, 1.8)]
    write_table(tmp_path / "1" / "1.csv", rows)
    np.testing.assert_allclose(load_recordings(tmp_path).time_s, [row[0] for row in rows])


def test_a_recording_that_starts_late_keeps_its_place_in_the_video(tmp_path):
    write_table(tmp_path / "1" / "1.csv", [[t, 0, 0, 0] for t in (42.93, 43.13, 43.33, 43.53)])
    np.testing.assert_allclose(load_recordings(tmp_path).time_s, [43.0, 43.2, 43.4])


def test_files_of_the_published_data_come_back(tmp_path, wu2017):
    """A recording written out as published and imported: as it was at the samples, whose times are not of 5 Hz."""
    published = load_recordings("wu2017")
    end = published.offset[1]
    time_s, angles = published.time_s[:end], published.angles_deg[:end].astype(np.float64)
    imported = load_recordings(write_table(tmp_path / "user1.csv", np.column_stack([time_s, angles])))
    nearest = np.abs(imported.time_s[:, None] - time_s).argmin(axis=1)
    same = np.abs(imported.time_s - time_s[nearest]) < 1e-6
    apart = wrapped(imported.angles_deg - angles[nearest])
    assert same.sum() > 10
    assert np.abs(apart[same]).max() < 1e-3
    assert np.median(np.abs(apart)) < 0.5


def test_directions_go_along_the_great_circle(tmp_path):
    """Pitch and yaw without roll: a third of the way from one pole's side to the other is a third of the arc."""
    write_table(tmp_path / "1" / "1.csv", [[0.0, 60, 0], [0.6, 60, 180], [1.2, 60, 180]], "time_s,pitch,yaw")
    recordings = load_recordings(tmp_path)
    np.testing.assert_allclose(recordings.angles_deg[:4, 1], [60, 80, 80, 60], atol=1e-4)
    np.testing.assert_allclose(np.abs(recordings.angles_deg[:4, 2]), [0, 0, 180, 180], atol=1e-4)
    assert not recordings.angles_deg[:, 0].any()
