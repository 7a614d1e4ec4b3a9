"""What a teacher says of the steps of a pool, kept beside the pool: the next student need not ask again.

``teachers/DIGEST.safetensors`` in the folder of a pool holds a teacher's outputs for all its steps. The digest is of
everything that they depend on: the teacher's shape and weights, every number that it is shown (so also the cut into
windows of its context, its tokens' columns, the scale of returns, the actions that later components are conditioned
on) and what the nets of the task look things up in besides, such as previous viewers. Not of device and threads: on
others the last bits would differ.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from agents.ragged import Column, Ragged, concatenate
from agents.sequence.model import SequenceModel
from distill.pools.pool import Pool
from distill.pools.shards import PoolError, read_shard, write_shard
from distill.recipe import training_recipe
from distill.training.labelled_sequences import OFFSETS, Labelled
from distill.training.teacher_source import teacher_outputs
from netenvs.files import only_one, remove_unfinished

FOLDER = "teachers"
FORMAT = "netenvs-teacher-1"
"""Part of every digest: another one where ``teacher_outputs`` puts down something else."""


def outputs_by_pool(
    teacher: SequenceModel, data: Labelled, pools: Sequence[Pool], name: str, keep: bool
) -> dict[str, Column]:
    """``teacher_outputs``, pool by pool; the same bits whether they are computed or read.

    Arguments:
        teacher: in evaluation mode.
        data: all steps of ``pools``, in their order; no sequence is of two pools.
        pools: where they are from.
        name: of the teacher, for ``kept_beside``.
        keep: read what is there beside a pool, and write what is not.

    ``PoolError``, one line, for a file that is not what was written.
    """
    ends = np.cumsum(data.sequences.lengths)
    behind = np.searchsorted(ends, np.cumsum([pool.num_steps for pool in pools]), side="right")  # sequences so far
    parts = [data.take(own) for own in np.split(np.arange(len(data)), behind[:-1])] if len(pools) > 1 else [data]
    weights = digest_of_model(teacher) if keep else ""
    found = []
    for pool, part in zip(pools, parts, strict=True):
        found.append(_kept(teacher, part, pool, name, weights) if keep else teacher_outputs(teacher, part))
    return {column: concatenate([one[column] for one in found]) for column in found[0]}


def kept_beside(pool: Pool) -> list[str]:
    """A line on each file of teachers' outputs beside a pool: digest, teacher, bytes, and whether it is of no use."""
    lines = []
    for path in sorted((pool.folder / FOLDER).glob("*.safetensors")):
        try:
            about = read_shard(path).metadata
            says = f"outputs of {about['teacher']}, {path.stat().st_size} bytes"
            if about["shards"] != _shards(pool):
                says += "; of other episodes than are in the pool now: never read again, remove it"
        except (PoolError, KeyError, TypeError):
            says = "damaged, or no outputs of a teacher; remove it"
        lines.append(f"{FOLDER}/{path.name}: {says}")
    return lines


def _kept(teacher: SequenceModel, data: Labelled, pool: Pool, name: str, weights: str) -> dict[str, Column]:
    """Read, or computed and written."""
    digest = _digest_of_question(weights, data, pool)
    path = pool.folder / FOLDER / f"{digest}.safetensors"
    if path.exists():
        return _read(path, digest)
    path.parent.mkdir(exist_ok=True)  # first: where nothing can be written, that is said before the work is done
    outputs = teacher_outputs(teacher, data)
    arrays = _arrays(outputs)
    about = {"digest": digest, "teacher": name, "shards": _shards(pool), "sha256": _sha256(arrays)}
    with only_one(path.with_name(f".{digest}.lock")) as alone:
        if alone:  # otherwise another training is writing the same
            remove_unfinished(path.parent, path.name)
            write_shard(path, arrays, about)
    return dict(outputs)


def _read(path: Path, digest: str) -> dict[str, Column]:
    try:
        shard = read_shard(path)
        arrays = {name: np.array(values) for name, values in shard.arrays.items()}
        same = shard.metadata["digest"] == digest and shard.metadata["sha256"] == _sha256(arrays)
    except (PoolError, KeyError, TypeError):
        same = False
    if not same:
        raise PoolError(
            f"{path}: damaged, or not what this teacher said of this pool; remove it, and the teacher is asked anew"
        )
    found: dict[str, Column] = {}
    for name, values in arrays.items():
        if not name.endswith(OFFSETS):
            offsets = arrays.get(name + OFFSETS)
            found[name] = values if offsets is None else Ragged(values, offsets)
    return found


def _shards(pool: Pool) -> list[str]:
    """What tells a pool from itself with more episodes."""
    return [entry["sha256"] for entry in pool.manifest["shards"]]


def digest_of_model(model: SequenceModel) -> str:
    """sha256, in hexadecimal, of shape and weights."""
    shape = model.backbone.structure()
    digest = hashlib.sha256(json.dumps([model.config(), shape], sort_keys=True).encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _digest_of_question(weights: str, data: Labelled, pool: Pool) -> str:
    """sha256, in hexadecimal, of all that decides what a teacher with these ``weights`` says."""
    own = data.sequences
    shown: dict[str, Column] = {"lengths": own.lengths, "previous": own.previous, "numbers": own.numbers}
    if own.returns is not None:
        shown["returns"] = own.returns
    if "action" in data.targets:
        shown["action"] = data.targets["action"]
    shown |= {f"step/{name}": column for name, column in own.steps.items()}
    shown |= training_recipe(pool.task).looked_up(pool)
    return hashlib.sha256(f"{FORMAT} {weights} {_sha256(_arrays(shown))}".encode()).hexdigest()


def _arrays(columns: Mapping[str, Column]) -> dict[str, np.ndarray]:
    """Columns as they are stored: values, and the offsets of ragged ones."""
    arrays: dict[str, np.ndarray] = {}
    for name, column in columns.items():
        if isinstance(column, Ragged):
            arrays[name], arrays[name + OFFSETS] = column.flat, column.offsets - column.offsets[0]
        else:
            arrays[name] = column
    return arrays


def _sha256(arrays: Mapping[str, np.ndarray]) -> str:
    """Of names, types, shapes and values, in hexadecimal."""
    digest = hashlib.sha256()
    for name, values in sorted(arrays.items()):
        digest.update(f"{name} {values.dtype} {values.shape};".encode())
        digest.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
