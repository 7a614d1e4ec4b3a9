"""How good a trained sequence policy is, item by item: traces, seeds, or pairs of a viewer and a video."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from agents.policy import BatchPolicy, Policy, load_policy
from agents.registry import registered
from agents.statistics import bounds, difference, mean
from netenvs import datasets


@dataclass(frozen=True)
class Measure:
    """What is measured of a task's policies."""

    name: str
    item: str
    """What intervals are over, in the plural."""
    baselines: tuple[str, ...]
    """Registered names of what a policy is compared with."""
    relative: bool = False
    """Whether differences are given in percent."""
    note: str = ""
    """What tables must say."""


MEASURES = {
    "abr": Measure("QoE per chunk", "traces", ("robust-mpc", "stochastic-mpc")),
    "cjs": Measure("mean JCT, s", "seeds", ("fair", "decima-released", "capped-srpt", "decima"), relative=True),
    "vp": Measure(
        "mean absolute error, degrees",
        "pairs of a viewer and a video",
        ("static", "lad", "viewers"),
        note="`viewers`, and sequence policies without `viewers=false`, assume at least 10 logged viewers of the same "
        "video; the others do not.",
    ),
}


@dataclass(frozen=True)
class Scores:
    """Values of a policy's items, and how much each item counts."""

    values: list[float]
    weights: list[float]

    def mean(self) -> float:
        """Weighted mean."""
        return mean(self.values, self.weights)

    def interval(self) -> tuple[float, float]:
        """95 % bootstrap percentile interval of the mean over items."""
        return bounds(self.values, weights=self.weights)

    def minus(self, other: Scores, relative: bool) -> tuple[float, float, float]:
        """Difference of means with its paired interval; ``relative``: in percent of the other's mean."""
        found = difference(self.values, other.values, percent=relative, weights=self.weights)
        value, ends = (found.percent, found.percent_ci95) if relative else (found.mean, found.ci95)
        assert value is not None
        return value, *(ends or (value, value))

    @staticmethod
    def average(parts: Sequence[Scores]) -> Scores:
        """Of each item the mean over parts, such as training seeds."""
        return Scores(np.mean([part.values for part in parts], axis=0).tolist(), parts[0].weights)


def score(task: str, policies: Mapping[str, Policy]) -> dict[str, dict[str, Scores]]:
    """Scores of policies, and of the task's baselines, by setting and policy.

    Settings whose data are not installed are left out, and so are baselines whose weights are not, or which cannot
    play a setting.
    """
    found: dict[str, dict[str, Scores]] = {}
    for setting, evaluate in _SETTINGS[task]().items():
        found[setting] = {}
        for name, policy in {**policies, **_baselines(task)}.items():
            print(f"scoring {name}: {setting} ...", flush=True)
            found[setting][name] = evaluate(policy)
    return found


def _baselines(task: str) -> dict[str, Policy]:
    entries = registered(task)
    names = MEASURES[task].baselines
    there = [name for name in names if (needs := entries[name].dataset) is None or datasets.installed(needs)]
    return {name: load_policy(name, task) for name in there}


Evaluate = Callable[[Any], Scores]


def _abr() -> dict[str, Evaluate]:
    from agents.abr import scores

    def evaluate(options: dict[str, Any], policy: Policy) -> Scores:
        values = np.round(scores.score(policy, **options), 6).tolist()
        return Scores(values, [1.0] * len(values))

    return {name: partial(evaluate, options) for name, options in scores.available().items()}


def _cjs() -> dict[str, Evaluate]:
    from agents.cjs.decima_card import FIRST_TEST_SEED, mean_jcts_s
    from agents.cjs.decima_rollout import Setting
    from netenvs.cjs.workload import DATASET

    def evaluate(workload: str, setting: Setting, policy: Policy) -> Scores:
        seeds = range(FIRST_TEST_SEED, FIRST_TEST_SEED + CJS_SEEDS)
        values = np.round(mean_jcts_s(policy, workload, setting, seeds), 4).tolist()
        return Scores(values, [1.0] * len(values))

    played = [("tpch", size) for size in CJS_TPCH] if datasets.installed(DATASET) else []
    return {
        f"{workload}, {size[0]} executors, {size[1]} jobs": partial(evaluate, workload, Setting(*size))
        for workload, size in [*played, ("synthetic", CJS_SYNTHETIC)]
    }


def _vp() -> dict[str, Evaluate]:
    from agents.vp.scores import predict_windows
    from netenvs.vp import sphere
    from netenvs.vp.previous_viewers import PreviousViewers
    from netenvs.vp.recordings import windows
    from netenvs.vp.workload import load_recordings

    def evaluate(dataset: str, split: str, policy: BatchPolicy) -> Scores:
        recordings = load_recordings(dataset)
        cut = windows(recordings, split)
        errors = sphere.absolute_errors(predict_windows(policy, cut, PreviousViewers(recordings)), cut.future)
        _, pair = np.unique(np.stack([cut.video, cut.user]), axis=1, return_inverse=True)
        counts = np.bincount(pair)
        values = np.bincount(pair, errors.mean(axis=(1, 2))) / counts
        return Scores(np.round(values, 5).tolist(), counts.astype(float).tolist())

    played = [(name, split) for name, split in VP_SPLITS if datasets.installed(name)]
    return {f"{name}, {split}": partial(evaluate, name, split) for name, split in played or [("synthetic", "test")]}


CJS_TPCH = ((10, 20), (50, 20), (50, 50), (50, 200))
"""Executors and jobs."""
CJS_SYNTHETIC = (10, 20)
CJS_SEEDS = 40
VP_SPLITS = (("jin2022", "valid"), ("jin2022", "test"), ("wu2017", "test"))
_SETTINGS: dict[str, Callable[[], dict[str, Evaluate]]] = {"abr": _abr, "cjs": _cjs, "vp": _vp}
