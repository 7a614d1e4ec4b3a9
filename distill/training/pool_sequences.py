"""Sequences of a pool: what its policies saw and did, as a sequence policy would have seen it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from agents.observations import from_columns
from agents.ragged import concatenate, offsets_of
from agents.sequence.model import Sequences
from agents.sequence.net import TaskNet
from distill.pools.pool import Pool
from distill.pools.shards import PoolError
from distill.recipe import recipe
from distill.training.labelled_sequences import Labelled

STEPS_AT_ONCE = 2048


def labelled(pools: Sequence[Pool], net: TaskNet, scale: tuple[float, float] = (0.0, 1.0)) -> Labelled:
    """All episodes of pools of the net's task, one sequence each.

    Targets: ``action``, int64 (S, components), what the policies decided (before noise), for discrete tasks; further
    columns that the pools have, ``expert_values`` and the labels of the task's recipe. Returns to go are normalised
    with ``scale``, (mean, spread).
    ``PoolError``, one line, for a pool of another task.
    """
    return Labelled.concatenate([part for pool in pools for part in _parts(pool, net, scale)])


def returns_scale(pools: Sequence[Pool]) -> tuple[float, float]:
    """(mean, spread) of the returns of the episodes of pools; the spread is 1 if all are equal."""
    returns = np.concatenate([pool.episodes["return"] for pool in pools])
    return float(returns.mean()), float(returns.std()) or 1.0


def quantiles(pools: Sequence[Pool], shares: Sequence[float], scale: tuple[float, float]) -> list[float]:
    """Quantiles of the returns of episodes, normalised with ``scale``."""
    returns = np.concatenate([pool.episodes["return"] for pool in pools])
    return [float((value - scale[0]) / scale[1]) for value in np.quantile(returns, shares)]


def _parts(pool: Pool, net: TaskNet, scale: tuple[float, float]) -> list[Labelled]:
    if pool.task != net.task:
        raise PoolError(f"{pool.folder}: a pool of {pool.task or pool.env_id}, not of {net.task}")
    env = pool.make_env()
    space = env.observation_space
    env.close()
    rows: Any = gym.make_vec(pool.env_id, num_envs=1, **pool.env_options)
    shared = dict(rows.unwrapped.shared_info)
    rows.close()
    return [_labelled(pool, group, net, space, shared, scale) for group in _groups(pool.episodes["length"])]


def _groups(lengths: np.ndarray) -> list[np.ndarray]:
    """Episodes, int (k,), in groups of about ``STEPS_AT_ONCE`` steps."""
    group = np.cumsum(lengths) // STEPS_AT_ONCE
    return np.split(np.arange(len(lengths)), np.flatnonzero(np.diff(group)) + 1)


def _labelled(
    pool: Pool,
    episodes: np.ndarray,
    net: TaskNet,
    space: gym.Space[Any],
    shared: dict[str, Any],
    scale: tuple[float, float],
) -> Labelled:
    parts = [pool.episode(i) for i in episodes.tolist()]
    columns = {name: concatenate([part[name] for part in parts]) for name in parts[0]}
    lengths = np.array([len(part["reward"]) for part in parts])
    numbers = np.arange(lengths.sum()) - np.repeat(offsets_of(lengths)[:-1], lengths)
    infos = {name.removeprefix("info/"): np.asarray(values) for name, values in columns.items() if "info/" in name}
    steps = net.observe(from_columns(columns, space), {**shared, **infos})
    learned = ("expert_values", *recipe(pool.task).labels)
    targets = {name: np.array(columns[name]) for name in learned if name in columns}
    previous = np.full((len(numbers), 0), -1)
    if not net.continuous:
        action = np.asarray(columns["action"], dtype=np.int64)
        previous = np.concatenate([action[:1], action[:-1]])
        previous[numbers == 0] = -1
        targets["action"] = net.from_env(np.asarray(columns["intended_action"], dtype=np.int64), steps)
    returns = None
    if net.returns:
        returns = ((np.asarray(columns["returns_to_go"]) - scale[0]) / scale[1]).astype(np.float32)
    return Labelled(Sequences(steps, lengths, previous, numbers, returns), targets)
