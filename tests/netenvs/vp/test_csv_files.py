"""Import of one's own recordings: round trips through files, resampling on the sphere, gaps, splits, and bad files."""

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from netenvs.vp.csv_files import deal_splits, read_recordings
from netenvs.vp.recordings import windows
from netenvs.vp.workload import load_recordings

RATE = 60.0
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


def write_csv(file, table, header=None):
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(f"{value:.9f}" for value in row) for row in table]
    file.write_text("\n".join([*([header] if header else []), *lines]) + "\n")
    return file


def wrapped(degrees):
    return (degrees + 180) % 360 - 180


def assert_angles(recordings, time_s, expected_deg, within_deg):
    np.testing.assert_allclose(recordings.time_s, time_s, atol=1e-9)
    assert np.max(np.abs(wrapped(recordings.angles_deg - expected_deg))) < within_deg


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("time_s,qx,qy,qz,qw", lambda t, angles: [t, *quaternions_of(angles).T]),
        (None, lambda t, angles: [t, *quaternions_of(angles).T]),
        (None, lambda t, angles: [t, *-quaternions_of(angles).T]),  # the same turns
        ("QW, qx ,time_ms,qy,QZ", lambda t, angles: [*quaternions_of(angles).T[[3, 0]], 1000 * t, *_yz(angles)]),
        ("time_s,roll,pitch,yaw", lambda t, angles: [t, *angles.T]),
        (None, lambda t, angles: [t, *angles.T]),
        ("yaw,pitch,roll,time_s", lambda t, angles: [*angles.T[::-1], t]),
        ("time_s,roll,pitch,yaw", lambda t, angles: [t, *np.rad2deg(np.unwrap(np.deg2rad(angles.T)))]),
    ],
)
def test_known_angles_at_60_hz_come_back(tmp_path, header, columns):
    time_s = np.arange(0, 20, 1 / RATE)
    file = write_csv(tmp_path / "video1" / "user1.csv", np.stack(columns(time_s, head_motion(time_s)), 1), header)
    grid = np.arange(100) / 5
    # every twelfth row lies on the grid: nothing is left to interpolation
    assert_angles(read_recordings(tmp_path), grid, head_motion(grid), within_deg=1e-4)
    assert_angles(read_recordings(file), grid, head_motion(grid), within_deg=1e-4)


def _yz(angles):
    return quaternions_of(angles).T[[1, 2]]


@pytest.mark.parametrize(("rate", "within_deg"), [(240.0, 0.002), (60.0, 0.03), (29.97, 0.15), (8.0, 1.5)])
def test_any_rate_is_resampled_near_the_true_motion(tmp_path, rate, within_deg):
    time_s = np.arange(0.013, 20, 1 / rate)
    write_csv(tmp_path / "1" / "1.csv", np.stack([time_s, *quaternions_of(head_motion(time_s)).T], 1))
    grid = np.arange(1, np.floor(time_s[-1] * 5) + 1) / 5
    assert_angles(read_recordings(tmp_path), grid, head_motion(grid), within_deg)


def test_between_two_rows_the_head_turns_evenly_about_one_axis(tmp_path):
    """Rows 0.5 s apart, across the seam: samples divide the arc, which no interpolation of angles would do."""
    ends = np.array([[0.0, 50.0, 100.0], [20.0, 60.0, -120.0]])
    write_csv(tmp_path / "1" / "1.csv", np.column_stack([[0.0, 0.5, 1.0], ends[[0, 1, 1]]]))
    recordings = read_recordings(tmp_path)
    at = Rotation.from_euler("ZXY", recordings.angles_deg, degrees=True)
    turns = [(at[i].inv() * at[i + 1]).as_rotvec(degrees=True) for i in range(2)]  # 0 to 0.2, 0.2 to 0.4 s
    np.testing.assert_allclose(turns[0], turns[1], atol=1e-4)
    first, second = Rotation.from_euler("ZXY", ends, degrees=True)
    arc_deg = np.rad2deg((first.inv() * second).magnitude())
    assert np.linalg.norm(turns[0]) == pytest.approx(0.4 * arc_deg, abs=1e-4)


