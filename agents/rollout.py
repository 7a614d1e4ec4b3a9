"""Play episodes with a policy, one at a time or many at once, with the same results either way."""

from __future__ import annotations

import math
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import gymnasium as gym
import numpy as np

import netenvs  # noqa: F401  (registers the environments)
from agents.policy import BatchPolicy, Policy, PolicyError
from agents.registry import observation_options
from netenvs.errors import flat

Collect = Callable[[Any, int], Any]
"""(unwrapped environment, row) -> what to keep of the episode that has just ended in that row."""


@dataclass(frozen=True)
class Decisions:
    """Decisions of k rows that are about to be carried out."""

    env: Any
    """The unwrapped environment, single or vector."""
    rows: np.ndarray
    """int64 (k,): rows of the environment; 0 in the single one."""
    episodes: np.ndarray
    """int64 (k,): which of the episodes each row plays."""
    steps: np.ndarray
    """int64 (k,): decisions made before in that episode."""
    observations: Any
    """What the policy saw, (k, ...)."""
    infos: dict[str, np.ndarray]
    """Scalar columns, (k,) each."""
    actions: np.ndarray
    """What the policy decided, (k, ...), of the action space's type."""


class Witness(Protocol):
    """Sees every decision, and may have another action carried out instead."""

    def decide(self, decisions: Decisions) -> np.ndarray:
        """The actions to carry out, (k, ...)."""

    def end(self, episode: int, observation: Any) -> None:
        """An episode has ended with this observation."""


@dataclass(frozen=True)
class EpisodeSpec:
    """What determines an episode."""

    seed: int
    """Seed of the environment."""
    policy_seed: int | None = None
    """Seed of the policy's own random choices; None = ``seed``."""
    options: dict[str, Any] = field(default_factory=dict)
    """Reset options, such as ``{"trace": 3}``."""


@dataclass(frozen=True)
class Episode:
    """A played episode of n decisions."""

    spec: EpisodeSpec
    rewards: np.ndarray
    """float64 (n,)."""
    actions: np.ndarray
    """(n, ...)."""
    columns: dict[str, np.ndarray]
    """Scalar ``info`` columns after each step, (n,) each."""
    truncated: bool
    collected: Any = None
    """What ``collect`` returned."""

    @property
    def total_reward(self) -> float:
        """Sum of the rewards, exactly rounded, so that it does not depend on the order of addition."""
        return math.fsum(self.rewards)


def environment_options(policy: Policy, env_options: dict[str, Any] | None) -> dict[str, Any]:
    """Environment options with the policy's observation options; ``PolicyError`` if it asks for more."""
    allowed = observation_options()
    forbidden = sorted(set(policy.observation_options) - allowed)
    if forbidden:
        raise PolicyError(
            f"{policy.name}: observation_options may not set {', '.join(forbidden)}: that changes dynamics, "
            f"workload or reward; allowed: {', '.join(sorted(allowed))}"
        )
    return {**(env_options or {}), **policy.observation_options}


def play(
    policy: Policy,
    env_id: str,
    episodes: Sequence[EpisodeSpec],
    env_options: dict[str, Any] | None = None,
    num_envs: int = 64,
    on_episode: Callable[[Episode], None] | None = None,
    collect: Collect | None = None,
    witness: Witness | None = None,
) -> list[Episode]:
    """Play ``episodes`` in ``gym.make(env_id, **env_options)`` and return them in the same order.

    Policies with ``act_batch`` play up to ``num_envs`` episodes at once in the vector environment, except
    sequential ones and those that look into the environment; results do not depend on ``num_envs``. As each
    episode ends, ``collect(env.unwrapped, row)`` is called, row 0 in the single environment, for the episode's
    ``collected``, then ``on_episode``. A ``witness`` sees every decision; policies are not told of
    the actions that it puts in place of theirs. Raises ``PolicyError`` (policy, episode, step, cause in one line) when
    the policy raises or returns what is not an action, ``ValueError`` for bad environment options. What the witness
    raises is not the policy's error, and comes as it is.
    """
    alone = policy.privileged or policy.sequential or binds(policy)
    if isinstance(policy, BatchPolicy) and not alone and gym.spec(env_id).vector_entry_point is not None:
        return _play_batched(policy, env_id, list(episodes), env_options, num_envs, on_episode, collect, witness)
    env = made_for(policy, gym.make, env_id, env_options)
    try:
        return [_play_one(policy, env, spec, i, on_episode, collect, witness) for i, spec in enumerate(episodes)]
    finally:
        env.close()


