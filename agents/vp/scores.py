"""How good predicted paths are, with intervals over pairs of a viewer and a video."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from agents.policy import BatchPolicy
from agents.scoring import Measure, Score, Scoring
from agents.statistics import bounds, ratio_interval
from netenvs import datasets
from netenvs.vp import sphere
from netenvs.vp.previous_viewers import PreviousViewers
from netenvs.vp.recordings import Windows
from netenvs.vp.recordings import windows as cut_windows
from netenvs.vp.workload import load_recordings


def predict_windows(
    policy: BatchPolicy, windows: Windows, previous_viewers: PreviousViewers, batch: int = 1024
) -> np.ndarray:
    """Paths that ``policy`` predicts, float32 (windows, horizon, 3), with what the environment would show it."""
    horizon = windows.future.shape[1]
    paths = []
    for begin in range(0, len(windows.user), batch):
        rows = slice(begin, begin + batch)
        observations = {
            "history": np.ascontiguousarray(windows.history[rows]),
            "time_s": windows.time_s[rows, None].astype(np.float32),
        }
        episodes = np.arange(len(observations["history"]))
        policy.reset_rows(episodes, [None] * len(episodes))  # each window is an episode
        infos = {
            "video": windows.video[rows],
            "user": windows.user[rows],
            "horizon": horizon,
            "previous_viewers": previous_viewers,
            "row": episodes,
        }
        paths.append(policy.act_batch(observations, infos))
    return np.concatenate(paths) if paths else np.empty((0, horizon, 3), dtype=np.float32)


def score(paths: np.ndarray, windows: Windows) -> dict[str, Any]:
    """Figures of predicted paths (windows, horizon, 3), rounded to a hundredth of a millidegree.

    ``mae`` is NetLLM's, over windows, steps and axes, with its 95 % bootstrap interval ``ci95`` over the pairs of
    viewer and video (a drawn pair brings all its windows); ``static`` that of repeating the last sample; ``skill``
    is 1 - mae / static with its interval; ``axes`` roll, pitch, yaw; ``by_second`` the mean of each second;
    ``great_circle`` the mean distance on the sphere. All but ``skill`` in degrees.
    """
    errors = sphere.absolute_errors(paths, windows.future)
    still = np.broadcast_to(windows.history[:, -1:], windows.future.shape)
    static = sphere.absolute_errors(still, windows.future).mean(axis=(1, 2))
    own = errors.mean(axis=(1, 2))
    _, pair = np.unique(np.stack([windows.video, windows.user]), axis=1, return_inverse=True)
    pairs = pair.tolist()
    ratios = ratio_interval(own, static, pairs) or (own.mean() / static.mean(),) * 2
    steps = np.array_split(np.arange(errors.shape[1]), max(errors.shape[1] // 5, 1))
    figures = {
        "mae": own.mean(),
        "ci95": bounds(own, pairs),
        "static": static.mean(),
        "skill": 1 - own.mean() / static.mean(),
        "skill_ci95": (1 - ratios[1], 1 - ratios[0]),
        "axes": errors.mean(axis=(0, 1)),
        "by_second": np.array([errors[:, second].mean() for second in steps]),
        "great_circle": sphere.great_circle_deg(paths, windows.future).mean(),
    }
    rounded = {name: np.round(value, 5).tolist() for name, value in figures.items()}
    return {**rounded, "windows": len(own), "pairs": len(set(pairs))}


def _scored(dataset: str, split: str, policy: BatchPolicy) -> Score:
    recordings = load_recordings(dataset)
    cut = cut_windows(recordings, split)
    errors = sphere.absolute_errors(predict_windows(policy, cut, PreviousViewers(recordings)), cut.future)
    _, pair = np.unique(np.stack([cut.video, cut.user]), axis=1, return_inverse=True)
    counts = np.bincount(pair)
    values = np.bincount(pair, errors.mean(axis=(1, 2))) / counts
    return Score.of(np.round(values, 5).tolist(), counts.astype(float).tolist())


def _settings() -> dict[str, Callable[[Any], Score]]:
    played = [(name, split) for name, split in SPLITS if datasets.installed(name)] or WITHOUT_DATA
    return {f"{name}, {split}": partial(_scored, name, split) for name, split in played}


SPLITS = [("jin2022", "valid"), ("jin2022", "test"), ("wu2017", "test")]
WITHOUT_DATA = [("synthetic", "test")]
SCORING = Scoring(
    measure=Measure(
        name="mean absolute error, degrees",
        item="pairs of a viewer and a video",
        decimals=3,
        note="`viewers`, and sequence policies without `viewers=false`, assume at least 10 logged viewers of the same "
        "video; the others do not.",
    ),
    baselines=("static", "lad", "viewers"),
    settings=_settings,
)
