"""Errors that are one line for people, and how any other becomes one."""

from __future__ import annotations

from netenvs.errors import OneLineError, flat, typed


class PolicyError(OneLineError, RuntimeError):
    """A policy that cannot be found, built or played; the message is one line that says which and why."""


def one_line(error: BaseException) -> str:
    """An exception as one line; ``ValueError`` and ``PolicyError`` texts speak for themselves."""
    text = flat(error)
    return text if isinstance(error, ValueError | PolicyError) and text else typed(error)