def test_the_short_way_across_the_seam(tmp_path):
    write_csv(tmp_path / "1" / "1.csv", [[0.0, 0, 0, 170], [0.4, 0, 0, -170]])
    np.testing.assert_allclose(np.abs(read_recordings(tmp_path).angles_deg[:, 2]), [170, 180, 170], atol=1e-4)


def test_looking_straight_up_gives_numbers(tmp_path, recwarn):
    write_csv(tmp_path / "1" / "1.csv", [[0.0, 0, 90, 10], [0.2, 0, 90, 10], [0.4, 0, 0, 10]])
    recordings = read_recordings(tmp_path)
    np.testing.assert_allclose(recordings.angles_deg[:, 1], [90, 90, 0], atol=0.05)
    assert np.isfinite(recordings.angles_deg).all()
    assert not recwarn.list


def test_nothing_is_invented_in_a_gap(tmp_path):
    time_s = np.concatenate([np.arange(0, 10, 1 / RATE), np.arange(10.65, 30, 1 / RATE)])
    write_csv(tmp_path / "1" / "1.csv", np.column_stack([time_s, head_motion(time_s)]))
    recordings = read_recordings(tmp_path)
    left_out = sorted(set(range(148)) - set(np.rint(recordings.time_s * 5).astype(int).tolist()))
    assert left_out == [50, 51, 52, 53]  # 10.0 to 10.6: the rows around are 9.983 and 10.65
    cut = windows(recordings, "test", history=3, horizon=2, step=1, trim_head=3, trim_tail=2)
    around = (cut.sample > 50 - 2) & (cut.sample < 50 + 3)
    np.testing.assert_array_equal(cut.valid, ~around)


def test_pauses_up_to_the_longest_are_bridged(tmp_path):
    write_csv(tmp_path / "1" / "1.csv", [[t, 0, 0, 10 * t] for t in (0.0, 0.6, 1.2, 1.8, 2.4)])
    assert_angles(read_recordings(tmp_path), np.arange(13) / 5, np.outer(np.arange(13) / 5, [0, 0, 10]), 1e-4)


def test_rows_on_both_edges_of_a_gap_are_kept(tmp_path):
    rows = [[t, 0, 0, 0] for t in (0.0, 0.2, 0.4, 1.4, 1.6, 1.8)]
    write_csv(tmp_path / "1" / "1.csv", rows)
    np.testing.assert_allclose(read_recordings(tmp_path).time_s, [row[0] for row in rows])


def test_a_recording_that_starts_late_keeps_its_place_in_the_video(tmp_path):
    write_csv(tmp_path / "1" / "1.csv", [[t, 0, 0, 0] for t in (42.93, 43.13, 43.33, 43.53)])
    np.testing.assert_allclose(read_recordings(tmp_path).time_s, [43.0, 43.2, 43.4])


def test_the_layout_of_the_published_files(tmp_path):
    for video, user in ((3, 12), (3, 7), (11, 7)):
        write_csv(
            tmp_path / f"video{video}" / "5Hz" / f"simple_5Hz_user{user}.csv",
            [[0.0, 0, 0, user], [0.2, 0, 0, user], [0.4, 0, 0, video]],
        )
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "notes.csv").write_text("nothing\n")
    recordings = read_recordings(tmp_path)
    assert list(zip(recordings.video.tolist(), recordings.user.tolist(), strict=True)) == [(3, 7), (3, 12), (11, 7)]
    np.testing.assert_allclose(recordings.angles_deg[:, 2], [7, 7, 3, 12, 12, 3, 7, 7, 11], atol=1e-5)
    assert recordings.offset.tolist() == [0, 3, 6, 9]
    assert recordings.name == str(tmp_path)


