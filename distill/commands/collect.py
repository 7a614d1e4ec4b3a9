"""``python -m distill collect``."""

from __future__ import annotations

import inspect
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from gymnasium.envs.registration import load_env_creator

from agents.rollout import EpisodeSpec
from distill.commands.task_option import one_of
from distill.pools.collect import collect, joint_options, make
from distill.pools.noise import ActionNoise
from distill.pools.pool import MANIFEST, Pool
from distill.pools.recorder import ExtraColumn
from distill.recipe import Recipe, recipe, tasks_with
from netenvs import tasks
from netenvs.command_line import datasets_help
from netenvs.errors import printable
from netenvs.files import is_file

EPISODES = 10
"""Of a collection, where every seed is another episode and nothing else is said."""
EXPERTS = ", ".join(tasks_with("expert_values"))


@dataclass(frozen=True)
class Collect:
    """This has policies play episodes, and keeps what they saw, did and got as a pool."""

    task: Annotated[str, one_of(tasks.names(), "This is played")]
    policies: str
    """These policies play, options in brackets: bba,constant(quality=2). Each plays all the episodes."""
    out: Path
    """The pool lies in this folder: a new one, or one of the same environment, which the episodes are added to."""
    episodes: int | None = None
    """Each policy plays so many; by default each trace, window or recording once, where there are none 10 seeds."""
    dataset: Annotated[
        str | None,
        tyro.conf.arg(help=f"This names {datasets_help()}, or is a file or folder of it; else it is synthetic."),
    ] = None
    options: Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="KEY=VALUE"), tyro.conf.UseAppendAction] = ()
    """This sets another option of the environment, such as qoe=log; it may be repeated. A split not set is train."""
    seed: int = 0
    """Episodes have the seeds S, S + 1, ...; the noise is drawn with S."""
    noise: float = 0.0
    """At each decision a random possible action is carried out with this probability, where actions are choices."""
    expert_values: Annotated[
        bool,
        tyro.conf.arg(
            help="It also keeps what each choice is worth at each decision to who knows what comes "
            f"({EXPERTS or 'no task'}), from a table; for bitrates that is right to about 0.02 QoE a chunk."
        ),
    ] = False

    def run(self) -> int:
        """Collect, and say what there is then."""
        from rich.console import Console
        from rich.progress import Progress

        from agents.policy import load_policy
        from distill.commands.wrong_arguments import checking
        from netenvs.spec import split_specs

        with checking():
            task, known = tasks.find(self.task), recipe(self.task)
            policies = [load_policy(spec, self.task) for spec in split_specs(self.policies)]
            options = environment_of(task, task.environment_options(self.dataset, self.options))
            episodes = self._episodes(task, joint_options(policies, options))
            labels = self._labels(task, known, options)
        before = len(Pool(self.out)) if is_file(self.out / MANIFEST) else 0
        with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
            bar = progress.add_task("episodes", total=len(policies) * len(episodes))
            pool = collect(
                self.out,
                task.default_id,
                policies,
                episodes,
                options,
                noise=self.noise,
                seed=self.seed,
                extra_columns=labels,
                episodes_per_shard=known.episodes_per_shard,
                command=shlex.join(["python", "-m", "distill", *sys.argv[1:]]),
                on_episode=lambda episode: progress.advance(bar),
            )
        there = "all of this was there already; " if len(pool) == before else ""
        names = ", ".join(pool.policies)
        print(printable(f"{self.out}: {there}{len(pool)} episodes, {pool.num_steps} steps of {names}"))
        return 0

    def _episodes(self, task: tasks.Task, options: Mapping[str, Any]) -> list[EpisodeSpec]:
        """The episodes of a collection: the different ones in order (again from the first), or seeds."""
        count, seed = self.episodes, self.seed
        if count is not None and count < 1:
            raise ValueError(f"--episodes must be from 1 up, not {count}")
        if seed < 0:
            raise ValueError(f"--seed must be from 0 up, not {seed}")
        env = make(task.default_id, options)
        items = task.items(env.unwrapped)
        try:
            ActionNoise(self.noise, env.action_space, seed, "")
        except ValueError as error:
            raise ValueError(f"--{error}") from None
        env.close()
        if items is None:
            return [EpisodeSpec(seed + i, seed + i) for i in range(EPISODES if count is None else count)]
        if count is not None and count > items.different and not items.again:
            chosen = ", ".join(f"{name}={value}" for name, value in options.items()) or "the defaults"
            raise ValueError(f"--episodes {count}: with {chosen} there are {items.different} different ones")
        played = range(items.default if count is None else count)
        return [EpisodeSpec(seed + i, seed + i, items.options(i)) for i in played]

    def _labels(self, task: tasks.Task, known: Recipe, options: Mapping[str, Any]) -> dict[str, ExtraColumn]:
        """Columns that a learner is to imitate."""
        labels = {name: column(task.default_id, options) for name, column in known.labels.items()}
        if self.expert_values:
            if known.expert_values is None:
                raise ValueError(f"--expert-values: there is no oracle of {task.name}, only of {EXPERTS}")
            labels["expert_values"] = known.expert_values(task.default_id, options)
        return labels


def environment_of(task: tasks.Task, options: dict[str, Any]) -> dict[str, Any]:
    """The options that a pool is collected with: where there are splits, that of training unless another is chosen."""
    splits = "split" in inspect.signature(load_env_creator(task.entry_point)).parameters
    return {**options, "split": options.get("split", "train")} if splits else options
