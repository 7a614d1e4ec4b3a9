"""Files that are there completely or not at all, and locks."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

UNFINISHED = ".part"
"""How the name of a file ends that is being written, or was when its process was killed; it begins with a dot."""

LONGEST_STEM = 60
"""Characters of a file's name, of up to four bytes, that stand in that of its unfinished one, which is longer."""
PROBE_BYTES = 2**16
"""Written where a writer failed, to see whether that is for a full disk."""
OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""How libraries in Rust name an error of the system."""


def write_atomically(path: Path, content: bytes | str | Callable[[Path], Any]) -> None:
    """Write a file beside ``path``, on to the disk (fsync), then put it in its place: never half a file there.

    An interrupted write leaves what was there, and so does a full disk, an ``OSError`` that names ``path``.
    The file has the permissions of any other that is made here. A pipe or a device is written to, never replaced.

    Arguments:
        path: in a folder that is there.
        content: bytes; text, written as UTF-8 with its ends of lines as they are; or a function that is called with
            the path of the file to fill.
    """
    if _is_device(path):
        if callable(content):
            raise ValueError(f"{path}: a pipe or a device, not a file; name a file")
        with naming(path):
            path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        return
    part = path.with_name(f".{path.name[:LONGEST_STEM]}.{secrets.token_hex(4)}{UNFINISHED}")
    try:
        with naming(path):
            part.touch(exist_ok=False)
            mode = stat.S_IMODE(part.stat().st_mode)
            if callable(content):
                _filled(part, content)
            else:
                part.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
            os.chmod(part, mode)  # safetensors' writer, for one, makes files for their owner alone
            with open(part, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def is_file(path: str | Path) -> bool:
    """Whether a file is there, no pipe or device; False, too, for what cannot be a path, such as a name too long."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: str | Path) -> bool:
    """Whether a folder is there; False, too, for what cannot be a path."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def remove_unfinished(folder: Path, name: str = "") -> None:
    """Remove what killed processes left of files that they wrote into a folder: of all, or of the one of that name.

    To be called by who alone may write them.
    """
    begin = f".{name[:LONGEST_STEM]}"
    for path in folder.glob(f".*{UNFINISHED}"):
        if path.name.startswith(begin) and path.is_file():
            path.unlink(missing_ok=True)


def _is_device(path: Path) -> bool:
    """Whether something is there that is neither a file nor a folder."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """An error of the system names ``path``; where a disk is full, Python's names no file."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            error.filename, error.filename2 = str(path), None
        raise


def _filled(part: Path, fill: Callable[[Path], Any]) -> None:
    """Call ``fill``. Writers have errors of their own for a full disk; they become the system's."""
    try:
        fill(part)
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if found := OS_ERROR.search(str(error)):
            raise OSError(int(found[1]), os.strerror(int(found[1]))) from error
        try:
            with part.open("ab") as file:
                file.write(bytes(PROBE_BYTES))
                file.flush()
                os.fsync(file.fileno())
        except OSError as cause:
            raise cause from error
        raise


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[bool]:
    """Hold the lock file ``path``, unless another process or call does: yields whether it is held.

    The file is removed at the end. What a killed process leaves of it is no lock any more.
    """
    while True:
        with path.open("a+b") as file:
            held = lock(file.fileno(), wait=False)
            if held and not _is(path, file.fileno()):
                continue  # who held it has just removed it
            try:
                yield held
            finally:
                if held:
                    with contextlib.suppress(OSError):  # an open file cannot be removed on Windows
                        path.unlink()
            return


def _is(path: Path, descriptor: int) -> bool:
    """Whether the open file is the one at ``path``."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def lock(descriptor: int, wait: bool) -> bool:
        """Lock an open file until it is closed or the process ends, however it ends; False if another one holds it."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        while True:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
                return True
            except OSError:  # LK_LOCK gives up after ten seconds
                if not wait:
                    return False
else:
    import fcntl

    def lock(descriptor: int, wait: bool) -> bool:
        """Lock an open file until it is closed or the process ends, however it ends; False if another one holds it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True
