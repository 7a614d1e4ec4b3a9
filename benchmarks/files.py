"""JSON and CSV of results, and the folders that they go to."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netenvs.files import is_folder, write_atomically

if TYPE_CHECKING:  # matplotlib takes half a second to import
    from benchmarks.drawing import Plot


def to_json(value: Any) -> str:
    """JSON with floats in full precision; what is not finite becomes null."""
    return json.dumps(_finite(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_csv(columns: Mapping[str, Sequence[Any]] | Mapping[str, Iterable[Any]]) -> str:
    """CSV of columns of one length; None is an empty field."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return out.getvalue()


def writable_folder(path: Path, what: str) -> bool:
    """Make sure that files can be written into folder ``path``; return whether it had to be created.

    Raises ``ValueError``, one line that begins with ``what``.
    """
    created = not path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
        handle, probe = tempfile.mkstemp(dir=path, prefix=".probe.")
        os.close(handle)
        os.unlink(probe)
    except FileExistsError:
        raise ValueError(f"{what} {path}: there is a file of that name; give a folder") from None
    except OSError as error:
        raise ValueError(f"{what} {path}: cannot write there: {error.strerror or error}") from None
    return created


def check_json(path: Path | None) -> None:
    """``ValueError``, one line, if the file of ``--json`` cannot be written."""
    if path is None:
        return
    if is_folder(path):
        raise ValueError(f"--json {path}: this is a folder; give a file")
    writable_folder(path.parent, "--json: folder")


def write_results(out: Path, copy: Path | None, value: Any) -> None:
    """``results.json`` in folder ``out``, and the same as file ``copy``."""
    text = to_json(value)
    write_atomically(out / "results.json", text)
    if copy is not None:
        write_atomically(copy, text)


def write_report(out: Path, plots: Sequence[Plot], page: str) -> None:
    """``report.html`` in folder ``out``, and each plot with what it was drawn from."""
    for plot in plots:
        write_atomically(out / f"{plot.name}.png", plot.png)
        write_atomically(out / f"{plot.name}.csv", to_csv(plot.columns))
    write_atomically(out / "report.html", page)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
