"""How good schedulers are: mean job completion times on seeds of their own, and what they gain on ``fair``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from agents.cjs.clusters import Setting
from agents.policy import Policy
from agents.rollout import EpisodeSpec, play
from agents.scoring import Measure, Score, Scores, Scoring
from netenvs import datasets
from netenvs.cjs.task import TASK as CJS
from netenvs.cjs.workload import DATASET

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


def score(policies: Mapping[str, Policy], workload: str, episodes: int) -> Scores:
    """Mean JCTs of ``policies``, of which ``"fair"`` is one, and the differences of the others to it.

    Of ``episodes`` for each setting, half as many of those with 200 jobs; no scores where that is 0.
    """
    scores: Scores = {}
    tested = [(workload, setting) for setting in TESTED] + [("synthetic", setting) for setting in TESTED_ELSEWHERE]
    for jobs, setting in dict.fromkeys(tested) if episodes else ():
        played = half(episodes) if setting.num_jobs == MANY_JOBS else episodes
        seeds = range(FIRST_TEST_SEED, FIRST_TEST_SEED + played)
        heading = f"{jobs}: {setting.num_executors} executors, {setting.num_jobs} jobs"
        print(f"scoring {heading}, {count_episodes(played)} of {', '.join(policies)} ...", flush=True)
        found = {name: scored(jobs, setting, seeds, policy) for name, policy in policies.items()}
        fair = found["fair"]
        scores[heading] = {
            name: one if one is fair else replace(one, minus={"fair": one.less(fair, percent=True)})
            for name, one in found.items()
        }
    return scores


def scored(workload: str, setting: Setting, seeds: Sequence[int], policy: Policy) -> Score:
    """Mean JCT of each seed, rounded to a tenth of a millisecond."""
    return Score.of(np.round(mean_jcts_s(policy, workload, setting, seeds), 4).tolist())


def half(episodes: int) -> int:
    """Episodes of those with 200 jobs."""
    return max(1, episodes // 2)


def count_episodes(number: int) -> str:
    """The number with its noun."""
    return "1 episode" if number == 1 else f"{number} episodes"


def _settings() -> dict[str, Callable[[Any], Score]]:
    played = [("tpch", setting) for setting in TESTED] if datasets.installed(DATASET) else []
    return {
        f"{workload}, {setting.num_executors} executors, {setting.num_jobs} jobs": partial(
            scored, workload, setting, SEEDS
        )
        for workload, setting in [*played, ("synthetic", TESTED_ELSEWHERE[0])]
    }


SEEDS = range(FIRST_TEST_SEED, FIRST_TEST_SEED + 40)
SCORING = Scoring(
    measure=Measure(name="mean job completion time (JCT), s", item="seeds", decimals=2, percent=True),
    baselines=("fair", "decima-released", "capped-srpt", "decima"),
    settings=_settings,
)
