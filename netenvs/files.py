"""Files that are there completely or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

UNFINISHED = ".part"
"""How the name of a file ends that is being written, or was when its process was killed; it begins with a dot."""


def write_atomically(path: Path, content: bytes | str | Callable[[Path], Any]) -> None:
    """Write a file beside ``path``, on to the disk (fsync), then put it in its place: never half a file there.

    An interrupted write leaves what was there. The file has the permissions of any other that is made here.

    Arguments:
        path: in a folder that is there.
        content: bytes; text, written as UTF-8 with its ends of lines as they are; or a function that is called with
            the path of the file to fill.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{UNFINISHED}")
    try:
        part.touch(exist_ok=False)
        mode = stat.S_IMODE(part.stat().st_mode)
        if callable(content):
            content(part)
        else:
            part.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        os.chmod(part, mode)  # safetensors' writer, for one, makes files for their owner alone
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
