"""Atomic writes and locks."""

import errno
import os
import signal
import stat

import numpy as np
import pytest
import safetensors.numpy
import torch

from netenvs import files
from netenvs.files import is_file, is_folder, only_one, remove_unfinished, write_atomically


@pytest.mark.parametrize("content", ["new", b"new", lambda path: path.write_text("new")], ids=["text", "bytes", "call"])
def test_an_interrupted_write_leaves_the_old_file(content, tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    write_atomically(path, "old")

    def interrupted(source, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_atomically(path, content)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.json"]
    write_atomically(path, content)
    assert path.read_bytes() == b"new"


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    def half(path):
        path.write_text("half")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        write_atomically(tmp_path / "file", half)
    assert not list(tmp_path.iterdir())


def save_torch(path):
    torch.save({"weights": torch.zeros(2**16)}, path)


def save_npz(path):
    with path.open("wb") as file:
        np.savez(file, numbers=np.zeros(2**16))


LARGE = [
    pytest.param(bytes(2**18), id="bytes"),
    pytest.param("x" * 2**18, id="text"),
    pytest.param(save_torch, id="torch"),
    pytest.param(save_npz, id="npz"),
    pytest.param(lambda path: safetensors.numpy.save_file({"a": np.zeros(2**16)}, path), id="safetensors"),
]


@pytest.mark.parametrize("content", LARGE)
def test_a_full_disk_is_an_error_of_the_system_that_names_the_file(content, tmp_path, full_disk):
    path = tmp_path / "file"
    write_atomically(path, "old")
    with full_disk(2**14), pytest.raises(OSError, match="too large") as caught:
        write_atomically(path, content)
    assert caught.value.errno == errno.EFBIG and caught.value.filename == str(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"] and path.read_text() == "old"


def test_other_errors_of_writers_stay(tmp_path):
    with pytest.raises(ZeroDivisionError):
        write_atomically(tmp_path / "file", lambda path: 1 // 0)
    with pytest.raises(IsADirectoryError) as caught:
        write_atomically(tmp_path, "text")
    assert caught.value.filename == str(tmp_path)


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127, "[red]", "caf\udce9"])
def test_any_name_that_the_system_takes(name, tmp_path):
    write_atomically(tmp_path / name, "text")
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_what_killed_processes_left_is_removed(tmp_path):
    for name in (".a.safetensors.1234abcd.part", f".{'n' * 60}.12.part", ".lock", "own.part"):
        (tmp_path / name).touch()
    remove_unfinished(tmp_path, "n" * 70)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".a.safetensors.1234abcd.part", ".lock", "own.part"]
    remove_unfinished(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".lock", "own.part"]


def test_what_is_written_is_on_the_disk_before_it_is_in_place(tmp_path, monkeypatch):
    done = []
    synced, replaced = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: done.append("fsync") or synced(descriptor))
    monkeypatch.setattr(os, "replace", lambda *paths: done.append("replace") or replaced(*paths))
    write_atomically(tmp_path / "file", "text")
    assert done == ["fsync", "replace"]


@pytest.mark.parametrize("mask", [0o022, 0o027])
def test_written_files_have_ordinary_permissions(mask, tmp_path):
    """Those of safetensors' own writer are for their owner alone."""
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "file", "text")
        write_atomically(tmp_path / "tensors", lambda path: safetensors.numpy.save_file({}, path))
        (tmp_path / "plain").write_text("text")
    finally:
        os.umask(before)
    plain = (tmp_path / "plain").stat().st_mode
    assert [(tmp_path / name).stat().st_mode for name in ("file", "tensors")] == [plain, plain]


def test_two_who_write_one_file_at_once_do_not_mix(tmp_path):
    def slow(path):
        path.write_text("first")
        write_atomically(tmp_path / "file", "second, longer")

    write_atomically(tmp_path / "file", slow)
    assert (tmp_path / "file").read_text() == "first"


def test_a_lock_is_held_once(tmp_path):
    path = tmp_path / "lock"
    with only_one(path) as first:
        with only_one(path) as second:
            assert first and not second
        with only_one(path) as third:
            assert not third and path.exists()
    assert not path.exists()
    with only_one(path) as after:
        assert after


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_who_is_killed_holds_no_lock(tmp_path):
    path = tmp_path / "lock"
    child = os.fork()
    if child == 0:
        with only_one(path):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert path.exists()
    with only_one(path) as held:
        assert held


def test_a_lock_file_that_is_removed_meanwhile_is_no_lock(tmp_path, monkeypatch):
    path, locks = tmp_path / "lock", []

    def removed_before_the_first(descriptor, wait, lock=files.lock):
        locks.append(descriptor)
        if len(locks) == 1:
            path.unlink()
        return lock(descriptor, wait)

    monkeypatch.setattr(files, "lock", removed_before_the_first)
    with only_one(path) as held, only_one(path) as other:
        assert held and not other and len(locks) == 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("content", ["text", b"text"])
def test_pipes_and_devices_are_written_to_and_never_replaced(content, tmp_path):
    """``--json /dev/null``, given by who may replace it, would leave a file there."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(pipe, content)
    assert os.read(reader, 100) == b"text" and stat.S_ISFIFO(pipe.stat().st_mode)
    os.close(reader)
    with pytest.raises(ValueError, match="a pipe or a device, not a file"):
        write_atomically(pipe, lambda path: None)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize("path", ["n" * 300, "a\0b", "caf\udce9", "/dev/null", "/dev/null/x", ""])
def test_what_cannot_be_a_path_is_not_there(path):
    assert not is_file(path) and (path == "" or not is_folder(path))
