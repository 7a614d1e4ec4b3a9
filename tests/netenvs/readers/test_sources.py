"""Which files an input has, and what is refused."""

import io
import os
import tarfile
import zipfile

import pytest

from netenvs.readers import sources
from netenvs.readers.errors import InputError
from netenvs.readers.sources import exists, list_sources

FILES = {
    "a.txt": b"1 2\n",
    "b/c.csv": b"3,4\n",
    "README.md": b"words",
    "LICENSE": b"words",
    ".hidden": b"x",
    "b/plot.png": b"x",
}


def make_folder(path):
    for name, content in FILES.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def make_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    return path


def make_tar(path, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("make", [make_folder, make_zip, make_tar], ids=["folder", "zip", "tar"])
def test_files_of_data_in_the_order_of_their_names(make, tmp_path):
    found = list_sources(make(tmp_path / "input"))
    assert [source.parts for source in found] == [("a.txt",), ("b", "c.csv")]
    assert [source.text() for source in found] == ["1 2\n", "3,4\n"]
    assert [list(source.lines()) for source in found] == [[(1, "1 2")], [(1, "3,4")]]
    assert found[1].name == str(tmp_path / "input" / "b" / "c.csv")


def test_a_large_member_of_a_tar_archive_is_streamed(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_KEPT_BYTES", 1)
    found = list_sources(make_tar(tmp_path / "input.tar.xz", "w:xz"))
    assert [source.head for source in found] == ["1 2\n", "3,4\n"]
    assert [source.text() for source in found] == ["1 2\n", "3,4\n"]


def test_pipes_and_devices_are_refused_and_nothing_waits_for_them(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(InputError, match="a pipe or a device"):
            list_sources(path)
    (source,) = list_sources(tmp_path)
    with pytest.raises(InputError, match="pipe: a pipe or a device"):
        source.text()


def test_a_path_that_is_none(tmp_path):
    for path in ("x" * 300, "a\0b"):
        assert not exists(path)
        with pytest.raises(InputError):
            list_sources(path)
    with pytest.raises(InputError, match="no file of data"):
        list_sources(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        list_sources(tmp_path / "missing")


def test_long_names_in_a_tar_archive_are_no_memory(tmp_path):
    info = tarfile.TarInfo("./@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 8 * 2**30
    (tmp_path / "bomb.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"x" * 2048)
    with pytest.raises(InputError, match="a name of 8589934592 bytes"):
        list_sources(tmp_path / "bomb.tar")


def test_text_of_other_encodings(tmp_path):
    (tmp_path / "utf16.txt").write_bytes("1 2\n".encode("utf-16"))
    (tmp_path / "bom.txt").write_bytes("1 2\n".encode("utf-8-sig"))
    (tmp_path / "latin.txt").write_bytes("1 2 °\n".encode("latin-1"))
    assert [source.text()[:4] for source in list_sources(tmp_path)] == ["1 2\n", "1 2 ", "1 2\n"]
    (tmp_path / "binary").write_bytes(b"\0\1\2" * 100)
    with pytest.raises(InputError, match="not a text file"):
        list_sources(tmp_path / "binary")[0].text()


def test_a_line_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_LINE_BYTES", 100)
    (tmp_path / "log").write_text("a\n" + "b" * 1000)
    with pytest.raises(InputError, match="log:2: a line longer"):
        list(list_sources(tmp_path / "log")[0].lines())
