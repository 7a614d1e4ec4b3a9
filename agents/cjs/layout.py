"""Padded observations of ``netenvs/CJS-v0`` as columns of a pool, without the padding."""

from __future__ import annotations

from collections.abc import Mapping

import gymnasium as gym
import numpy as np

from agents.observations import Layout
from agents.ragged import Column, Ragged

PADDED = {"stages": "stage_mask", "stage_job": "stage_mask", "edges": "edge_mask", "jobs": "job_mask"}
"""Parts of the padded observation of a cluster, and the mask that says how many of their rows are filled."""


def to_columns(observations: Mapping[str, np.ndarray]) -> dict[str, Column]:
    """Columns of a batch of n observations, each of n rows.

    The filled rows become ragged columns ``obs/stages``, ``obs/stage_job``, ``obs/edges`` and ``obs/jobs``;
    ``obs/cluster`` stays as it is. The action mask becomes ``action_mask``, ragged bool (1 + stages,): decline, then
    each stage, and ``executor_limit``, int64: as many executors can be given.
    """
    columns: dict[str, Column] = {
        f"obs/{name}": Ragged.from_padded(observations[name], _filled(observations[mask]))
        for name, mask in PADDED.items()
    }
    columns["obs/cluster"] = observations["cluster"]
    mask, stages = observations["action_mask"].astype(np.bool_), observations["stage_mask"]
    first = 1 + stages.shape[1]
    columns["action_mask"] = Ragged.from_padded(mask[:, :first], 1 + _filled(stages))
    columns["executor_limit"] = _filled(mask[:, first:])
    return columns


def from_columns(columns: Mapping[str, Column], space: gym.spaces.Dict) -> dict[str, np.ndarray]:
    """The padded observations, n rows, that ``to_columns`` made ``columns`` of; ``space`` says to which sizes."""
    sizes = {name: (part.shape or (0,))[0] for name, part in space.spaces.items()}
    out: dict[str, np.ndarray] = {"cluster": np.asarray(columns["obs/cluster"])}
    for name, mask in PADDED.items():
        column = _ragged(columns[f"obs/{name}"])
        out[name] = column.padded(sizes[name])
        out[mask] = (np.arange(sizes[mask]) < column.lengths[:, None]).astype(np.int8)
    choices = _ragged(columns["action_mask"]).padded(1 + sizes["stages"])
    executors = np.arange(sizes["action_mask"] - choices.shape[1]) < np.asarray(columns["executor_limit"])[:, None]
    out["action_mask"] = np.concatenate([choices, executors], axis=1).astype(np.int8)
    return {name: out[name] for name in space.spaces}


def _filled(mask: np.ndarray) -> np.ndarray:
    """int64 (n,): how many rows are filled, from the front, of masks (n, rows)."""
    count: np.ndarray = (mask != 0).sum(axis=1, dtype=np.int64)
    return count


def _ragged(column: Column) -> Ragged:
    assert isinstance(column, Ragged)
    return column


LAYOUT = Layout(
    parts=frozenset({*PADDED, *PADDED.values(), "cluster", "action_mask"}),
    to_columns=to_columns,
    from_columns=from_columns,
)
