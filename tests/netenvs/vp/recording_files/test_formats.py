"""Files as they are published or lie about, each written here by its convention, and the angles they must give."""

import re
import shutil

import numpy as np
import pytest
from head_motion import assert_angles, head_motion, quaternions_of, wrapped, write_table
from scipy.spatial.transform import Rotation

from netenvs.readers.sources import list_sources
from netenvs.vp import sphere
from netenvs.vp.recording_files.formats import READERS
from netenvs.vp.workload import load_recordings, read_recordings

TIME_S = np.arange(0, 20, 1 / 50)
GRID_S = np.arange(100) / 5
MOTION = head_motion(TIME_S)
EXPECTED = head_motion(GRID_S)
XYZW = quaternions_of(MOTION)
WXYZ = XYZW[:, [3, 0, 1, 2]]
DIRECTIONS = EXPECTED * [0, 1, 1]


def read(path, **options):
    """Recordings, notes and lines of what was left out."""
    recordings, reading = read_recordings(path, **options)
    return recordings, reading.notes, reading.skipped_lines()


def recognised(path):
    return [next(reader.name for reader in READERS if reader.sniff(source)) for source in list_sources(path)]


@pytest.mark.parametrize("separator", [",", ";", "\t", " ", "   "])
@pytest.mark.parametrize("name", ["user1.csv", "user1.txt", "user1"])
@pytest.mark.parametrize("header", ["time_s{0}roll{0}pitch{0}yaw", "# a remark", None])
def test_separators_suffixes_headers_and_comments(tmp_path, separator, name, header):
    table = np.column_stack([TIME_S, MOTION])
    write_table(tmp_path / "video1" / name, table, header and header.format(separator), separator)
    (tmp_path / "README.md").write_text("who watched what\n")
    (tmp_path / ".hidden.csv").write_text("nothing\n")
    (tmp_path / "video1" / "video1.mp4").write_bytes(b"\0" * 100)
    recordings, notes, skipped = read(tmp_path)
    assert_angles(recordings, GRID_S, EXPECTED, 1e-4)
    assert (notes, skipped) == ([], [])


def test_files_from_other_programs(tmp_path):
    """A byte-order mark, quotes, carriage returns and empty lines; decimal commas between semicolons."""
    (tmp_path / "u1.csv").write_bytes('\ufeff"time_s","roll","pitch","yaw"\r\n\r\n0,1,2,3\r\n0.2,1,2,3\r\n'.encode())
    (tmp_path / "u2.csv").write_text("time_s;roll;pitch;yaw\n0;1,5;2,5;3,5\n0,2;1,5;2,5;3,5\n")
    np.testing.assert_allclose(load_recordings(tmp_path / "u1.csv").angles_deg, [[1, 2, 3]] * 2, atol=1e-5)
    np.testing.assert_allclose(load_recordings(tmp_path / "u2.csv").angles_deg, [[1.5, 2.5, 3.5]] * 2, atol=1e-5)


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("timestamp,quat_x,quat_y,quat_z,quat_w", [TIME_S, XYZW]),
        ("time,rotation.w,rotation.x,rotation.y,rotation.z", [TIME_S, WXYZ]),
        ("RotationX,RotationY,RotationZ,RotationW,MediaTime", [XYZW, TIME_S]),
        ("t,w,x,y,z", [TIME_S, WXYZ]),
        ("time,pos_x,pos_y,pos_z,qw,qx,qy,qz,confidence", [TIME_S, MOTION, WXYZ, TIME_S]),
        ("time [ms],Roll (deg),Pitch (deg),Yaw (deg)", [TIME_S * 1000, MOTION]),
        ("time_us,yaw_rad,pitch_rad,roll_rad", [TIME_S * 1e6, np.radians(MOTION[:, ::-1])]),
        ("frame,raw yaw,raw pitch,raw roll,cal. yaw,cal. pitch,cal. roll", [TIME_S * 30, -MOTION, MOTION[:, ::-1]]),
    ],
)
def test_names_of_columns(tmp_path, header, columns):
    file = write_table(tmp_path / "one.csv", np.column_stack(columns), header)
    recordings, notes, _ = read(file)
    assert_angles(recordings, GRID_S, EXPECTED, 1e-3)
    assert notes == (
        ["times are frame numbers, taken for 30 frames a second; fps= says otherwise"] if "frame" in header else []
    )


