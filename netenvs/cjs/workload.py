"""What drives a cluster: job templates by name or path.

``load_workload`` turns the ``workload`` option of ``gym.make`` into one checked, read-only
:class:`~netenvs.cjs.jobs.JobSet`; everything wrong with a file is found here, with its name, job and remedy.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from netenvs import datasets
from netenvs.arrays import named_arrays
from netenvs.cjs import generators, netllm_tpch
from netenvs.cjs.job_files import READERS, spark
from netenvs.cjs.jobs import (
    COLUMNS,
    FIRST,
    FRESH,
    LARGEST,
    LEVELS,
    REST,
    WAVES,
    Job,
    JobSet,
    Stage,
    Template,
    frozen,
    make_job_set,
)
from netenvs.readers.reader import AUTO, find_path, read_input
from netenvs.readers.reader import recognise as reader_of
from netenvs.readers.reading import Reading
from netenvs.readers.sources import list_sources
from netenvs.spec import parse_spec, unknown_name

__all__ = [
    "COLUMNS",
    "FIRST",
    "FRESH",
    "LARGEST",
    "LEVELS",
    "REST",
    "TPCH_QUERIES",
    "TPCH_SIZES",
    "WAVES",
    "Job",
    "JobSet",
    "Stage",
    "Template",
    "load_workload",
    "make_job_set",
    "read_jobs",
    "recognise",
    "tpch_index",
]

DATASET = "netllm-tpch"
GENERATED = ("synthetic", "tpch")
NAMES = (*GENERATED, *(reader.name for reader in READERS))
WHAT = "a workload (docs/cjs_workloads.md)"
SHORT_MS, LONG_MS = 5.0, 100_000.0
"""Medians of task durations outside are doubted; that of tpch is 0.3 s, which is 300 s where it is microseconds."""
TPCH_SIZES = netllm_tpch.SIZES
TPCH_QUERIES = netllm_tpch.QUERIES


def tpch_index(query: int, size: str) -> int:
    """Number of the ``tpch`` template of query 1 ... 22 at a size of ``TPCH_SIZES``."""
    if not 1 <= query <= TPCH_QUERIES:
        raise ValueError(f"TPC-H has queries 1 to {TPCH_QUERIES}, there is no {query}")
    if size not in TPCH_SIZES:
        raise ValueError(f"tpch has the sizes {', '.join(TPCH_SIZES)}, there is no {size!r}")
    return TPCH_SIZES.index(size) * TPCH_QUERIES + query - 1


def load_workload(spec: str, **options: Any) -> JobSet:
    """The workload called ``spec``: a generator, an installed data set, or a path.

    * ``synthetic`` (options ``count``, ``seed``): generated, see ``netenvs.cjs.generators``; options in
      brackets, ``synthetic(count=200,seed=3)``;
    * ``tpch``: the data set ``netllm-tpch``, once installed; template ``tpch_index(query, size)``;
    * ``alibaba(path=FILE,count=1000,instances=FILE)``: tables of the Alibaba trace of 2018;
    * ``spark-eventlog(path=FILE)``: Apache Spark event logs, whole or in parts;
    * ``json(path=FILE,unit=ms)``: the format of ``netenvs.cjs.job_files.json_jobs``;
    * a path alone: any of the last three, told apart by their content. It is a file, however packed, or a folder or
      archive of files, which together are one workload.

    Jobs that cannot be used are left out, and a warning counts them by reason; with ``strict=True``, here or in the
    brackets, the first is an error. ``options`` are those of the format.

    Raises ``ValueError`` (one line: file, job, remedy) for bad files and unknown names, and ``DatasetError``,
    which is one, where the data set is not installed.
    """
    if not isinstance(spec, str):
        raise ValueError(f"workload must be a name or a path, not {type(spec).__name__}")
    found = find_path(spec, READERS, GENERATED)
    if found is not None:
        format, path, own = found
        jobs, reading = read_jobs(path, format, **own, **options)
        reading.warn()
        return jobs
    name, own = parse_spec(spec)
    if options:
        raise ValueError(f"workload {spec!r}: {next(iter(options))} is an option of files")
    if name == "tpch" and not own:
        return _read_tpch(datasets.path(DATASET) / netllm_tpch.INSTALLED)
    if name == "synthetic":
        return _generate(spec)
    if "/" in name or "." in name:
        raise ValueError(f"workload {spec!r}: no such file or folder")
    raise ValueError(unknown_name("workload", spec, NAMES) + ", or a file or folder")


def read_jobs(path: str, format: str = AUTO, strict: bool = False, **options: Any) -> tuple[JobSet, Reading]:
    """The jobs of all files of a path, and what became of it; nothing is warned of.

    Arguments:
        path: a file, folder or archive.
        format: name of a reader, or ``AUTO``.
        strict: whether the first job or record that cannot be used is an error.
        options: of the format.

    Raises ``ValueError``, one line, where nothing is left.
    """
    jobs, reading = read_input(path, READERS, WHAT, format=format, strict=strict, group=spark.group_parts, **options)
    if len({job.source for job in jobs}) > 1:
        jobs = [replace(job, name=f"{job.application or PurePath(job.source).name}/{job.name}") for job in jobs]
    job_set = make_job_set(path, jobs, reading)
    if "unit" not in options:
        _compare_with_scale(job_set, reading)
    return job_set, reading


def recognise(path: str | Path) -> str:
    """Name of the format of a file or folder, by its content. Raises ``ValueError`` when it is none of them."""
    source = spark.group_parts(list_sources(path))[0]
    return reader_of(source, READERS, WHAT).name


def _compare_with_scale(jobs: JobSet, reading: Reading) -> None:
    """Note durations that tasks of a cluster hardly have; who names their unit is not asked."""
    median_ms = float(np.median(jobs.rough_ms))
    if "json" in reading.formats and not SHORT_MS <= median_ms <= LONG_MS:
        reading.note(
            f"the median task lasts {median_ms:g} ms; are the durations in another unit? give it, "
            f"json(path=...,unit={'s' if median_ms < SHORT_MS else 'us'})"
        )


@functools.lru_cache(maxsize=8)
def _generate(spec: str) -> JobSet:
    return make_job_set(spec, generators.call(generators.synthetic_jobs, spec, parse_spec(spec)[1]))


@functools.lru_cache(maxsize=2)
def _read_tpch(path: Path) -> JobSet:
    with datasets.reading(DATASET), named_arrays(path) as npz:
        arrays = {key: frozen(npz[key], npz[key].dtype) for key in npz.files if key != "names"}
        return JobSet(name="tpch", names=tuple(npz["names"].tolist()), **arrays)
