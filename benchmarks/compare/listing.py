"""``python -m benchmarks.compare --task T --list``: the policies and data sets of a task."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from agents.registry import Entry, registered
from benchmarks.compare.evaluate import default_policies
from benchmarks.compare.table import console
from netenvs import datasets, tasks
from netenvs.errors import printable, typed
from netenvs.loading import named


def show_list(task_name: str) -> None:
    """Print what ``--policies`` and ``--dataset`` take. Imports every registered policy, heavy ones too."""
    task, out = tasks.find(task_name), console()
    default = default_policies(task)
    policies = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("policy", "default", "needs", "what it is"):
        policies.add_column(heading, no_wrap=heading == "policy", overflow="fold")
    for name, entry in registered(task.name).items():
        mark, needs, what = _describe(entry)
        policies.add_row(
            _cell(name + mark),
            "yes" if name in default else "no",
            _cell(needs),
            _cell(what),
        )
    out.print(policies)
    out.print(
        "* knows the future. Your own: file.py:Name, package.module:Name or a checkpoint folder.",
        soft_wrap=True,
    )
    choices = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    choices.add_column(f"--dataset ({task.dataset_kind})", no_wrap=True)
    choices.add_column("available", overflow="fold")
    for choice in task.datasets():
        choices.add_row(_cell(choice.name), "yes" if choice.available else _cell(f"no: {choice.remedy}"))
    out.print(choices)


def _cell(text: str) -> Text:
    return Text(printable(text))


def _describe(entry: Entry) -> tuple[str, str, str]:
    """Asterisk or nothing, what it needs, and the first line of the class's docstring."""
    needs = [] if entry.dataset is None else [_dataset(entry.dataset)]
    try:
        cls = named(entry.target)
    except Exception as error:
        cause = f"cannot be loaded: {typed(error)}"
        return "", ", ".join(needs) or "-", cause
    if cls.assumption is not None:
        needs.append(cls.assumption)
    lines = (cls.__doc__ or "").strip().splitlines()
    return " *" if cls.privileged else "", ", ".join(needs) or "-", lines[0].strip() if lines else ""


def _dataset(name: str) -> str:
    known = name in datasets.catalogue()
    return name + (" (installed)" if known and datasets.installed(name) else " (not installed)")
