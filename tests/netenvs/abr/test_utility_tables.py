"""Tables of utilities: what files say, how they fit videos, and what is wrong with them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from netenvs.abr.utility_tables import load_utilities
from netenvs.abr.workload import load_video

ROWS = [[20.0, 45.5, 80.0], [31.0, 60.0, 88.25], [12.0, 40.0, 71.0], [18.0, 52.0, 90.0]]


@pytest.fixture
def video(video_file):
    """Three levels; four chunks are played, five are listed."""
    sizes = [[95_000] * 5, [190_000] * 5, [380_000] * 5]
    return replace(load_video(video_file(sizes, [1000, 2000, 4000], num_chunks=4)), name="made")


@pytest.fixture
def write(tmp_path):
    def make(name, content):
        path = tmp_path / name
        if isinstance(content, np.ndarray):
            np.save(path, content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return make


FILES = {
    "a.json": ROWS,
    "b.csv": "\n".join(",".join(map(str, row)) for row in ROWS),
    "c.csv": "low;middle;high\r\n" + "\r\n".join(";".join(map(str, row)) for row in ROWS) + "\r\n\r\n",
    "d.CSV": "# VMAF\n" + "\n".join("\t".join(map(str, row)) for row in ROWS),
    "e.npy": np.array(ROWS),
    "f.npy": np.array(ROWS, dtype=np.float32, order="F"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_say_the_same_in_every_format(name, write, video):
    assert load_utilities(write(name, FILES[name])).of([video]).tolist() == ROWS


def test_packed_files(tmp_path, video):
    import gzip
    import zipfile

    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(FILES["b.csv"].encode()))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("vmaf.json", json.dumps(ROWS))
    for name in ("a.csv.gz", "b.zip"):
        assert load_utilities(str(tmp_path / name)).of([video]).tolist() == ROWS


def test_one_row_is_for_every_chunk_and_video(write, video):
    for given in (
        [20, 45, 80],
        [[20, 45, 80]],
        write("one.csv", "20,45,80\n"),
        write("one.npy", np.array([20, 45, 80])),
    ):
        assert load_utilities(given).of([video, video]).tolist() == [[20.0, 45.0, 80.0]]


def test_a_row_for_each_chunk_that_is_listed_will_do(video):
    assert load_utilities([*ROWS, [1, 2, 3]]).of([video]).tolist() == ROWS


def test_numbers_of_a_user_need_not_rise():
    assert load_utilities([-1.5, -1.5, -2]).rows == ((-1.5, -1.5, -2.0),)


WRONG = {
    "a.json": ([[1, 2, 3], [1, 2], [1, 2, 3], [1, 2, 3]], "a.json: row 2: 2 utilities, but video 'made' has 3 levels"),
    "b.json": (ROWS[:3], "b.json: 3 rows, but video 'made' has 4 chunks; give one row for each"),
    "c.json": ([[1, 2, "x"]] * 4, "c.json: row 1: the utility of level 2 is 'x'; give one from -1,000,000"),
    "d.json": ([[1, 2, 3], [1, True, 3]], "d.json: row 2: the utility of level 1 is True"),
    "e.json": ("[1, 2, NaN]", "e.json: the utility of level 2 is nan"),
    "f.json": ('{"vmaf": [1, 2, 3]}', "f.json: the JSON is no array; give an array of one number a level"),
    "g.json": ("[1, 2", "g.json: damaged"),
    "h.json": ([], "h.json: no utility"),
    "i.json": ([[1, 2, 3], 4], "i.json: row 2: 4 is no row of utilities"),
    "j.json": ([1, 2, 1e7], "j.json: the utility of level 2 is 10000000.0; give one from -1,000,000 to 1,000,000"),
    "k.csv": ("low,mid,high\n1,2,3\n\n1,2\n1,2,3\n", "k.csv:4: not 3 fields as in other lines"),
    "l.csv": ("1,2,3\n1,2,x\n", "l.csv:2: the utility of level 2 is nan"),
    "m.csv": ("low,mid,high\n", "m.csv: no row of numbers"),
    "n.csv": ("0,1,2\n20,45,80\n", "n.csv:1: 0, 1, 2, ... are numbers of columns"),
    "o.csv": ("", "o.csv: the file is empty"),
    "p.csv": ("1\n2\n3\n", "p.csv:1: 1 utilities, but video 'made' has 3 levels"),
    "q.npy": (np.zeros((2, 2, 2)), "q.npy: an array of 3 axes"),
    "r.npy": (np.array(5.0), "r.npy: an array of 0 axes"),
    "s.npy": (np.array([1, 2, 3j]), "s.npy: the utility of level 0 is"),
    "t.npy": ("[1, 2, 3]", "t.npy: damaged (it is no npy file); write it with numpy.save"),
    "u.txt": ("1 2 3", "u.txt: tables of utilities are files .csv, .json, .npy"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_names_file_row_and_remedy(name, write, video):
    content, message = WRONG[name]
    path = write(name, content)
    with pytest.raises(ValueError, match=name) as caught:
        load_utilities(path).of([video])
    assert message in str(caught.value) and str(caught.value).startswith(path) and "\n" not in str(caught.value)


def test_pickled_arrays_are_not_read(tmp_path, video):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"x.npy: damaged .*; write it with numpy.save"):
        load_utilities(str(tmp_path / "x.npy"))


def test_paths_that_are_no_file(tmp_path):
    with pytest.raises(ValueError, match=r"none.json: cannot be read \(No such file or directory\)"):
        load_utilities(str(tmp_path / "none.json"))
    with pytest.raises(ValueError, match="a folder; give the one file"):
        load_utilities(str(tmp_path))


def test_tables_by_chunk_are_of_one_video(video):
    with pytest.raises(ValueError, match="qoe: a table of one row a chunk is of one video, this environment has 2"):
        load_utilities(ROWS).of([video, video])
