"""Trace splits and videos of installed data sets."""

from __future__ import annotations

import json
from dataclasses import replace

from netenvs import datasets
from netenvs.abr.records import TraceSet, make_trace_set
from netenvs.arrays import named_arrays

INSTALLED_SPLITS = (
    "fcc-test",
    "fcc-test-clean",
    "fcc-train",
    "fcc-train-clean",
    "fcc-valid",
    "fcc-valid-clean",
    "norway-train",
)
INSTALLED_VIDEOS = ("video1", "video2")
DATASET = "netllm-abr"


def read_split(split: str) -> TraceSet:
    """A split of :data:`INSTALLED_SPLITS`. Raises ``ValueError`` (one line) where it is not installed or damaged."""
    with datasets.reading(DATASET) as folder:
        derived = json.loads((folder / "splits.json").read_text())
        stored = derived[split]["from"] if split in derived else split
        with named_arrays(folder / f"{stored}.npz") as arrays:
            flat = {key: arrays[key] for key in ("time_s", "bandwidth_mbps", "offset", "start_pointer")}
            whole = TraceSet(split, tuple(map(str, arrays["names"])), **flat, installed=True)
        if split not in derived:
            return whole
        indices = derived[split]["indices"]
        traces = [(whole.names[i], *whole.trace(i)) for i in indices]
        return replace(make_trace_set(split, traces, whole.start_pointer[indices]), installed=True)
