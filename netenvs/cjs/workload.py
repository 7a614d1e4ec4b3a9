"""What drives a cluster: job templates by name or path.

``load_workload`` turns the ``workload`` option of ``gym.make`` into one checked, read-only
:class:`~netenvs.cjs.jobs.JobSet`; everything wrong with a file is found here, with its name, job and remedy.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from netenvs import datasets
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
from netenvs.datasets import netllm_tpch

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
    "tpch_index",
]

DATASET = "netllm-tpch"
TPCH_SIZES = netllm_tpch.SIZES
TPCH_QUERIES = netllm_tpch.QUERIES


def tpch_index(query: int, size: str) -> int:
    """Number of the ``tpch`` template of query 1 ... 22 at a size of ``TPCH_SIZES``."""
    if not 1 <= query <= TPCH_QUERIES:
        raise ValueError(f"TPC-H has queries 1 to {TPCH_QUERIES}, there is no {query}")
    return TPCH_SIZES.index(size) * TPCH_QUERIES + query - 1


def load_workload(spec: str) -> JobSet:
    """The workload called ``spec``."""
    if spec == "tpch":
        return _read_tpch(datasets.path(DATASET) / netllm_tpch.INSTALLED)
    raise ValueError(spec)


@functools.lru_cache(maxsize=2)
def _read_tpch(path: Path) -> JobSet:
    with np.load(path, allow_pickle=False) as npz:
        arrays = {key: frozen(npz[key], npz[key].dtype) for key in npz.files if key != "names"}
        return JobSet(name="tpch", names=tuple(npz["names"].tolist()), **arrays)
