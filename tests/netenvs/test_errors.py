"""Errors as text for people."""

import errno
import pickle

import pytest

from netenvs.errors import OneLineError, flat, printable, reason, typed


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no\n such  trace"), "no such trace"),
        (ValueError(), "ValueError"),
        (KeyError("loadd"), "KeyError: 'loadd'"),  # a bare key says nothing
        (OSError("of a library"), "of a library"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a/b"), "a/b: No such file or directory"),
    ],
    ids=repr,
)
def test_the_reason_is_a_line(error, text):
    assert reason(error) == text


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "make room there"),
        (errno.EDQUOT, "make room there"),
        (errno.EFBIG, "raise the limit on the size of files"),
        (errno.EROFS, "give another folder"),
        (errno.EACCES, "give a folder that you may write to"),
        (errno.ENAMETOOLONG, "give a shorter name"),
    ],
)
def test_errors_of_the_system_say_what_to_do(number, remedy):
    assert reason(OSError(number, "It is so", "runs/x")).startswith(f"runs/x: It is so; {remedy}")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain [red] ünï 日本", "plain [red] ünï 日本"),
        ("\x1b[2Jgone\x07", r"\x1b[2Jgone\x07"),
        ("two\nlines\r", r"two\nlines\r"),
        ("\x9b31m", r"\x9b31m"),
        ("caf\udce9", r"caf\udce9"),  # a file name in Latin-1
        ("right\u202eleft", r"right\u202eleft"),
    ],
)
def test_names_reach_no_terminal_with_its_codes(name, shown):
    assert printable(name) == shown
    assert "\x1b" not in flat(f"{name}: wrong") + typed(ValueError(name)) + reason(ValueError(name))
    printable(name).encode("utf-8")


def test_errors_of_one_line_write_codes_out():
    error = OneLineError("no \x1b[1m such\n  file")
    assert str(error) == r"no \x1b[1m such file"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
