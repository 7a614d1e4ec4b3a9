"""Collect experience: have policies play, and add what they did to a pool."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym

import netenvs
from agents.policy import Policy
from agents.rollout import Episode, EpisodeSpec, environment_options
from distill.pools.noise import ActionNoise
from distill.pools.pool import (
    ENDS,
    FORMAT,
    MANIFEST,
    SCHEMA,
    Pool,
    check_same,
    describe,
    read_manifest,
    write_manifest,
    write_records,
)
from distill.pools.recorder import ExtraColumn, Records, record
from distill.pools.shards import PoolError, read_shard, sha256
from netenvs import tasks
from netenvs.errors import reason
from netenvs.files import UNFINISHED, is_file, only_one, remove_unfinished

LOCK = ".lock"
"""Held in the folder of a pool by who collects into it."""


def collect(
    folder: Path | str,
    env_id: str,
    policies: Sequence[Policy],
    episodes: Sequence[EpisodeSpec],
    env_options: Mapping[str, Any] | None = None,
    *,
    noise: float = 0.0,
    seed: int = 0,
    extra_columns: Mapping[str, ExtraColumn] | None = None,
    episodes_per_shard: int = 200,
    num_envs: int = 64,
    command: str = "",
    on_episode: Callable[[Episode], None] | None = None,
) -> Pool:
    """Have every policy play ``episodes`` and add them to the pool ``folder``, which is made if need be.

    Killed at any moment it leaves the pool as it was; the same call goes on from the last shard that was complete.
    What the same call collected already is not collected again, but another call repeats episodes that it shares;
    policies are told apart by their names, so that one that has been trained further needs another name. Columns: see
    ``distill.pools.recorder.record``.

    Arguments:
        folder: a pool of the same environment and columns, or an empty or new folder.
        env_options: the policies' ``observation_options`` are added; ``ValueError`` where two contradict each other.
        noise: probability of a random action at each decision, see ``distill.pools.noise``.
        seed: of the noise.
        extra_columns: what else to compute at each step, by name, such as ``expert_values``. What they compute has no
            part in deciding whether a shard is there already, only their names and units have.
        episodes_per_shard: a shard holds so many episodes of one policy; all of them, if the policy is sequential.
        num_envs: episodes played at once.
        command: kept in the manifest.
        on_episode: called as each episode ends.

    Raises ``PoolError`` for a folder that holds something else or another environment, or that another process collects
    into, ``PolicyError`` for a policy that fails, ``ValueError`` for bad options; each is one line.
    """
    folder, extra_columns = Path(folder), dict(extra_columns or {})
    if not policies or not episodes:
        raise ValueError("a pool needs at least one policy and one episode")
    names = [policy.name for policy in policies]
    options = joint_options(policies, env_options)
    head = {**_head(env_id, options, noise), "policies": [_about(policy) for policy in policies]}
    collection = {
        "policies": names,
        "episodes": [_plain(spec) for spec in episodes],
        "noise": noise,
        "seed": seed,
        "extra_columns": {name: extra.unit for name, extra in extra_columns.items()},
        "episodes_per_shard": episodes_per_shard,
    }
    identity = _identity(head["environment"], collection)
    collection = {
        "id": identity,
        **collection,
        "episodes": len(episodes),
        "versions": _versions(),
        "command": command,
    }
    prepare(folder)
    with only_one(folder / LOCK) as alone:
        if not alone:
            raise PoolError(f"{folder}: another process is collecting into it; wait until it is done")
        remove_unfinished(folder)
        present = prepare(folder)
        if present is not None:
            check_same({**head, "columns": present["columns"]}, present, folder)
            if any(done["id"] == identity for done in present["collections"]):
                return Pool(folder)

        def play_part(number: int, chosen: range) -> Records:
            return record(
                policies[number],
                env_id,
                [episodes[i] for i in chosen],
                options,
                number=number,
                first_episode=chosen.start,
                noise=noise,
                seed=seed,
                extra_columns=extra_columns,
                num_envs=num_envs,
                on_episode=on_episode,
            )

        parts = _parts(policies, len(episodes), episodes_per_shard)
        units = {name: extra.unit for name, extra in extra_columns.items()}
        entries = _shards(folder, {**head, "id": identity}, present, parts, play_part, units)
        commit(folder, head, collection, entries)
        return Pool(folder)


def _shards(
    folder: Path,
    head: Mapping[str, Any],
    present: Mapping[str, Any] | None,
    parts: Sequence[tuple[int, range]],
    play_part: Callable[[int, range], Records],
    units: Mapping[str, str],
) -> list[dict[str, Any]]:
    """What the manifest says of each shard, with its ``columns``; those that are not there yet are played.

    ``head``: see ``commit``, with the ``id`` of the collection. ``present``: the manifest that is there.
    """
    entries: list[dict[str, Any]] = []
    for part, (number, chosen) in enumerate(parts):
        path = folder / f"{head['id'][:12]}-{part:05d}.safetensors"
        metadata = {"collection": head["id"], "part": part}
        entry = _finished(path, metadata)
        if entry is None:
            records = play_part(number, chosen)
            columns = describe(records, head["environment"]["id"], units)
            for known in [present, *entries[:1]]:
                if known is not None:
                    check_same({**head, "columns": columns}, {**head, "columns": known["columns"]}, folder)
            metadata["columns"] = columns
            entry = {**write_records(path, records, metadata), "columns": columns}
        entries.append(entry)
    return entries


def joint_options(policies: Sequence[Policy], env_options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options of the one environment that all policies play in: those given, and what the policies observe.

    ``ValueError`` for policies that cannot be in one pool: of the same name, or that observe different things.
    """
    names = [policy.name for policy in policies]
    if len(set(names)) < len(names):
        raise ValueError(f"two policies have the same name: {', '.join(names)}")
    options, origin = dict(env_options or {}), dict.fromkeys(env_options or {}, "the options given")
    for policy in policies:
        environment_options(policy, options)  # refuses what would change more than the observation
        for name, value in policy.observation_options.items():
            if options.setdefault(name, value) != value:
                raise ValueError(
                    f"{policy.name} needs {name}={value}, {origin[name]} {options[name]}: all policies of a pool see "
                    "the same observations; collect two pools"
                )
            origin.setdefault(name, f"{policy.name} needs")
    return options


