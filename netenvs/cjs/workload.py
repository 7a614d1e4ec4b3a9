"""What drives a cluster: job templates by name or path.

``load_workload`` turns the ``workload`` option of ``gym.make`` into one checked, read-only
:class:`~netenvs.cjs.jobs.JobSet`; everything wrong with a file is found here, with its name, job and remedy.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from netenvs import datasets
from netenvs.arrays import named_arrays
from netenvs.cjs import alibaba, generators, json_jobs, netllm_tpch, spark_eventlog
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
from netenvs.cjs.textfile import first_characters
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
    "recognise",
    "tpch_index",
]

DATASET = "netllm-tpch"
TPCH_SIZES = netllm_tpch.SIZES
TPCH_QUERIES = netllm_tpch.QUERIES


def tpch_index(query: int, size: str) -> int:
    """Number of the ``tpch`` template of query 1 ... 22 at a size of ``TPCH_SIZES``."""
    if not 1 <= query <= TPCH_QUERIES:
        raise ValueError(f"TPC-H has queries 1 to {TPCH_QUERIES}, there is no {query}")
    if size not in TPCH_SIZES:
        raise ValueError(f"tpch has the sizes {', '.join(TPCH_SIZES)}, there is no {size!r}")
    return TPCH_SIZES.index(size) * TPCH_QUERIES + query - 1


def load_workload(spec: str) -> JobSet:
    """The workload called ``spec``: a generator, an installed data set, or a file.

    * ``synthetic`` (options ``count``, ``seed``): generated, see ``netenvs.cjs.generators``; options in
      brackets, ``synthetic(count=200,seed=3)``;
    * ``tpch``: the data set ``netllm-tpch``, once installed; template ``tpch_index(query, size)``;
    * ``alibaba(path=FILE,count=1000)``: a ``batch_task`` table of the Alibaba trace of 2018;
    * ``spark-eventlog(path=FILE)``: an Apache Spark event log, or the folder of one in parts;
    * ``json(path=FILE)``: the format of ``netenvs.cjs.json_jobs``;
    * a path alone: any of the last three, told apart by their content. Files may be gzip.

    Raises ``ValueError`` (one line: file, job, remedy) for bad files and unknown names, and ``DatasetError``,
    which is one, where the data set is not installed.
    """
    if not isinstance(spec, str):
        raise ValueError(f"workload must be a name or a path, not {type(spec).__name__}")
    if spec not in NAMES and Path(spec).exists():
        return _read_file(recognise(Path(spec)), spec, Path(spec), {})
    name, options = parse_spec(spec)
    if name == "tpch" and not options:
        return _read_tpch(datasets.path(DATASET) / netllm_tpch.INSTALLED)
    if name == "synthetic":
        return _generate(spec)
    if name in READERS:
        path = options.pop("path", None)
        if not isinstance(path, str) or not Path(path).exists():
            raise ValueError(f"workload {spec!r}: there is no file {path!r}; write {name}(path=FILE)")
        return _read_file(name, spec, Path(path), options)
    if "/" in name or "." in name:
        raise ValueError(f"workload {spec!r}: no such file")
    raise ValueError(unknown_name("workload", spec, NAMES) + ", or a file")


def recognise(path: Path) -> str:
    """The key of ``READERS`` for a file, by its content. Raises ``ValueError`` when it is none of them."""
    known = "a Spark event log, an Alibaba batch_task table, or a JSON workload (docs/cjs_workloads.md)"
    if path.is_dir():
        if spark_eventlog.parts(path):
            return "spark-eventlog"
        raise ValueError(f"{path}: a folder without events_1_... files; a workload is {known}")
    start = first_characters(path).lstrip()
    line = start.partition("\n")[0]
    if line.startswith("{") and f'"Event":"{spark_eventlog.PREFIX}' in line.replace(" ", ""):
        return "spark-eventlog"
    if start.startswith("{"):
        return "json"
    if line.count(",") == alibaba.COLUMNS - 1:
        return "alibaba"
    raise ValueError(f"{path}: not recognised, it starts with {line[:40]!r}; a workload is {known}")


def _read_file(reader: str, spec: str, path: Path, options: dict[str, Any]) -> JobSet:
    try:
        jobs = generators.call(READERS[reader], spec, {"path": path, **options})
    except (UnicodeDecodeError, EOFError, OSError, RecursionError, zlib.error) as error:
        raise ValueError(f"{path}: damaged, or no text file ({error}); read as {reader}") from None
    return make_job_set(str(path), jobs)


@functools.lru_cache(maxsize=8)
def _generate(spec: str) -> JobSet:
    return make_job_set(spec, generators.call(generators.synthetic_jobs, spec, parse_spec(spec)[1]))


@functools.lru_cache(maxsize=2)
def _read_tpch(path: Path) -> JobSet:
    with datasets.reading(DATASET), named_arrays(path) as npz:
        arrays = {key: frozen(npz[key], npz[key].dtype) for key in npz.files if key != "names"}
        return JobSet(name="tpch", names=tuple(npz["names"].tolist()), **arrays)


READERS: dict[str, Callable[..., list[Job]]] = {
    "alibaba": alibaba.read_jobs,
    "json": json_jobs.read_jobs,
    "spark-eventlog": spark_eventlog.read_jobs,
}
NAMES = ("synthetic", "tpch", *READERS)