def test_files_from_other_programs(tmp_path):
    """A byte-order mark, quotes, carriage returns and empty lines."""
    (tmp_path / "u1.csv").write_bytes('\ufeff"time_s","roll","pitch","yaw"\r\n\r\n0,1,2,3\r\n0.2,1,2,3\r\n'.encode())
    np.testing.assert_allclose(read_recordings(tmp_path / "u1.csv").angles_deg, [[1, 2, 3]] * 2, atol=1e-5)


def small(tmp_path, videos=(1,), users=(1, 2, 3, 4)):
    for video in videos:
        for user in users:
            write_csv(tmp_path / f"video{video}" / f"user{user}.csv", [[0, 0, 0, 0], [0.2, 0, 0, 0]])
    return tmp_path


def test_splits_of_ones_own(tmp_path):
    listed = {"train": {"videos": [1], "users": [3, 1]}, "test": {"videos": [2, 1], "users": [4]}}
    (small(tmp_path, videos=(1, 2)) / "splits.json").write_text(json.dumps(listed))
    splits = read_recordings(tmp_path).splits
    assert splits == {"train": ((1,), (3, 1)), "valid": ((), ()), "test": ((2, 1), (4,))}


def test_splits_are_dealt_without_overlap_in_the_shares_of_jin2022(tmp_path):
    splits = deal_splits(range(1, 28), range(1, 85))
    assert [(len(split.videos), len(split.users)) for split in splits.values()] == [(15, 42), (6, 21), (6, 21)]
    for kind in (0, 1):
        dealt = [number for split in splits.values() for number in split[kind]]
        assert sorted(dealt) == list(range(1, 28 if kind == 0 else 85))
    assert deal_splits([5, 3, 9], [2, 8, 4]) == {"train": ((3,), (2,)), "valid": ((5,), (4,)), "test": ((9,), (8,))}
    assert read_recordings(small(tmp_path, (1, 2), (1, 2, 3))).splits["test"] == ((1, 2), (1, 2, 3))
    assert deal_splits([1, 2], [1, 2, 3])["train"] == ((), ())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not of the form"),
        ("[1]", "not of the form"),
        ('{"test": [1, 2]}', "not of the form"),
        ('{"test": {"videos": [1]}}', "not of the form"),
        ('{"dev": {"videos": [1], "users": [1]}}', "unknown split 'dev'; known: train, valid, test"),
        ('{"test": {"videos": [1], "users": [9]}}', "test lists user 9, of which there is no recording"),
        ('{"test": {"videos": [2], "users": [1]}}', "test lists video 2, of which there is no recording"),
        ('{"test": {"videos": ["1"], "users": [1]}}', "test lists video '1', of which"),
        ('{"test": {"videos": [1], "users": [1, 2, 1]}}', "test lists user 1 twice"),
        (
            '{"train": {"videos": [1], "users": [1, 2]}, "test": {"videos": [1], "users": [2]}}',
            "user 2 is in train and in test; a user belongs to one split",
        ),
    ],
)
def test_splits_that_are_none(tmp_path, content, message):
    (small(tmp_path) / "splits.json").write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_recordings(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "splits.json"))
    assert "\n" not in str(caught.value)


