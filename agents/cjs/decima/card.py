"""The model card of a trained Decima: what it is, data, commands, figures and curves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.cjs.decima.network import MODES
from agents.cjs.scores import count_episodes, half
from agents.pretrained import CARD, TRAINING
from netenvs.files import write_atomically


def write_card(folder: Path, training: dict[str, Any]) -> None:
    """Write ``training.json`` and the model card of a folder."""
    write_atomically(folder / TRAINING, json.dumps(training, indent=1) + "\n")
    write_atomically(folder / CARD, card(training))


def card(training: dict[str, Any]) -> str:
    """Model card: what it is, data, commands, figures, curves.

    ``training`` is what stands in ``training.json``: its ``test``, and that of each of its ``trainings``, is the number
    of ``episodes`` that ``score`` was given.
    """
    lines = [
        *_head(training),
        *_data(training),
        *_commands(training),
        *(_table(training["figures"]) if training["figures"] else []),
        *_trainings(training),
        *_curves(training["trainings"]),
        "",
    ]
    return "\n".join(lines)


def _head(training: dict[str, Any]) -> list[str]:
    return [
        "---",
        "library_name: netenvs",
        "tags: [job-scheduling]",
        "---",
        "# decima",
        "",
        "Decima's graph neural network (Mao et al., SIGCOMM 2019; the version of spark-sched-sim and NetLLM), 20,802 "
        "parameters, trained here by PPO with a baseline for each sequence of jobs. Decodes "
        f"**{training['mode']}**, what was best in validation.",
        "",
        _beginnings(training["trainings"][training["chosen"]]),
        "",
    ]


def _data(training: dict[str, Any]) -> list[str]:
    plan = training["trainings"][training["chosen"]]["plan"]
    clusters = " and ".join(f"{executors} executors with up to {jobs} jobs" for executors, jobs in plan["settings"])
    several = len(training["trainings"]) > 1
    chosen_there = "weights, decoding and the training that is shipped" if several else "weights and decoding"
    return [
        "## Data",
        "",
        f"Workload `{plan['workload']}`, jobs every 25 s on average, clusters of {clusters} side by side. Trained on "
        f"seeds from 100,000 up; {chosen_there} chosen on seeds from 2000 up{_tested(training['test'])}.",
        "",
    ]


def _commands(training: dict[str, Any]) -> list[str]:
    trainings = training["trainings"]
    commands = dict.fromkeys([*(entry["command"] for entry in trainings), training["command"]])
    seeds = [entry["plan"]["seed"] for entry in trainings]
    lines = ["## Commands", "", "```", *commands, "```", ""]
    if len(set(seeds)) < len(seeds):
        lines += ["(with an `--out` each, where seeds are the same).", ""]
    return lines


def _trainings(training: dict[str, Any]) -> list[str]:
    """A row for each training: how it was validated, what it scored and cost."""
    headings = list(training["figures"])
    columns = ["training", "seed", "validation", "decoding", *headings, "decisions", "CPU s", "wall s"]
    rows = (_training(training, number, headings) for number in range(len(training["trainings"])))
    return [
        "## Trainings",
        "",
        "Validation: mean over the trained cluster sizes of the difference to `fair`, first before and then after.",
        "",
        f"| {' | '.join(columns)} |",
        "|" + "---|" * len(columns),
        *(f"| {' | '.join(cells)} |" for cells in rows),
        "",
    ]


def _training(training: dict[str, Any], number: int, headings: Sequence[str]) -> list[str]:
    entry = training["trainings"][number]
    name = _kind(entry)
    if len(training["trainings"]) > 1 and number == training["chosen"]:
        name += " (shipped)"
    if entry["test"] not in (0, training["test"]):
        name += f", scored on {count_episodes(entry['test'])}"
    before = min(entry["curve"][0][mode] for mode in MODES)
    own = entry["figures"]
    return [
        name,
        str(entry["plan"]["seed"]),
        f"{100 * before:.1f} % to {100 * entry['valid']:.1f} %",
        entry["mode"],
        *(_percent(own[heading]["decima"]["to_fair"]) if heading in own else "" for heading in headings),
        *(f"{entry[cost]:,}" for cost in ("decisions", "cpu_s", "wall_s")),
    ]


def _curves(trainings: Sequence[dict[str, Any]]) -> list[str]:
    lines = [
        "## Curves",
        "",
        "Validation after each iteration that has one, in percent: greedy / median / sampled.",
        "",
        "| training | seed | iteration: percent |",
        "|---|---|---|",
    ]
    for entry in trainings:
        points = ", ".join(
            f"{point['step']}: " + " / ".join(f"{100 * point[mode]:.1f}" for mode in MODES) for point in entry["curve"]
        )
        lines.append(f"| {_kind(entry)} | {entry['plan']['seed']} | {points} |")
    return lines


def _tested(test: int) -> str:
    """What the figures were made on, to end a sentence; empty if there are none."""
    if not test:
        return ""
    return (
        f"; the figures below are of seeds from 100 up ({count_episodes(test)}, {half(test)} of those with 200 jobs), "
        "used for nothing else"
    )


def _kind(entry: dict[str, Any]) -> str:
    plan = entry["plan"]
    start = "released weights" if plan["initial"] == "released" else "from scratch"
    return f"{start}, imitation, PPO" if plan["imitate"] else f"{start}, PPO"


def _beginnings(entry: dict[str, Any]) -> str:
    """Where the shipped weights come from."""
    plan = entry["plan"]
    begin = (
        "Training began with the released weights (data set `decima-weights`)."
        if plan["initial"] == "released"
        else "Training began with random weights."
    )
    if plan["imitate"]:
        begin += (
            f" The first {plan['imitate']} of {plan['iterations']} iterations imitated the rule `capped-srpt`, which "
            "is not in the paper; PPO went on from there."
        )
    return begin


def _table(figures: dict[str, dict[str, Any]]) -> list[str]:
    names = list(next(iter(figures.values())))
    released = [
        "Rows `released` are the published weights in the same player, where `greedy` and `sampled` decide as "
        "`decima-released` does.",
        "",
    ]
    lines = [
        "## Mean job completion time, seconds, and difference to `fair` (95 % paired bootstrap interval)",
        "",
        *(released if any(name.startswith("released") for name in names) else []),
        "| scheduler | " + " | ".join(figures) + " |",
        "|---|" + "---|" * len(figures),
    ]
    for name in names:
        cells = []
        for found in figures.values():
            entry = found[name]
            cells.append(f"{entry['mean_jct_s']:.1f}" + ("" if name == "fair" else f", {_percent(entry['to_fair'])}"))
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _percent(to_fair: Sequence[float]) -> str:
    value, low, high = to_fair
    return f"{value:+.1f} % [{low:.1f}, {high:.1f}]"
