"""Trajectory pools on disk: flat arrays and the ends of episodes in them.

::

    pool = Pool("runs/pool")
    pool.episodes["return"]  # float64 (episodes,)
    pool.episode(3)["obs"]  # (steps of episode 3, 6, 6), in the memory map
    train, valid = pool.split(valid=0.1, seed=0)
    for window in train.windows(20):
        window["obs"], window["action"], window["returns_to_go"]

A pool is a folder with ``manifest.json`` and the shards that it lists (safetensors, each with the sha256 in the
manifest). Shards are never changed, and the manifest is written last: a folder without one is no pool, and files that
it does not list are not part of it. The format: docs/pools.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

from agents.observations import from_columns
from agents.ragged import Column, Ragged, concatenate, offsets_of
from distill.pools.column_units import unit_of
from distill.pools.recorder import RANDOM, Records
from distill.pools.shards import DTYPES, PoolError, Shard, read_shard, sha256, write_shard
from netenvs import tasks
from netenvs.files import is_file, write_atomically

FORMAT, SCHEMA = "netenvs-pool", 1
MANIFEST = "manifest.json"
ENDS, OFFSETS, EPISODE = "episode_ends", ":offsets", "episode/"
"""Names in a shard: ends of episodes; offsets of a ragged column; prefix of columns with a row an episode."""


class Pool:
    """A pool, or some episodes of one. Opening reads headers and small columns only.

    Opening checks that the manifest is one, and that every shard is there, complete, and holds the columns of the
    manifest; ``verify`` compares contents. ``PoolError``, one line, otherwise.
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        self.columns: dict[str, dict[str, Any]] = self.manifest["columns"]
        """By name: ``dtype``, ``shape`` of a row (of an element, where ``ragged``), ``unit``, ``ragged``. Those with a
        row an episode begin with ``episode/``."""
        self._shards = [_open(self.folder, entry, self.columns) for entry in self.manifest["shards"]]
        self._policies = [np.array([*entry["policies"], RANDOM], dtype=np.int16) for entry in self.manifest["shards"]]
        counts = [entry["episodes"] for entry in self.manifest["shards"]]
        first = offsets_of(np.array(counts, dtype=np.int64))
        self._shard_of = np.repeat(np.arange(len(counts)), counts)
        self._place = np.arange(first[-1]) - first[self._shard_of]
        ends = [shard.arrays[ENDS] for shard in self._shards]
        self._ends = np.concatenate([*ends, np.zeros(0, dtype=np.int64)])
        self._begins = np.concatenate([*(np.r_[0, end[:-1]] for end in ends), np.zeros(0, dtype=np.int64)])
        self.indices = np.arange(first[-1])
        """int64 (episodes,): which episodes of the folder these are."""
        self._scalars = self._read_scalars()

    @property
    def task(self) -> str:
        """Name of the environment's task; empty for an environment that belongs to none."""
        return str(self.manifest["task"])

    @property
    def env_id(self) -> str:
        """Id of the environment."""
        return str(self.manifest["environment"]["id"])

    @property
    def env_options(self) -> dict[str, Any]:
        """Its options."""
        return dict(self.manifest["environment"]["kwargs"])

    @property
    def policies(self) -> list[str]:
        """Names of the policies; column ``policy`` holds their numbers."""
        return [policy["name"] for policy in self.manifest["policies"]]

    @property
    def episodes(self) -> dict[str, np.ndarray]:
        """Scalars of the episodes, (episodes,) each: ``length``, ``return``, ``seed``, ``policy``, ``reset/...``."""
        return {name: values[self.indices] for name, values in self._scalars.items()}

    @property
    def num_steps(self) -> int:
        """Steps of all these episodes."""
        return int(self._scalars["length"][self.indices].sum())

    def __len__(self) -> int:
        """Episodes."""
        return len(self.indices)

    def __reduce__(self) -> Any:
        return _restore, (self.folder, self.indices)  # workers map the files anew

    def make_env(self) -> gym.Env:
        """The single environment that the pool was collected in."""
        import netenvs  # noqa: F401  (registers the environments)

        return gym.make(EnvSpec.from_json(json.dumps(self.manifest["environment"])))

    def episode(self, i: int, columns: Sequence[str] | None = None) -> dict[str, Any]:
        """Columns of episode ``i`` of these, n steps each, and ``returns_to_go``, float64 (n,).

        Views of the memory map, read-only, but for ``policy`` and ``returns_to_go``. ``columns``: only these.
        """
        return self._steps(self._at(i), 0, None, columns)

    def final(self, i: int) -> dict[str, Any]:
        """``obs...`` and ``info/NAME`` after the last step of episode ``i``: the same columns with one row."""
        at = self._at(i)
        arrays, place = self._shards[self._shard_of[at]].arrays, int(self._place[at])
        prefix = EPISODE + "final_"
        return {
            name.removeprefix(prefix): _column(arrays, name, column)[place : place + 1]
            for name, column in self.columns.items()
            if name.startswith(prefix)
        }

    def observations(self, i: int, space: gym.Space[Any]) -> Any:
        """The n + 1 observations of episode ``i``, the one after its last step included, as ``space`` has them.

        ``space`` is the environment's observation space; padding is put back. A copy.
        """
        steps, final = self.episode(i), self.final(i)
        return from_columns({name: concatenate([steps[name], final[name]]) for name in final if name in steps}, space)

    def column(self, name: str) -> Column:
        """A column over all these episodes, one after the other: a copy; (episodes, ...) if it begins ``episode/``."""
        if name not in self.columns:
            raise PoolError(f"{self.folder}: there is no column {name!r}; columns: {', '.join(self.columns)}")
        if name.startswith(EPISODE):
            values = concatenate([_column(shard.arrays, name, self.columns[name]) for shard in self._shards])
            if name == EPISODE + "policy":
                values = self._scalars["policy"]
            return values.take(self.indices) if isinstance(values, Ragged) else values[self.indices]
        if not len(self):
            raise PoolError(f"{self.folder}: no episodes")
        return concatenate([self._steps(at, 0, None, [name])[name] for at in self.indices.tolist()])

    def windows(self, length: int | None, stride: int = 1, columns: Sequence[str] | None = None) -> Windows:
        """Stretches of ``length`` steps (None: whole episodes), see ``Windows``."""
        return Windows(self, length, stride, columns)

    def subset(self, episodes: np.ndarray | Sequence[int]) -> Pool:
        """Some of these episodes, int (k,) or bool (episodes,), in that order."""
        chosen = object.__new__(Pool)
        vars(chosen).update(vars(self))
        chosen.indices = self.indices[np.asarray(episodes, dtype=None if len(episodes) else np.int64)]
        return chosen

    def split(self, valid: float, seed: int = 0) -> tuple[Pool, Pool]:
        """(training, validation) episodes; about the share ``valid`` is in the second.

        What is split is what was played (the reset options, or the seed where there are none): all episodes of a trace
        or window are on the same side, whichever policies played them.
        """
        if not 0.0 < valid < 1.0:
            raise ValueError(f"valid must be a share between 0 and 1, not {valid!r}")
        pins = [values for name, values in self.episodes.items() if name.startswith("reset/")]
        seeds = self.episodes["seed"]
        drawn = np.all([pin < 0 for pin in pins], axis=0) if pins else np.ones(len(self), dtype=np.bool_)
        played = np.stack([*pins, np.where(drawn, seeds, -1)], axis=1)
        _, group = np.unique(played, axis=0, return_inverse=True)
        groups = int(group.max(initial=-1)) + 1
        if groups < 2:
            raise PoolError(f"{self.folder}: a split needs two different traces, windows or seeds, there is {groups}")
        count = min(max(round(valid * groups), 1), groups - 1)
        held_out = np.isin(group, np.random.default_rng(seed).permutation(groups)[:count])
        return self.subset(~held_out), self.subset(held_out)

    def verify(self) -> None:
        """Compare contents with the manifest; ``PoolError``, one line, for the first thing that is wrong.

        Every bit (sha256), finite numbers, ends of episodes, returns, offsets of ragged columns, policies.
        """
        for entry, shard in zip(self.manifest["shards"], self._shards, strict=True):
            _verify(self.folder / entry["file"], entry, shard, self.columns)

    def _at(self, i: int) -> int:
        if not -len(self) <= i < len(self):
            raise IndexError(f"episode {i} of {len(self)}")
        return int(self.indices[i])

    def _steps(self, at: int, begin: int, end: int | None, columns: Sequence[str] | None) -> dict[str, Any]:
        """Steps ``begin`` to ``end`` of episode ``at`` of the folder."""
        shard = int(self._shard_of[at])
        arrays, first, last = self._shards[shard].arrays, int(self._begins[at]), int(self._ends[at])
        stop = last if end is None else first + end
        names = [n for n in self.columns if not n.startswith(EPISODE)] if columns is None else columns
        out: dict[str, Any] = {}
        for name in names:
            if name == "returns_to_go":
                continue
            if name not in self.columns:
                raise PoolError(f"{self.folder}: there is no column {name!r}; columns: {', '.join(self.columns)}")
            out[name] = _column(arrays, name, self.columns[name])[first + begin : stop]
        if "policy" in out:
            out["policy"] = self._numbered(shard, out["policy"])
        if columns is None or "returns_to_go" in columns:
            # from this window's first step to the end of the episode, wherever the window ends
            out["returns_to_go"] = returns_to_go(arrays["reward"][first + begin : last])[: stop - first - begin]
        return out

    def _numbered(self, shard: int, policies: np.ndarray) -> np.ndarray:
        """Numbers of policies in the pool, int16, for those of a shard; -1 stays, it stands for ``RANDOM``."""
        numbers = self._policies[shard]
        if len(policies) and not -1 <= policies.min() <= policies.max() < len(numbers) - 1:
            path = self.folder / self.manifest["shards"][shard]["file"]
            raise PoolError(f"{path}: numbers of policies that the manifest does not name; restore it")
        known: np.ndarray = numbers[policies]
        return known

    def _read_scalars(self) -> dict[str, np.ndarray]:
        scalars = {"length": self._ends - self._begins}
        for name, column in self.columns.items():
            if name.startswith(EPISODE) and not column["ragged"] and not column["shape"]:
                kind = np.dtype(column["dtype"])
                parts = [shard.arrays[name] for shard in self._shards]
                if name == EPISODE + "policy":
                    parts = [self._numbered(shard, part) for shard, part in enumerate(parts)]
                scalars[name.removeprefix(EPISODE)] = np.concatenate([*parts, np.zeros(0, dtype=kind)])
        return scalars