def _head(env_id: str, options: dict[str, Any], noise: float) -> dict[str, Any]:
    """What does not depend on the episodes; checks that the environment can be made and be noisy."""
    env = make(env_id, options)
    try:
        assert env.spec is not None
        environment = json.loads(env.spec.to_json())
    except (TypeError, ValueError) as error:
        raise ValueError(f"options of a pool's environment must be names, numbers or paths: {error}") from error
    finally:
        env.close()
    ActionNoise(noise, env.action_space, 0, "")
    task = tasks.task_of(env_id)
    return {"format": FORMAT, "schema": SCHEMA, "task": task.name if task else "", "environment": environment}


def make(env_id: str, options: Mapping[str, Any]) -> gym.Env:
    """The environment; ``ValueError``, one line, whatever is wrong with the options."""
    try:
        return gym.make(env_id, **options)
    except Exception as error:
        raise ValueError(reason(error)) from error


def _about(policy: Policy) -> dict[str, Any]:
    return {
        "name": policy.name,
        "class": f"{type(policy).__module__}:{type(policy).__qualname__}",
        "privileged": policy.privileged,
        "parameters": policy.parameters,
    }


def _identity(environment: Mapping[str, Any], collection: Mapping[str, Any]) -> str:
    """Of what determines the shards of a collection, and of the code that makes them."""
    what = [FORMAT, SCHEMA, netenvs.__version__, environment["id"], environment["kwargs"], collection]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "netenvs": netenvs.__version__}
    return {**found, **{name: importlib.metadata.version(name) for name in ("gymnasium", "numpy", "numba")}}


