"""``Reader``: one file format of a task; ``read_input``: an input of whatever formats."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from netenvs.errors import reason
from netenvs.readers.errors import InputError
from netenvs.readers.foreign import LONGEST_START, by_name, by_start
from netenvs.readers.reading import MOST_SKIPPED, Reading
from netenvs.readers.sources import Source, exists, list_sources
from netenvs.spec import check_option_types, parse_spec, unknown_name

AUTO = "auto"
"""In place of a reader's name: whichever recognises the file."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One file format."""

    name: str
    """What users type, in lower case with hyphens: ``mahimahi``."""
    title: str
    """What it is, for people, a noun phrase."""
    sniff: Callable[[Source], bool]
    """Whether a file is of this format, by ``source.head`` or its name; it raises nothing but :class:`InputError`."""
    read: Callable[..., list[Any]]
    """(source, reading, **options) -> the records of one file. What cannot be used it gives to ``reading.skip``, what
    makes the whole file useless it raises as :class:`InputError`. Its keyword arguments are the format's options."""


def read_input(
    path: str | os.PathLike[str],
    readers: Iterable[Reader],
    what: str,
    format: str = AUTO,
    strict: bool = False,
    group: Callable[[list[Source]], list[Source]] | None = None,
    **options: Any,
) -> tuple[list[Any], Reading]:
    """The records of all files of a path, in the order of their names, and what became of it.

    A file that cannot be used is left out like a bad row is, if others are left; the caller warns, with
    ``reading.warn()``, when it has checked the records.

    Arguments:
        path: a file, folder or archive.
        readers: the task's table; the first whose ``sniff`` says so takes a file.
        what: the input, for people: ``a bandwidth trace``.
        format: name of one reader, which takes all files; or ``AUTO``.
        strict: whether the first file or record that cannot be used is an error.
        group: puts files together that are parts of one, such as a log in pieces.
        options: of the readers; a reader that does not know one of them is an error.

    Raises:
        InputError: One line with file and remedy, where nothing can be read, and for wrong options.
    """
    table = {reader.name: reader for reader in readers}
    if format != AUTO and format not in table:
        raise NotRecognised(unknown_name("format", format, [AUTO, *table]))
    if not isinstance(strict, bool):
        raise InputError(f"{path}: strict must be true or false, not {strict!r}")
    sources = list_sources(path)
    if group is not None:
        sources = group(sources)
    reading, records = Reading(str(path), strict), list[Any]()
    telling: str | None = None
    for source in sources:
        try:
            reader = table[format] if format != AUTO else recognise(source, table.values(), what)
            check_options(reader, source.name, options)
            records += reader.read(source, reading, **options)
            reading.formats[reader.name] += 1
        except InputError as error:
            if strict or len(sources) == 1 or isinstance(error, OptionError):
                raise
            if telling is None and not isinstance(error, NotRecognised):
                telling = str(error)
            detail = reason(error).removeprefix(f"{source.name}:").strip()
            reading.skip("files", "cannot be used", source.name, detail)
    if not records:
        first = next(iter(reading.skipped_lines()), f"none of its {len(sources)} files holds {what}")
        kind = InputError if telling or reading.formats else NotRecognised
        raise kind(f"{path}: nothing to read is left: {telling or first}")
    return records, reading


class NotRecognised(InputError):
    """No reader takes a file, or any file of an input, or has that name; other errors are of readers that took one."""


class OptionError(InputError):
    """An option is wrong, whatever the file."""


def find_path(spec: str, readers: Iterable[Reader], names: Iterable[str]) -> tuple[str, str, dict[str, Any]] | None:
    """Format, path and options of an option's value that means a file; None where it means none.

    A path that is there is one, whatever brackets it has, but for ``names``, which win: ``./fair`` is the file. So is
    ``FORMAT(path=PATH,...)``, where FORMAT is a reader's name or ``AUTO``, and the options are the reader's and
    ``strict``; a path with brackets or commas stands in double quotes. Raises :class:`InputError` for such a one
    without a path.
    """
    if spec.partition("(")[0].strip() not in names and exists(spec):
        return AUTO, spec, {}
    formats = [AUTO, *(reader.name for reader in readers)]
    if spec.partition("(")[0].strip() not in formats or spec.strip() in names:
        return None
    name, options = parse_spec(spec)
    path = options.pop("path", None)
    if path is None:
        raise InputError(f"{spec!r}: a format of files; write {name}(path=FILE)")
    if not isinstance(path, str) or not exists(path):
        raise InputError(f"{spec!r}: there is no file {path!r}; write {name}(path=FILE)")
    return name, path, options


def recognise(source: Source, readers: Iterable[Reader], what: str) -> Reader:
    """The reader of a file. Raises :class:`NotRecognised` where no ``sniff`` recognises it."""
    found = next((reader for reader in readers if reader.sniff(source)), None)
    if found is None:
        known = ", ".join(reader.name for reader in readers)
        start = source.head.lstrip().partition("\n")[0][:40]
        if foreign := _foreign(source):
            raise NotRecognised(f"{source.name}: {foreign}")
        begins = f"it starts with {start!r}" if start else "it is empty, or no text"
        raise NotRecognised(
            f"{source.name}: not recognised as {what}, {begins}; name its format, FORMAT(path=FILE), one of: {known}"
        )
    return found


def _foreign(source: Source) -> str:
    """What a file that is no text is, and what to do about it; empty where it is not known."""
    with source.open() as file:
        return by_name(source.parts[-1]) or by_start(file.read(LONGEST_START))


def check_options(reader: Reader, name: str, options: Mapping[str, Any]) -> None:
    """Raise :class:`OptionError` for an option that the reader does not have, or of another type than its default."""
    known = [p.name for p in inspect.signature(reader.read).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for option in options:
        if option not in known:
            raise OptionError(f"{name}: read as {reader.name}: {unknown_name('option', option, known)}")
    try:
        check_option_types(reader.read, dict(options))
    except ValueError as error:
        raise OptionError(f"{name}: read as {reader.name}: {error}") from None


def check_share(name: str, reading: Reading, skipped_before: int, total: int, kind: str = "rows") -> None:
    """Raise :class:`InputError` where more than ``MOST_SKIPPED`` of a file's records were left out.

    Arguments:
        name: of the file.
        reading: where they were counted.
        skipped_before: ``reading.num_skipped(kind)`` before the file.
        total: records of the file, those left out included.
        kind: of the records.
    """
    skipped = reading.num_skipped(kind) - skipped_before
    if skipped > MOST_SKIPPED * total:
        (_, why), last = list(reading.skipped.items())[-1]
        raise InputError(
            f"{name}: {skipped} of {total} {kind} cannot be used, the last: {why} ({last.first}); is it of this format?"
        )
