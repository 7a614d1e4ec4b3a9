"""The files of an input: a file, those of a folder, or those of a zip or tar archive.

Nothing is unpacked to disk. Files that are no data (hidden ones, READMEs, licences, documents, pictures, programs) are
passed over; what is neither a file nor a folder (a pipe, a device) is refused.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from netenvs.readers.codecs import codec_of, unpacked
from netenvs.readers.errors import InputError, decoding
from netenvs.readers.foreign import by_name

HEAD_BYTES = 64 * 2**10
MAX_TEXT_BYTES = 512 * 2**20
"""The largest text that is held in memory as a whole; longer ones are for readers that take lines."""
MAX_LINE_BYTES = 64 * 2**20
MAX_MEMBERS = 200_000
MAX_KEPT_BYTES = 16 * 2**20
"""A file of a tar archive up to this size is kept when the archive is listed, as long as all have ``MAX_ALL_BYTES``."""
MAX_ALL_BYTES = 512 * 2**20
MAX_NAME_BYTES = 2**16
"""The longest header of a tar archive."""
MAX_PATH = 4096
"""Characters of the longest path in a tar archive; systems have that bound."""

_NO_DATA_STEMS = {"readme", "license", "licence", "copying", "citation", "changelog", "authors", "notice", "thumbs"}
_NO_DATA_SUFFIXES = (
    *(".md", ".rst", ".pdf", ".doc", ".docx", ".html", ".htm", ".tex", ".bib"),
    *(".png", ".jpg", ".jpeg", ".gif", ".svg"),
    *(".py", ".ipynb", ".sh", ".m", ".r", ".c", ".h", ".cc", ".js", ".ini", ".db"),
)


@dataclass(frozen=True)
class Source:
    """One file of an input, wherever it lies."""

    name: str
    """For messages: the path, behind that of an archive if it lies in one."""
    parts: tuple[str, ...]
    """Its path below the input, file name last; the file name alone where the input is a file."""
    opener: Callable[[], BinaryIO]
    """A seekable stream of its bytes as they are stored."""
    joined: tuple[Source, ...] = ()
    """The parts in their order, where it is one file in parts, such as a log that is begun anew from time to time; what
    else is here is that of the first."""

    @property
    def pieces(self) -> tuple[Source, ...]:
        """Itself; the parts of a file in parts."""
        return self.joined or (self,)

    @contextlib.contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """A stream of its plain bytes, unpacked; whatever is wrong inside the block is :class:`InputError`."""
        with decoding(self.name), self.opener() as stored:
            codec = codec_of(stored)
            with decoding(self.name, codec=codec.name if codec else ""), unpacked(stored, self.name) as plain:
                yield plain

    @cached_property
    def head(self) -> str:
        """The first 64 KiB as text, characters that are none replaced; empty for what is no text."""
        with self.open() as file:
            return _decoded(file.read(HEAD_BYTES), self.name, strict=False)

    def text(self) -> str:
        """All of it as text. Raises :class:`InputError` for what is no text, or larger than ``MAX_TEXT_BYTES``."""
        with self.open() as file:
            content = file.read(MAX_TEXT_BYTES + 1)
        if len(content) > MAX_TEXT_BYTES:
            raise InputError(f"{self.name}: larger than {MAX_TEXT_BYTES >> 20} MiB; give a part of it")
        return _decoded(content, self.name)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Its lines, of whatever length of the whole, with their numbers from 1. Raises :class:`InputError`."""
        with self.open() as file:
            buffered = io.BufferedReader(file) if isinstance(file, io.RawIOBase) else file
            number = 0
            while line := buffered.readline(MAX_LINE_BYTES):
                number += 1
                if len(line) == MAX_LINE_BYTES:
                    raise InputError(f"{self.name}:{number}: a line longer than {MAX_LINE_BYTES >> 20} MiB; cut it")
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8", "replace").rstrip("\r\n")


def list_sources(path: str | os.PathLike[str]) -> list[Source]:
    """The files of an input in the order of their paths.

    Raises :class:`InputError` for a path that is not there, cannot be read or is no file, and where nothing is left
    after what is no data.
    """
    if not os.fspath(path):
        raise InputError("the path is empty; give a file, a folder or an archive")
    path = Path(path)
    with decoding(str(path)):
        mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        found = list(_folder(path))
    elif not stat.S_ISREG(mode):
        raise InputError(f"{path}: a pipe or a device, not a file; copy its content into one")
    elif foreign := by_name(path.name):
        raise InputError(f"{path}: {foreign}")
    else:
        found = _archive(Source(str(path), (path.name,), partial(_open_regular, path)))
    if not found:
        raise InputError(f"{path}: there is no file of data in it")
    return sorted(found, key=lambda source: source.parts)


def exists(path: str) -> bool:
    """Whether something is there; False, too, for what cannot be a path."""
    try:
        return bool(path) and os.path.lexists(path)
    except (OSError, ValueError):  # a name that is too long, or has a null character
        return False


def is_data(parts: tuple[str, ...]) -> bool:
    """Whether a file of that name may be data: not hidden, no README or licence, no document, picture or program."""
    if any(part.startswith(".") or part == "__MACOSX" for part in parts):
        return False
    name = parts[-1].lower()
    return name.split(".")[0] not in _NO_DATA_STEMS and not name.endswith(_NO_DATA_SUFFIXES)


