"""Compare policies on one task: ``python -m benchmarks.compare --task abr``.

Every policy plays the same episodes; the result is a table, ``results.json``, plots with the CSV files they
were drawn from, and ``report.html``. ``docs/compare.md`` explains the columns.
"""

from __future__ import annotations

import importlib.util
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gymnasium

    from agents.rollout import EpisodeSpec
    from benchmarks.compare.evaluate import Comparison, Contender, Row
    from benchmarks.compare.options import Options
    from benchmarks.tasks.setup import Setup, TaskComparison
    from netenvs.tasks import Task

PROGRAM = "python -m benchmarks.compare"
SCHEMA = 1
LOCK = ".lock"
"""Held in the folder of a comparison by who writes into it."""
REFUSED = {"render_mode": "a comparison draws its own plots"}
"""Environment options that ``--set`` does not take, whatever the task."""

# Simulators, and whatever needs `agents`, are imported inside functions: `--help` comes at once, and
# `check_packages` can speak before an import fails.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status.

    0: every policy has a row. 1: a policy failed while it played, the others have rows. 2: a name, an option
    or a folder is wrong, nothing has run. 130: interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        check_packages()
    except ImportError as error:
        return _refuse(error)
    from benchmarks.compare.options import Options
    from netenvs.command_line import exit_status, parse

    try:
        options = parse(Options, PROGRAM, words)
    except SystemExit as stop:  # --help, or a line has been printed
        return int(stop.code or 0)
    return exit_status(lambda: _act(options, words))


def _act(options: Options, words: Sequence[str]) -> int:
    from agents.policy import PolicyError
    from netenvs.files import only_one

    try:
        if options.list:
            from benchmarks.compare.listing import show_list

            show_list(options.task)
            return 0
        if options.suite is not None:
            from benchmarks.suite.command import run

            return run(options, words)
        plan = prepare(options)
    except (ValueError, PolicyError) as error:
        return _refuse(error)
    try:
        with only_one(plan.out / LOCK) as alone:
            if not alone:
                return _refuse(ValueError(f"--out {plan.out}: another comparison is writing there; name another"))
            return _run(plan, words)
    except BaseException:
        if plan.created and not any(plan.out.iterdir()):
            plan.out.rmdir()
        raise


def check_packages() -> None:
    """Raise ``ImportError``, one line, if ``agents`` or ``netenvs`` would come from another project."""
    root = Path(__file__).resolve().parents[2]
    for name in ("agents", "netenvs"):
        spec = importlib.util.find_spec(name)
        places = list(spec.submodule_search_locations or [str(spec.origin)]) if spec else []
        if not places:
            raise ImportError(f"package {name!r} is not installed; run pip install -e . in {root}")
        place = Path(places[0]).resolve()
        if place != root / name:
            raise ImportError(f"another package named {name!r} shadows ours (path {place}); run from {root}")


@dataclass(frozen=True)
class Plan:
    """A comparison that has been checked and can begin."""

    task: Task
    how: TaskComparison
    setup: Setup
    contenders: list[Contender]
    left_out: list[str]
    """A line for each policy that takes no part."""
    env_options: dict[str, Any]
    episodes: list[EpisodeSpec]
    seed: int
    out: Path
    created: bool
    """Whether ``out`` was made for this run."""
    json: Path | None


def prepare(options: Options) -> Plan:
    """Check everything before anything runs: names, options, policies, an environment, folders.

    Raises ``ValueError`` or ``PolicyError``, one line.
    """
    from agents.registry import registered
    from benchmarks.compare.evaluate import default_policies, episodes_of, load_contenders, taking_part
    from benchmarks.files import check_json, writable_folder
    from benchmarks.tasks.registry import task_comparison
    from netenvs import tasks
    from netenvs.spec import split_specs

    _refuse_words_of_suites(options)
    task, how = tasks.find(options.task), task_comparison(options.task)
    env_options = task.environment_options(options.dataset, options.options, {**REFUSED, **how.refused})
    env = _made(task.default_id, env_options)
    setup, items = how.setup(env), task.items(env.unwrapped)
    episodes = episodes_of(items, options.episodes, options.seed, setup.dataset)
    specs = default_policies(task) if options.policies is None else split_specs(options.policies)
    specs = [*specs, *options.policy]
    if not specs:
        known = "see --list" if registered(task.name) else f"{task.name} has none of its own"
        raise ValueError(f"no policy is named; {known}, or give --policy FILE.py:CLASS")
    contenders, left_out = taking_part(load_contenders(task, specs, env_options), env)
    env.close()
    if not contenders:
        raise ValueError("; ".join(left_out))
    check_json(options.json)
    out = options.out or Path("runs") / f"{task.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    return Plan(
        task=task,
        how=how,
        setup=setup,
        contenders=contenders,
        left_out=left_out,
        env_options=env_options,
        episodes=episodes,
        seed=options.seed,
        created=writable_folder(out, "--out"),
        out=out,
        json=options.json,
    )


