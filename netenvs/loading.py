"""Things by their names, loaded when they are needed."""

from __future__ import annotations

import importlib
from typing import Any


def named(target: str) -> Any:
    """What ``module:name`` stands for; raises what the import raises, and ``AttributeError`` without such a name."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)
