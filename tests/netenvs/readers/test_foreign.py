"""Files of other programs: what they are and what to do about them, in one line."""

import io
import pickle
import sqlite3
import zipfile

import numpy as np
import pytest

from netenvs.readers.errors import InputError
from netenvs.readers.reader import Reader, read_input
from netenvs.readers.sources import list_sources

READERS = (Reader(name="none", title="nothing", sniff=lambda source: False, read=lambda source, reading: []),)


def write_database(path):
    connection = sqlite3.connect(path)
    connection.execute("create table t (a)")
    connection.close()


def zipped():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.txt", "0 1\n1 2\n" * 100)
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("log.xlsx", lambda path: path.write_bytes(zipped()), "a spreadsheet; save its table as CSV"),
        ("log.xls", lambda path: path.write_bytes(b"\xd0\xcf\x11\xe0" + bytes(100)), "a spreadsheet; save its table"),
        ("arrays.npz", lambda path: np.savez(path, a=np.zeros(3)), "arrays of NumPy; write them as text"),
        ("array.npy", lambda path: np.save(path, np.zeros(3)), "an array of NumPy; write it as text"),
        ("run.pcap", lambda path: path.write_bytes(b"\xd4\xc3\xb2\xa1" + bytes(100)), "a packet capture; .*tshark"),
        ("model.pkl", lambda path: path.write_bytes(pickle.dumps("text")), "a Python pickle, which is not opened"),
        ("log.db3", write_database, "an SQLite database; save its table as CSV"),
        ("cut.zip", lambda path: path.write_bytes(zipped()[:-30]), "a zip archive, damaged or inside another"),
    ],
)
def test_it_is_named_with_the_remedy(name, write, message, tmp_path):
    write(tmp_path / name)
    for path in (tmp_path / name, tmp_path):
        with pytest.raises(InputError, match=rf"{name}: .*{message}") as caught:
            read_input(path, READERS, "a thing")
        assert "\n" not in str(caught.value)


def test_an_archive_in_a_folder_is_to_be_unpacked(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped())
    with pytest.raises(InputError, match=r"a\.zip: a zip archive, .*inside another input; .*unpack it"):
        read_input(tmp_path, READERS, "a thing")


def test_an_empty_path_is_none():
    with pytest.raises(InputError, match="the path is empty"):
        list_sources("")
