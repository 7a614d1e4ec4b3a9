"""Things by their names, loaded when they are needed."""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def named(target: str) -> Any:
    """What ``module:name`` stands for; raises what the import raises, and ``AttributeError`` without such a name."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def entry_points(group: str) -> list[EntryPoint]:
    """Those of installed packages; a package whose entry points cannot be read is left out, with a warning."""
    from importlib import metadata

    try:
        return list(metadata.entry_points(group=group))
    except Exception:  # one of them: metadata reads all or none
        found: list[EntryPoint] = []
        for package in metadata.distributions():
            try:
                found += package.entry_points.select(group=group)
            except Exception:
                name = package.metadata["Name"]
                warnings.warn(f"package {name}: its entry points cannot be read; reinstall it", stacklevel=2)
        return found
