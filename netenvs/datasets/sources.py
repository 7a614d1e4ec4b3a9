"""Get the upstream files of a data set: from the public tarball, a tar archive, an npz or a folder.

All of them end in one dictionary, upstream path -> bytes, checked against the manifest. Nothing is ever
unpacked to disk under a name that an archive gives: only regular files with a wanted name are read, up to a
size, into memory.
"""

import contextlib
import hashlib
import stat
import tarfile
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

from netenvs.datasets.entries import Dataset
from netenvs.datasets.errors import DatasetError
from netenvs.errors import reason
from netenvs.readers.codecs import unpacked
from netenvs.readers.sources import open_tar

_MAX_DOWNLOAD_BYTES = 2 * 2**30
_MAX_UNPACKED_BYTES = 8 * 2**30  # of a whole tarball, wanted or not
_MAX_MEMBERS = 200_000


def locate(dataset: Dataset, source: Path) -> Path:
    """Return the first of ``dataset.archives`` that the folder ``source`` holds, else ``source`` itself."""
    with contextlib.suppress(OSError):  # what is wrong with the path is said where it is read
        return next((source / name for name in dataset.archives if (source / name).is_file()), source)
    return source


def read(dataset: Dataset, source: Path) -> dict[str, bytes]:
    """Return the upstream files of a data set, upstream path -> content.

    ``source`` is a tar archive (the upstream commit's, or one in the same layout), the npz that may stand for
    the files of a data set with a manifest per array, or an unpacked upstream folder. Raises DatasetError for
    files that are missing, altered or not upstream's, and for a source that is a pipe or a device.
    """
    try:
        mode = source.stat().st_mode
        if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
            raise DatasetError(f"{source} is a pipe or a device; give --from a folder or an archive")
        files = _read_folder(dataset, source) if stat.S_ISDIR(mode) else _read_file(dataset, source)
    except FileNotFoundError as error:
        missing = error.filename or source
        raise DatasetError(f"{missing} does not exist; give --from a folder or an archive that does") from None
    except OSError as error:
        raise DatasetError(f"{error.filename or source} cannot be read ({error.strerror or error})") from None
    except ValueError as error:  # a null character in the path
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{source} cannot be a path ({error}); give --from a folder or an archive") from None
    _check(dataset, files, source)
    return files


def download(dataset: Dataset, folder: Path) -> Path:
    """Download the upstream tarball into ``folder`` and return its path. Raises DatasetError."""
    import pooch  # brings in requests, which takes a while

    pooch.get_logger().setLevel("WARNING")
    with ExitStack() as stack:
        meter = stack.enter_context(_Meter(dataset.name))
        fetch = pooch.HTTPDownloader(progressbar=meter, timeout=dataset.timeout_s, chunk_size=1 << 16)
        try:
            path = pooch.retrieve(dataset.url, None, f"{dataset.commit}.tar.gz", folder, downloader=fetch)
        except DatasetError:
            raise
        except (OSError, ValueError) as error:  # requests' errors are OSErrors
            cause: BaseException = error
            while cause.__context__ is not None:  # the system's own words are the last in the chain
                cause = cause.__context__
            raise DatasetError(
                f"data set '{dataset.name}' could not be downloaded from {dataset.url} ({reason(cause, 200)}); try "
                f"again, or give --from a folder with {dataset.archives[0]}, or a copy of {dataset.source}"
            ) from None
    return Path(path)


class _Meter:
    """Progress of a download in the form that pooch calls; stops one that does not end."""

    def __init__(self, name: str) -> None:
        from rich.console import Console
        from rich.progress import DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn(f"downloading {name}"), DownloadColumn(), TransferSpeedColumn())
        console = Console(stderr=True)
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._progress.add_task(name, total=None)
        self._name = name
        self._bytes = 0
        self.total = 0

    def __enter__(self) -> "_Meter":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, num_bytes: int) -> None:
        self._bytes += num_bytes
        self._progress.update(self._task, completed=self._bytes, total=self.total or None)
        if self._bytes > _MAX_DOWNLOAD_BYTES:
            raise DatasetError(f"the download for '{self._name}' is larger than 2 GiB; use --from instead")

    def reset(self) -> None:  # pooch resets and fills the bar at the end
        self._bytes = 0

    def close(self) -> None:
        pass


def _read_file(dataset: Dataset, path: Path) -> dict[str, bytes]:
    """Read a tar archive, or the npz that stands for all members."""
    with path.open("rb") as file:
        is_zip = file.read(4) == b"PK\x03\x04"
    if is_zip and dataset.packed:
        return {dataset.packed: _content(dataset, path)}
    try:
        with path.open("rb") as stored, unpacked(stored, str(path)) as plain, open_tar(plain, str(path)) as archive:
            return _read_tar(dataset, archive, path)
    except DatasetError:
        raise
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        kinds = "a tar archive or an npz" if dataset.packed else "a tar archive"
        raise DatasetError(
            f"{path} is not {kinds} that can be read ({reason(error, 200)}); {_remedy(dataset)}"
        ) from None


