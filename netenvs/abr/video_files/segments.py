"""Segments that a manifest names, and their sizes on disk."""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np

from netenvs.files import is_file
from netenvs.readers.errors import InputError, decoding
from netenvs.readers.sources import Source

MAX_SEGMENTS = 100_000
"""Of a level; a day in segments of a second has less."""
_SUFFIXES = (".m4s", ".m4v", ".m4a", ".m4f", ".mp4", ".cmfv", ".cmfa", ".ts", ".aac", ".webm", ".mkv", ".vtt", ".key")


class Segment(NamedTuple):
    """One segment of a level."""

    url: str
    """Below the manifest's folder, as it stands there."""
    duration_s: float
    num_bytes: int | None = None
    """Of a range of a file; None: the whole file."""


def is_segment(name: str) -> bool:
    """Whether a file of that name is a segment, and not a manifest."""
    return name.lower().endswith(_SUFFIXES)


def manifest_folder(source: Source) -> Path:
    """The folder of a manifest on disk. Raises :class:`InputError` for one in an archive."""
    path = Path(source.name)
    if not is_file(path):
        raise InputError(f"{source.name}: sizes are those of segments on disk; unpack the archive first")
    return path.parent


def join(base: str, url: str) -> str:
    """A relative address seen from another one (RFC 3986, section 5.2.3); absolute ones stay, to be refused."""
    url = url.strip()
    if not base or url.startswith("/") or re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", url):
        return url
    folder, slash, _ = base.rpartition("/")
    return folder + slash + url


def locate(folder: Path, url: str, manifest: str) -> Path:
    """The file that an address means. Raises :class:`InputError` for one that leaves the folder of the manifest."""
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", url) or url.startswith("//"):
        raise InputError(f"{manifest}: {url[:80]!r} is not on this disk; get the segments and name them by their paths")
    relative = unquote(url.partition("#")[0].partition("?")[0])
    with decoding(manifest):
        root = folder.resolve()
        path = (root / relative.replace("\\", "/")).resolve()
    if not relative or path == root or not path.is_relative_to(root):
        raise InputError(f"{manifest}: {url[:80]!r} leaves the folder of the manifest; put its segments below that")
    return path


def measure(folder: Path, segments: Sequence[Segment], manifest: str) -> np.ndarray:
    """Sizes in bytes, float64 (segments,). Raises :class:`InputError` that names the first that is not there."""
    return np.array([_size(folder, segment, manifest) for segment in segments], dtype=np.float64)


def is_there(folder: Path, segment: Segment, manifest: str) -> bool:
    """Whether the file of a segment is on disk."""
    return is_file(locate(folder, segment.url, manifest))


def _size(folder: Path, segment: Segment, manifest: str) -> int:
    path = locate(folder, segment.url, manifest)
    try:
        with decoding(str(path)):
            found = path.stat()
    except InputError:
        raise InputError(f"{manifest}: segment {segment.url[:80]!r} is not there; get it first") from None
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{manifest}: segment {segment.url[:80]!r} is not a file; get it first")
    return found.st_size if segment.num_bytes is None else segment.num_bytes
