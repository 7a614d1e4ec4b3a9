"""What the command lines of this package share: kinds of options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import tyro

from netenvs.files import is_folder


def from_one(text: str) -> int:
    """A whole number from 1 up."""
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def from_zero(text: str) -> int:
    """A whole number from 0 up."""
    if not text.isdecimal():
        raise ValueError(f"{text!r} is not a whole number from 0 up")
    return int(text)


def positive(text: str) -> float:
    """A positive number of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ValueError(f"{text!r} is not a positive number of seconds")
    return value


def _word(read: Callable[[str], Any], metavar: str) -> Any:
    """How tyro reads one word; None is nothing that can be typed."""
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: read(words[0]),
        is_instance=lambda value: True,
        str_from_instance=lambda value: [str(value)],
    )


def _words(read: Callable[[str], Any], metavar: str) -> Any:
    """How tyro reads any number of words, as a tuple."""
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs="*",
        metavar=f"{metavar} [{metavar} ...]",
        instance_from_str=lambda words: tuple(map(read, words)),
        is_instance=lambda value: True,
        str_from_instance=lambda values: list(map(str, values)),
    )


FromOne = Annotated[int, _word(from_one, "N")]
FromOneOrNone = Annotated[int | None, _word(from_one, "N")]
SeveralFromOne = Annotated[tuple[int, ...], _words(from_one, "N")]
FromZero = Annotated[int, _word(from_zero, "N")]
Seconds = Annotated[float, _word(positive, "S")]
Text = Annotated[str | None, _word(str, "TEXT")]
File = Annotated[Path | None, _word(Path, "FILE")]
Folder = Annotated[Path | None, _word(Path, "DIR")]
Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]
Repeated = Annotated[tuple[str, ...], tyro.conf.UseAppendAction]


def check_json(path: Path | None) -> None:
    """``ValueError``, one line, if no file can be written there."""
    if path is not None and is_folder(path):
        raise ValueError(f"--json {path}: this is a folder; give a file")
    if path is not None and not is_folder(path.absolute().parent):
        raise ValueError(f"--json {path}: there is no folder {path.absolute().parent}")
