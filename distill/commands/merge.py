"""``python -m distill merge``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from netenvs.command_line import Positional
from netenvs.errors import printable


@dataclass(frozen=True)
class Merge:
    """This joins pools of one environment into a new one."""

    pools: Annotated[tuple[Path, ...], Positional]
    """The pools lie in these folders."""
    out: Path
    """The new pool is written to this folder."""

    def run(self) -> int:
        """Merge, and say what there is then."""
        from distill.pools.merge import merge

        pool = merge(self.pools, self.out)
        print(printable(f"{self.out}: {len(pool)} episodes, {pool.num_steps} steps of {', '.join(pool.policies)}"))
        return 0
