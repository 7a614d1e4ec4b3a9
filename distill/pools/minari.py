"""Pools as Minari data sets (https://minari.farama.org), and back: ``pip install -e ".[minari]"``.

::

    to_minari(Pool("runs/pool"), "netenvs/abr-mixed-v0")
    from_minari("netenvs/abr-mixed-v0", "runs/copy")

Minari is imported when one of the two is called.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

import netenvs  # noqa: F401  (registers the environments)
from agents.observations import to_columns
from agents.ragged import Column, Ragged, concatenate
from distill.pools.collect import commit, prepare
from distill.pools.pool import FORMAT, SCHEMA, Pool, describe, write_records
from distill.pools.recorder import Records
from distill.pools.shards import PoolError
from netenvs import tasks
from netenvs.errors import flat

COLUMNS = "columns"
"""Info of a Minari episode that holds the columns of a pool that Minari has no place for, n steps each."""


def to_minari(pool: Pool, dataset_id: str, author: str | None = None) -> Any:
    """Write the episodes of a pool as data set ``dataset_id`` of Minari's folder; returns the ``MinariDataset``.

    Observations are n + 1 an episode, padded as in the environment; infos are ``info/...`` (n + 1) and ``columns``
    (n): who acted, the intended action, and extra columns. Raises ``PoolError`` if Minari is not installed, or there is
    such a data set already.
    """
    minari = _minari()
    env = pool.make_env()
    space = env.observation_space
    env.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it asks for e-mail and links
        try:
            return minari.create_dataset_from_buffers(
                dataset_id,
                _episodes(pool, space),
                env=EnvSpec.from_json(json.dumps(pool.manifest["environment"])),
                algorithm_name=json.dumps(pool.policies),
                author=author,
                description=f"{len(pool)} episodes of {', '.join(pool.policies)}",
            )
        except ValueError as error:
            raise PoolError(f"Minari data set {dataset_id}: {flat(error)}") from error


def _episodes(pool: Pool, space: gym.Space[Any]) -> Iterator[Any]:
    from minari.data_collector.episode_buffer import EpisodeBuffer  # type: ignore[import-not-found, unused-ignore]

    scalars = pool.episodes
    pins = {name.removeprefix("reset/"): values for name, values in scalars.items() if name.startswith("reset/")}
    for i in range(len(pool)):
        steps, final = pool.episode(i), pool.final(i)
        further = {
            name: values
            for name, values in steps.items()
            if not name.startswith(("obs/", "info/")) and not isinstance(values, Ragged)
        }
        observations = pool.observations(i, space)
        for name in ("action", "reward", "terminated", "truncated", "returns_to_go", *to_columns(observations)):
            further.pop(name, None)  # these have their place, or follow from what has
        further["policy_seed"], further["behaviour"] = scalars["policy_seed"][i : i + 1], scalars["policy"][i : i + 1]
        infos = {
            name.removeprefix("info/"): np.concatenate([values, final[name]])
            for name, values in steps.items()
            if name.startswith("info/")
        }
        yield EpisodeBuffer(
            seed=int(scalars["seed"][i]),
            options={name: int(values[i]) for name, values in pins.items() if values[i] >= 0},
            observations=observations,
            actions=steps["action"],
            rewards=steps["reward"],
            terminations=steps["terminated"],
            truncations=steps["truncated"],
            infos={**infos, COLUMNS: further},
        )


def from_minari(dataset_id: str, folder: Path | str) -> Pool:
    """A new pool ``folder`` of an installed Minari data set.

    One that ``to_minari`` wrote comes back as it was. In others the policy is what the data set calls its algorithm,
    the intended action is the action, and infos are the scalars that all episodes have. Raises ``PoolError`` if Minari
    is not installed, for an unknown data set, one without an ``EnvSpec``, and a ``folder`` that is not empty.
    """
    minari = _minari()
    folder = Path(folder)
    try:
        dataset = minari.load_dataset(dataset_id)
    except (FileNotFoundError, ValueError) as error:
        raise PoolError(f"Minari data set {dataset_id}: {flat(error)}") from error
    if dataset.env_spec is None:
        raise PoolError(f"Minari data set {dataset_id}: it does not say which environment it is of")
    if prepare(folder) is not None:
        raise PoolError(f"{folder}: a pool already; give a new folder")
    environment = json.loads(dataset.env_spec.to_json())
    metadata = dataset.storage.get_episode_metadata(range(dataset.total_episodes))
    parts = [_records(episode, about) for episode, about in zip(dataset.iterate_episodes(), metadata, strict=True)]
    if not parts:
        raise PoolError(f"Minari data set {dataset_id}: it has no episodes")
    for pin in sorted({name for part in parts for name in part.episodes if name.startswith("reset/")}):
        for part in parts:
            part.episodes.setdefault(pin, np.array([-1]))
    names = _policy_names(dataset.storage.metadata.get("algorithm_name"))
    records = Records(
        {name: concatenate([part.steps[name] for part in parts]) for name in _common([part.steps for part in parts])},
        {name: concatenate([part.episodes[name] for part in parts]) for name in _common([p.episodes for p in parts])},
        np.cumsum([part.ends[0] for part in parts]),
    )
    columns = describe(records, environment["id"])
    task = tasks.task_of(environment["id"])
    about = {"class": "minari", "privileged": False, "parameters": None}
    head = {
        "format": FORMAT,
        "schema": SCHEMA,
        "task": task.name if task else "",
        "environment": environment,
        "policies": [{"name": name, **about} for name in names],
    }
    collection = {"id": f"minari:{dataset_id}", "policies": names, "episodes": len(parts), "command": ""}
    entry = write_records(folder / "minari-00000.safetensors", records, {"collection": collection["id"], "part": 0})
    commit(folder, head, collection, [{**entry, "columns": columns}])
    return Pool(folder)


def _records(episode: Any, about: Mapping[str, Any]) -> Records:
    """One episode."""
    length = len(episode.rewards)
    seen = to_columns(episode.observations)
    infos = dict(episode.infos or {})
    further = dict(infos.pop(COLUMNS, {}))
    infos = {
        name: values
        for name, values in infos.items()
        if isinstance(values, np.ndarray) and values.shape == (length + 1,) and values.dtype.kind in "biuf"
    }
    seed = about.get("seed") or 0
    policy_seed = further.pop("policy_seed", np.array([seed]))
    behaviour = further.pop("behaviour", np.zeros(1))
    actions = np.asarray(episode.actions)
    steps: dict[str, Column] = {
        **{name: values[:length] for name, values in seen.items()},
        **{f"info/{name}": values[:-1] for name, values in infos.items()},
        "intended_action": actions,
        **_flatten(further),
        "action": actions,
        "policy": np.asarray(further.get("policy", np.zeros(length)), dtype=np.int16),
        "reward": np.asarray(episode.rewards, dtype=np.float64),
        "terminated": np.asarray(episode.terminations, dtype=np.bool_),
        "truncated": np.asarray(episode.truncations, dtype=np.bool_),
    }
    episodes: dict[str, Column] = {
        "seed": np.array([seed], dtype=np.int64),
        "policy_seed": np.asarray(policy_seed, dtype=np.int64),
        "policy": np.asarray(behaviour, dtype=np.int16),
        "return": np.array([math.fsum(episode.rewards)]),
        **{f"reset/{name}": np.array([int(value)]) for name, value in (about.get("options") or {}).items()},
        **{f"final_{name}": values[length : length + 1] for name, values in seen.items()},
        **{f"final_info/{name}": values[-1:] for name, values in infos.items()},
    }
    return Records(dict(sorted(steps.items())), dict(sorted(episodes.items())), np.array([length]))


def _flatten(columns: Mapping[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    """Names with a slash came back as nested dicts."""
    flat: dict[str, np.ndarray] = {}
    for name, values in columns.items():
        flat.update(_flatten(values, f"{prefix}{name}/") if isinstance(values, dict) else {prefix + name: values})
    return flat


def _common(columns: list[dict[str, Column]]) -> list[str]:
    return [name for name in columns[0] if all(name in others for others in columns)]


def _policy_names(algorithm: str | None) -> list[str]:
    try:
        names = json.loads(algorithm or "")
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return names
    except ValueError:
        pass
    return [algorithm or "minari"]


def _minari() -> Any:
    try:
        import minari  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise PoolError(f'Minari is not there ({error}); pip install -e ".[minari]"') from error
    return minari
