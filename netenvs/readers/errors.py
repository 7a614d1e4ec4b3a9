"""The error of inputs, and the one place where whatever decoders raise becomes it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from netenvs.errors import OneLineError, reason


class InputError(OneLineError, ValueError):
    """Something is wrong with an input: one line that names the file and the remedy."""


@contextlib.contextmanager
def decoding(name: str, remedy: str = "", codec: str = "") -> Iterator[None]:
    """Whatever goes wrong inside is raised as :class:`InputError` with the file's name.

    Decoders raise nearly anything on damaged bytes: ``LZMAError``, ``zlib.error``, ``RecursionError``,
    ``OverflowError``, errors of their own.

    Arguments:
        name: what is read, for people.
        remedy: what to do about it; empty: to get the file again.
        codec: with which it is compressed, for people.
    """
    damaged = f"damaged, compressed with {codec}" if codec else "damaged"
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        if error.strerror is None:  # gzip's and bz2's errors are OSErrors, too
            raise InputError(f"{name}: {damaged} ({reason(error, 200)}); {remedy or _AGAIN}") from None
        raise InputError(f"{name}: cannot be read ({error.strerror}); check the path and its permissions") from None
    except RecursionError:
        raise InputError(f"{name}: nested too deeply; {remedy or _AGAIN}") from None
    except MemoryError:
        raise InputError(f"{name}: it does not fit into memory; give a part of it") from None
    except Exception as error:
        raise InputError(f"{name}: {damaged} ({reason(error, 200)}); {remedy or _AGAIN}") from None


_AGAIN = "get or write the file again"