def made_for(policy: Policy, make: Callable[..., Any], env_id: str, env_options: dict[str, Any] | None) -> Any:
    """The environment ``make(env_id, ...)`` that the policy plays in: the options, and its ``observation_options``.

    Where the environment does not have these it is made without them for a policy with ``optional_observation``, and
    it is a ``PolicyError`` for others, as where the policy refuses the environment.
    """
    options = environment_options(policy, env_options)
    try:
        env = make(env_id, **options)
    except ValueError as error:
        needs = policy.observation_options
        if not any(re.search(rf"\b{name}\b", str(error)) for name in needs):
            raise
        if not policy.optional_observation:
            wanted = ", ".join(f"{name}={value}" for name, value in needs.items())
            raise PolicyError(
                f"{policy.name}: it is made for {wanted}, which this environment does not have: {error}"
            ) from None
        env = make(env_id, **(env_options or {}))
    try:
        policy.check_environment(env)
    except BaseException:
        env.close()
        raise
    return env


def binds(policy: Policy) -> bool:
    """Whether the policy looks into the environment: it has a ``bind`` of its own."""
    return getattr(policy.bind, "__func__", None) is not Policy.bind


def begin_episode(policy: Policy, env: gym.Env, spec: EpisodeSpec, number: int) -> tuple[Any, dict[str, Any]]:
    """Reset the single environment, then bind and reset the policy, for the ``number``-th episode it plays."""
    observation, info = env.reset(seed=spec.seed, options=spec.options or None)
    try:
        policy.bind(env)
        policy.reset(seed=None if policy.sequential and number > 0 else _policy_seed(spec))
    except Exception as error:
        raise _policy_error(policy, spec, 0, error) from error
    return observation, info


def _policy_seed(spec: EpisodeSpec) -> int:
    return spec.seed if spec.policy_seed is None else spec.policy_seed


def _play_one(
    policy: Policy,
    env: gym.Env,
    spec: EpisodeSpec,
    number: int,
    on_episode: Callable[[Episode], None] | None,
    collect: Collect | None,
    witness: Witness | None,
) -> Episode:
    observation, info = begin_episode(policy, env, spec, number)
    rewards: list[float] = []
    actions: list[Any] = []
    infos: list[dict[str, Any]] = []
    over = False
    while not over:
        try:
            action = policy.act(observation, info)
            decision = _one_decision(env, number, len(rewards), observation, info, action) if witness else None
        except Exception as error:
            raise _policy_error(policy, spec, len(rewards), error) from error
        if witness is not None and decision is not None:
            action = witness.decide(decision)[0]
        try:
            observation, reward, terminated, truncated, info = env.step(action)
            over = terminated or truncated
            rewards.append(float(reward))
            actions.append(action)
            infos.append({name: info[name] for name in _scalar_names(info)})  # before the policy can touch it
            if over:
                policy.finish(observation, info)
        except Exception as error:
            raise _policy_error(policy, spec, len(rewards), error) from error
    if witness is not None:
        witness.end(number, observation)
    columns = {name: np.array([step[name] for step in infos]) for name in infos[-1]}
    collected = collect(env.unwrapped, 0) if collect else None
    episode = Episode(spec, np.array(rewards), np.array(actions), columns, bool(truncated), collected)
    if on_episode is not None:
        on_episode(episode)
    return episode


def _play_batched(
    policy: BatchPolicy,
    env_id: str,
    specs: list[EpisodeSpec],
    options: dict[str, Any] | None,
    num_envs: int,
    on_episode: Callable[[Episode], None] | None,
    collect: Collect | None,
    witness: Witness | None,
) -> list[Episode]:
    if not specs:
        return []
    rows = max(1, min(num_envs, len(specs)))
    env = made_for(policy, partial(gym.make_vec, num_envs=rows, autoreset_mode="disabled"), env_id, options)
    try:
        return _Batch(policy, env, specs, on_episode, collect, witness).play()
    finally:
        env.close()


