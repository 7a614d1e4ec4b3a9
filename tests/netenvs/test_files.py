"""Atomic writes and locks."""

import os
import signal

import pytest
import safetensors.numpy

from netenvs import files
from netenvs.files import only_one, write_atomically


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
