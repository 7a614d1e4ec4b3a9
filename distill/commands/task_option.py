"""The option ``--task``, with the tasks that a command knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netenvs.command_line import listed, option


def one_of(names: Sequence[str], meaning: str) -> Any:
    """How it is shown: ``meaning``, a clause that begins a sentence, and the ``names``."""
    return option(f"{meaning}: {listed(names)}.", metavar="TASK")