def _folder(path: Path) -> Iterator[Source]:
    def refuse(error: OSError) -> None:
        raise error

    with decoding(str(path)):
        for folder, _, names in os.walk(path, onerror=refuse):
            for name in names:
                file = Path(folder) / name
                parts = file.relative_to(path).parts
                if is_data(parts):
                    yield Source(str(file), parts, partial(_open_regular, file))


def _open_regular(path: Path) -> BinaryIO:
    if not stat.S_ISREG(path.stat().st_mode):
        raise InputError(f"{path}: a pipe or a device, not a file; take it out")
    return path.open("rb")


def _archive(one: Source) -> list[Source]:
    """The files of an archive; where it is none, the file itself."""
    with decoding(one.name), one.opener() as stored:
        if zipfile.is_zipfile(stored):
            return _zip_members(one, stored)
    with one.open() as plain:
        is_tar = plain.read(512)[257:262] == b"ustar"
    return list(_tar_members(one)) if is_tar else [one]


def _zip_members(one: Source, stored: BinaryIO) -> list[Source]:
    stored.seek(0)
    if stored.read(4) != b"PK\x03\x04":  # an archive behind something else
        return [one]
    with zipfile.ZipFile(stored) as archive:
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
    if len(names) > MAX_MEMBERS:
        raise InputError(f"{one.name}: more than {MAX_MEMBERS} files; give a part of them")
    found = [(name, PurePosixPath(name).parts) for name in names]
    return [Source(f"{one.name}/{n}", p, partial(_open_zipped, one, n)) for n, p in found if p and is_data(p)]


def _open_zipped(one: Source, name: str) -> BinaryIO:
    with contextlib.ExitStack() as opening:
        archive = opening.enter_context(zipfile.ZipFile(opening.enter_context(one.opener())))
        member = opening.enter_context(archive.open(name))
        return io.BufferedReader(_Member(member, opening.pop_all()))


class _Header(tarfile.TarInfo):
    """A header whose long names and extensions are not read into memory whatever their size."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        extended = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, *_PAX_TYPES)
        if self.type in extended and self.size > MAX_NAME_BYTES:
            raise InputError(f"{archive.name!s}: a name of {self.size} bytes in it; it is damaged or hostile")
        read: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return read


_PAX_TYPES = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)


class _Archive(tarfile.TarFile):
    """An archive that keeps no list of its members, whose headers may be many and long."""

    members: list[tarfile.TarInfo]

    def next(self) -> tarfile.TarInfo | None:
        member = super().next()
        self.members.clear()
        if member is not None and (len(member.name) > MAX_PATH or member.size < 0):
            raise InputError(f"{self.name!s}: a member without a possible name or size; it is damaged or hostile")
        return member


@contextlib.contextmanager
def open_tar(stream: BinaryIO, name: str) -> Iterator[tarfile.TarFile]:
    """A tar archive from a plain stream, member by member, with bounded headers; to be read in order."""
    with _Archive.open(name, "r|", stream, tarinfo=_Header) as archive:
        yield archive


def _tar_members(one: Source) -> Iterator[Source]:
    kept_bytes = 0
    with one.open() as plain, open_tar(plain, one.name) as archive:
        for count, member in enumerate(archive):
            if count > MAX_MEMBERS:
                raise InputError(f"{one.name}: more than {MAX_MEMBERS} files; give a part of them")
            parts = PurePosixPath(member.name).parts
            if not member.isreg() or not parts or not is_data(tuple(p for p in parts if p != ".")):
                continue
            kept_bytes += member.size
            if member.size <= MAX_KEPT_BYTES and kept_bytes <= MAX_ALL_BYTES:
                file = archive.extractfile(member)
                assert file is not None  # of a regular member
                opener: Callable[[], BinaryIO] = partial(io.BytesIO, file.read())
            else:
                opener = partial(_open_tarred, one, count)
            yield Source(f"{one.name}/{member.name}", parts, opener)


def _open_tarred(one: Source, wanted: int) -> BinaryIO:
    """A stream of the member of that number; the archive is read from its beginning."""
    with contextlib.ExitStack() as opening:
        archive = opening.enter_context(open_tar(opening.enter_context(one.open()), one.name))
        member = next(member for count, member in enumerate(archive) if count == wanted)
        file = archive.extractfile(member)
        assert file is not None  # it was a regular one when it was listed
        return io.BufferedReader(_Member(file, opening.pop_all()))


class _Member(io.RawIOBase):
    """A member of an archive that closes the archive with itself, and can go back as far as its beginning was kept."""

    def __init__(self, file: IO[bytes], archive: contextlib.ExitStack):
        self._file, self._archive, self._kept, self._at = file, archive, b"", 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence != 0 or not 0 <= offset <= len(self._kept) or self._at > len(self._kept):
            raise io.UnsupportedOperation("seek")
        self._at = offset
        return offset

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._at < len(self._kept):
            content = self._kept[self._at : self._at + len(buffer)]
        else:
            content = self._file.read(len(buffer))
            if len(self._kept) < HEAD_BYTES:
                self._kept += content
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)

    def close(self) -> None:
        self._archive.close()
        super().close()


def _decoded(content: bytes, name: str, strict: bool = True) -> str:
    """Text of UTF-8, or of UTF-16 where it says so; characters that are none are replaced."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", "replace")
    if b"\0" in content[:HEAD_BYTES]:
        if strict:
            raise InputError(f"{name}: not a text file; keep only files of data in the folder")
        return ""
    return content.decode("utf-8-sig", "replace")
