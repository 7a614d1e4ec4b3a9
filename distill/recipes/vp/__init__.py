"""Viewport prediction; see ``distill.recipe``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from distill.pools.recorder import ExtraColumn
from distill.recipe import Recipe
from netenvs.vp.task import TASK

PATH_LABEL = "actual_path"
"""Column of where the head went."""


def _actual_path(env_id: str, options: Mapping[str, Any]) -> ExtraColumn:
    """Where the head went, float32 (steps, horizon, 3)."""

    def compute(env: Any, rows: np.ndarray) -> np.ndarray:
        playback = env.playback
        path: np.ndarray = playback.stretches(playback.position[rows], playback.horizon)
        return path

    return ExtraColumn(compute, TASK.units[PATH_LABEL])


RECIPE = Recipe(
    episodes_per_shard=20_000,
    labels={PATH_LABEL: _actual_path},
    training="distill.recipes.vp.training:TRAINING",
)
