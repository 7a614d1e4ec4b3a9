"""Collect experience: ``python -m distill collect --task abr --policies bba,robust-mpc --out runs/pool``."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import gymnasium as gym
import numpy as np
import tyro
from rich.console import Console
from rich.progress import Progress

import netenvs
from agents.policy import ENV_IDS, Policy, load_policy
from agents.rollout import Episode, EpisodeSpec, environment_options
from distill.noise import ActionNoise
from distill.pool import (
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
from distill.records import ExtraColumn, record
from distill.shards import PoolError, read_shard, sha256
from distill.units import unit_of
from netenvs.spec import parse_value, split_specs


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
    What is in the pool already is not collected again; policies are told apart by their names, so that one that has
    been trained further needs another name. Columns: see ``distill.records.record``.

    Arguments:
        folder: a pool of the same environment and columns, or an empty or new folder.
        env_options: the policies' ``observation_options`` are added; ``ValueError`` where two contradict each other.
        noise: probability of a random action at each decision, see ``distill.noise``.
        seed: of the noise.
        extra_columns: what else to compute at each step, by name, such as ``expert_values``. What they compute has no
            part in deciding whether a shard is there already, only their names and units have.
        episodes_per_shard: a shard holds so many episodes of one policy; all of them, if the policy is sequential.
        num_envs: episodes played at once.
        command: kept in the manifest.
        on_episode: called as each episode ends.

    Raises ``PoolError`` for a folder that holds something else or another environment, ``PolicyError`` for a policy
    that fails, ``ValueError`` for bad options; each is one line.
    """
    folder, extra_columns = Path(folder), dict(extra_columns or {})
    if not policies or not episodes:
        raise ValueError("a pool needs at least one policy and one episode")
    names = [policy.name for policy in policies]
    if len(set(names)) < len(names):
        raise ValueError(f"two policies have the same name: {', '.join(names)}")
    options = joint_options(policies, env_options)
    head = {**_head(env_id, options, noise), "policies": [_about(policy) for policy in policies]}
    collection = {
        "policies": names,
        "episodes": [[spec.seed, spec.policy_seed, spec.options] for spec in episodes],
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
    present = prepare(folder)
    if present is not None:
        check_same({**head, "columns": present["columns"]}, present, folder)
        if any(done["id"] == identity for done in present["collections"]):
            return Pool(folder)

    entries: list[dict[str, Any]] = []
    for part, (number, chosen) in enumerate(_parts(policies, len(episodes), episodes_per_shard)):
        path = folder / f"{identity[:12]}-{part:05d}.safetensors"
        metadata = {"collection": identity, "part": part}
        entry = _finished(path, metadata)
        if entry is None:
            records = record(
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
            columns = describe(records, env_id, {name: extra.unit for name, extra in extra_columns.items()})
            for known in [present, *entries[:1]]:
                if known is not None:
                    check_same({**head, "columns": columns}, {**head, "columns": known["columns"]}, folder)
            metadata["columns"] = columns
            entry = {**write_records(path, records, metadata), "columns": columns}
        entries.append(entry)
    commit(folder, head, collection, entries)
    return Pool(folder)


def joint_options(policies: Sequence[Policy], env_options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options of the one environment that all policies play in: those given, and what the policies observe."""
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
    env = _make(env_id, options)
    try:
        assert env.spec is not None
        environment = json.loads(env.spec.to_json())
    except (TypeError, ValueError) as error:
        raise ValueError(f"options of a pool's environment must be names, numbers or paths: {error}") from error
    finally:
        env.close()
    ActionNoise(noise, env.action_space, 0, "")
    task = next((name for name, known in ENV_IDS.items() if _same_task(env_id, known)), "")
    return {"format": FORMAT, "schema": SCHEMA, "task": task, "environment": environment}


def _make(env_id: str, options: Mapping[str, Any]) -> gym.Env:
    """The environment; ``ValueError``, one line, whatever is wrong with the options."""
    try:
        return gym.make(env_id, **options)
    except Exception as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error


def _same_task(env_id: str, known: str) -> bool:
    entry_points = [gym.spec(name).entry_point for name in (env_id, known)]
    return entry_points[0] == entry_points[1]


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
        if (folder / MANIFEST).exists():
            return read_manifest(folder)
        foreign = sorted(path.name for path in folder.iterdir() if not path.name.endswith((".safetensors", ".part")))
    except FileExistsError:
        raise PoolError(f"{folder}: there is a file of that name; give a folder") from None
    except OSError as error:
        raise PoolError(f"{folder}: cannot write there: {error.strerror or error}") from None
    if foreign:
        raise PoolError(f"{folder}: no pool, and not empty ({foreign[0]}); give another folder")
    return None


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
    if not path.is_file():
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
    if (folder / MANIFEST).exists():
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


# --- the command ---------------------------------------------------------------------------------------


def _actual_path(env: Any, rows: np.ndarray) -> np.ndarray:
    playback = env.playback
    path: np.ndarray = playback.stretches(playback.position[rows], playback.horizon)
    return path


LABELS: dict[str, dict[str, ExtraColumn]] = {
    "vp": {"actual_path": ExtraColumn(_actual_path, unit_of("actual_path", ENV_IDS["vp"]))}
}
"""What a learner of a task is to imitate, where the environment knows it."""
DATASET_OPTION = {"abr": "traces", "cjs": "workload", "vp": "dataset"}
COLLECT_IDS = {**ENV_IDS, "cjs": "netenvs/CJS-small-v0"}
"""Environments by task; that of ``cjs`` is the one of comparisons, with 10 executors and 20 jobs."""
CJS_EPISODES = 10


@dataclass(frozen=True)
class Collect:
    """Have policies play episodes, and keep what they saw, did and got as a pool."""

    task: Literal["abr", "cjs", "vp"]
    """What is played; cjs is netenvs/CJS-small-v0: 10 executors, 20 jobs."""
    policies: str
    """Policies, options in brackets: bba,constant(quality=2). Each plays all the episodes."""
    out: Path
    """Folder of the pool: a new one, or one of the same environment, which the episodes are added to."""
    episodes: int | None = None
    """Episodes of each policy; default: one of each trace (abr) or window (vp) of the split, or 10 (cjs)."""
    dataset: str | None = None
    """Trace split (abr), workload (cjs) or recordings (vp), file or folder; default: synthetic."""
    options: Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="KEY=VALUE"), tyro.conf.UseAppendAction] = ()
    """Another option of the environment, such as qoe=log or num_executors=50; may be repeated. Of vp the split is
    train unless it is set."""
    seed: int = 0
    """Episodes have the seeds S, S + 1, ...; also of the noise."""
    noise: float = 0.0
    """Probability of a random possible action at each decision (abr, cjs)."""

    def run(self) -> int:
        """Collect, and say what there is then."""
        policies = [load_policy(spec, self.task) for spec in split_specs(self.policies)]
        options = environment_of(self.task, self.dataset, self.options)
        episodes = episodes_of(self.task, joint_options(policies, options), self.episodes, self.seed)
        before = len(Pool(self.out)) if (self.out / MANIFEST).exists() else 0
        with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
            bar = progress.add_task("episodes", total=len(policies) * len(episodes))
            pool = collect(
                self.out,
                COLLECT_IDS[self.task],
                policies,
                episodes,
                options,
                noise=self.noise,
                seed=self.seed,
                extra_columns=LABELS.get(self.task),
                episodes_per_shard=EPISODES_PER_SHARD[self.task],
                command=shlex.join(["python", "-m", "distill", *sys.argv[1:]]),
                on_episode=lambda episode: progress.advance(bar),
            )
        there = "all of this was there already; " if len(pool) == before else ""
        print(f"{self.out}: {there}{len(pool)} episodes, {pool.num_steps} steps of {', '.join(pool.policies)}")
        return 0


EPISODES_PER_SHARD = {"abr": 1000, "cjs": 20, "vp": 20_000}
"""About 20 MB a shard."""


def environment_of(task: str, dataset: str | None, pairs: Sequence[str]) -> dict[str, Any]:
    """Environment options of ``--dataset`` and ``--set``; ``ValueError`` for a wrong one."""
    options: dict[str, Any] = {} if dataset is None else {DATASET_OPTION[task]: dataset}
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not (key and equals and value):
            raise ValueError(f"--set {pair}: write KEY=VALUE")
        if key in options:
            also = "; --dataset is this option" if key == DATASET_OPTION[task] else ""
            raise ValueError(f"--set {key}: given twice{also}")
        options[key] = parse_value(value)
    if task == "vp":
        options.setdefault("split", "train")
    return options


def episodes_of(task: str, options: dict[str, Any], count: int | None, seed: int) -> list[EpisodeSpec]:
    """The episodes of a collection: the traces or windows of the split in order (again from the first), or seeds."""
    if count is not None and count < 1:
        raise ValueError(f"--episodes must be from 1 up, not {count}")
    if seed < 0:
        raise ValueError(f"--seed must be from 0 up, not {seed}")
    env: Any = _make(COLLECT_IDS[task], options).unwrapped
    pin, items = "", CJS_EPISODES
    if task == "abr":
        pin, items = "trace", len(env.traces)
    elif task == "vp":
        pin = "window" if env.playback.mode == "windows" else "recording"
        items = len(env.playback.recording)
        if count is not None and count > items:
            raise ValueError(f"--episodes {count}: {env.recordings.name}, {env.playback.split} has {items}")
    env.close()
    return [
        EpisodeSpec(seed + i, seed + i, {pin: i % items} if pin else {})
        for i in range(items if count is None else count)
    ]
