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


def keep(names: Mapping[str, str]) -> None:
    """Let old names be imported, with a ``DeprecationWarning`` that says the new one.

    Arguments:
        names: old module -> the module that holds its contents now; or ``old.module.Name`` -> ``module.Name``.
    """
    sys.meta_path.append(_Moved(names))


class _Moved(MetaPathFinder, Loader):
    """Comes last: what is there is found before."""

    def __init__(self, names: Mapping[str, str]):
        self._names = dict(names)
        self._modules = {old if self._is_module(old) else old.rpartition(".")[0] for old in self._names}

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Of an old module."""
        return ModuleSpec(fullname, self) if fullname in self._modules else None

    def exec_module(self, module: ModuleType) -> None:
        """Fill it from where its contents are now."""
        old = module.__name__
        new = {self._names[old]} if old in self._names else set()
        for name, target in self._names.items():
            place, _, own = name.rpartition(".")
            if place == old and not self._is_module(name):
                there, _, called = target.rpartition(".")
                vars(module)[own] = getattr(importlib.import_module(there), called)
                new.add(there)
        if old in self._names:
            found = vars(importlib.import_module(self._names[old]))
            vars(module).update({name: value for name, value in found.items() if not name.startswith("__")})
        warnings.warn(f"{old} has moved to {', '.join(sorted(new))}", DeprecationWarning, stacklevel=2)

    @staticmethod
    def _is_module(name: str) -> bool:
        return name.rpartition(".")[2].islower()