def test_numbers_of_frames_have_a_rate(tmp_path):
    file = write_table(tmp_path / "one.csv", np.column_stack([TIME_S * 25, MOTION]), "frame,roll,pitch,yaw")
    recordings, notes, _ = read(file, fps=25)
    assert_angles(recordings, GRID_S, EXPECTED, 1e-4)
    assert notes == []


def test_units_below_a_header_and_names_in_a_comment(tmp_path):
    write_table(
        tmp_path / "1" / "1.csv", np.column_stack([TIME_S, np.radians(MOTION)]), "t,roll,pitch,yaw\ns,rad,rad,rad"
    )
    write_table(tmp_path / "1" / "2.csv", np.column_stack([MOTION[:, ::-1], TIME_S]), "# yaw pitch roll t", " ")
    recordings, notes, _ = read(tmp_path)
    for user in range(2):
        part = slice(recordings.offset[user], recordings.offset[user + 1])
        assert np.abs(wrapped(recordings.angles_deg[part] - EXPECTED)).max() < 1e-4
    assert notes == []


@pytest.mark.parametrize(
    ("header", "columns", "notes"),
    [
        ("time_s,pitch,yaw", [MOTION[:, 1:]], []),
        ("time_s,yaw,pitch", [MOTION[:, [2, 1]]], []),
        ("time_s,longitude,latitude", [MOTION[:, [2, 1]] * [1, -1]], []),  # north is up, published pitch counts down
        (
            None,
            [MOTION[:, 1:]],
            ["columns without a header are taken for time, pitch and yaw, as yaw turns more.*over 49.9 and 345"],
        ),
        (None, [MOTION[:, [2, 1]]], ["columns without a header are taken for time, yaw and pitch, as yaw turns more"]),
    ],
)
def test_a_missing_roll_is_0(tmp_path, header, columns, notes):
    file = write_table(tmp_path / "one.csv", np.column_stack([TIME_S, *columns]), header)
    recordings, said, _ = read(file)
    assert_angles(recordings, GRID_S, DIRECTIONS, 1e-4)
    assert not recordings.angles_deg[:, 0].any()
    assert len(said) == len(notes)
    assert all(re.match(pattern, text) for pattern, text in zip(notes, said, strict=True))


@pytest.mark.parametrize(
    ("axes", "columns"),
    [
        ("", lambda right, down, forward: [right, down, forward]),
        ("x-yz", lambda right, down, forward: [right, down, forward]),
        ("xyz", lambda right, down, forward: [right, -down, forward]),
        ("-yzx", lambda right, down, forward: [forward, -right, -down]),
    ],
)
@pytest.mark.parametrize("header", ["time,x,y,z", "time,dir_x,dir_y,dir_z", None])
def test_unit_vectors_by_their_axes(tmp_path, header, axes, columns):
    pitch, yaw = np.radians(MOTION[:, 1:]).T
    right, down, forward = np.cos(pitch) * np.sin(yaw), np.sin(pitch), np.cos(pitch) * np.cos(yaw)
    file = write_table(tmp_path / "one.csv", np.column_stack([TIME_S, *columns(right, down, forward)]), header)
    recordings, notes, _ = read(file, axes=axes)
    assert_angles(recordings, GRID_S, DIRECTIONS, 1e-4)
    seen = sphere.view_vectors(recordings.angles_deg)
    np.testing.assert_allclose(seen, np.stack([right, down, forward], 1)[::10], atol=1e-5)
    assert [note.partition(";")[0] for note in notes] == (
        [] if axes else ["of unit vectors x is taken to point right, y down and z forward"]
    )


def test_the_scalar_first_by_option_and_by_content(tmp_path):
    last, first = np.column_stack([TIME_S, XYZW]), np.column_stack([TIME_S, WXYZ])
    said = "quaternions are taken with the scalar first, as so heads are upright; quaternion= says otherwise"
    for table, options, notes in (
        (last, {}, 0),
        (first, {}, 1),
        (first, {"quaternion": "wxyz"}, 0),
        (last, {"quaternion": "xyzw"}, 0),
    ):
        recordings, found, _ = read(write_table(tmp_path / "one.txt", table, None, " "), **options)
        assert_angles(recordings, GRID_S, EXPECTED, 1e-3)
        assert [note.startswith(said) for note in found] == [True] * notes
    wrong, _, _ = read(write_table(tmp_path / "one.txt", first, None, " "), quaternion="xyzw")
    assert np.abs(wrapped(wrong.angles_deg - EXPECTED)).max() > 30


