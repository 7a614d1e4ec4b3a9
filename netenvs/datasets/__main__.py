"""Command line of the data sets: ``python -m netenvs.datasets --help``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from netenvs.datasets import _entry, catalogue, installed, path, remove, store, verify
from netenvs.datasets.entries import Dataset
from netenvs.datasets.errors import DatasetError, UnknownDatasetError


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line, without the usage."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m netenvs.datasets",
        description="Public data sets, installed once into NETENVS_DATA (default: the user's cache folder).",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="show what there is and what is installed")
    install = commands.add_parser("install", help="fetch, check and convert data sets")
    install.add_argument("names", nargs="+", metavar="NAME")
    install.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FOLDER_OR_ARCHIVE",
        help="a folder with the archives, one archive, or an unpacked copy of the upstream repository, "
        "in place of the download; a data set that is installed and intact is left as it is",
    )
    check = commands.add_parser("verify", help="check installed files bit by bit (default: all installed)")
    check.add_argument("names", nargs="*", metavar="NAME")
    where = commands.add_parser("path", help="print the folder of an installed data set")
    where.add_argument("names", nargs=1, metavar="NAME")
    drop = commands.add_parser("remove", help="remove an installed data set")
    drop.add_argument("names", nargs=1, metavar="NAME")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 1 for a failure, 2 for a name that is not known."""
    options = _parser().parse_args(arguments)
    try:
        datasets = [_entry(name) for name in dict.fromkeys(getattr(options, "names", []))]
        if options.command == "list":
            _list()
        elif options.command == "install":
            store.install(datasets, options.source, say=print)
        elif options.command == "verify":
            return _verify(datasets)
        elif options.command == "path":
            print(path(datasets[0].name))
        elif options.command == "remove":
            remove(datasets[0].name)
            print(f"removed {datasets[0].name} from {store.root()}")
    except DatasetError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, UnknownDatasetError) else 1
    except KeyboardInterrupt:
        print("interrupted; nothing was left half-made", file=sys.stderr)
        return 130
    return 0


def _list() -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(caption=f"store: {store.root()}", caption_justify="left")
    for heading in ("name", "installed", "size", "licence", "gives"):
        table.add_column(heading, no_wrap=heading == "name", justify="right" if heading == "size" else "left")
    for dataset in catalogue().values():
        table.add_row(dataset.name, *_state(dataset), dataset.licence, dataset.gives)
    Console().print(table)


def _state(dataset: Dataset) -> tuple[str, str]:
    """Return whether a data set is installed, and its size (approximate before it is)."""
    record = store.read_record(dataset)
    if record is None:
        return "no", f"~{dataset.installed_mb:.1f} MB"
    return "yes", f"{sum(file['bytes'] for file in record['files'].values()) / 1e6:.1f} MB"


def _verify(datasets: Sequence[Dataset]) -> int:
    """Check the data sets, all installed ones by default; say one line about each."""
    if not datasets:
        datasets = [dataset for dataset in catalogue().values() if installed(dataset.name)]
        if not datasets:
            print(f"nothing is installed in {store.root()}")
    failures = 0
    for dataset in datasets:
        try:
            verify(dataset.name)
            print(f"{dataset.name}: intact")
        except DatasetError as error:
            print(error, file=sys.stderr)
            failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
