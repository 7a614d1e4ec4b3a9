"""``kernel``: compile a function with numba and keep the machine code on disk."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

from numba import njit, types
from numba.core.registry import CPUDispatcher

IMPORT = re.compile(r"^(?:from|import)\s+([\w.]+)", re.MULTILINE)
_packages: set[str] = set()
"""Names without a dot of the packages that have kernels."""


def kernel(function: Callable[..., Any]) -> Any:
    """``numba.njit`` without Python's division errors, cached on disk until any code that it may contain changes.

    numba looks only at the file of the function itself, so that after an update of another module the cache
    would go on with old machine code of the functions called.
    """
    _packages.add(function.__module__.partition(".")[0])
    compiled = njit(cache=True, nogil=True, error_model="numpy")(function)
    compiled.get_call_template = partial(_call_template, compiled.get_call_template)
    cache_file = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if cache_file is not None:
        cache_file._source_stamp = (cache_file._source_stamp, kernel_stamps(function.__module__))
    return compiled


def _call_template(
    template_of: Callable[..., Any], arguments: Sequence[types.Type], named: dict[str, types.Type]
) -> Any:
    """What another kernel calls: one machine code for a type, where numba would make one for each constant, too."""
    return template_of(
        tuple(map(types.unliteral, arguments)), {name: types.unliteral(one) for name, one in named.items()}
    )


@cache
def kernel_stamps(name: str) -> tuple[tuple[str, float, int], ...]:
    """(module, time of change, size) of all that the kernels of module ``name`` may contain code or constants of.

    These are the module itself, and what it imports from packages with kernels at its top; if that has kernels, what
    it imports in turn.
    """
    found, left = {__name__}, [name]
    while left:
        name = left.pop()
        module = sys.modules.get(name)
        if name not in found and module is not None and getattr(module, "__file__", None):
            first = len(found) == 1  # at its first kernel a module shows none yet
            found.add(name)
            if first or _has_kernels(module):
                left += _imports(module)
    files = [(name, Path(str(sys.modules[name].__file__))) for name in sorted(found)]
    return tuple((name, file.stat().st_mtime, file.stat().st_size) for name, file in files)


def _has_kernels(module: ModuleType) -> bool:
    """Its own or imported ones."""
    return any(isinstance(value, CPUDispatcher) for value in vars(module).values())


def _imports(module: ModuleType) -> Iterator[str]:
    """Modules that it has imported from packages with kernels, by name or as an attribute of their package."""
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    modules = [value.__name__ for value in vars(module).values() if isinstance(value, ModuleType)]
    for name in [*IMPORT.findall(source), *modules]:
        if name.partition(".")[0] in _packages:
            yield name
