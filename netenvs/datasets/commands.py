"""Commands on data sets: fields are what is typed, ``run`` does it and returns the exit status."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from netenvs.command_line import Positional, option, refuse
from netenvs.datasets import catalogue, entries, installed, path, remove, store, verify
from netenvs.datasets.entries import Dataset
from netenvs.datasets.errors import DatasetError
from netenvs.errors import printable


@dataclass(frozen=True)
class List:
    """This shows what there is and what is installed."""

    def run(self) -> int:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(caption=Text(printable(f"store: {_place()}")), caption_justify="left")
        for heading in ("name", "installed", "size", "licence", "gives"):
            table.add_column(heading, no_wrap=heading == "name", justify="right" if heading == "size" else "left")
        for dataset in catalogue().values():
            table.add_row(dataset.name, *_state(dataset), dataset.licence, dataset.gives)
        Console().print(table)
        return 0


@dataclass(frozen=True)
class Install:
    """This fetches, checks and converts data sets. One that is installed and intact is left as it is."""

    names: Annotated[tuple[str, ...], Positional, option("These data sets are installed.", metavar="NAME ...")] = ()
    source: Annotated[
        Path | None,
        option(
            "This is a folder with the archives, one archive, or an unpacked copy of the upstream repository; it takes "
            "the place of the download.",
            "the download",
            name="from",
            metavar="FOLDER_OR_ARCHIVE",
        ),
    ] = None

    def run(self) -> int:
        if not self.names:
            refuse("python -m netenvs.datasets install", "NAME must be given")
        store.install(_entries(self.names), self.source, say=lambda line: print(printable(line)))
        return 0


@dataclass(frozen=True)
class Verify:
    """This compares installed files with their sha256, bit by bit."""

    names: Annotated[
        tuple[str, ...], Positional, option("These data sets are checked.", "all installed", metavar="[NAME ...]")
    ] = ()

    def run(self) -> int:
        """One line about each; 1 if something is wrong."""
        datasets = _entries(self.names)
        if not datasets:
            datasets = [dataset for dataset in catalogue().values() if installed(dataset.name)]
            if not datasets:
                print(printable(f"nothing is installed in {store.root()}"))
        failures = 0
        for dataset in datasets:
            try:
                verify(dataset.name)
                print(f"{dataset.name}: intact")
            except DatasetError as error:
                print(f"error: {error}", file=sys.stderr)
                failures += 1
        return 1 if failures else 0


@dataclass(frozen=True)
class PrintPath:
    """This prints the folder of an installed data set."""

    name: Annotated[str, Positional, option("The data set has this name.", metavar="NAME")]

    def run(self) -> int:
        print(path(self.name))
        return 0


@dataclass(frozen=True)
class Remove:
    """This removes an installed data set."""

    name: Annotated[str, Positional, option("The data set has this name.", metavar="NAME")]

    def run(self) -> int:
        remove(self.name)
        print(printable(f"removed {self.name} from {store.root()}"))
        return 0


def _entries(names: Sequence[str]) -> list[Dataset]:
    return [entries.find(name) for name in dict.fromkeys(names)]


def _place() -> str:
    """The folder of the store, or why there is none."""
    try:
        return str(store.root())
    except DatasetError as error:
        return f"none, {error}"


def _state(dataset: Dataset) -> tuple[str, str]:
    """Whether a data set is installed, and its size (approximate before it is)."""
    record = store.read_record(dataset)
    if record is None:
        return "no", f"~{dataset.installed_mb:.1f} MB"
    return "yes", f"{sum(file['bytes'] for file in record['files'].values()) / 1e6:.1f} MB"
