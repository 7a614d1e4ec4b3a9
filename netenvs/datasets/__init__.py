"""Public data sets: what there is, where it comes from, and a store of installed copies.

``python -m netenvs.datasets install NAME`` fetches a data set from its public source, pinned to a commit,
checks it against a sha256 manifest and converts it once into compact files without pickles. The store is the
folder ``NETENVS_DATA``, or ``netenvs`` in the user's cache folder. ``docs/datasets.md`` has the details.
"""

import contextlib
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from netenvs.datasets import entries as _entries
from netenvs.datasets import store as _store
from netenvs.datasets.entries import Dataset
from netenvs.datasets.errors import DatasetError, UnknownDatasetError
from netenvs.errors import reason as _reason

__all__ = [
    "Dataset",
    "DatasetError",
    "UnknownDatasetError",
    "catalogue",
    "install",
    "installed",
    "path",
    "reading",
    "remove",
    "verify",
]


def catalogue() -> dict[str, Dataset]:
    """Return every data set the project knows, name -> entry."""
    return dict(_entries.CATALOGUE)


def install(name: str, source: str | PathLike[str] | None = None) -> Path:
    """Install a data set and return its folder; one that is installed and intact is left as it is.

    ``source`` is a folder of archives, one archive, or an unpacked upstream folder; None downloads the public
    tarball. Raises DatasetError when files are missing or altered, or nothing can be fetched or written; then
    the store is as it was before.
    """
    dataset = _entries.find(name)
    _store.install([dataset], None if source is None else Path(source), say=lambda line: None)
    return _store.folder(dataset)


def installed(name: str) -> bool:
    """Return whether a data set is installed (``verify`` checks whether it is intact, too)."""
    return _store.read_record(_entries.find(name)) is not None


def path(name: str) -> Path:
    """Return the folder of an installed data set. Raises DatasetError, saying how to install it."""
    dataset = _entries.find(name)
    if _store.read_record(dataset) is None:
        raise DatasetError(_store.not_installed(dataset))
    return _store.folder(dataset)


@contextlib.contextmanager
def reading(name: str) -> Iterator[Path]:
    """The folder of an installed data set, to read from in a ``with`` block.

    Whatever goes wrong inside (a missing, cut or altered file) is raised as DatasetError with the remedy.
    """
    folder = path(name)
    try:
        yield folder
    except DatasetError:
        raise
    except Exception as error:  # zipfile, zlib, json and numpy raise many kinds on damaged files
        raise DatasetError(
            f"data set '{name}' in {folder} is damaged ({_reason(error)}); "
            f"run: python -m netenvs.datasets install {name}"
        ) from error


def verify(name: str) -> None:
    """Raise DatasetError unless the data set is installed and each of its files is as it was written."""
    _store.verify(_entries.find(name))


def remove(name: str) -> None:
    """Remove an installed data set from the store. Raises DatasetError when it is not there."""
    _store.remove(_entries.find(name))
