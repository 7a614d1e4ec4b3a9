"""Errors as text for people."""

from __future__ import annotations


def flat(error: BaseException, most: int | None = None) -> str:
    """The message of an exception without line breaks, of ``most`` characters at most; empty if it has none."""
    return " ".join(str(error).split())[:most]
