"""Tiled 360-degree streaming as a task; see ``netenvs.tasks``."""

from __future__ import annotations

import math
from typing import Any

from netenvs.tasks import Items, Task
from netenvs.vp.task import recorded_datasets


def _items(env: Any) -> Items:
    recordings, traces = len(env.simulator.recording), len(env.simulator.traces)
    return Items(
        lambda number: {"recording": number % recordings, "trace": number % traces},
        max(recordings, traces),
        math.lcm(recordings, traces),
    )


TASK = Task(
    name="vp-streaming",
    title="tiled 360-degree streaming",
    env_id="netenvs/VPStreaming-v0",
    entry_point="netenvs.vp_streaming.env:VPStreamingEnv",
    vector_entry_point="netenvs.vp_streaming.env:VPStreamingVectorEnv",
    dataset_option="dataset",
    dataset_kind="data set of head motion",
    datasets=recorded_datasets,
    inspect="netenvs.vp.inspection:inspect",
    items=_items,
    units={
        "action": "level of each tile, 0 = not fetched; zones, or number of a pair, in other action modes",
        "reward": "QoE",
        "obs/history": "degrees (roll, pitch, yaw)",
        "obs/fetched": "share of the highest rate",
        "obs/tile_mbyte": "Mbyte",
        "obs/viewport": "1 in the predicted viewport",
        "obs/chunks_left": "share of the video",
        "info/fetched_mbyte": "Mbyte",
        "info/wasted_mbyte": "Mbyte",
    },
)