ROW = "0,1,2,3\n0.2,1,2,3\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ": the file is empty; give time_s, roll, pitch, yaw or time_s, qx, qy, qz, qw"),
        ("\n\n", ": the file is empty"),
        ("time_s,roll,pitch,yaw\n", ": a recording needs two rows of numbers, this one has 0"),
        ("0,1,2,3\n", ": a recording needs two rows of numbers, this one has 1"),
        (ROW + "0.4,1,2\n", ":3: 3 fields, expected 4: time_s, roll, pitch, yaw"),
        (ROW + "0.4,1,2,3,4\n", ":3: 5 fields, expected 4"),
        (ROW + "\n0.4,1,two,3\n", ":4: pitch is 'two', not a number"),
        (ROW + "0.4,1,,3\n", ":3: pitch is '', not a number"),
        (ROW + "0.4,1,nan,3\n", ":3: pitch is nan; leave such rows out"),
        (ROW + "0.4,1,2,-inf\n", ":3: yaw is -inf"),
        (ROW + "nan,1,2,3\n", ":3: time_s is nan"),
        (ROW + "0.2,1,2,3\n", ":3: time 0.2 s does not come after 0.2 s; sort the rows"),
        (ROW + "0.1,1,2,3\n", ":3: time 0.1 s does not come after 0.2 s"),
        ("-0.1,1,2,3\n" + ROW, ":1: time -0.1 s is not in 0 to 36000"),
        ("1700000000,1,2,3\n1700000000.2,1,2,3\n", ":1: time 1.7e.09 s is not in 0 to 36000; give seconds from"),
        ("0,1,2,3\n1,1,2,3\n2,1,2,3\n", ": a row every 1 s is too few; give one every 0.6 s or more"),
        ("0.01,1,2,3\n0.02,1,2,3\n", ": no sample at 5 Hz lies in its 0.01 s"),
        ("time_s,roll,pitch,yaw,gaze_x\n" + ROW, ":1: unknown column 'gaze_x'; take it out, known: time_s"),
        ("time_s,roll,pitch,roll\n" + ROW, ":1: the columns are time_s, roll, pitch, roll; give"),
        ("time_s,time_ms,roll,pitch,yaw\n" + ROW, ":1: the columns are"),
        ("time_s,qx,qy,qz\n" + ROW, ":1: the columns are"),
        ("roll,pitch,yaw\n" + ROW, ":1: the columns are"),
        ("0,1,2\n", ":1: 3 columns and no header; give"),
        (ROW + "0.4,1,92,3\n", ":3: pitch 92 is not in -90 to 90 degrees; are the columns in order"),
        ("0,0,0,0,1\n0.2,0,0,0,0\n", ":2: a quaternion of length 0; give unit quaternions"),
        ("0,0,0,0,1\n0.2,3,4,0,0\n", ":2: a quaternion of length 5"),
        (b"\xff\xfe\x00\x01", ": damaged, or no text file"),
        (b"0,1,2,3\n0.2,1,2,\x003\n", ":2: yaw is|: damaged"),
    ],
)
def test_bad_files_are_one_line_with_file_and_line(tmp_path, content, message):
    file = small(tmp_path) / "video1" / "user2.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as caught:
        read_recordings(tmp_path)
    assert str(caught.value).startswith(f"{file}:")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no recordings; put them into files like .*video3.user12.csv"),
        (["user1.csv"], "user1.csv: which video and user"),
        (["video1/alice.csv"], "alice.csv: which video and user"),
        (["lobby/user1.csv"], "user1.csv: which video and user"),
        (["video1/user1.csv", "video1/5Hz/user1.csv"], "video 1 by user 1 is in .* already; keep one of them"),
    ],
)
def test_names_that_do_not_say_video_and_user(tmp_path, names, message):
    for name in names:
        write_csv(tmp_path / name, [[0, 0, 0, 0], [0.2, 0, 0, 0]])
    with pytest.raises(ValueError, match=message):
        read_recordings(tmp_path)


def test_files_of_the_published_data_come_back(tmp_path, wu2017):
    """A recording written out as published and imported: as it was at the samples, whose times are not of 5 Hz."""
    published = load_recordings("wu2017")
    end = published.offset[1]
    time_s, angles = published.time_s[:end], published.angles_deg[:end].astype(np.float64)
    imported = read_recordings(write_csv(tmp_path / "user1.csv", np.column_stack([time_s, angles])))
    nearest = np.abs(imported.time_s[:, None] - time_s).argmin(axis=1)
    same = np.abs(imported.time_s - time_s[nearest]) < 1e-6
    apart = wrapped(imported.angles_deg - angles[nearest])
    assert same.sum() > 10
    assert np.abs(apart[same]).max() < 1e-3
    assert np.median(np.abs(apart)) < 0.5
