"""What is measured of trained schedulers: mean job completion times on seeds of their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from agents.cjs.clusters import Setting
from agents.cjs.scores import FIRST_TEST_SEED, mean_jcts_s
from agents.policy import Policy
from agents.scoring import Measure, Score, Scoring
from netenvs import datasets
from netenvs.cjs.workload import DATASET

ON_DATA = (Setting(10, 20), Setting(50, 20), Setting(50, 50), Setting(50, 200))
"""What is played with jobs of ``tpch``, where it is installed."""
GENERATED = (Setting(10, 20),)
"""The same with generated jobs."""
SEEDS = range(FIRST_TEST_SEED, FIRST_TEST_SEED + 40)


def _scored(workload: str, setting: Setting, policy: Policy) -> Score:
    return Score.of(np.round(mean_jcts_s(policy, workload, setting, SEEDS), 4).tolist())


def _settings() -> dict[str, Callable[[Any], Score]]:
    played = [("tpch", setting) for setting in ON_DATA] if datasets.installed(DATASET) else []
    return {
        f"{workload}, {setting.num_executors} executors, {setting.num_jobs} jobs": partial(_scored, workload, setting)
        for workload, setting in [*played, *(("synthetic", setting) for setting in GENERATED)]
    }


SCORING = Scoring(
    measure=Measure(name="mean JCT, s", item="seeds", decimals=2, percent=True),
    baselines=("fair", "decima-released", "capped-srpt", "decima"),
    settings=_settings,
)
