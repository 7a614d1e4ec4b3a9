"""Play episodes and keep them as columns: what the policy saw, decided, did and got."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from agents.observations import to_columns
from agents.policy import Policy
from agents.ragged import Column, Ragged, concatenate, offsets_of, take
from agents.rollout import Decisions, Episode, EpisodeSpec, play
from distill.pools.noise import ActionNoise

RANDOM = -1
"""In column ``policy``: the action was drawn, no policy chose it."""
RESERVED = {"reward", "terminated", "truncated", "returns_to_go", "episode", "first", "episode_ends"}
"""Names that extra columns may not have, besides those of the columns that are there before."""


@dataclass(frozen=True)
class ExtraColumn:
    """A further column, computed before each action is carried out.

    ``compute(env, rows)`` returns an array (k, ...) for the ``rows``, int (k,), of the unwrapped environment: the
    single one (then ``rows`` is [0]) or the vector environment, whose other rows must be left alone.
    """

    compute: Callable[[Any, np.ndarray], np.ndarray]
    unit: str = ""
    """Unit or meaning, for the manifest."""


@dataclass(frozen=True)
class Records:
    """Episodes as columns: flat arrays over all steps, and the ends of the episodes in them."""

    steps: dict[str, Column]
    """By name, one row a step."""
    episodes: dict[str, Column]
    """By name, one row an episode."""
    ends: np.ndarray
    """int64 (episodes,): the step after the last one of each episode."""


def record(
    policy: Policy,
    env_id: str,
    episodes: Sequence[EpisodeSpec],
    env_options: dict[str, Any] | None = None,
    *,
    number: int = 0,
    first_episode: int = 0,
    noise: float = 0.0,
    seed: int = 0,
    extra_columns: Mapping[str, ExtraColumn] | None = None,
    num_envs: int = 64,
    on_episode: Callable[[Episode], None] | None = None,
) -> Records:
    """Play ``episodes`` as ``agents.rollout.play`` does, and return their columns, in that order.

    Columns of steps: ``obs...`` and ``action_mask`` (see ``agents.observations``), ``action`` as carried out,
    ``intended_action``, ``policy`` (int16: ``number``, or -1 where the action is random), ``reward`` (float64),
    ``terminated``, ``truncated``, ``info/NAME`` (the scalars that were seen with the observation), and
    ``extra_columns``. Columns of episodes: ``seed``, ``policy_seed``, ``policy`` (int16), ``return`` (float64),
    ``reset/NAME`` (reset options, -1 = not given), ``final_obs...`` and ``final_info/NAME`` (after the last
    step; and what else the task's ``Layout`` makes of the last observation).

    Arguments:
        number: of the policy.
        first_episode: number of the first episode, for the noise.
        noise: probability of a random action at each decision, see ``ActionNoise``; ``seed`` is that of its draws.
        num_envs: episodes played at once; the records do not depend on it.
    """
    env = gym.make(env_id, **(env_options or {}))
    recorder = _Recorder(ActionNoise(noise, env.action_space, seed, policy.name), number, first_episode, extra_columns)
    env.close()
    played = play(policy, env_id, episodes, env_options, num_envs, on_episode, witness=recorder)
    return recorder.records(played)


class _Recorder:
    """A ``Witness`` that keeps everything, batch after batch."""

    def __init__(
        self, noise: ActionNoise, number: int, first_episode: int, extra_columns: Mapping[str, ExtraColumn] | None
    ):
        self._noise, self._number, self._first_episode = noise, number, first_episode
        self._extra = dict(extra_columns or {})
        self._playing: list[np.ndarray] = []
        self._batches: dict[str, list[Column]] = {}
        self._last: dict[int, dict[str, Column]] = {}

    def decide(self, decisions: Decisions) -> np.ndarray:
        columns = to_columns(decisions.observations)
        masks = _action_masks(decisions)
        if masks is not None and "action_mask" not in columns:
            columns["action_mask"] = masks.astype(np.bool_)
        intended = decisions.actions
        actions, disturbed = self._noise.disturb(
            intended, masks, decisions.episodes + self._first_episode, decisions.steps
        )
        columns["action"], columns["intended_action"] = actions, intended
        columns["policy"] = np.where(disturbed, RANDOM, self._number).astype(np.int16)
        for name, values in decisions.infos.items():
            columns[f"info/{name}"] = _plain(values)
        for name, extra in self._extra.items():
            if name in columns or name in RESERVED or "/" in name or ":" in name:
                raise ValueError(f"extra column {name!r}: this name is taken, or has a slash or colon")
            columns[name] = _computed(name, extra, decisions)
        self._playing.append(decisions.episodes)
        for name, column in columns.items():
            self._batches.setdefault(name, []).append(_copy(column))
        return actions

    def end(self, episode: int, observation: Any) -> None:
        single = {k: v[None] for k, v in observation.items()} if isinstance(observation, dict) else observation[None]
        self._last[episode] = {name: _copy(column) for name, column in to_columns(single).items()}

    def records(self, played: Sequence[Episode]) -> Records:
        """Of the episodes, in the order of ``played``."""
        order = np.argsort(np.concatenate(self._playing), kind="stable")
        steps = {name: take(concatenate(batches), order) for name, batches in self._batches.items()}
        ends = offsets_of(np.array([len(episode.rewards) for episode in played]))[1:]
        steps["reward"] = np.concatenate([episode.rewards for episode in played])
        truncated = np.array([episode.truncated for episode in played])
        for name, over in (("terminated", ~truncated), ("truncated", truncated)):
            flags = np.zeros(len(order), dtype=np.bool_)
            flags[ends - 1] = over
            steps[name] = flags
        specs = [episode.spec for episode in played]
        episodes: dict[str, Column] = {
            "seed": np.array([spec.seed for spec in specs], dtype=np.int64),
            "policy_seed": np.array(
                [spec.seed if spec.policy_seed is None else spec.policy_seed for spec in specs], dtype=np.int64
            ),
            "policy": np.full(len(played), self._number, dtype=np.int16),
            "return": np.array([math.fsum(episode.rewards) for episode in played]),
        }
        for name in sorted({name for spec in specs for name in spec.options}):
            episodes[f"reset/{name}"] = np.array([spec.options.get(name, -1) for spec in specs], dtype=np.int64)
        for name in self._last[0]:
            episodes[f"final_{name}"] = concatenate([self._last[number][name] for number in range(len(played))])
        for name in played[0].columns:
            episodes[f"final_info/{name}"] = _plain(np.array([episode.columns[name][-1] for episode in played]))
        return Records(dict(sorted(steps.items())), dict(sorted(episodes.items())), ends)


def _action_masks(decisions: Decisions) -> np.ndarray | None:
    """Possible values of the action's components, (k, sum of sizes); None: the environment has no masks."""
    if isinstance(decisions.observations, dict) and "action_mask" in decisions.observations:
        masks: np.ndarray = decisions.observations["action_mask"]
        return masks
    if not hasattr(decisions.env, "action_masks"):
        return None
    all_rows = np.asarray(decisions.env.action_masks())
    return all_rows[None] if all_rows.ndim == 1 else all_rows[decisions.rows]


def _computed(name: str, extra: ExtraColumn, decisions: Decisions) -> np.ndarray:
    values = np.array(extra.compute(decisions.env, decisions.rows))
    if values.dtype == object or values.shape[:1] != decisions.rows.shape:
        raise ValueError(
            f"extra column {name!r} must be numbers ({len(decisions.rows)}, ...), one row an episode, "
            f"not {values.dtype} {values.shape}"
        )
    return values


def _copy(column: Column) -> Column:
    """The environment may change the arrays it has given; a ragged column is a copy already."""
    return column if isinstance(column, Ragged) else np.array(column)


def _plain(values: np.ndarray) -> np.ndarray:
    """As bool, int64 or float64, whatever the environment uses."""
    return values.astype({"b": np.bool_, "i": np.int64, "u": np.int64}.get(values.dtype.kind, np.float64))