def test_q0_to_q3_have_the_scalar_first_unless_heads_hang_upside_down(tmp_path):
    for table, notes in ((WXYZ, 0), (XYZW, 1)):
        file = write_table(tmp_path / "one.csv", np.column_stack([TIME_S, table]), "timestamp,q0,q1,q2,q3")
        recordings, found, _ = read(file)
        assert_angles(recordings, GRID_S, EXPECTED, 1e-3)
        assert len(found) == notes


def test_a_name_wins_over_content_but_not_without_a_word(tmp_path):
    file = write_table(tmp_path / "one.csv", np.column_stack([TIME_S, WXYZ]), "time,qx,qy,qz,qw")
    recordings, notes, _ = read(file)
    assert np.abs(wrapped(recordings.angles_deg - EXPECTED)).max() > 30
    assert notes[0].startswith(
        "quaternions look like the scalar first, for all that the names say; quaternion= says so"
    )
    assert_angles(read(file, quaternion="wxyz")[0], GRID_S, EXPECTED, 1e-3)


def test_heads_that_are_upright_neither_way(tmp_path):
    lying = Rotation.from_euler("ZXY", MOTION * [0, 0.2, 1] + [90, 0, 0], degrees=True).as_quat()
    file = write_table(tmp_path / "one.csv", np.column_stack([TIME_S, lying]))
    recordings, notes, _ = read(file)
    turned = Rotation.from_euler("ZXY", recordings.angles_deg, degrees=True).as_quat()
    assert np.abs(np.abs(np.sum(turned * lying[::10], axis=1)) - 1).max() < 1e-6
    assert notes[0].startswith(
        "quaternions are taken with the scalar last, heads are upright neither way; quaternion= says"
    )


def with_z_up():
    """Quaternions w, x, y, z of the same turns where x points forward, y left and z up."""
    to_file = np.array([[0, 0, 1], [-1, 0, 0], [0, 1, 0]])  # right, up, forward -> forward, left, up
    turns = Rotation.from_euler("ZXY", MOTION, degrees=True).as_matrix()
    return Rotation.from_matrix(to_file @ turns @ to_file.T).as_quat()[:, [3, 0, 1, 2]]


@pytest.mark.parametrize("header", [None, "timestamp,q0,q1,q2,q3"])
def test_what_points_up_is_seen_where_no_name_says_what_is_what(tmp_path, header):
    file = write_table(tmp_path / "one.csv", np.column_stack([TIME_S, with_z_up()]), header)
    recordings, notes, _ = read(file)
    assert_angles(recordings, GRID_S, EXPECTED, 1e-3)
    assert notes[-1].startswith("z is taken to point up and x forward, as so heads are upright; axes= says otherwise (")
    assert read(file, axes="-yzx", quaternion="wxyz")[1] == []


def test_what_points_up_is_only_asked_about_where_names_say_the_order(tmp_path):
    file = write_table(tmp_path / "one.csv", np.column_stack([TIME_S, with_z_up()]), "time,qw,qx,qy,qz")
    recordings, (note,), _ = read(file)
    np.testing.assert_array_equal(recordings.angles_deg, read(file, axes="xyz")[0].angles_deg)
    assert note.startswith(
        "y is taken to point up and z forward, and heads are more upright with z up; axes=-yzx says so"
    )
    assert_angles(read(file, axes="-yzx")[0], GRID_S, EXPECTED, 1e-3)


