"""Adaptive bitrate streaming as a task; see ``netenvs.tasks``."""

from __future__ import annotations

from typing import Any

from netenvs.tasks import Choice, Items, Task


def _datasets() -> list[Choice]:
    from netenvs import datasets
    from netenvs.abr import generators, installed

    needed = installed.INSTALLED_SPLITS
    here = {dataset: datasets.installed(dataset) for dataset in needed.values()}
    return [
        *(Choice(name) for name in generators.TRACES),
        *(Choice(name, here[of], f"python -m netenvs.datasets install {of}") for name, of in needed.items()),
        Choice("FILE or FOLDER"),
    ]


def _items(env: Any) -> Items:
    count = len(env.traces)
    return Items(lambda number: {"trace": number % count}, count, count)


TASK = Task(
    name="abr",
    title="adaptive bitrate streaming",
    env_id="netenvs/ABR-v0",
    entry_point="netenvs.abr.env:ABREnv",
    vector_entry_point="netenvs.abr.env:ABRVectorEnv",
    dataset_option="traces",
    dataset_kind="trace split",
    datasets=_datasets,
    inspect="netenvs.abr.inspection:inspect",
    items=_items,
    units={"action": "bitrate level, 0 = lowest", "reward": "QoE", "obs": "rows of netenvs.abr.env.ABREnv"},
)
