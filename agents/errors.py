"""Errors that are one line for people, and how any other becomes one."""

from __future__ import annotations

from netenvs.errors import OneLineError, flat, typed


class PolicyError(OneLineError, RuntimeError):
    """A policy that cannot be found, built or played; the message is one line that says which and why."""


class LeftOut(PolicyError):
    """A policy that takes no part in an environment, though nobody has given a wrong word; others play on."""


def one_line(error: BaseException) -> str:
    """An exception as one line; ``ValueError`` and ``PolicyError`` texts speak for themselves."""
    text = flat(error)
    return text if isinstance(error, ValueError | PolicyError) and text else typed(error)
