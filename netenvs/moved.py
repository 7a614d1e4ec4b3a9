"""Modules under the names that documentation once gave them."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Mapping
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from netenvs.loading import named


def keep(modules: Mapping[str, str | Mapping[str, str]]) -> None:
    """Let old modules be imported, with a ``DeprecationWarning`` that says where their contents are.

    Arguments:
        modules: old module -> the one that holds its contents now; or, name by name, ``module:NAME``.
    """
    sys.meta_path.append(_Moved(modules))


class _Moved(MetaPathFinder, Loader):
    """Comes last: what is there is found before."""

    def __init__(self, modules: Mapping[str, str | Mapping[str, str]]):
        self.modules = modules

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Of an old module."""
        return ModuleSpec(fullname, self) if fullname in self.modules else None

    def exec_module(self, module: ModuleType) -> None:
        """Fill it from where its contents are now."""
        now = self.modules[module.__name__]
        if isinstance(now, str):
            found, places = vars(importlib.import_module(now)), [now]
        else:
            found, places = {name: named(target) for name, target in now.items()}, list(now.values())
        vars(module).update({name: value for name, value in found.items() if not name.startswith("__")})
        warnings.warn(f"{module.__name__} has moved to {', '.join(places)}", DeprecationWarning, stacklevel=2)
