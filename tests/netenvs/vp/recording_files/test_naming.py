"""Who watched what, by the names of folders and files."""

import re
import shutil

import numpy as np
import pytest
from head_motion import write_table

from netenvs.readers.reading import Reading
from netenvs.vp.recording_files.naming import _in_order, numbered
from netenvs.vp.recording_files.recorded import Recorded
from netenvs.vp.workload import load_recordings, read_recordings

ROWS = [[0, 0, 0, 0], [0.2, 0, 0, 0]]


def read(tmp_path, names, **options):
    """(video, user) of each file, in the order of ``names``, and what was noted."""
    for user, name in enumerate(names):
        write_table(tmp_path / name, [[0, 0, 0, user], [0.2, 0, 0, user]])
    recordings, reading = read_recordings(tmp_path, **options)
    first = recordings.angles_deg[recordings.offset[:-1], 2].round().astype(int).tolist()
    pairs = list(zip(recordings.video.tolist(), recordings.user.tolist(), strict=True))
    return [pairs[first.index(number)] for number in range(len(names))], reading.notes


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["video1/user1.csv", "video3/5Hz/simple_5Hz_user12.csv"], [(1, 1), (3, 12)]),
        (["3/1.csv", "4/1.csv", "4/2.csv"], [(3, 1), (4, 1), (4, 2)]),
        (["3/1.csv", "3/2.txt"], [(3, 1), (3, 2)]),
        (["study/video2/user1", "study/video3/user1"], [(2, 1), (3, 1)]),
        (["Experiment_1/1/video_0.csv", "Experiment_1/2/video_3.csv"], [(0, 1), (3, 2)]),
        (["user4/video2.csv", "user5/video2.csv"], [(2, 4), (2, 5)]),
        (["user4/video2/data.csv", "user5/video2/data.csv"], [(2, 4), (2, 5)]),
        (["video2_user4.csv", "video2_user5.csv"], [(2, 4), (2, 5)]),
        (["all/video2_user4.csv", "all/video3_user4.csv"], [(2, 4), (3, 4)]),
        (["video1/s1_user3.csv", "video2/s2_user3.csv"], [(1, 3), (2, 3)]),
        (["10_Cows/10_Cows_user_0.csv", "11_Bar/11_Bar_user_0.csv"], [(10, 0), (11, 0)]),
    ],
)
def test_numbers_in_names(tmp_path, names, pairs):
    assert read(tmp_path, names) == (pairs, [])


@pytest.mark.parametrize(
    ("names", "pairs", "notes"),
    [
        (["lobby/user1.csv", "beach/user1.csv"], [(2, 1), (1, 1)], ["videos are .*: 1 beach, 2 lobby"]),
        (["video1/bob.csv", "video1/alice.csv"], [(1, 2), (1, 1)], ["users are numbered .*: 1 alice, 2 bob"]),
        (["clips2/a.csv", "b2/a.csv"], [(2, 1), (1, 1)], ["videos .*: 1 b2, 2 clips2", "users .*: 1 a"]),
        (["v1/p1_x.csv", "v1/q1_x.csv"], [(1, 1), (1, 2)], ["users .*: 1 p1_x, 2 q1_x"]),
        (["2.csv", "7.csv"], [(1, 2), (1, 7)], ["the files lie in no folder of a video"]),
        (["coaster_user01_x.csv", "sea_user01_x.csv"], [(1, 1), (2, 1)], ["videos .*: 1 coaster_x, 2 sea_x"]),
        (
            ["uid-4b/test0/Diving-2Oz/log.txt", "uid-4b/test1/Rhino-7IW/log.txt", "uid-5c/test0/Rhino-7IW/log.txt"],
            [(2, 4), (7, 4), (7, 5)],
            [],
        ),
        (
            ["Experiment_1/1/video_0.csv", "Experiment_2/1/video_0.csv", "Experiment_1/1/video_10.csv"],
            [(1, 1), (3, 1), (2, 1)],
            ["videos .*: 1 Experiment_1/video_0, 2 Experiment_1/video_10, 3 Experiment_2/video_0"],
        ),
    ],
)
def test_names_without_numbers(tmp_path, names, pairs, notes):
    found, said = read(tmp_path, names)
    assert found == pairs
    assert len(said) == len(notes)
    for text, pattern in zip(said, notes, strict=True):
        assert re.match(pattern, text)


def test_the_layout_may_be_said(tmp_path):
    assert read(tmp_path, ["3/1.csv", "3/2.csv"], layout="user/video") == ([(1, 3), (2, 3)], [])
    with pytest.raises(ValueError, match="layout must be video/user or user/video, not 'users'"):
        read_recordings(tmp_path, layout="users")


def test_one_file_is_user_1_of_video_1(tmp_path):
    file = write_table(tmp_path / "video7" / "user8.csv", ROWS)
    recordings = load_recordings(file)
    assert (recordings.video.tolist(), recordings.user.tolist()) == ([1], [1])


def test_a_second_recording_of_a_pair_is_left_out(tmp_path):
    for rate in ("60Hz", "5Hz"):
        write_table(tmp_path / "video1" / rate / "user1.csv", ROWS)
    with pytest.warns(UserWarning, match=r"1 recording left out: there is one of that video and user already \(.*60Hz"):
        assert len(load_recordings(tmp_path)) == 1
    with pytest.raises(ValueError, match=r"60Hz.user1.csv: there is one of that video and user already"):
        load_recordings(tmp_path, strict=True)


def test_an_archive_has_folders_above(tmp_path):
    for video in ("one", "two"):
        write_table(tmp_path / "set" / "Traces" / video / "3.csv", ROWS)
    packed = shutil.make_archive(str(tmp_path / "set"), "gztar", tmp_path, "set")
    with pytest.warns(UserWarning, match="videos are numbered in the order of their names: 1 one, 2 two"):
        recordings = load_recordings(packed)
    assert (recordings.video.tolist(), recordings.user.tolist()) == ([1, 2], [3, 3])


def test_large_and_foreign_digits_are_no_numbers():
    names = ["9" * 30, "٣" * 5000 + "x", "2"]
    records = [Recorded(name, (f"{name}.x", "1"), np.zeros(1), np.zeros((1, 3))) for name in names]
    assert sorted(numbered(records, "", Reading("x"))) == [(1, 1), (2, 1), (3, 1)]


def test_of_many_names_the_first_and_the_last_are_told():
    reading = Reading("x")
    names = [f"uid-{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(59)]
    _in_order(names, "users", reading)
    (note,) = reading.notes
    assert note.startswith("users are numbered in the order of their names: 1 uid-aa, 2 uid-ab, ")
    assert note.endswith(", 18 uid-ar, ..., 59 uid-cg")