def test_wu_2017(tmp_path):
    """Header as published; files <user>/video_<n>.csv, whose first rows may be of the end of the video before."""
    header = "Timestamp,PlaybackTime," + ",".join(f"UnitQuaternion.{axis}" for axis in "xyzw")
    header += "," + ",".join(f"HmdPosition.{axis}" for axis in "xyz")
    lines = [
        f"2016-11-23 14:49:{second % 60:06.3f},{second:.3f},{x:.9f},{y:.9f},{z:.9f},{w:.9f},0.1,1.2,0.3"
        for second, (x, y, z, w) in zip(TIME_S, XYZW, strict=True)
    ]
    for experiment in (1, 2):
        file = tmp_path / f"Experiment_{experiment}" / "7" / "video_3.csv"
        file.parent.mkdir(parents=True)
        dirty = lines[0].replace(",0.000,", ",164.221,", 1)
        file.write_text("\n".join([header, dirty, *lines]) + "\n")
    recordings, notes, skipped = read(tmp_path)
    assert set(recognised(tmp_path)) == {"wu"}
    assert (recordings.video.tolist(), recordings.user.tolist()) == ([1, 2], [7, 7])
    np.testing.assert_allclose(recordings.time_s[:100], GRID_S, atol=1e-9)
    assert np.abs(wrapped(recordings.angles_deg[100:] - EXPECTED)).max() < 1e-3
    assert notes == ["videos are numbered in the order of their names: 1 Experiment_1/video_3, 2 Experiment_2/video_3"]
    assert skipped[0].startswith("2 rows left out: the time does not come after the one before (first")


def test_corbillon_2017(tmp_path):
    """Blanks, no header: time, frame, w x y z, by a frame with x forward, y left, z up."""
    table = np.column_stack([TIME_S, np.floor(TIME_S * 30), with_z_up()])
    for user, video in (
        ("uid-a", "Diving-2OzlksZBTiA"),
        ("uid-b", "Diving-2OzlksZBTiA"),
        ("uid-b", "Rhinos-7IWp875pCxQ"),
    ):
        file = tmp_path / user / "test0" / video / "testData.txt"
        write_table(file, table)
        file.write_text("\n".join(f"{r[0]:.4f} {r[1]:.0f} {r[2]:.9f} {r[3]:.9f} {r[4]:.9f} {r[5]:.9f}" for r in table))
    recordings, notes, _ = read(tmp_path)
    assert set(recognised(tmp_path)) == {"corbillon"}
    assert np.abs(wrapped(recordings.angles_deg[:100] - EXPECTED)).max() < 1e-2
    assert (recordings.video.tolist(), recordings.user.tolist()) == ([2, 2, 875], [1, 2, 2])
    assert notes == ["users are numbered in the order of their names: 1 uid-a, 2 uid-b"]


def test_nasrabadi_2019(tmp_path):
    """No header: time, x y z w, and the viewing direction with y down; files <user>/<user>_<video>.csv."""
    views = Rotation.from_quat(XYZW).apply([0, 0, 1]) * [1, -1, 1]
    for user, video in (("ILEBGM", 12), ("WDRIB9", 12), ("805G37", 2), ("ILEBGM", 2)):
        write_table(tmp_path / "Traces" / user / f"{user}_{video}.csv", np.column_stack([TIME_S, XYZW, views]))
    recordings, notes, _ = read(tmp_path)
    assert set(recognised(tmp_path)) == {"nasrabadi"}
    assert list(zip(recordings.video.tolist(), recordings.user.tolist(), strict=True)) == [
        (2, 1),
        (2, 2),
        (12, 2),
        (12, 3),
    ]
    assert notes == ["users are numbered in the order of their names: 1 805G37, 2 ILEBGM, 3 WDRIB9"]
    assert np.abs(wrapped(recordings.angles_deg[:100] - EXPECTED)).max() < 1e-3
    write_table(tmp_path / "Traces" / "X" / "X_1.csv", np.column_stack([TIME_S, WXYZ, views]))
    assert read(tmp_path / "Traces" / "X")[1][0].startswith("quaternions and views of the same row are apart")


def test_jin_2022(tmp_path):
    """A header, gaze, the quaternion in brackets; the time of a session; folders ``V2 (user)``, files of a video."""
    for brackets in ("()", "[]"):
        lines = ["PlayTime,x,y,z,quaternion"]
        lines += [
            f'{120 + t:.3f},0.5,0.5,1,"{brackets[0]}{x:.9f}, {y:.9f}, {z:.9f}, {w:.9f}{brackets[1]}"'
            for t, (x, y, z, w) in zip(TIME_S, XYZW, strict=True)
        ]
        file = tmp_path / "V2 (4)" / "head_gaze_3_x.csv"
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join(lines))
        (tmp_path / "V2 (5)").mkdir(exist_ok=True)
        (tmp_path / "V2 (5)" / "head_gaze_7_x.csv").write_text("\n".join([*lines[:5], "121,0,0,0,broken", *lines[5:]]))
        recordings, notes, skipped = read(tmp_path)
        assert set(recognised(tmp_path)) == {"jin"}
        assert (recordings.video.tolist(), recordings.user.tolist()) == ([3, 7], [4, 5])
        np.testing.assert_allclose(recordings.time_s[:100], GRID_S, atol=1e-9)
        assert np.abs(wrapped(recordings.angles_deg[:100] - EXPECTED)).max() < 1e-3
        assert notes == []
        assert [line.partition(" (")[0] for line in skipped] == ["1 row left out: not 5 fields"]


