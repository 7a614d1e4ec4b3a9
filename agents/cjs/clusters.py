"""Clusters to play in without an environment around them: their sizes, and many of them at their first decision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from gymnasium.utils.seeding import np_random

from netenvs.cjs.engines import Engine, make_engine
from netenvs.cjs.options import CJSOptions


class Setting(NamedTuple):
    """The size of a cluster and of its episodes."""

    num_executors: int
    num_jobs: int


def start(
    setting: Setting, workload: str, seeds: Sequence[int], beta: float = 0.0, mean_interarrival_ms: float = 25_000.0
) -> Engine:
    """Clusters at their first decision, one for each seed; row i is ``CJSEnv.reset(seed=seeds[i])``."""
    options = CJSOptions(
        workload=workload,
        num_executors=setting.num_executors,
        num_jobs=setting.num_jobs,
        mean_interarrival_ms=mean_interarrival_ms,
        max_jobs=setting.num_jobs,
        beta=beta,
    )
    engine = make_engine(options, len(seeds), record_tasks=False)
    for row, seed in enumerate(seeds):
        engine.seed_row(row, seed, np_random(seed)[0])
    engine.begin(np.ones(len(seeds), np.bool_))
    return engine
