"""Where bitrate policies learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym

from agents.abr.throughput_quantiles import PAST
from netenvs import datasets
from netenvs.abr.installed import INSTALLED_SPLITS, INSTALLED_VIDEOS
from netenvs.abr.task import TASK as ABR
from netenvs.abr.workload import load_traces, load_video
from netenvs.abr.worlds import World, make_world

TRAINED_ON = (
    "fcc-train-clean",
    "puffer22-train",
    "fcc-hd-train",
    "fcc-sd-train",
    "sabre-3g",
    "lumos-wifi-train",
    "pensieve-train",
)
"""Recorded traces of the worlds, where they are installed."""
KNOWN_VIDEO = "video1"
GENERATED = "synthetic(seed=1)"
"""Traces instead of recorded ones where none are installed."""


class TrainingWorlds:
    """Worlds of a seed, from what is installed."""

    def __init__(self) -> None:
        here = [split for split in TRAINED_ON if datasets.installed(INSTALLED_SPLITS[split])]
        self.names = tuple(here) or (GENERATED,)
        """Of the recorded traces."""
        self._recorded = [load_traces(name) for name in self.names]
        known = datasets.installed(INSTALLED_VIDEOS[KNOWN_VIDEO])
        self.video = load_video(KNOWN_VIDEO if known else "synthetic")
        """The video that is known."""

    def make(self, seed: Sequence[int], traces: int = 4) -> World:
        """The world of a seed, see ``netenvs.abr.worlds.make_world``."""
        return make_world(seed, traces, self._recorded, self.video)


def environment(world: World, rows: int) -> Any:
    """Sessions of a world; observations have the last 16 downloads."""
    return gym.make_vec(ABR.env_id, num_envs=rows, autoreset_mode="disabled", history=PAST, **world.options())
