"""The commands that make pools, look at them, and join them: arguments and output."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from distill.pool import MANIFEST, Pool
from distill.shards import PoolError


@dataclass(frozen=True)
class Collect:
    """Have policies play episodes, and keep what they saw, did and got as a pool."""

    task: Literal["abr", "cjs", "vp"]
    """What is played; cjs is netenvs/CJS-small-v0: 10 executors, 20 jobs."""
    policies: str
    """Policies, options in brackets: bba,constant(quality=2). Each plays all the episodes."""
    out: Path
    """Folder of the pool: a new one, or one of the same environment, which the episodes are added to."""
    episodes: int | None = None
    """Episodes of each policy; default: one of each trace (abr) or window (vp) of the split, or 10 (cjs)."""
    dataset: str | None = None
    """Trace split (abr), workload (cjs) or recordings (vp), file or folder; default: synthetic."""
    options: Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="KEY=VALUE"), tyro.conf.UseAppendAction] = ()
    """Another option of the environment, such as qoe=log or num_executors=50; may be repeated. Of vp the split is
    train unless it is set."""
    seed: int = 0
    """Episodes have the seeds S, S + 1, ...; also of the noise."""
    noise: float = 0.0
    """Probability of a random possible action at each decision (abr, cjs)."""
    expert_values: bool = False
    """Also keep what each level is worth at each decision to who knows the bandwidth to come (abr); from a table, to
    about 0.02 QoE a chunk."""

    def run(self) -> int:
        """Collect, and say what there is then."""
        from rich.console import Console
        from rich.progress import Progress

        from agents.policy import load_policy
        from distill import tasks
        from distill.arguments import checking
        from distill.collect import collect, joint_options
        from netenvs.spec import split_specs

        with checking():
            tasks.check_noise(self.task, self.noise)
            policies = [load_policy(spec, self.task) for spec in split_specs(self.policies)]
            options = tasks.environment_of(self.task, self.dataset, self.options)
            episodes = tasks.episodes_of(self.task, joint_options(policies, options), self.episodes, self.seed)
            labels = tasks.labels_of(self.task, options, self.expert_values)
        before = len(Pool(self.out)) if (self.out / MANIFEST).exists() else 0
        with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
            bar = progress.add_task("episodes", total=len(policies) * len(episodes))
            pool = collect(
                self.out,
                tasks.COLLECT_IDS[self.task],
                policies,
                episodes,
                options,
                noise=self.noise,
                seed=self.seed,
                extra_columns=labels,
                episodes_per_shard=tasks.EPISODES_PER_SHARD[self.task],
                command=shlex.join(["python", "-m", "distill", *sys.argv[1:]]),
                on_episode=lambda episode: progress.advance(bar),
            )
        there = "all of this was there already; " if len(pool) == before else ""
        print(f"{self.out}: {there}{len(pool)} episodes, {pool.num_steps} steps of {', '.join(pool.policies)}")
        return 0


@dataclass(frozen=True)
class Info:
    """Show what is in a pool: environment, policies with their returns, columns."""

    pool: Annotated[Path, tyro.conf.Positional]
    """Folder of the pool."""

    def run(self) -> int:
        """Print it."""
        from rich.console import Console
        from rich.table import Table

        console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        pool = Pool(self.pool)
        shards = pool.manifest["shards"]
        size = sum(shard["bytes"] for shard in shards) / 1e6
        options = " ".join(f"{name}={value}" for name, value in pool.env_options.items())
        console.print(f"{pool.folder}: {pool.env_id} {options}".rstrip())
        console.print(f"{len(pool)} episodes, {pool.num_steps} steps, {len(shards)} shards, {size:.1f} MB")
        episodes = pool.episodes
        table = Table("policy", "episodes", "steps", "mean return", "lowest", "highest")
        for number, name in enumerate(pool.policies):
            own = episodes["policy"] == number
            returns = episodes["return"][own]
            figures = [f"{value:.4g}" for value in (returns.mean(), returns.min(), returns.max())] if own.any() else []
            table.add_row(name, str(own.sum()), str(episodes["length"][own].sum()), *figures)
        console.print(table)
        drawn = int((np.asarray(pool.column("policy")) < 0).sum())
        if drawn:
            console.print(f"{drawn} random actions, {drawn / pool.num_steps:.1%} of all")
        table = Table(box=None)
        for heading in ("column", "type", "shape", "unit"):
            table.add_column(heading, no_wrap=heading != "unit")
        for name, column in pool.columns.items():
            shape = ", ".join([*(["any"] if column["ragged"] else []), *map(str, column["shape"])])
            table.add_row(name, column["dtype"], f"({shape})", column["unit"])
        console.print(table)
        listed = {shard["file"] for shard in shards}
        others = [path.name for path in pool.folder.glob("*.safetensors") if path.name not in listed]
        if others:
            console.print(
                f"{len(others)} files are not part of it: of a collection that did not end, such as {others[0]}"
            )
        if (pool.folder / "teachers").is_dir():
            from distill.teacher_cache import kept_beside  # with torch

            for line in kept_beside(pool):
                console.print(line)
        for collection in pool.manifest["collections"]:
            if collection.get("command"):
                console.print(collection["command"])
        return 0


@dataclass(frozen=True)
class Verify:
    """Compare pools with their manifests bit by bit, and check that their contents make sense."""

    pools: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of pools."""

    def run(self) -> int:
        """One line about each; 1 if something is wrong."""
        wrong = 0
        for folder in self.pools:
            try:
                Pool(folder).verify()
                print(f"{folder}: intact")
            except PoolError as error:
                print(f"error: {error}")
                wrong += 1
        return 1 if wrong else 0


@dataclass(frozen=True)
class Merge:
    """Join pools of one environment into a new one."""

    pools: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of the pools."""
    out: Path
    """Folder of the new pool."""

    def run(self) -> int:
        """Merge, and say what there is then."""
        from distill.merge import merge

        pool = merge(self.pools, self.out)
        print(f"{self.out}: {len(pool)} episodes, {pool.num_steps} steps of {', '.join(pool.policies)}")
        return 0