def test_salient360(tmp_path):
    """All observers of a video in a file, 100 samples each, in shares of the picture, with blanks behind the commas."""
    lines = ["Idx, longitude, latitude, start timestamp"]
    for shift in (0.0, 0.25):
        for number, (_, pitch, yaw) in enumerate(EXPECTED):
            longitude, latitude = (yaw / 360 + 0.5 + shift) % 1, pitch / 180 + 0.5  # from the left and upper edge
            lines.append(f"{number}, {longitude:.9f}, {latitude:.9f}, {200 * number}")
    for name in ("1_PortoRiverside_fixations.csv", "10_Cows_fixations.csv"):
        (tmp_path / name).write_text("\n".join(lines))
    recordings, notes, _ = read(tmp_path)
    (tmp_path / "one" / "video1").mkdir(parents=True)
    for user in (3, 4):  # an observer a file
        (tmp_path / "one" / "video1" / f"user{user}.csv").write_text("\n".join(lines[:101]))
    assert read(tmp_path / "one")[0].user.tolist() == [3, 4]
    shutil.rmtree(tmp_path / "one")
    assert set(recognised(tmp_path)) == {"salient360"}
    assert (recordings.video.tolist(), recordings.user.tolist()) == ([1, 1, 10, 10], [1, 2, 1, 2])
    assert np.abs(wrapped(recordings.angles_deg[:100] - DIRECTIONS)).max() < 1e-4
    assert np.abs(wrapped(recordings.angles_deg[100:200] - DIRECTIONS - [0, 0, 90])).max() < 1e-4
    assert notes == []


