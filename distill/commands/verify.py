"""``python -m distill verify``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from distill.pools.pool import Pool
from distill.pools.shards import PoolError
from netenvs.command_line import Positional
from netenvs.errors import printable


@dataclass(frozen=True)
class Verify:
    """This compares pools with their manifests bit by bit, and checks that their contents make sense."""

    pools: Annotated[tuple[Path, ...], Positional]
    """The pools lie in these folders."""

    def run(self) -> int:
        """One line about each; 1 if something is wrong."""
        if not self.pools:
            raise ValueError("verify needs at least one pool")
        wrong = 0
        for folder in self.pools:
            try:
                Pool(folder).verify()
                print(printable(f"{folder}: intact"))
            except PoolError as error:
                print(f"error: {error}")
                wrong += 1
        return 1 if wrong else 0
