"""``python -m distill info``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from distill.pools.pool import Pool
from netenvs.command_line import Positional
from netenvs.errors import printable


@dataclass(frozen=True)
class Info:
    """This shows what is in a pool: environment, policies with their returns, columns."""

    pool: Annotated[Path, Positional]
    """The pool lies in this folder."""

    def run(self) -> int:
        """Print it."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        pool = Pool(self.pool)
        shards = pool.manifest["shards"]
        size = sum(shard["bytes"] for shard in shards) / 1e6
        options = " ".join(f"{name}={value}" for name, value in pool.env_options.items())
        console.print(printable(f"{pool.folder}: {pool.env_id} {options}".rstrip()))
        console.print(f"{len(pool)} episodes, {pool.num_steps} steps, {len(shards)} shards, {size:.1f} MB")
        episodes = pool.episodes
        table = Table("policy", "episodes", "steps", "mean return", "lowest", "highest")
        for number, name in enumerate(pool.policies):
            own = episodes["policy"] == number
            returns = episodes["return"][own]
            figures = [f"{value:.4g}" for value in (returns.mean(), returns.min(), returns.max())] if own.any() else []
            table.add_row(Text(printable(name)), str(own.sum()), str(episodes["length"][own].sum()), *figures)
        console.print(table)
        drawn = int((np.asarray(pool.column("policy")) < 0).sum())
        if drawn:
            console.print(f"{drawn} random actions, {drawn / pool.num_steps:.1%} of all")
        table = Table(box=None)
        for heading in ("column", "type", "shape", "unit"):
            table.add_column(heading, no_wrap=heading != "unit")
        for name, column in pool.columns.items():
            shape = ", ".join([*(["any"] if column["ragged"] else []), *map(str, column["shape"])])
            table.add_row(*(Text(printable(cell)) for cell in (name, column["dtype"], f"({shape})", column["unit"])))
        console.print(table)
        listed = {shard["file"] for shard in shards}
        others = [path.name for path in pool.folder.glob("*.safetensors") if path.name not in listed]
        if others:
            what = "files are not part of it: of a collection that did not end, such as"
            console.print(printable(f"{len(others)} {what} {others[0]}"))
        if (pool.folder / "teachers").is_dir():
            from distill.training.teacher_cache import kept_beside  # with torch

            for line in kept_beside(pool):
                console.print(printable(line))
        for collection in pool.manifest["collections"]:
            if collection.get("command"):
                console.print(printable(collection["command"]))
        return 0
