"""How good a trained Decima is: mean completion times on seeds of their own, and the model card with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agents.cjs.decima_network import MODES
from agents.cjs.decima_rollout import Setting
from agents.policy import Policy
from agents.pretrained import CARD, TRAINING
from agents.rollout import EpisodeSpec, play
from agents.statistics import ratio_interval
from netenvs.cjs.task import TASK as CJS
from netenvs.files import write_atomically

FIRST_TEST_SEED = 100
TESTED = (Setting(10, 20), Setting(50, 20), Setting(50, 50), Setting(50, 200))
"""What finished weights are scored on, with the workload of the training."""
TESTED_ELSEWHERE = (Setting(10, 20), Setting(50, 50))
"""The same with generated jobs, which no training has seen."""
MANY_JOBS = 200
"""Half as many episodes of these."""


def mean_jcts_s(policy: Policy, workload: str, setting: Setting, seeds: Sequence[int]) -> np.ndarray:
    """Mean job completion time of an episode for each seed, float64 (seeds,), in seconds."""
    specs = [EpisodeSpec(seed) for seed in seeds]
    played = play(policy, CJS.env_id, specs, {"workload": workload, **setting._asdict()})
    return np.array([episode.columns["mean_jct_s"][-1] for episode in played])


def compare(values: np.ndarray, others: np.ndarray) -> tuple[float, float, float]:
    """Ratio of the means minus 1 in percent, and its 95 % paired bootstrap interval over episodes."""
    ratio = values.mean() / others.mean()
    low, high = ratio_interval(values, others) or (ratio, ratio)
    first, second, third = (round(100 * (float(one) - 1), 2) for one in (ratio, low, high))
    return first, second, third


def score(policies: dict[str, Policy], workload: str, episodes: int) -> dict[str, dict[str, Any]]:
    """Figures of ``policies``, of which ``"fair"`` is one: by setting and policy, mean JCT and difference to it.

    Of ``episodes`` for each setting, half as many of those with 200 jobs; no figures where that is 0.
    """
    figures: dict[str, dict[str, Any]] = {}
    tested = [(workload, setting) for setting in TESTED] + [("synthetic", setting) for setting in TESTED_ELSEWHERE]
    for jobs, setting in dict.fromkeys(tested) if episodes else ():
        played = half(episodes) if setting.num_jobs == MANY_JOBS else episodes
        seeds = range(FIRST_TEST_SEED, FIRST_TEST_SEED + played)
        heading = f"{jobs}: {setting.num_executors} executors, {setting.num_jobs} jobs"
        print(f"scoring {heading}, {_episodes(played)} of {', '.join(policies)} ...", flush=True)
        found = {name: mean_jcts_s(policy, jobs, setting, seeds) for name, policy in policies.items()}
        figures[heading] = {
            name: {"mean_jct_s": round(float(values.mean()), 3), "to_fair": compare(values, found["fair"])}
            for name, values in found.items()
        }
    return figures


def half(episodes: int) -> int:
    """Episodes of those with 200 jobs."""
    return max(1, episodes // 2)


def write_card(folder: Path, training: dict[str, Any]) -> None:
    """Write ``training.json`` and the model card of a folder."""
    write_atomically(folder / TRAINING, json.dumps(training, indent=1) + "\n")
    write_atomically(folder / CARD, card(training))


def card(training: dict[str, Any]) -> str:
    """Model card: what it is, data, commands, figures, curves.

    ``training`` is what stands in ``training.json``: its ``test``, and that of each of its ``trainings``, is the number
    of ``episodes`` that ``score`` was given.
    """
    trainings, test = training["trainings"], training["test"]
    commands = dict.fromkeys([*(entry["command"] for entry in trainings), training["command"]])
    seeds = [entry["plan"]["seed"] for entry in trainings]
    chosen = trainings[training["chosen"]]
    plan = chosen["plan"]
    clusters = " and ".join(f"{executors} executors with up to {jobs} jobs" for executors, jobs in plan["settings"])
    several = len(trainings) > 1
    chosen_there = "weights, decoding and the training that is shipped" if several else "weights and decoding"
    lines = [
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
        _beginnings(chosen),
        "",
        "## Data",
        "",
        f"Workload `{plan['workload']}`, jobs every 25 s on average, clusters of {clusters} side by side. Trained on "
        f"seeds from 100,000 up; {chosen_there} chosen on seeds from 2000 up{_tested(test)}.",
        "",
        "## Commands",
        "",
        "```",
        *commands,
        "```",
        "",
    ]
    if len(set(seeds)) < len(seeds):
        lines += ["(with an `--out` each, where seeds are the same).", ""]
    lines += _table(training["figures"]) if training["figures"] else []
    lines += [
        "## Trainings",
        "",
        "Validation: mean over the trained cluster sizes of the difference to `fair`, first before and then after.",
        "",
        "| "
        + " | ".join(
            ["training", "seed", "validation", "decoding", *training["figures"], "decisions", "CPU s", "wall s"]
        )
        + " |",
        "|---|---|---|---|" + "---|" * len(training["figures"]) + "---|---|---|",
    ]
    for number, entry in enumerate(trainings):
        name = _kind(entry) + (" (shipped)" if several and number == training["chosen"] else "")
        if entry["test"] not in (0, test):
            name += f", scored on {_episodes(entry['test'])}"
        before = min(entry["curve"][0][mode] for mode in MODES)
        own = entry["figures"]
        cells = [
            name,
            str(entry["plan"]["seed"]),
            f"{100 * before:.1f} % to {100 * entry['valid']:.1f} %",
            entry["mode"],
            *(_percent(own[heading]["decima"]["to_fair"]) if heading in own else "" for heading in training["figures"]),
            *(f"{entry[cost]:,}" for cost in ("decisions", "cpu_s", "wall_s")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "## Curves",
        "",
        "Validation after each iteration that has one, in percent: greedy / median / sampled.",
        "",
    ]
    lines += ["| training | seed | iteration: percent |", "|---|---|---|"]
    for entry in trainings:
        points = ", ".join(
            f"{point['step']}: " + " / ".join(f"{100 * point[mode]:.1f}" for mode in MODES) for point in entry["curve"]
        )
        lines.append(f"| {_kind(entry)} | {entry['plan']['seed']} | {points} |")
    return "\n".join([*lines, ""])


def _episodes(number: int) -> str:
    return "1 episode" if number == 1 else f"{number} episodes"


def _tested(test: int) -> str:
    """What the figures were made on, to end a sentence; empty if there are none."""
    if not test:
        return ""
    return (
        f"; the figures below are of seeds from 100 up ({_episodes(test)}, {half(test)} of those with 200 jobs), used "
        "for nothing else"
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
