"""Viewport prediction: error of the predicted path, on the sphere and in tiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from agents.rollout import Episode
from benchmarks import formats
from benchmarks.tasks.setup import Groups, Metric, Profile, Setup, TaskComparison, Term
from netenvs.vp.recordings import RATE_HZ, STEP

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TERMS = (
    Term(
        "great_circle_deg",
        "great-circle error (degrees)",
        "gr. circle\ndegrees",
        "lower",
        "Angle between predicted and actual viewing direction, mean over the steps of the horizon. Roll does not "
        "count in it, and yaw counts less near the poles.",
        decimals=2,
    ),
    Term(
        "tile_recall",
        "tile recall (share)",
        "tile\nrecall",
        "higher",
        "Share of the tiles in the actual viewport that are in the predicted one, too: 8 x 8 tiles, viewport of "
        "100 x 100 degrees, mean over the steps.",
        decimals=3,
    ),
    Term(
        "tile_iou",
        "tile IoU (share)",
        "tile\nIoU",
        "higher",
        "Tiles in both viewports over tiles in either of them, the same way.",
        decimals=3,
    ),
)
TERM_COLUMNS = {"great_circle_deg": "gc_deg", "tile_recall": "tile_recall", "tile_iou": "tile_iou"}


def _only(episode: Episode, column: str) -> float:
    """A number of an episode of one decision."""
    return float(episode.columns[column][0])


def _skill(episodes: Sequence[Episode]) -> float:
    mae, static_mae = (math.fsum(_only(e, column) for e in episodes) for column in ("mae", "static_mae"))
    return 1.0 - mae / static_mae


def _setup(env: gym.Env) -> Setup:
    world: Any = env.unwrapped
    playback = world.playback
    recordings = playback.recordings
    numbers = {
        "video": recordings.video[playback.recording],
        "viewer": recordings.user[playback.recording],
        "viewer-video pair": playback.recording,
    }
    played = ", ".join(formats.plural(len(np.unique(of)), what) for what, of in numbers.items())
    history, horizon = playback.history, playback.horizon
    name = playback.dataset if playback.dataset.startswith("synthetic") else recordings.name
    return Setup(
        dataset=name if playback.split == "test" else f"{name}, {playback.split}",
        metric=Metric("mae_deg", "degrees", "lower", "MAE (degrees)", decimals=3),
        terms=TERMS,
        score=lambda episode: _only(episode, "mae"),
        term_values=lambda episode: {name: _only(episode, column) for name, column in TERM_COLUMNS.items()},
        collect=lambda world, row: world.playback.great_circle_deg[row].copy(),
        profile=Profile(
            name="great_circle_deg",
            label="great-circle error (degrees)",
            better="lower",
            at_name="ahead_s",
            at_label="time ahead (s)",
            at=np.arange(1, horizon + 1) / RATE_HZ,
            values=lambda episode: episode.collected,
            title="error by horizon",
        ),
        groups=Groups(
            noun="viewer-video pair",
            key=lambda episode: (_only(episode, "video"), _only(episode, "user")),
            caveat="Pairs share their videos, of which a split has few: on other videos, means can be further away.",
        ),
        details={
            "recordings": f"{recordings.name}, {playback.split} split: {played}",
            "window": f"{history} samples ({history / RATE_HZ:g} s) observed, {horizon} ({horizon / RATE_HZ:g} s) "
            f"predicted; one every {STEP / RATE_HZ:g} s of a recording",
            "mean absolute error": "MAE, over the steps of the horizon and over roll, pitch and yaw, as NetLLM "
            "computes it: angles wrap once, predictions are scored as they are",
        },
    )


def _example(world: Any) -> tuple[Figure, dict[str, np.ndarray]]:
    scene = world.scene()
    paths = {"observed": scene.history, "recorded": scene.actual, "predicted": scene.predicted}
    axes = ("roll_deg", "pitch_deg", "yaw_deg")
    seen, steps = len(scene.history), len(scene.actual)
    ahead = [np.arange(1 - seen, 1) / RATE_HZ, *[np.arange(1, steps + 1) / RATE_HZ] * 2]
    columns = {
        "path": np.repeat(list(paths), [len(path) for path in paths.values()]),
        "ahead_s": np.concatenate(ahead),
        **{name: np.concatenate([path[:, axis] for path in paths.values()]) for axis, name in enumerate(axes)},
    }
    return world.episode_figure(), columns


TASK = TaskComparison(
    refused={
        "mode": "a comparison plays the windows of the published protocol; in replay, which windows there are "
        "would depend on stride_s",
        "stride_s": "it belongs to mode=replay, which a comparison does not play",
    },
    setup=_setup,
    terms_title="great circles and tiles",
    noun="window",
    reference="static",
    skill=_skill,
    skill_meaning="1 - MAE / MAE of standing still over the same windows: 1 is perfect, 0 is no better than not "
    "moving at all, below 0 is worse.",
    example=_example,
    example_note="Where the viewer looked and was predicted to look, on the map of the video with the heat map of "
    "previous viewers, and the error over the time ahead.",
)