class _Batch:
    """Episodes in the rows of a vector environment, in each row one after the other."""

    def __init__(
        self,
        policy: BatchPolicy,
        env: Any,
        specs: list[EpisodeSpec],
        on_episode: Callable[[Episode], None] | None,
        collect: Collect | None,
        witness: Witness | None,
    ):
        self._policy, self._env, self._specs = policy, env, specs
        self._on_episode, self._collect, self._witness = on_episode, collect, witness
        self._waiting = iter(range(len(specs)))
        self._playing = np.full(env.num_envs, -1)  # number of the episode each row plays, -1 = none left for it
        self._begun = np.zeros(env.num_envs, dtype=np.int64)  # step at which it began
        self._history: list[tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]] = []
        self._dropped = 0  # steps before those in the history, which no running episode needs any more
        self._done: dict[int, Episode] = {}

    def play(self) -> list[Episode]:
        """All episodes, in the order of their specs."""
        observations, infos = self._begin(np.ones(len(self._playing), dtype=np.bool_))
        while True:
            live = np.flatnonzero(self._playing >= 0)
            actions = self._decide(live, observations, infos)
            try:
                observations, rewards, terminated, truncated, infos = self._env.step(actions)
            except Exception as error:
                raise self._blamed(live, actions, error) from error
            scalars = {k: v for k, v in infos.items() if _is_column(k, v) and v.ndim == 1}
            self._history.append((actions, rewards, scalars))
            over = terminated | truncated
            if not over.any():
                continue
            for row in np.flatnonzero(over & (self._playing >= 0)):
                self._end(row, bool(truncated[row]), observations)
            if len(self._done) == len(self._specs):
                return [self._done[number] for number in range(len(self._specs))]
            observations, infos = self._begin(over)
            oldest = int(self._begun[self._playing >= 0].min()) - self._dropped
            del self._history[:oldest]
            self._dropped += oldest

    @property
    def _step(self) -> int:
        """Steps so far."""
        return self._dropped + len(self._history)

    def _begin(self, mask: np.ndarray) -> tuple[Any, dict[str, Any]]:
        """Give the rows of ``mask`` their next episodes; rows without one replay the last, unrecorded."""
        for row in np.flatnonzero(mask):
            self._playing[row] = next(self._waiting, -1)
            self._begun[row] = self._step
        chosen = [self._specs[number] for number in self._playing]
        names = {name for spec in chosen for name in spec.options}
        options: dict[str, Any] = {
            name: np.array([spec.options.get(name, -1) for spec in chosen]) for name in sorted(names)
        }
        options["reset_mask"] = np.array(mask)
        observations, infos = self._env.reset(seed=[spec.seed for spec in chosen], options=options)
        live = np.flatnonzero(mask & (self._playing >= 0))
        if len(live):
            try:
                self._policy.reset_rows(live, [_policy_seed(self._specs[number]) for number in self._playing[live]])
            except Exception as error:
                raise _policy_error(self._policy, self._specs[self._playing[live[0]]], 0, error) from error
        return observations, infos

    def _decide(self, live: np.ndarray, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        """Actions of all rows, zeros of those that are not live."""
        actions: np.ndarray = np.zeros(self._env.action_space.shape, dtype=self._env.action_space.dtype)
        try:
            seen, columns = _rows(observations, live), _columns(infos, live)
            for rows, observed, part in _groups(self._env.unwrapped, live, seen, columns):
                actions[rows] = _checked_actions(self._policy.act_batch(observed, part), actions[rows])
        except Exception as error:
            raise self._blamed(live, actions, error) from error
        if self._witness is not None:
            before = self._step - self._begun[live]
            playing = self._playing[live]
            decisions = Decisions(self._env.unwrapped, live, playing, before, seen, columns, actions[live])
            actions[live] = self._witness.decide(decisions)
        return actions

    def _blamed(self, live: np.ndarray, actions: np.ndarray, error: Exception) -> PolicyError:
        """The error of the policy in the first live row whose action is none, else in the first."""
        legal = self._env.single_action_space.contains
        row = next((row for row in live if not legal(actions[row])), live[0])
        return _policy_error(self._policy, self._specs[self._playing[row]], self._step - int(self._begun[row]), error)

    def _end(self, row: Any, truncated: bool, observations: Any) -> None:
        """The episode of ``row`` is over, with the last of these observations."""
        number = int(self._playing[row])
        steps = self._history[self._begun[row] - self._dropped :]
        episode = Episode(
            self._specs[number],
            np.array([reward[row] for _, reward, _ in steps], dtype=np.float64),
            np.array([action[row] for action, _, _ in steps]),
            {k: np.array([step[k][row] for _, _, step in steps]) for k in steps[-1][2]},
            truncated,
            self._collect(self._env.unwrapped, int(row)) if self._collect else None,
        )
        self._done[number] = episode
        if self._witness is not None:
            self._witness.end(number, _rows(observations, row))
        if self._on_episode is not None:
            self._on_episode(episode)


def _groups(
    env: Any, live: np.ndarray, observations: Any, columns: dict[str, Any]
) -> Iterator[tuple[np.ndarray, Any, dict[str, Any]]]:
    """Live rows that are decided together, their observations and infos: those that share what is no column.

    All do, but for environments whose ``row_groups`` says that they are several groups.
    """
    groups = env.row_groups(live) if hasattr(env, "row_groups") else [(None, dict(getattr(env, "shared_info", {})))]
    for places, shared in groups:
        if len(groups) == 1:
            yield live, observations, {**columns, **shared, "row": live}
        else:
            infos = {name: column[places] for name, column in columns.items()}
            yield live[places], _rows(observations, places), {**infos, **shared, "row": live[places]}


def _one_decision(
    env: gym.Env, number: int, step: int, observation: Any, info: dict[str, Any], action: Any
) -> Decisions:
    """A decision in the single environment as a batch of one."""
    legal: Any = env.action_space
    if isinstance(observation, dict):
        seen: Any = {name: value[None] for name, value in observation.items()}
    else:
        seen = observation[None] if isinstance(observation, np.ndarray) else (observation,)
    return Decisions(
        env.unwrapped,
        np.zeros(1, dtype=np.int64),
        np.array([number]),
        np.array([step]),
        seen,
        {name: np.array([info[name]]) for name in _scalar_names(info)},
        _checked_actions(np.asarray(action)[None], np.zeros((1, *legal.shape), dtype=legal.dtype)).astype(legal.dtype),
    )


def _rows(observations: Any, rows: Any) -> Any:
    """Those of ``rows``, or the one row, of a batch: arrays (n, ...), tuples (n,) of graphs, or dicts of such."""
    if isinstance(observations, dict):
        return {name: _rows(value, rows) for name, value in observations.items()}
    if isinstance(observations, tuple) and isinstance(rows, int | np.integer):
        return observations[rows]
    if isinstance(observations, tuple):
        return tuple(observations[row] for row in rows)
    return observations[rows]


def _is_column(name: str, value: Any) -> bool:
    return not name.startswith("_") and isinstance(value, np.ndarray) and value.dtype != object


def _columns(infos: dict[str, Any], rows: np.ndarray) -> dict[str, Any]:
    return {name: value[rows] for name, value in infos.items() if _is_column(name, value)}


def _scalar_names(info: dict[str, Any]) -> list[str]:
    return [name for name, value in info.items() if isinstance(value, bool | int | float | np.number)]


def _checked_actions(chosen: Any, place: np.ndarray) -> np.ndarray:
    """What ``act_batch`` returned, as actions of the shape and type of ``place`` (live rows, ...)."""
    given = np.asarray(chosen)
    if given.dtype == object:  # perhaps numbers all the same
        given = np.asarray(given.tolist())
    wanted = f"act_batch must return {place.dtype} {place.shape}, one action a live row"
    if given.shape != place.shape or given.dtype.kind not in "biuf":
        raise ValueError(f"{wanted}, not {given.dtype} {given.shape}")
    if not np.isfinite(given).all() or (place.dtype.kind in "iu" and np.any(given != np.trunc(given))):
        raise ValueError(f"{wanted}; some are NaN, infinite or no whole numbers")
    return given


def _policy_error(policy: Policy, spec: EpisodeSpec, step: int, error: Exception) -> PolicyError:
    where = ", ".join([*(f"{name} {value}" for name, value in spec.options.items()), f"seed {spec.seed}"])
    kind = "" if isinstance(error, PolicyError) else f"{type(error).__name__}: "
    return PolicyError(f"{policy.name}: {where}, decision {step}: {kind}{flat(error)}{_place(policy, error)}")


def _place(policy: Policy, error: Exception) -> str:
    """`` (mine.py:12)``: the deepest line of the policy's own file on the way to the error, if there is one."""
    own = sys.modules.get(type(policy).__module__)
    file = getattr(own, "__file__", None)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" ({Path(file).name}:{lines[-1]})" if file and lines else ""
