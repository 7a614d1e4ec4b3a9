"""The yardstick of the speed benchmark: viewport prediction with the structure of the published code.

One window after another: a slice of its recording, the prediction, and the metrics with small numpy arrays, into
nested dictionaries of results by video and user; tiles are sets in Python. That is how NetLLM's data set and
``ResultNotebook`` and the tile code of MANSY go about it. It computes what ``netenvs.vp.sphere.score_windows`` does
(tested), so both sides of a speed ratio do the same work.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from netenvs.vp.recordings import STEP, TRIM_HEAD, TRIM_TAIL, Recordings

METRICS = ("mae", "static_mae", "gc_deg", "tile_recall", "tile_precision", "tile_iou")
TILE_DEG = (180.0 / 8, 360.0 / 8)
HALF_VIEWPORT_DEG = 50.0


class PlainWindows:
    """The windows of a split, scored one by one with the prediction that the viewer stands still."""

    def __init__(self, recordings: Recordings, split: str = "test", history: int = 10, horizon: int = 20):
        self.history, self.horizon = history, horizon
        listed = recordings.splits[split]
        place = {
            pair: i for i, pair in enumerate(zip(recordings.video.tolist(), recordings.user.tolist(), strict=True))
        }
        self.traces = {
            (video, user): recordings.angles_deg[recordings.offset[i] : recordings.offset[i + 1]]
            for video in listed.videos
            for user in listed.users
            if (i := place.get((video, user))) is not None
        }
        self.results: dict[int, dict[int, dict[int, tuple[float, ...]]]] = {}

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """(video, user, first future sample) of each window."""
        for (video, user), trace in self.traces.items():
            for sample in range(TRIM_HEAD, len(trace) - TRIM_TAIL, STEP):
                yield video, user, sample

    def run(self) -> int:
        """Score all windows, and return how many there are; ``results[video][user][sample]`` are the ``METRICS``."""
        self.results = {}
        count = 0
        for video, user, sample in self:
            trace = self.traces[video, user]
            history = trace[sample - self.history : sample]
            future = trace[sample : sample + self.horizon]
            predicted = np.repeat(history[-1:], self.horizon, axis=0)
            scores = score(predicted, future, history[-1])
            self.results.setdefault(video, {}).setdefault(user, {})[sample] = scores
            count += 1
        return count


def score(predicted: np.ndarray, actual: np.ndarray, last: np.ndarray) -> tuple[float, ...]:
    """The ``METRICS`` of one window: paths (steps, 3), last observed sample (3,), degrees."""
    predicted, actual, last = (array.astype(np.float64) for array in (predicted, actual, last))
    tiles = [overlaps(tiles_of(*p[1:]), tiles_of(*a[1:])) for p, a in zip(predicted, actual, strict=True)]
    recall, precision, iou = np.mean(tiles, axis=0)
    return (
        mean_absolute_error(predicted, actual),
        mean_absolute_error(np.repeat(last[None], len(actual), axis=0), actual),
        float(great_circles_deg(predicted, actual).mean()),
        float(recall),
        float(precision),
        float(iou),
    )


def mean_absolute_error(predicted: np.ndarray, actual: np.ndarray) -> float:
    """NetLLM's, which wraps once."""
    errors = np.minimum(np.abs(actual - predicted), np.abs(actual + 360.0 - predicted))
    return float(np.minimum(errors, np.abs(actual - 360.0 - predicted)).mean())


def great_circles_deg(predicted: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """float64 (steps,)."""
    (_, p, y), (_, q, z) = np.radians(predicted).T, np.radians(actual).T
    cosine = np.sin(p) * np.sin(q) + np.cos(p) * np.cos(q) * np.cos(y - z)
    sine = np.hypot(np.cos(q) * np.sin(y - z), np.cos(p) * np.sin(q) - np.sin(p) * np.cos(q) * np.cos(y - z))
    return np.degrees(np.arctan2(sine, cosine))


def tiles_of(pitch: float, yaw: float) -> set[tuple[int, int]]:
    """Tiles (row, column) that a viewport of 100 x 100 degrees overlaps, yaw wrapped."""
    height, width = TILE_DEG
    first_row = max(math.floor((pitch - HALF_VIEWPORT_DEG + 90.0) / height), 0)
    end_row = min(math.ceil((pitch + HALF_VIEWPORT_DEG + 90.0) / height), 8)
    first_column = math.floor((yaw - HALF_VIEWPORT_DEG + 180.0) / width)
    end_column = math.ceil((yaw + HALF_VIEWPORT_DEG + 180.0) / width)
    return {(row, column % 8) for row in range(first_row, end_row) for column in range(first_column, end_column)}


def overlaps(predicted: set[tuple[int, int]], actual: set[tuple[int, int]]) -> tuple[float, float, float]:
    """Recall, precision and IoU."""
    shared = len(predicted & actual)
    return shared / len(actual), shared / len(predicted), shared / len(predicted | actual)
