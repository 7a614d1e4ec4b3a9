"""``kernel``: compile a function with numba and keep the machine code on disk."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from numba import njit, types
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.registry import CPUDispatcher

IMPORT = re.compile(r"^(?:from|import)\s+([\w.]+)", re.MULTILINE)
_packages: set[str] = set()
"""Names without a dot of the packages that have kernels."""
_uncached: list[str] = []
"""Why kernels are not kept, once that has been said."""


def kernel(function: Callable[..., Any]) -> Any:
    """``numba.njit`` without Python's division errors, cached on disk until any code that it may contain changes.

    numba looks only at the file of the function itself, so that after an update of another module the cache
    would go on with old machine code of the functions called.
    """
    _packages.add(function.__module__.partition(".")[0])
    compiled = njit(nogil=True, error_model="numpy")(function)
    compiled.get_call_template = partial(_call_template, compiled.get_call_template)
    try:
        compiled._cache = _Cache(function)
    except (RuntimeError, OSError):  # numba finds no folder that can be written to
        _say_uncached()
    return compiled


class _Locations(CompileResultCacheImpl):  # type: ignore[misc]
    """Where numba looks for a folder; not in a folder called ``~`` where nobody has a home."""

    _locator_classes: ClassVar[list[type]] = [
        locator
        for locator in CompileResultCacheImpl._locator_classes
        if os.path.expanduser("~") != "~" or "UserWide" not in locator.__name__
    ]


class _Cache(FunctionCache):  # type: ignore[misc]
    """numba's cache of one function; without it, where it cannot be read or written, functions are compiled again."""

    _impl_class = _Locations

    def __init__(self, function: Callable[..., Any]):
        super().__init__(function)
        self._cache_file._source_stamp = (self._cache_file._source_stamp, kernel_stamps(function.__module__))

    def load_overload(self, *key: Any) -> Any:
        """The machine code that is kept; None: there is none, or it cannot be read."""
        try:
            return super().load_overload(*key)
        except OSError:
            return None
        except Exception:  # what a full disk or another hand has left: pickle raises nearly anything
            with contextlib.suppress(OSError):
                self.flush()
            return None

    def save_overload(self, *entry: Any) -> None:
        """Keep machine code, if there is room."""
        try:
            super().save_overload(*entry)
        except OSError as error:
            _say_uncached(f"{self.cache_path}: {error.strerror or error}")


def _say_uncached(cause: str = "no folder can be written to") -> None:
    """One warning in a process, whatever the cause."""
    if not _uncached:
        _uncached.append(cause)
        warnings.warn(
            f"kernels are compiled anew in each process, as numba cannot keep them ({cause}); "
            "set NUMBA_CACHE_DIR to a folder that can be written to",
            stacklevel=3,
        )


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
