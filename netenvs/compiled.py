"""``kernel``: compile a function with numba and keep the machine code on disk."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit


def kernel(function: Callable[..., Any]) -> Any:
    """``numba.njit`` without Python's division errors, cached on disk until any kernel of this package changes.

    numba looks only at the file of the function itself, so that after an update of another module the cache
    would go on with old machine code of the functions called.
    """
    compiled = njit(cache=True, nogil=True, error_model="numpy")(function)
    cache_file = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if cache_file is not None:
        cache_file._source_stamp = (cache_file._source_stamp, kernel_stamps())
    return compiled


@cache
def kernel_stamps() -> tuple[tuple[str, float, int], ...]:
    """(name, time of change, size) of every module with kernels that others call, or constants in them."""
    folder = Path(__file__).parent
    names = (
        "compiled.py",
        "random.py",
        "*/kernel.py",
        "*/kernel/*.py",
        "cjs/rules.py",
        "cjs/jobs.py",
        "vp/heat_maps.py",
        "vp/previous_viewers.py",
    )
    modules = {module for name in names for module in folder.glob(name)}
    stats = [(module.relative_to(folder).as_posix(), module.stat()) for module in sorted(modules)]
    return tuple((name, stat.st_mtime, stat.st_size) for name, stat in stats)
