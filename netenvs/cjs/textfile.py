"""Text files of workloads, plain or gzip."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import TextIO

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
SNIFFED_CHARACTERS = 4096


def open_text(path: Path) -> TextIO:
    """Open a UTF-8 text file, unpacking gzip. Raises ``ValueError`` for zstd, which Python cannot read."""
    with path.open("rb") as file:
        start = file.read(4)
    if start == _ZSTD:
        raise ValueError(
            f"{path}: compressed with zstd; unpack it first (zstd -d), or have Spark not compress its logs"
        )
    if start[:2] == _GZIP:
        return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8")
    return path.open(encoding="utf-8")


def first_characters(path: Path) -> str:
    """The start of a text file. Raises ``ValueError`` for a file that is no text, or damaged."""
    try:
        with open_text(path) as file:
            return file.read(SNIFFED_CHARACTERS)
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: not a text file, plain or gzip ({error})") from None
