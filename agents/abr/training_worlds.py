"""Where bitrate policies learn, and by which worlds and splits they are chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym

from agents.abr.relative import PAST
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
PUBLISHED = TRAINED_ON[0]
"""The links at home."""
NETWORKS_AT_HOME = 0.6
NETWORKS_SHARES = {PUBLISHED: 20.0, "fcc-hd-train": 5.0, "fcc-sd-train": 5.0}
"""Of the worlds of networks, and of those at home, to 1 of each other set. Networks are asked to play the published
links best of all. Two other sets look like them for a minute and ask for the contrary then, so that it takes more of
them to tell them apart."""
KNOWN_VIDEO = "video1"
GENERATED = "synthetic(seed=1)"
"""Traces instead of recorded ones where none are installed."""


class TrainingWorlds:
    """Worlds of a seed, from what is installed; ``at_home`` and ``shares`` of the recorded sets, to 1 of each set that
    has none, as of ``netenvs.abr.worlds.make_world``.
    """

    def __init__(self, at_home: float | None = None, shares: Mapping[str, float] | None = None) -> None:
        here = [split for split in TRAINED_ON if datasets.installed(INSTALLED_SPLITS[split])]
        self.names = tuple(here) or (GENERATED,)
        """Of the recorded traces."""
        self._recorded = [load_traces(name) for name in self.names]
        self._at_home = at_home
        self._shares = None if shares is None else [shares.get(name, 1.0) for name in self.names]
        known = datasets.installed(INSTALLED_VIDEOS[KNOWN_VIDEO])
        self.video = load_video(KNOWN_VIDEO if known else "synthetic")
        """The video that is known."""

    def make(self, seed: Sequence[int], traces: int = 4) -> World:
        """The world of a seed, see ``netenvs.abr.worlds.make_world``."""
        return make_world(seed, traces, self._recorded, self.video, self._at_home, self._shares)


def worlds_of_networks() -> TrainingWorlds:
    """Where networks learn: more often at home than planners, whose quantiles do not depend on a ladder."""
    return TrainingWorlds(NETWORKS_AT_HOME, NETWORKS_SHARES)


def environment(world: World, rows: int) -> Any:
    """Sessions of a world, for policies that see it free of scale."""
    return gym.make_vec(ABR.env_id, num_envs=rows, autoreset_mode="disabled", history=PAST, **world.options())