def _read_tar(dataset: Dataset, archive: tarfile.TarFile, path: Path) -> dict[str, bytes]:
    wanted = dataset.upstream_files()
    tops = {name.split("/")[0] for name in wanted}
    folders = _checked_folders(dataset)
    files: dict[str, bytes] = {}
    unpacked_bytes = 0
    for count, member in enumerate(archive):
        unpacked_bytes += member.size
        if count > _MAX_MEMBERS or unpacked_bytes > _MAX_UNPACKED_BYTES:
            raise DatasetError(f"{path} is far larger than the upstream repository; {_remedy(dataset)}")
        name = _upstream_name(member.name, tops)
        if name not in wanted:
            if not member.isdir():
                _refuse_extra(name, folders, dataset)
            continue
        content = archive.extractfile(member) if member.isreg() else None
        if content is None or member.size > dataset.max_file_bytes or name in files:
            raise DatasetError(f"{path}: {name} is no plain file, too large or doubled; {_remedy(dataset)}")
        files[name] = _unaltered(dataset, name, content.read(), path)
    return files


def _read_folder(dataset: Dataset, folder: Path) -> dict[str, bytes]:
    """Read an unpacked copy of the upstream repository, or of the part that the data set needs."""
    wanted = dataset.upstream_files()
    top = next(iter(wanted)).split("/")[0]
    roots = [folder, *(child for child in sorted(folder.iterdir()) if child.is_dir())]
    if folder.resolve().name == top:
        roots = [folder.resolve().parent]
    likely = [root for root in roots if (root / top).is_dir()]
    if not likely:
        raise DatasetError(
            f"{folder} holds neither {' nor '.join(dataset.archives)} nor the upstream folder {top}; {_remedy(dataset)}"
        )
    first = min(wanted).rpartition("/")[0]  # a folder like src stands in many a repository
    root = next((root for root in likely if (root / first).is_dir()), likely[0])
    for checked in sorted(_checked_folders(dataset)):
        for child in sorted((root / checked).glob("*")):
            if not child.is_dir() and f"{checked}/{child.name}" not in wanted:
                _refuse_extra(f"{checked}/{child.name}", {checked}, dataset)
    return {
        name: _unaltered(dataset, name, _content(dataset, root / name), folder)
        for name in sorted(wanted)
        if (root / name).is_file()
    }


def _content(dataset: Dataset, path: Path) -> bytes:
    """What is in a file that is not larger than it can be."""
    with path.open("rb") as file:
        content = file.read(dataset.max_file_bytes + 1)
    if len(content) > dataset.max_file_bytes:
        raise DatasetError(f"{path} is too large to be upstream's; {_remedy(dataset)}")
    return content


def _upstream_name(name: str, tops: Collection[str]) -> str:
    """Return the path of a tar member inside the upstream repository.

    A tarball made by GitHub has everything in one folder more. Names that leave the archive stay unknown.
    """
    parts = PurePosixPath(name).parts
    if len(parts) > 1 and parts[0] not in tops and parts[1] in tops:
        parts = parts[1:]
    return "/".join(parts)


def _checked_folders(dataset: Dataset) -> set[str]:
    """Return the upstream folders that hold nothing but files of the data set (manifest per file)."""
    if dataset.members:
        return set()
    return {name.rpartition("/")[0] for name in dataset.digests()} - {*dataset.shared_folders}


def _refuse_extra(name: str, folders: set[str], dataset: Dataset) -> None:
    """Refuse a file that lies among the data set's files without being one; hidden files do not matter."""
    folder, _, base = name.rpartition("/")
    if folder in folders and not base.startswith("."):
        raise DatasetError(f"{name} is not a file of data set '{dataset.name}'; {_remedy(dataset)}")


def _check(dataset: Dataset, files: dict[str, bytes], source: Path) -> None:
    """Raise unless all files are there."""
    if dataset.packed and dataset.packed in files:
        return
    missing = sorted(dataset.upstream_files() - files.keys())
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DatasetError(f"{source}: {missing[0]}{more} is missing; {_remedy(dataset)}")


def _unaltered(dataset: Dataset, name: str, content: bytes, source: Path) -> bytes:
    """The content of a file; DatasetError at once where it is not the manifest's, before the next one is read."""
    if not dataset.members and hashlib.sha256(content).hexdigest() != dataset.digests()[name]:
        raise DatasetError(f"{source}: {name} is altered (sha256 differs); {_remedy(dataset)}")
    return content


def _remedy(dataset: Dataset) -> str:
    return f"get it again from {dataset.source}"
