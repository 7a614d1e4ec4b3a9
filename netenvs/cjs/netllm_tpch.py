"""Converter of ``netllm-tpch``: the TPC-H jobs of Decima, 22 queries at 7 input sizes, as NetLLM ships them.

Upstream, a job is two files of a size's folder: ``adj_mat_<query>.npy``, a float64 matrix (stages, stages)
with 1 where row comes before column, and ``task_duration_<query>.npy``, a pickled dictionary stage ->
{"fresh_durations", "first_wave", "rest_wave"} -> {executor level -> list of ms}. Source:
https://github.com/duowuyms/NetLLM, folder cluster_job_scheduling/data/tpch.

As the published simulator does when it reads a job,

- the number of tasks of a stage is that of ``first_wave`` plus ``rest_wave`` at the level that stands first
  in the dictionary (the levels differ a little), and
- ``first_wave`` also lists the fresh tasks, so each fresh duration is taken out of it, once.

Installed: ``jobs.npz``, the arrays of one :class:`netenvs.cjs.jobs.JobSet`; template
``size_index * 22 + query - 1`` is query 1 ... 22 at size ``SIZES[size_index]``.
"""

import dataclasses
import io
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from netenvs.cjs.jobs import Job, JobSet, Stage, make_job_set
from netenvs.datasets import restricted_pickle
from netenvs.datasets.errors import DatasetError
from netenvs.errors import flat

SIZES = ("2g", "5g", "10g", "20g", "50g", "80g", "100g")
QUERIES = 22
INSTALLED = "jobs.npz"
_DATA = "cluster_job_scheduling/data/tpch"
_WAVES = ("fresh_durations", "first_wave", "rest_wave")
_REMEDY = "get the file again from the pinned commit"


def convert(files: Mapping[str, bytes], manifest: Mapping[str, str]) -> dict[str, bytes]:
    """Turn the upstream files (already checked against ``manifest``) into one npz.

    Raises DatasetError for a file whose content is not as described above.
    """
    jobs = [_read_job(files, size, query) for size in SIZES for query in range(1, QUERIES + 1)]
    try:
        packed = make_job_set("tpch", jobs)
    except ValueError as error:
        raise DatasetError(f"{error}; get the files again from the pinned commit") from None
    return {INSTALLED: pack(packed)}


def pack(jobs: JobSet) -> bytes:
    """Return an npz with one array per field of the job set that it has; names are fixed-width strings."""
    arrays = {field.name: getattr(jobs, field.name) for field in dataclasses.fields(jobs) if field.name != "name"}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **{**arrays, "names": np.array(jobs.names, np.str_)})
    return buffer.getvalue()


def _read_job(files: Mapping[str, bytes], size: str, query: int) -> Job:
    adjacency = _read_adjacency(files, f"{_DATA}/{size}/adj_mat_{query}.npy")
    path = f"{_DATA}/{size}/task_duration_{query}.npy"
    durations = restricted_pickle.loads(_pickle_of_npy(files, path), path)
    if isinstance(durations, np.ndarray) and durations.shape == ():
        durations = durations.item()
    if not isinstance(durations, dict) or list(durations) != list(range(len(adjacency))):
        raise DatasetError(f"{path} is not a dictionary of {len(adjacency)} stages; {_REMEDY}")
    stages = [
        _make_stage(waves, tuple(np.flatnonzero(adjacency[:, stage]).tolist()), f"{path}: stage {stage}")
        for stage, waves in durations.items()
    ]
    return Job(f"q{query}-{size}", stages)


def _read_adjacency(files: Mapping[str, bytes], path: str) -> np.ndarray:
    try:
        matrix: np.ndarray = np.load(io.BytesIO(files[path]), allow_pickle=False)
    except KeyError:
        raise DatasetError(f"{path} is missing; {_REMEDY}") from None
    except (ValueError, OSError, EOFError):
        raise DatasetError(f"{path} is not a numpy array; {_REMEDY}") from None
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.isin(matrix, (0, 1)).all():
        raise DatasetError(f"{path} is not a square matrix of 0 and 1; {_REMEDY}")
    return matrix


def _pickle_of_npy(files: Mapping[str, bytes], path: str) -> bytes:
    """The pickle inside an npy file of an object array."""
    try:
        stream = io.BytesIO(files[path])
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"version {version}")
        _, _, dtype = np.lib.format.read_array_header_1_0(stream)
    except KeyError:
        raise DatasetError(f"{path} is missing; {_REMEDY}") from None
    except (ValueError, EOFError) as error:
        raise DatasetError(f"{path} is not an npy file that can be read ({flat(error)}); {_REMEDY}") from None
    if dtype != np.dtype(object):
        raise DatasetError(f"{path} does not hold a dictionary but {dtype} numbers; {_REMEDY}")
    return stream.read()


def _make_stage(waves: Any, parents: tuple[int, ...], where: str) -> Stage:
    if not isinstance(waves, dict) or set(waves) != set(_WAVES):
        raise DatasetError(f"{where} does not have the three waves {', '.join(_WAVES)}; {_REMEDY}")
    for wave in waves.values():
        if not isinstance(wave, dict) or not wave or set(wave) != set(waves["first_wave"]):
            raise DatasetError(f"{where}: the waves do not have the same executor levels; {_REMEDY}")
        if not all(type(level) is int and isinstance(samples, list) for level, samples in wave.items()):
            raise DatasetError(f"{where}: a wave is not lists of ms by executor level; {_REMEDY}")
    fresh, first, rest = (waves[wave] for wave in _WAVES)
    counted = next(iter(first))
    return Stage(
        num_tasks=len(first[counted]) + len(rest[counted]),
        fresh=fresh,
        first={level: _without(samples, fresh[level]) for level, samples in first.items()},
        rest=rest,
        parents=parents,
    )


def _without(samples: list[int], taken: list[int]) -> list[int]:
    """``samples`` in order, less one occurrence for each entry of ``taken``."""
    left = Counter(taken)
    kept = []
    for sample in samples:
        if left[sample]:
            left[sample] -= 1
        else:
            kept.append(sample)
    return kept
