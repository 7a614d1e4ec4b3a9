"""What ``python -m distill collect`` has to know about a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.rollout import EpisodeSpec
from distill.collect import make
from distill.noise import check_probability
from distill.records import ExtraColumn
from distill.units import unit_of
from netenvs import tasks
from netenvs.spec import parse_settings
from netenvs.vp.task import TASK as VP


def _actual_path(env: Any, rows: np.ndarray) -> np.ndarray:
    playback = env.playback
    path: np.ndarray = playback.stretches(playback.position[rows], playback.horizon)
    return path


def labels_of(task: str, options: dict[str, Any], expert_values: bool) -> dict[str, ExtraColumn]:
    """Columns that a learner is to imitate: ``actual_path`` (vp), and with ``expert_values`` those of a ``ValueTable``.

    ``expert_values`` (abr), float64 (steps, levels), are the best sums of rewards to the end with each level next, for
    who knows the bandwidth to come, nearly. ``ValueError`` for another task, and for options that cannot be tabulated.
    """
    if expert_values and task != "abr":
        raise ValueError(f"--expert-values: there is no oracle of {task}, only of abr")
    if expert_values:
        from agents.abr.value_table import ValueTable

        env = make(COLLECT_IDS[task], options)
        table = ValueTable(env)
        env.close()
        return {"expert_values": ExtraColumn(table.action_values, "QoE to the end")}
    return {"actual_path": ExtraColumn(_actual_path, unit_of("actual_path", VP.env_id))} if task == "vp" else {}


DATASET_OPTION = {"abr": "traces", "cjs": "workload", "vp": "dataset"}
COLLECT_IDS = {name: tasks.find(name).default_id for name in ("abr", "cjs", "vp")}
"""Environments by task; that of ``cjs`` is the one of comparisons, with 10 executors and 20 jobs."""
EPISODES_PER_SHARD = {"abr": 1000, "cjs": 20, "vp": 20_000}
"""About 20 MB a shard."""
CJS_EPISODES = 10
"""Of a collection, by default."""


def environment_of(task: str, dataset: str | None, pairs: Sequence[str]) -> dict[str, Any]:
    """Environment options of ``--dataset`` and ``--set``; ``ValueError`` for a wrong one."""
    options, of_dataset = parse_settings(pairs), DATASET_OPTION[task]
    if dataset is not None and of_dataset in options:
        raise ValueError(f"--set {of_dataset}: given twice; --dataset is this option")
    if dataset is not None:
        options = {of_dataset: dataset, **options}
    if task == "vp":
        options.setdefault("split", "train")
    return options


def check_noise(task: str, noise: float) -> None:
    """``ValueError`` for a probability that is none, and for random actions of a task that has no choices."""
    if check_probability(noise) and task == "vp":
        raise ValueError(f"--noise {noise:g}: random actions are for discrete choices, not for the paths of vp")


def episodes_of(task: str, options: dict[str, Any], count: int | None, seed: int) -> list[EpisodeSpec]:
    """The episodes of a collection: the traces or windows of the split in order (again from the first), or seeds."""
    if count is not None and count < 1:
        raise ValueError(f"--episodes must be from 1 up, not {count}")
    if seed < 0:
        raise ValueError(f"--seed must be from 0 up, not {seed}")
    env: Any = make(COLLECT_IDS[task], options).unwrapped
    pin, items = "", CJS_EPISODES
    if task == "abr":
        pin, items = "trace", len(env.traces)
    elif task == "vp":
        pin = "window" if env.playback.mode == "windows" else "recording"
        items = len(env.playback.recording)
        if count is not None and count > items:
            raise ValueError(f"--episodes {count}: {env.recordings.name}, {env.playback.split} has {items}")
    env.close()
    return [
        EpisodeSpec(seed + i, seed + i, {pin: i % items} if pin else {})
        for i in range(items if count is None else count)
    ]
