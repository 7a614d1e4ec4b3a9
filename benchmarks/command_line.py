"""What the command lines of this package share: one-line errors, numbers, a file for the figures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line, without the usage."""
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def from_one(text: str) -> int:
    """A whole number from 1 up, of the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def from_zero(text: str) -> int:
    """A whole number from 0 up, of the command line."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 up")
    return int(text)


def positive(text: str) -> float:
    """A positive number of seconds, of the command line."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return value


def check_json(path: Path | None) -> None:
    """``ValueError``, one line, if no file can be written there."""
    if path is not None and path.is_dir():
        raise ValueError(f"--json {path}: this is a folder; give a file")
    if path is not None and not path.absolute().parent.is_dir():
        raise ValueError(f"--json {path}: there is no folder {path.absolute().parent}")