def test_xu_2018(tmp_path):
    """``frame, number, forward, x, y, eye, x, y``, from the lower left; files <user>/<video>.txt."""
    frames = head_motion(np.arange(500) / 25)
    lines = [
        f"frame,{number + 1},forward,{yaw / 360 + 0.5:.9f},{0.5 - pitch / 180:.9f},eye,0.5,0.5"
        for number, (_, pitch, yaw) in enumerate(frames)
    ]
    for name in ("liu_w1_22/001.txt", "wang_m1_22/001.txt", "wang_m1_22/002.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    recordings, notes, _ = read(tmp_path, fps=25)
    assert set(recognised(tmp_path)) == {"xu"}
    assert list(zip(recordings.video.tolist(), recordings.user.tolist(), strict=True)) == [(1, 1), (1, 2), (2, 2)]
    assert np.abs(wrapped(recordings.angles_deg[:100] - DIRECTIONS)).max() < 1e-4
    assert notes == ["users are numbered in the order of their names: 1 liu_w1_22, 2 wang_m1_22"]
    assert "taken for 30 frames a second" in read(tmp_path)[1][0]


def test_columns_of_users_and_videos(tmp_path):
    rows = ["user,video,time,roll,pitch,yaw"]
    for user, video, start in (("u2", "sea", 0), ("u10", "sea", 10), ("u2", "bar", 20)):
        rows += [f"{user},{video},{t:.1f},0,0,{start + t:.1f}" for t in np.arange(5) / 5]
    (tmp_path / "all.csv").write_text("\n".join(rows))
    recordings, notes, _ = read(tmp_path)
    assert list(zip(recordings.video.tolist(), recordings.user.tolist(), strict=True)) == [(1, 2), (2, 2), (2, 10)]
    np.testing.assert_allclose(recordings.angles_deg[::5, 2], [20, 0, 10], atol=1e-5)
    assert notes == ["videos are numbered in the order of their names: 1 bar, 2 sea"]


def test_columns_may_be_said(tmp_path):
    table = np.column_stack([MOTION[:, 2], TIME_S, MOTION[:, 0], MOTION[:, 0], MOTION[:, 1]])
    file = write_table(tmp_path / "one.csv", table)
    recordings, notes, _ = read(file, columns="yaw, time_s, roll, -, pitch")
    assert_angles(recordings, GRID_S, EXPECTED, 1e-4)
    assert notes == []
    by_spec = load_recordings(f'csv(path={file},columns="yaw time_s roll - pitch")')
    np.testing.assert_array_equal(by_spec.angles_deg, recordings.angles_deg)
    with pytest.raises(ValueError, match="columns= names 2 columns, and it has 5"):
        read(file, columns="yaw,time_s")


def test_radians_are_asked_about_and_read(tmp_path):
    for user in (1, 2):
        table = np.column_stack([TIME_S, np.radians(MOTION)])
        write_table(tmp_path / "video1" / f"user{user}.csv", table, "time,roll,pitch,yaw")
    with pytest.warns(UserWarning, match="radians") as caught:
        load_recordings(str(tmp_path))
    (text,) = [str(one.message).partition(": ")[2] for one in caught]
    assert text.startswith("no angle is beyond +-3.14 in 20 s: radians, or shares of the picture?")
    assert "unit=rad" in text
    recordings = load_recordings(f"auto(path={tmp_path},unit=rad)")
    assert np.abs(wrapped(recordings.angles_deg[:100] - EXPECTED)).max() < 1e-3
    assert read(tmp_path, unit="deg")[1] == []


@pytest.mark.parametrize("header", ["time,roll,pitch,yaw", "time,pitch,yaw"])
def test_radians_that_were_unwrapped_are_asked_about(tmp_path, header):
    angles = np.radians(MOTION[:, -header.count(",") :])
    angles[:, -1] = np.unwrap(angles[:, -1]) + TIME_S  # it goes round and round
    file = write_table(tmp_path / "one.csv", np.column_stack([TIME_S, angles]), header)
    (note,) = read(file)[1]
    assert re.match(r"pitch is never beyond \+-\d\.\d+ in 20 s, and yaw up to \d+\.?\d*: radians\?", note)
    assert read(file, unit="rad")[1] == [] and read(file, unit="deg")[1] == []
    level = np.column_stack([TIME_S, np.degrees(angles[:, -1]), 0 * TIME_S])
    assert read(write_table(tmp_path / "two.csv", level, "time,yaw,pitch"))[1] == []  # of yaw alone nothing is said


@pytest.mark.parametrize("unit", [1.0, np.pi / 180])
def test_columns_without_a_header_in_another_order_are_doubted(tmp_path, unit):
    angles = MOTION[:, ::-1] * unit
    for user in (1, 2):
        write_table(tmp_path / f"user{user}.csv", np.column_stack([TIME_S, angles]))
    text = "columns without a header are taken for time, roll, pitch, yaw, and roll turns more in 2 of"
    assert any(note.startswith(text) for note in read(tmp_path)[1])
    for user in (3, 4):
        write_table(tmp_path / f"user{user}.csv", np.column_stack([TIME_S, MOTION * unit]))
    assert not any(note.startswith(text) for note in read(tmp_path)[1])  # people lie down, too


def test_heads_that_hardly_move_are_not_asked_about(tmp_path):
    still = np.column_stack([TIME_S, MOTION * [0.01, 0.01, 0.001]])
    assert read(write_table(tmp_path / "one.csv", still, "time_s,roll,pitch,yaw"))[1] == []


def test_shares_of_the_picture(tmp_path):
    table = np.column_stack([TIME_S, MOTION[:, 2] / 360 + 0.5, MOTION[:, 1] / 180 + 0.5])
    file = write_table(tmp_path / "one.csv", table, "time,longitude,latitude")
    assert "shares of the picture" in read(file)[1][0]
    recordings, notes, _ = read(file, unit="picture")
    assert_angles(recordings, GRID_S, DIRECTIONS, 1e-4)
    assert notes == []


@pytest.mark.parametrize("factor", [1e3, 1e6])
def test_times_that_cannot_be_seconds(tmp_path, factor):
    file = write_table(tmp_path / "one.csv", np.column_stack([TIME_S * factor, MOTION]))
    recordings, (note,), _ = read(file)
    assert_angles(recordings, GRID_S, EXPECTED, 1e-4)
    assert note.startswith(f"times are taken for {'ms' if factor == 1e3 else 'us'}, as s they would be too far apart")
    assert read(file, time_unit="ms" if factor == 1e3 else "us")[1] == []


@pytest.mark.parametrize("clock", ["date", "epoch", "epoch in ms"])
def test_times_of_the_day_count_from_the_first_row(tmp_path, clock):
    def written(second):
        if clock == "date":
            return f"2024-05-06 07:08:{second:06.3f}"
        return f"{1.7e9 + second:.3f}" if clock == "epoch" else f"{1.7e12 + 1000 * second:.0f}"

    lines = [f"{written(t)},{r:.9f},{p:.9f},{y:.9f}" for t, (r, p, y) in zip(TIME_S, MOTION, strict=True)]
    (tmp_path / "one.csv").write_text("\n".join(["timestamp,roll,pitch,yaw", *lines]))
    recordings, (note,), _ = read(tmp_path / "one.csv")
    assert_angles(recordings, GRID_S, EXPECTED, 1e-3)
    assert note.startswith("times of the day count from the first row of each file (")


ROWS = "0,1,2,3\n0.2,1,2,3\n0.4,1,2,3\n"


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (ROWS + "0.6,1,2\n", 4, "not 4 fields"),
        (ROWS + "0.6,1,2,3,4\n", 4, "not 4 fields"),
        (ROWS + "\n0.6,1,two,3\n", 5, "not a number (0.6 1 two 3)"),
        (ROWS + "0.6,1,,3\n", 4, "not a number"),
        (ROWS + "0.6,1,nan,3\n", 4, "not a number"),
        (ROWS + "0.6,1,2,-inf\n", 4, "not a number"),
        (ROWS + "nan,1,2,3\n", 4, "not a number"),
        (ROWS + "0.4,1,2,9\n", 4, "the time is that of the row before"),
        (ROWS + "0.1,1,2,9\n", 4, "the time does not come after the one before"),
        ("-0.1,1,2,9\n" + ROWS, 1, "time not in 0 to 36000 s (-0.1)"),
        (ROWS + "90000,1,2,9\n", 4, "time not in 0 to 36000 s (90000)"),
        (ROWS + "0.6,1,92,9\n", 4, "pitch beyond -90 to 90 degrees (92)"),
        ("0,0,0,0,1\n0.2,0,0,0,1\n0.4,0,0,0,1\n0.6,0,0,0,0\n", 4, "a quaternion of another length than 1 (0)"),
        ("time,qx,qy,qz,qw\n0,0,0,0,1\n0.2,0,0,0,1\n0.4,3,4,0,0\n", 4, "a quaternion of another length than 1 (5)"),
    ],
)
def test_bad_rows_are_left_out_counted_and_named(tmp_path, content, line, message):
    good = tmp_path / "video1" / "user1.csv"
    write_table(good, [[0, 0, 0, 0], [0.2, 0, 0, 0]])
    bad = tmp_path / "video1" / "user2.csv"
    bad.write_text(content)
    with pytest.warns(UserWarning, match="left out") as caught:
        recordings = load_recordings(str(tmp_path))
    reason, _, detail = message.partition(" (")
    (text,) = [str(one.message) for one in caught]
    assert f"row left out: {reason} ({bad}:{line}" in text
    assert detail in text
    part = slice(recordings.offset[1], recordings.offset[2])
    assert part.stop - part.start >= 2
    assert set(recordings.angles_deg[part, 2].round(4).tolist()) == ({0} if "quaternion" in reason else {3})
    with pytest.raises(ValueError, match=f"user2.csv:{line}: {reason}"):
        load_recordings(str(tmp_path), strict=True)
    with pytest.raises(ValueError, match=f"user2.csv:{line}: {reason}"):
        load_recordings(f"auto(path={tmp_path},strict=true)")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ": the file is empty"),
        ("time_s,roll,pitch,yaw\n", "a recording needs two rows of numbers, this one has 0"),
        ("0,1,2,3\n", ": a recording needs two rows that can be used, this one has 1"),
        (ROWS + "nan,1,2,3\n" * 4, ": 4 of 7 rows cannot be used|:4: not a number"),
        ("0,1,2,3\n1,1,2,3\n2,1,2,3\n", ": a row every 1 s is too few; give one every 0.6 s or more"),
        ("0.01,1,2,3\n0.02,1,2,3\n", ": no sample at 5 Hz lies in its 0.01 s"),
        ("time_s,roll,pitch,roll\n" + ROWS, "no column for the head among time_s, roll, pitch, roll; give a time"),
        ("time_s,yaw,pitch,yaw\n" + ROWS, ": two columns called yaw; take one out"),
        ("time_s,qx,qy,qz,q\n0,0,0,0,1\n0.2,0,0,0,1\n", "no column for the head"),
        ("a,roll,pitch,yaw\n" + ROWS, ": no column for a time among a, roll, pitch, yaw"),
        ("yaw_deg,pitch_rad,time\n0,1,2\n0,1,3\n", ": pitch in rad and yaw in deg"),
        ("0,0.1,0.2,0.3,0.4,0.5\n0.2,0.1,0.2,0.3,0.4,0.5\n", ": 6 columns and no header; give a time"),
        ("0,1,80,3\n0.2,1,95,3\n0.4,1,110,3\n", "pitch runs from 80.3 to 109.7, and must be the angle to the horizon"),
        ("\n".join(["0,1,2,3\n0.2,1,2,3\n0.4,1,2,3"] * 9), "several recordings are in the file"),
        (b"\xff\xfe\x00\x01", "is empty|not recognised"),
        (b"0,1,2,3\n0.2,1,2,\x003\n", "not recognised|not a text file"),
        ("not a table\n", "not recognised as a head-motion recording, it starts with 'not a table'"),
    ],
)
def test_bad_files_are_left_out_or_one_line(tmp_path, content, message):
    good = write_table(tmp_path / "video1" / "user1.csv", [[0, 0, 0, 0], [0.2, 0, 0, 0]])
    bad = tmp_path / "video1" / "user2.csv"
    bad.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.warns(UserWarning, match=f"1 file left out: cannot be used.*{bad.name}.*"):
        assert load_recordings(str(tmp_path)).user.tolist() == [1]
    for path, options in ((bad, {}), (tmp_path, {"strict": True})):
        with pytest.raises(ValueError, match=message) as caught:
            load_recordings(str(path), **options)
        assert "\n" not in str(caught.value)
        assert str(bad) in str(caught.value)
    good.unlink()
    with pytest.raises(ValueError, match=message):
        load_recordings(str(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "rads"}, "unknown unit 'rads'; did you mean 'rad'"),
        ({"quaternion": "xwyz"}, "unknown quaternion 'xwyz'"),
        ({"quaternion": "wxyz"}, "quaternion=wxyz, and it has no quaternions"),
        ({"axes": "xy"}, "axes must say what points right, up and forward, such as xyz or -yzx, not 'xy'"),
        ({"axes": "xyz"}, "axes=xyz is for quaternions and vectors, and it has angles"),
        ({"time_unit": "m"}, "unknown time_unit 'm'"),
        ({"fps": -1}, "fps must be a number of frames per second"),
        ({"units": "rad"}, "unknown option 'units'; did you mean 'unit'"),
        ({"format": "corbilon"}, "unknown format 'corbilon'; did you mean 'corbillon'"),
        ({"format": "corbillon"}, "4 columns of 6; is it of this format"),
        ({"format": "nasrabadi"}, "4 columns of 8"),
        ({"format": "xu"}, "4 columns of 8"),
        ({"format": "salient360"}, "it has no columns latitude, longitude, start timestamp"),
        ({"format": "jin"}, "2 of 2 rows cannot be used|none of its rows"),
        ({"format": "wu"}, "no column"),
    ],
)
def test_wrong_options(tmp_path, options, message):
    file = write_table(tmp_path / "one.csv", [[0, 0, 0, 0], [0.2, 0, 0, 0], [0.4, 0, 0, 0]])
    with pytest.raises(ValueError, match=message):
        read_recordings(file, **options)


def test_one_bad_recording_of_a_table(tmp_path):
    rows = [f"{user},{t},0,0,5" for user in (1, 2) for t in (0.0, 0.2, 0.4)]
    (tmp_path / "all.csv").write_text("\n".join(["user,time_s,roll,pitch,yaw", *rows, "3,0.1,0,0,0"]))
    recordings, _, (skipped,) = read(tmp_path)
    assert recordings.user.tolist() == [1, 2]
    assert skipped.startswith("1 recording left out: cannot be used")
    assert "user 3" in skipped
