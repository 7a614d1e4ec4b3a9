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
from typing import Any


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


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
