"""Arguments that are refused before anything is done."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from agents.policy import PolicyError
from distill.pools.shards import PoolError


class WrongArguments(ValueError):
    """What was asked for cannot be; the message is one line. The exit status is 2."""


@contextlib.contextmanager
def checking() -> Iterator[None]:
    """Turn ``ValueError`` and ``PolicyError`` into ``WrongArguments``; what is wrong with a pool is no argument."""
    try:
        yield
    except PoolError:
        raise
    except (ValueError, PolicyError) as error:
        raise WrongArguments(str(error)) from error
