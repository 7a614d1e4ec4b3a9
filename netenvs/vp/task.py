"""Viewport prediction as a task; see ``netenvs.tasks``."""

from __future__ import annotations

from typing import Any

from netenvs.tasks import Choice, Items, Task


def recorded_datasets() -> list[Choice]:
    """Recordings of head motion."""
    from netenvs import datasets
    from netenvs.vp import workload

    return [
        Choice("synthetic"),
        *(
            Choice(name, datasets.installed(name), f"python -m netenvs.datasets install {name}")
            for name in workload.INSTALLED
        ),
        Choice("FILE or FOLDER"),
    ]


def _items(env: Any) -> Items:
    pin = "window" if env.playback.mode == "windows" else "recording"
    count = len(env.playback.recording)
    return Items(lambda number: {pin: number % count}, count, count, again=False)


TASK = Task(
    name="vp",
    title="viewport prediction",
    env_id="netenvs/VP-v0",
    entry_point="netenvs.vp.env:VPEnv",
    vector_entry_point="netenvs.vp.env:VPVectorEnv",
    dataset_option="dataset",
    dataset_kind="data set",
    datasets=recorded_datasets,
    inspect="netenvs.vp.inspection:inspect",
    items=_items,
    units={
        "action": "degrees (roll, pitch, yaw)",
        "reward": "- 180 degrees of great circle",
        "obs": "degrees (roll, pitch, yaw)",
        "obs/time_s": "s",
        "obs/saliency": "share of the most looked-at cell",
        "obs/features": "image features",
        "actual_path": "degrees (roll, pitch, yaw), as recorded",
        "info/mae": "degrees",
        "info/static_mae": "degrees",
    },
)
