"""How good schedulers are: mean job completion times on seeds of their own, and what they gain on ``fair``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.cjs.clusters import Setting
from agents.policy import Policy
from agents.rollout import EpisodeSpec, play
from agents.statistics import ratio_interval
from netenvs.cjs.task import TASK as CJS

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
        print(f"scoring {heading}, {count_episodes(played)} of {', '.join(policies)} ...", flush=True)
        found = {name: mean_jcts_s(policy, jobs, setting, seeds) for name, policy in policies.items()}
        figures[heading] = {
            name: {"mean_jct_s": round(float(values.mean()), 3), "to_fair": compare(values, found["fair"])}
            for name, values in found.items()
        }
    return figures


def half(episodes: int) -> int:
    """Episodes of those with 200 jobs."""
    return max(1, episodes // 2)


def count_episodes(number: int) -> str:
    """The number with its noun."""
    return "1 episode" if number == 1 else f"{number} episodes"
