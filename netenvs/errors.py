"""Errors as text for people."""

from __future__ import annotations

import errno

_ROOM = "make room there, or give another folder, and give the same command again"
_PERMISSION = "give a folder that you may write to, or mend the permissions"
_REMEDIES = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or give another folder",
    errno.EROFS: "give another folder",
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.EIO: "the disk may be failing; give another folder",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
}
"""What to do about errors of the system."""


LONGEST = 1500
"""Characters of a message; what stands in a damaged file may be a line of megabytes."""


class OneLineError(Exception):
    """Base of errors whose message is one line for people, of ``LONGEST`` characters, control codes written out."""

    def __init__(self, message: object = "") -> None:
        super().__init__(flat(message, LONGEST))


def printable(text: object) -> str:
    """A text for a terminal: characters that do not print, such as its codes, are written as Python writes them.

    So are those that no encoding has, which stand for the bytes of file names that are not UTF-8.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def flat(text: object, most: int | None = None) -> str:
    """A text, or the message of an exception, without line breaks and control codes, of ``most`` characters at most."""
    return printable(" ".join(str(text).split()))[:most]


def typed(error: BaseException) -> str:
    """``ValueError: what is wrong``, in one line."""
    return f"{type(error).__name__}: {flat(error)}"


def reason(error: BaseException, most: int | None = None) -> str:
    """The message of an exception as one line; its type if it has none, and before one that is a bare key.

    Of an error of the system it is the file, what is wrong, and what to do.
    """
    if isinstance(error, KeyError):
        return flat(typed(error), most)
    if isinstance(error, OSError) and error.strerror:
        what = f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
        remedy = _REMEDIES.get(error.errno or 0)
        return flat(f"{what}; {remedy}" if remedy else what, most)
    return flat(error, most) or type(error).__name__