class Windows(Sequence[dict[str, Any]]):
    """Stretches of steps that lie within one episode each: a sequence of dicts of arrays.

    An episode of n >= ``length`` steps gives the stretches of ``length`` steps that begin at 0, ``stride``,
    2 ``stride``, ..., and the last ``length`` steps; a shorter episode is one shorter stretch. There is no padding.
    Each has the columns of ``Pool.episode``, ``returns_to_go`` to the end of the episode (not of the stretch), and
    ``episode`` and ``first``: its episode in the pool, and its first step in the episode.

    Arguments:
        pool: the episodes.
        length: steps; None: whole episodes.
        stride: steps from one beginning to the next.
        columns: only these; None: all.
    """

    def __init__(self, pool: Pool, length: int | None, stride: int = 1, columns: Sequence[str] | None = None):
        for name, value in (("length", length), ("stride", stride)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be from 1 up, not {value}")
        self.pool, self.length, self.columns = pool, length, columns
        self._lengths = pool.episodes["length"]
        firsts = [_firsts(n, length, stride) for n in self._lengths.tolist()]
        self.episodes = np.repeat(np.arange(len(pool)), [len(first) for first in firsts])
        """int64 (windows,): episode of each."""
        self.firsts = np.concatenate([*firsts, np.zeros(0, dtype=np.int64)])
        """int64 (windows,): first step of each in its episode."""

    def __len__(self) -> int:
        return len(self.firsts)

    def __getitem__(self, i: Any) -> Any:
        """Window ``i``; the windows of a slice as a list."""
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        if not -len(self) <= i < len(self):
            raise IndexError(f"window {i} of {len(self)}")
        episode, first = int(self.episodes[i]), int(self.firsts[i])
        steps = int(self._lengths[episode])
        end = steps if self.length is None else min(first + self.length, steps)
        window = self.pool._steps(self.pool._at(episode), first, end, self.columns)
        return {**window, "episode": episode, "first": first}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[i] for i in range(len(self)))


