"""Trace splits and videos of installed data sets."""

from __future__ import annotations

import json
from dataclasses import replace

from netenvs import datasets
from netenvs.abr.records import TraceSet, make_trace_set
from netenvs.arrays import named_arrays

DATASET = "netllm-abr"
INSTALLED_SPLITS = {
    "fcc-test": DATASET,
    "fcc-test-clean": DATASET,
    "fcc-train": DATASET,
    "fcc-train-clean": DATASET,
    "fcc-valid": DATASET,
    "fcc-valid-clean": DATASET,
    "norway-train": DATASET,
    "fcc-hd-test": "fcc-hd",
    "fcc-hd-train": "fcc-hd",
    "fcc-hd-valid": "fcc-hd",
    "fcc-sd-test": "fcc-sd",
    "fcc-sd-train": "fcc-sd",
    "fcc-sd-valid": "fcc-sd",
    "lumos-wifi-test": "lumos-wifi",
    "lumos-wifi-train": "lumos-wifi",
    "lumos-wifi-valid": "lumos-wifi",
    "pensieve-test": "pensieve",
    "pensieve-train": "pensieve",
    "puffer22-test": "puffer22",
    "puffer22-train": "puffer22",
    "puffer22-valid": "puffer22",
    "sabre-3g": "sabre-3g",
}
"""Split -> data set that has it."""
INSTALLED_VIDEOS = {"bbb": "sabre-3g", "video1": DATASET, "video2": DATASET}
"""Video -> data set that has it."""
DEFAULT_VIDEO = "video1"


def default_video(traces: TraceSet) -> str:
    """The video that these traces are played with where no other is asked for.

    Raises ``ValueError`` (one line) where it is that of ``netllm-abr`` and not installed.
    """
    if not traces.installed:
        return "synthetic"
    if not datasets.installed(INSTALLED_VIDEOS[DEFAULT_VIDEO]):
        raise ValueError(
            f"traces {traces.name!r} are played with video {DEFAULT_VIDEO!r} unless told otherwise, and it is not "
            f"installed; run: python -m netenvs.datasets install {INSTALLED_VIDEOS[DEFAULT_VIDEO]}, or give another "
            "video, video=synthetic"
        )
    return DEFAULT_VIDEO


def read_split(split: str) -> TraceSet:
    """A split of :data:`INSTALLED_SPLITS`. Raises ``ValueError`` (one line) where it is not installed or damaged."""
    with datasets.reading(INSTALLED_SPLITS[split]) as folder:
        derived = json.loads((folder / "splits.json").read_text()) if INSTALLED_SPLITS[split] == DATASET else {}
        stored = derived[split]["from"] if split in derived else split
        with named_arrays(folder / f"{stored}.npz") as arrays:
            flat = {key: arrays[key] for key in arrays.files if key != "names"}
            whole = TraceSet(split, tuple(map(str, arrays["names"])), **flat, installed=True)
        if split not in derived:
            return whole
        indices = derived[split]["indices"]
        traces = [(whole.names[i], *whole.trace(i)) for i in indices]
        return replace(make_trace_set(split, traces, whole.start_pointer[indices]), installed=True)
