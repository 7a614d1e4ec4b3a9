"""The store: one folder per installed data set, made whole or not at all.

An install is built in a hidden sibling folder, written to disk (fsync) and renamed into place, under a lock
that makes installs into one store take turns. A process killed at any moment leaves the data set as it was,
or absent; what it left of its sibling folder is removed by the next install.
"""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from netenvs.datasets import sources
from netenvs.datasets.entries import Dataset, Files
from netenvs.datasets.errors import DatasetError
from netenvs.files import lock

RECORD = "dataset.json"
_TEMPORARY = ".tmp-"
_LOCK = ".lock"
Say = Callable[[str], None]


def root() -> Path:
    """Return the folder of the store: ``NETENVS_DATA``, else ``netenvs`` in the user's cache folder.

    Raises DatasetError where that would be in a home folder, and nobody knows one.
    """
    configured = os.environ.get("NETENVS_DATA")
    try:
        if not configured:
            import platformdirs

            configured = platformdirs.user_cache_dir("netenvs")
        path = Path(configured).expanduser()
    except RuntimeError:  # no HOME, and no entry of the user
        path = Path("~")
    if path.parts[:1] == ("~",):
        raise DatasetError("no home folder is known for the store; set NETENVS_DATA to a folder that you may write to")
    return path.absolute()


def folder(dataset: Dataset) -> Path:
    """Return where the data set is, or would be, installed."""
    return root() / dataset.name


def read_record(dataset: Dataset) -> dict[str, Any] | None:
    """Return the ``dataset.json`` of an installed data set, or None where there is none of this format."""
    try:
        record = json.loads((folder(dataset) / RECORD).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    files = record.get("files") if isinstance(record, dict) else None
    if not isinstance(files, dict):
        return None
    if not all(isinstance(file, dict) and {"sha256", "bytes"} <= file.keys() for file in files.values()):
        return None
    known = record.get("name") == dataset.name and record.get("format") == dataset.format
    return record if known else None


def verify(dataset: Dataset) -> None:
    """Raise DatasetError unless the installed files are exactly the recorded ones, bit by bit."""
    record = read_record(dataset)
    if record is None:
        raise DatasetError(not_installed(dataset))
    again = f"run: python -m netenvs.datasets install {dataset.name}"
    for name, expected in record["files"].items():
        path = folder(dataset) / name
        try:
            intact = hashlib.sha256(path.read_bytes()).hexdigest() == expected["sha256"]
        except OSError:
            raise DatasetError(f"{path} is missing or cannot be read; {again}") from None
        if not intact:
            raise DatasetError(f"{path} is altered (sha256 differs); {again}")
    extra = {path.name for path in folder(dataset).iterdir()} - record["files"].keys() - {RECORD}
    if extra:
        raise DatasetError(f"{folder(dataset) / min(extra)} does not belong to '{dataset.name}'; remove it")


def install(datasets: Sequence[Dataset], source: Path | None, say: Say) -> None:
    """Install data sets from ``source``, or from their public source when it is None.

    What is installed and intact is left alone. Data sets with the same URL share one download. Raises
    DatasetError; the data sets before the failing one stay installed.
    """
    pending = [dataset for dataset in datasets if not _intact(dataset, say)]
    if not pending:
        return
    with _errors_of_the_system(), _locked(say):
        _remove_leftovers()
        with _temporary("download") as downloads:
            tarballs: dict[str, Path] = {}
            for dataset in pending:
                if _intact(dataset, say):  # another process was faster
                    continue
                if source is None and dataset.url not in tarballs:
                    say(f"downloading {dataset.url}")
                    tarballs[dataset.url] = sources.download(dataset, downloads)
                origin = sources.locate(dataset, source) if source else tarballs[dataset.url]
                installed = dataset.convert(sources.read(dataset, origin), dataset.digests())
                _write(dataset, installed, origin.name if source else dataset.url)
                say(f"installed {dataset.name} in {folder(dataset)}")


def remove(dataset: Dataset) -> None:
    """Remove an installed data set, whatever its state. Raises DatasetError when there is none."""
    if not folder(dataset).is_dir():
        raise DatasetError(f"data set '{dataset.name}' is not installed in {root()}; nothing to remove")
    with _errors_of_the_system(), _locked(lambda _: None):
        _remove_leftovers()
        with _temporary(dataset.name) as trash, contextlib.suppress(FileNotFoundError):
            folder(dataset).rename(trash / dataset.name)


def not_installed(dataset: Dataset) -> str:
    """Return the line that says so and how to change it."""
    return (
        f"data set '{dataset.name}' is not installed; run: python -m netenvs.datasets install {dataset.name} "
        f"(or --from FOLDER with {dataset.archives[0]})"
    )


def _intact(dataset: Dataset, say: Say) -> bool:
    if read_record(dataset) is None:
        return False
    try:
        verify(dataset)
    except DatasetError as error:
        say(f"installing {dataset.name} again: {str(error).split(';')[0]}")
        return False
    say(f"{dataset.name} is installed already and intact: {folder(dataset)}")
    return True


def _write(dataset: Dataset, installed: Files, origin: str) -> None:
    """Write the installed files and the record into a temporary folder, then put it into place."""
    with _temporary(dataset.name) as temporary:
        new = temporary / "new"
        new.mkdir()
        listing = {}
        for name, content in installed.items():
            _write_file(new / name, content)
            listing[name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        record = {
            "name": dataset.name,
            "format": dataset.format,
            "source": dataset.source,
            "commit": dataset.commit,
            "installed_from": origin,
            "licence": dataset.licence,
            "citation": dataset.citation,
            "files": listing,
        }
        _write_file(new / RECORD, (json.dumps(record, indent=2) + "\n").encode())
        _sync_folder(new)
        with contextlib.suppress(FileNotFoundError):
            folder(dataset).rename(temporary / "old")
        new.rename(folder(dataset))
        _sync_folder(root())


def _write_file(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    if sys.platform == "win32":  # a folder cannot be opened there
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _temporary(name: str) -> Iterator[Path]:
    """Make a hidden folder in the store and remove it, with all that is in it, at the end."""
    path = root() / f"{_TEMPORARY}{name}-{secrets.token_hex(4)}"
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _remove_leftovers() -> None:
    """Remove what killed processes left; called under the lock, so nobody is using it."""
    for path in root().glob(f"{_TEMPORARY}*"):
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _locked(say: Say) -> Iterator[None]:
    """Hold the store's lock; the system releases it when the process ends, however it ends."""
    root().mkdir(parents=True, exist_ok=True)
    with (root() / _LOCK).open("a+b") as file:
        if not lock(file.fileno(), wait=False):
            say(f"waiting for another process to finish with {root()}")
            lock(file.fileno(), wait=True)
        yield  # closing the file releases the lock


@contextlib.contextmanager
def _errors_of_the_system() -> Iterator[None]:
    """Turn a full disk, a forbidden folder and the like into a DatasetError."""
    try:
        yield
    except OSError as error:
        place = "" if error.filename is None else f": {error.filename}"
        raise DatasetError(
            f"the store {root()} cannot be used ({error.strerror or error}{place}); "
            "set NETENVS_DATA to a folder with room that you may write"
        ) from None