def _refuse_words_of_suites(options: Options) -> None:
    given = {
        "--split": options.split is not None,
        "--full": options.full,
        "--make-optima": options.make_optima,
        "--optima": options.optima is not None,
    }
    found = [name for name, there in given.items() if there]
    if found:
        raise ValueError(f"{', '.join(found)}: of suites, and none is named; give --suite")


def _made(env_id: str, options: dict[str, Any]) -> gymnasium.Env:
    """The environment; ``ValueError``, one line, whatever is wrong with the options."""
    import gymnasium

    from netenvs.errors import reason

    try:
        return gymnasium.make(env_id, **options)
    except Exception as error:
        raise ValueError(reason(error)) from error


def _run(plan: Plan, words: Sequence[str]) -> int:
    from benchmarks import files, machine
    from benchmarks.compare import evaluate, plots, report, table
    from netenvs.errors import printable

    begun = time.perf_counter()
    rows = evaluate.relate(plan.how, plan.setup, _play(plan))
    comparison = evaluate.Comparison(
        task=plan.task,
        how=plan.how,
        setup=plan.setup,
        rows=rows,
        settings={
            "dataset": plan.setup.dataset,
            "environment": plan.task.default_id,
            "options": plan.env_options,
            "details": dict(plan.setup.details),
            "episodes": len(plan.episodes),
            "groups": evaluate.count_groups(plan.setup, rows),
            "seed": plan.seed,
            "left_out": plan.left_out,
            "command": shlex.join(["python", "-m", "benchmarks.compare", *words]),
            "wall_s": round(time.perf_counter() - begun, 1),
            **machine.machine(),
        },
        versions=machine.versions(),
    )
    console = table.console()
    table.show(comparison, console)  # first: wherever files cannot be written, there are the figures
    files.write_results(plan.out, plan.json, _results(comparison))
    drawn = plots.draw(comparison)
    files.write_report(plan.out, drawn, report.html(comparison, drawn))
    console.print(f"report: {printable(plan.out / 'report.html')}", soft_wrap=True)
    return 1 if any(row.error for row in rows) else 0


def _results(comparison: Comparison) -> dict[str, Any]:
    """The content of ``results.json``."""
    from benchmarks.compare import columns

    metric = comparison.metric
    return {
        "schema": SCHEMA,
        "task": comparison.task.name,
        "dataset": comparison.setup.dataset,
        "settings": comparison.settings,
        "versions": comparison.versions,
        "metric": {"name": metric.name, "unit": metric.unit, "better": metric.better},
        "rows": [columns.to_json(row) for row in comparison.rows],
    }


def _play(plan: Plan) -> list[Row]:
    """A row for each policy, in the order given; a progress bar on standard error if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from benchmarks.compare.evaluate import play_contender
    from netenvs.errors import printable

    console = Console(stderr=True, markup=False, highlight=False, emoji=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    rows = []
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        for contender in plan.contenders:
            bar = progress.add_task(printable(contender.policy.name), total=len(plan.episodes))
            row = play_contender(
                plan.task,
                plan.how,
                plan.setup,
                contender,
                plan.episodes,
                plan.env_options,
                on_episode=lambda _, bar=bar: progress.advance(bar),  # type: ignore[misc]
            )
            if row.error:
                console.print(f"failed: {row.error}", soft_wrap=True)
            rows.append(row)
    return rows


def _refuse(error: Exception) -> int:
    from netenvs.errors import reason

    print(f"error: {reason(error)}", file=sys.stderr)
    return 2
