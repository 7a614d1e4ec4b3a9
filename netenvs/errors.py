"""Errors as text for people."""

from __future__ import annotations


def flat(text: object, most: int | None = None) -> str:
    """A text, or the message of an exception, without line breaks, of ``most`` characters at most."""
    return " ".join(str(text).split())[:most]


def typed(error: BaseException) -> str:
    """``ValueError: what is wrong``, in one line."""
    return f"{type(error).__name__}: {flat(error)}"


def reason(error: BaseException, most: int | None = None) -> str:
    """The message of an exception as one line; its type if it has none, and before one that is a bare key."""
    if isinstance(error, KeyError):
        return flat(typed(error), most)
    return flat(error, most) or type(error).__name__