def prepare(folder: Path) -> dict[str, Any] | None:
    """Make the folder; its manifest, if it is a pool. ``PoolError`` if it holds something else."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if is_file(folder / MANIFEST):
            return read_manifest(folder)
        ours = (LOCK, ".safetensors", UNFINISHED)
        foreign = sorted(path.name for path in folder.iterdir() if not path.name.endswith(ours))
    except FileExistsError:
        raise PoolError(f"{folder}: there is a file of that name; give a folder") from None
    except OSError as error:
        raise PoolError(f"{folder}: cannot write there: {error.strerror or error}") from None
    if foreign:
        raise PoolError(f"{folder}: no pool, and not empty ({foreign[0]}); give another folder")
    return None


def _plain(spec: EpisodeSpec) -> list[Any]:
    policy_seed = None if spec.policy_seed is None else int(spec.policy_seed)
    return [int(spec.seed), policy_seed, {name: int(value) for name, value in spec.options.items()}]


def _parts(policies: Sequence[Policy], count: int, size: int) -> list[tuple[int, range]]:
    """(policy, episodes) of each shard."""
    if size < 1:
        raise ValueError(f"episodes_per_shard must be from 1 up, not {size}")
    parts = []
    for number, policy in enumerate(policies):
        step = count if policy.sequential else size
        parts += [(number, range(first, min(first + step, count))) for first in range(0, count, step)]
    return parts


def _finished(path: Path, metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the manifest says of a shard that a killed collection has left complete."""
    if not is_file(path):
        return None
    try:
        shard = read_shard(path)
    except PoolError:
        return None  # damaged since: collected again
    if any(shard.metadata.get(name) != value for name, value in metadata.items()):
        return None
    ends = shard.arrays[ENDS]
    return {
        "file": path.name,
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
        "episodes": len(ends),
        "steps": int(ends[-1]),
        "columns": shard.metadata["columns"],
    }


def commit(
    folder: Path, head: Mapping[str, Any], collection: Mapping[str, Any], entries: Sequence[dict[str, Any]]
) -> None:
    """Add the shards of a collection to the manifest: to the one that is there by now, or to a new one.

    ``head``: the manifest but for its columns, collections and shards. ``entries``: of ``write_records``, with the
    ``columns`` of the records.
    """
    columns = entries[0]["columns"]
    manifest: dict[str, Any] = {**head, "columns": columns, "policies": [], "collections": [], "shards": []}
    if is_file(folder / MANIFEST):
        manifest = read_manifest(folder)
        check_same({**head, "columns": columns}, manifest, folder)
    add(manifest, {**head, "collections": [collection], "shards": _listed(entries, len(head["policies"]))})
    write_manifest(folder, manifest)


def _listed(entries: Sequence[dict[str, Any]], policies: int) -> list[dict[str, Any]]:
    return [
        {
            **{name: value for name, value in entry.items() if name != "columns"},
            "collection": 0,
            "policies": list(range(policies)),
        }
        for entry in entries
    ]


def add(manifest: dict[str, Any], other: Mapping[str, Any]) -> None:
    """Append policies, collections and shards of ``other`` to ``manifest``, renumbered; nothing is there twice."""
    numbers = {}
    for kind, key in (("policies", "name"), ("collections", "id")):
        known = {each[key] for each in manifest[kind]}
        manifest[kind] += [each for each in other[kind] if each[key] not in known]
        place = {each[key]: number for number, each in enumerate(manifest[kind])}
        numbers[kind] = [place[each[key]] for each in other[kind]]
    manifest["shards"] += [
        {
            **entry,
            "collection": numbers["collections"][entry["collection"]],
            "policies": [numbers["policies"][policy] for policy in entry["policies"]],
        }
        for entry in other["shards"]
    ]