def _firsts(steps: int, length: int | None, stride: int) -> np.ndarray:
    last = 0 if length is None else max(steps - length, 0)
    return np.unique(np.r_[np.arange(0, last + 1, stride), last])


def returns_to_go(rewards: np.ndarray) -> np.ndarray:
    """float64 (n,): the sum of the rewards from each step to the end."""
    return np.cumsum(np.asarray(rewards, dtype=np.float64)[::-1])[::-1]


def _restore(folder: Path, indices: np.ndarray) -> Pool:
    return Pool(folder).subset(indices)


def read_manifest(folder: Path) -> dict[str, Any]:
    """``manifest.json`` of a pool; ``PoolError`` if there is none, or it is none."""
    path = folder / MANIFEST
    if not is_file(path):
        raise PoolError(f"{folder}: no pool, there is no {MANIFEST}; python -m distill collect makes one")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        found, schema = manifest["format"], manifest["schema"]
        assert isinstance(manifest["task"], str) and isinstance(manifest["environment"]["id"], str)
        assert isinstance(manifest["environment"]["kwargs"], dict)
        for column in manifest["columns"].values():
            assert column["dtype"] in DTYPES.values() and isinstance(column["ragged"], bool)
            assert all(isinstance(size, int) for size in column["shape"]) and isinstance(column["unit"], str)
        for shard in manifest["shards"]:
            assert isinstance(shard["file"], str) and Path(shard["file"]).name == shard["file"]
            assert all(isinstance(shard[name], int) for name in ("bytes", "episodes", "steps", "collection"))
            assert shard["episodes"] > 0 and isinstance(shard["sha256"], str)
            assert 0 <= shard["collection"] < len(manifest["collections"])
            assert all(0 <= policy < len(manifest["policies"]) for policy in shard["policies"])
        assert all(isinstance(policy["name"], str) for policy in manifest["policies"])
        assert all(isinstance(collection["id"], str) for collection in manifest["collections"])
    except (AssertionError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PoolError(f"{path}: not the manifest of a pool, or damaged") from error
    if found != FORMAT or schema != SCHEMA:
        raise PoolError(f"{path}: {found!r} of schema {schema}; this version reads {FORMAT!r} of schema {SCHEMA}")
    return dict(manifest)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Atomically: from then on the folder is that pool."""
    write_atomically(folder / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


def describe(records: Records, env_id: str, units: Mapping[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """The manifest's ``columns`` of records; ``units`` of columns that the environment's task does not know."""
    named = {**records.steps, **{EPISODE + name: column for name, column in records.episodes.items()}}
    task = tasks.task_of(env_id)
    known = task.units if task else {}
    described = {}
    for name, column in named.items():
        values = column.values if isinstance(column, Ragged) else column
        described[name] = {
            "dtype": values.dtype.name,
            "shape": list(values.shape[1:]),
            "unit": (units or {}).get(name, unit_of(name, known)),
            "ragged": isinstance(column, Ragged),
        }
    return described


def write_records(path: Path, records: Records, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Write a shard; returns what the manifest says of it, but for its collection and policies."""
    arrays: dict[str, np.ndarray] = {ENDS: records.ends}
    for prefix, columns in (("", records.steps), (EPISODE, records.episodes)):
        for name, column in columns.items():
            if isinstance(column, Ragged):
                arrays[prefix + name] = column.flat
                arrays[prefix + name + OFFSETS] = column.offsets - column.offsets[0]
            else:
                arrays[prefix + name] = column
    entry = write_shard(path, arrays, metadata)
    return {**entry, "episodes": len(records.ends), "steps": int(records.ends[-1])}


def check_same(mine: Mapping[str, Any], theirs: Mapping[str, Any], where: Path) -> None:
    """``PoolError`` unless two manifests are of one environment and have the same columns."""
    for what in ("id", "kwargs"):
        a, b = mine["environment"][what], theirs["environment"][what]
        if a != b:
            raise PoolError(f"{where}: a pool of another environment: {what} {_difference(b, a)}")
    if mine["columns"] != theirs["columns"]:
        raise PoolError(f"{where}: a pool with other columns: {_difference(theirs['columns'], mine['columns'])}")


def _difference(old: Any, new: Any) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        name = next(name for name in sorted({*old, *new}) if old.get(name) != new.get(name))
        return f"{name} is {old.get(name, 'absent')} there, {new.get(name, 'absent')} here"
    return f"is {old} there, {new} here"


def _column(arrays: Mapping[str, np.ndarray], name: str, column: Mapping[str, Any]) -> Column:
    return Ragged(arrays[name], arrays[name + OFFSETS]) if column["ragged"] else arrays[name]


def _open(folder: Path, entry: Mapping[str, Any], columns: Mapping[str, Mapping[str, Any]]) -> Shard:
    """A shard whose size, tensors, types and shapes are those of the manifest."""
    path = folder / entry["file"]
    shard = read_shard(path)
    remedy = "restore it, or collect again into another folder"
    if path.stat().st_size != entry["bytes"]:
        raise PoolError(f"{path}: {path.stat().st_size} bytes, the manifest says {entry['bytes']}; {remedy}")
    expected = {ENDS: ("int64", (entry["episodes"],))}
    for name, column in columns.items():
        rows = entry["episodes"] if name.startswith(EPISODE) else entry["steps"]
        if column["ragged"]:
            offsets = shard.arrays.get(name + OFFSETS, np.zeros(1, dtype=np.int64))
            expected[name + OFFSETS] = ("int64", (rows + 1,))
            rows = int(offsets[-1]) if offsets.shape == (rows + 1,) else 0
        expected[name] = (column["dtype"], (rows, *column["shape"]))
    found = {name: (array.dtype.name, array.shape) for name, array in shard.arrays.items()}
    for name in sorted({*expected, *found}):
        if expected.get(name) != found.get(name):
            says = f"the manifest says {expected.get(name, 'nothing')}"
            raise PoolError(f"{path}: {name} is {found.get(name, 'missing')}, {says}; {remedy}")
    ends = shard.arrays[ENDS]
    if np.any(np.diff(ends, prepend=0) < 1) or ends[-1] != entry["steps"]:
        raise PoolError(f"{path}: the ends of its episodes do not ascend to {entry['steps']} steps; {remedy}")
    return shard


def _verify(path: Path, entry: Mapping[str, Any], shard: Shard, columns: Mapping[str, Mapping[str, Any]]) -> None:
    if sha256(path) != entry["sha256"]:
        raise PoolError(f"{path}: altered, its sha256 is not that of the manifest; restore it")
    arrays, ends = shard.arrays, shard.arrays[ENDS]
    for name, column in columns.items():
        if arrays[name].dtype.kind == "f" and not np.isfinite(arrays[name]).all():
            raise PoolError(f"{path}: {name} has values that are not finite")
        if column["ragged"]:
            offsets = arrays[name + OFFSETS]
            if offsets[0] != 0 or np.any(np.diff(offsets) < 0):
                raise PoolError(f"{path}: the offsets of {name} do not ascend from 0")
    over = np.flatnonzero(arrays["terminated"] | arrays["truncated"]) + 1
    if not np.array_equal(over, ends) or np.any(arrays["terminated"] & arrays["truncated"]):
        raise PoolError(f"{path}: episodes do not end where a step is terminated or truncated")
    begins = np.r_[0, ends[:-1]]
    sums = [math.fsum(arrays["reward"][begin:end]) for begin, end in zip(begins, ends, strict=True)]
    if not np.array_equal(sums, arrays[EPISODE + "return"]):
        raise PoolError(f"{path}: returns are not the sums of rewards")
    known = len(entry["policies"])
    acted, behaviour = arrays["policy"], arrays[EPISODE + "policy"]
    if np.any((acted < RANDOM) | (acted >= known)) or np.any((behaviour < 0) | (behaviour >= known)):
        raise PoolError(f"{path}: numbers of policies that the manifest does not name")
