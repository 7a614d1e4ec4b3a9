"""Files of named arrays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from typing import Any

import numpy as np


@contextmanager
def named_arrays(path: str | PathLike[str]) -> Iterator[Any]:
    """The arrays of an npz by name, and the names as ``files``, while the file is open.

    It is closed whatever is wrong with it; ``np.load`` leaves a damaged one open. Raises ``ValueError`` for a file of
    one array without a name and for pickled objects, and what numpy and zipfile raise for damaged ones.
    """
    with open(fspath(path), "rb") as file:  # a number would be that of an open file
        found = np.load(file, allow_pickle=False)
        if not isinstance(found, np.lib.npyio.NpzFile):
            raise ValueError("it holds one array and no names")
        with found:
            yield found
