"""Statistics of head motion: how to measure them, and what the published data sets have.

``motion_statistics(recordings)`` computes each row of ``REAL`` for any recordings; the presets of synthetic head motion
(``netenvs/vp/generators.py``) are fitted to these rows. ``python -m netenvs.vp.motion_statistics`` prints real and
synthetic figures side by side and marks what is missed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from netenvs.vp.generators import PRESETS, synthetic_recordings
from netenvs.vp.recordings import MAX_GAP_S, RATE_HZ, Recordings, Split, windows
from netenvs.vp.sphere import mae, view_vectors, wrap_deg

PAUSE_DEG_S, SHIFT_DEG_S = 5.0, 20.0
"""Runs of samples slower than the first are pauses, those faster than the second are shifts of gaze."""
OTHERS_EARLIER_S = 20.0

# All recordings of Jin2022, and of the videos 1 to 9 of Wu2017, which are those of the published splits, measured with
# the functions below. Angles in degrees, speeds in deg/s.
REAL: dict[str, dict[str, float]] = {
    "jin": {
        "speed mean": 16.47,
        "speed p25": 1.154,
        "speed p50": 5.068,
        "speed p75": 18.82,
        "speed p90": 46.95,
        "speed p95": 71.44,
        "speed p99": 137.2,
        "speed p99.9": 249.3,
        "share < 1 deg/s": 0.2273,
        "share < 5 deg/s": 0.4976,
        "share > 20 deg/s": 0.2389,
        "share > 60 deg/s": 0.06854,
        "yaw velocity acf 1": 0.7312,
        "yaw velocity acf 2": 0.4247,
        "yaw velocity acf 3": 0.2405,
        "yaw velocity acf 5": 0.05045,
        "yaw velocity acf 10": -0.08785,
        "pitch velocity acf 1": 0.5447,
        "pitch velocity acf 2": 0.1985,
        "pitch velocity acf 3": 0.03949,
        "pitch velocity acf 5": -0.09405,
        "yaw velocity kurtosis": 19.47,
        "pauses per minute": 23.05,
        "pause mean s": 1.295,
        "pause median s": 0.4,
        "shifts per minute": 18.8,
        "shift mean deg": 33.57,
        "shift mean s": 0.7622,
        "displacement 1 s": 13.69,
        "displacement 2 s": 21.85,
        "displacement 4 s": 29.7,
        "displacement 5 s": 31.79,
        "pitch std": 9.707,
        "roll std": 14.46,
        "pitch velocity std": 9.798,
        "roll velocity std": 13.33,
        "yaw within 30 deg": 0.6217,
        "yaw within 60 deg": 0.7606,
        "yaw within 90 deg": 0.8641,
        "yaw within 135 deg": 0.9496,
        "from the other users": 30.66,
        "from the other users 20 s ago": 38.07,
        "MAE static": 9.98,
        "MAE velocity": 17.48,
        "MAE regression": 19.33,
    },
    "wu": {
        "speed mean": 17.11,
        "speed p25": 1.254,
        "speed p50": 5.792,
        "speed p75": 21.33,
        "speed p90": 48.6,
        "speed p95": 70.44,
        "speed p99": 129.6,
        "speed p99.9": 232.5,
        "share < 1 deg/s": 0.2174,
        "share < 5 deg/s": 0.4742,
        "share > 20 deg/s": 0.2627,
        "share > 60 deg/s": 0.0691,
        "yaw velocity acf 1": 0.7907,
        "yaw velocity acf 2": 0.5385,
        "yaw velocity acf 3": 0.3729,
        "yaw velocity acf 5": 0.1566,
        "yaw velocity acf 10": -0.04522,
        "pitch velocity acf 1": 0.6346,
        "pitch velocity acf 2": 0.2973,
        "pitch velocity acf 3": 0.1047,
        "pitch velocity acf 5": -0.07662,
        "yaw velocity kurtosis": 17.74,
        "pauses per minute": 21.69,
        "pause mean s": 1.312,
        "pause median s": 0.4,
        "shifts per minute": 18.73,
        "shift mean deg": 36.21,
        "shift mean s": 0.8416,
        "displacement 1 s": 14.73,
        "displacement 2 s": 24.45,
        "displacement 4 s": 35.28,
        "displacement 5 s": 38.66,
        "pitch std": 11.96,
        "roll std": 14.55,
        "pitch velocity std": 9.871,
        "roll velocity std": 11.35,
        "yaw within 30 deg": 0.3549,
        "yaw within 60 deg": 0.536,
        "yaw within 90 deg": 0.6752,
        "yaw within 135 deg": 0.8541,
        "from the other users": 43.05,
        "from the other users 20 s ago": 55.26,
        "MAE static": 10.8,
        "MAE velocity": 18.03,
        "MAE regression": 19.77,
    },
}
RELATIVE, ABSOLUTE = 0.25, 0.08
"""A synthetic figure agrees with the real one when it is off by at most this share of it, or by this much."""


def motion_statistics(recordings: Recordings) -> dict[str, float]:
    """The rows of ``REAL`` for these recordings.

    Speeds and displacements are angles between viewing directions, which pitch and yaw give alone. Autocorrelations are
    computed for each recording and averaged; kurtosis is the excess over 3; shifts end where the speed falls below
    ``SHIFT_DEG_S``, and their size is the angle from end to end. "from the other users" is the mean angle between a
    user's view and the mean viewing direction of all others at the same moment of the same video; "20 s ago" takes the
    others' direction 20 s earlier: the difference is what they tell about the moment, and not the video as a whole.
    NaN stands for the mean of nothing: no pause, no shift.
    """
    roll, pitch, yaw = np.asarray(recordings.angles_deg, dtype=np.float64).T
    view = view_vectors(recordings.angles_deg)
    whole = _same_recording(recordings, 1)
    speed = _apart_deg(view[:-1], view[1:]) * RATE_HZ
    velocity = {
        "yaw": wrap_deg(np.diff(yaw)) * RATE_HZ,
        "pitch": np.diff(pitch) * RATE_HZ,
        "roll": wrap_deg(np.diff(roll)) * RATE_HZ,
    }
    moving = speed[whole]
    rows = {"speed mean": moving.mean()}
    rows |= {f"speed p{q:g}": np.percentile(moving, q) for q in (25, 50, 75, 90, 95, 99, 99.9)}
    rows |= {f"share < {limit} deg/s": (moving < limit).mean() for limit in (1, 5)}
    rows |= {f"share > {limit} deg/s": (moving > limit).mean() for limit in (20, 60)}
    for axis, lags in (("yaw", (1, 2, 3, 5, 10)), ("pitch", (1, 2, 3, 5))):
        for lag in lags:
            rows[f"{axis} velocity acf {lag}"] = _autocorrelation(recordings, velocity[axis], lag)
    turning = velocity["yaw"][whole]
    rows["yaw velocity kurtosis"] = _mean((turning - turning.mean()) ** 4 / max(turning.var(), 1e-12) ** 2) - 3
    minutes = whole.sum() / RATE_HZ / 60
    begin, end = _runs((speed < PAUSE_DEG_S) & whole)
    rows["pauses per minute"] = len(begin) / minutes
    rows["pause mean s"] = _mean(end - begin) / RATE_HZ
    rows["pause median s"] = np.median(end - begin if len(end) else [np.nan]) / RATE_HZ
    begin, end = _runs((speed > SHIFT_DEG_S) & whole)
    rows["shifts per minute"] = len(begin) / minutes
    rows["shift mean deg"] = _mean(_apart_deg(view[begin], view[end]))
    rows["shift mean s"] = _mean(end - begin) / RATE_HZ
    for seconds in (1, 2, 4, 5):
        lag = round(seconds * RATE_HZ)
        rows[f"displacement {seconds} s"] = _apart_deg(view[:-lag], view[lag:])[_same_recording(recordings, lag)].mean()
    rows["pitch std"], rows["roll std"] = pitch.std(), roll.std()
    rows |= {f"{axis} velocity std": velocity[axis][whole].std() for axis in ("pitch", "roll")}
    centre = np.degrees(np.arctan2(np.sin(np.radians(yaw)).sum(), np.cos(np.radians(yaw)).sum()))
    off_centre = np.abs(wrap_deg(yaw - centre))
    rows |= {f"yaw within {limit} deg": (off_centre <= limit).mean() for limit in (30, 60, 90, 135)}
    rows["from the other users"] = _angle_to_others(recordings, view, 0)
    rows["from the other users 20 s ago"] = _angle_to_others(recordings, view, round(OTHERS_EARLIER_S * RATE_HZ))
    return {name: float(value) for name, value in rows.items()} | rule_errors(recordings)


def rule_errors(recordings: Recordings, split: str | None = None) -> dict[str, float]:
    """MAE in degrees, as published, of three rules on the published windows of a split, or of all recordings.

    The angle between a predicted and a true sample is taken per axis, to the nearest of the true angle and the same
    plus or minus 360. static repeats the last sample, velocity goes on at the mean velocity of the history, regression
    along the least-squares line of each axis; nothing is unwrapped.
    """
    everything = Split(tuple(np.unique(recordings.video).tolist()), tuple(np.unique(recordings.user).tolist()))
    every = replace(recordings, splits={"all": everything})
    cut = windows(every, "all") if split is None else windows(recordings, split)
    past = cut.history.astype(np.float64)
    history, horizon = past.shape[1], cut.future.shape[1]
    last, ahead = past[:, -1:], np.arange(1, horizon + 1)[:, None]
    index = np.arange(history) - (history - 1) / 2
    slope = np.einsum("t,wtc->wc", index, past)[:, None] / np.sum(index**2)
    predicted = {
        "MAE static": np.repeat(last, horizon, axis=1),
        "MAE velocity": last + ahead * (last - past[:, :1]) / (history - 1),
        "MAE regression": past.mean(axis=1, keepdims=True) + slope * (ahead + (history - 1) / 2),
    }
    return {name: float(mae(path, cut.future).mean()) for name, path in predicted.items()}


def _mean(values: np.ndarray | list[float]) -> float:
    """The mean, NaN of nothing."""
    return float(np.mean(values)) if np.size(values) else float("nan")


def _apart_deg(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Angle of unit vectors, by the chord, which is exact for small angles."""
    angle: np.ndarray = np.degrees(2 * np.arcsin(np.minimum(np.linalg.norm(one - other, axis=-1) / 2, 1.0)))
    return angle


def _same_recording(recordings: Recordings, lag: int) -> np.ndarray:
    """bool (samples - lag,): sample and sample + lag are of one recording, about lag / RATE_HZ apart."""
    number = np.repeat(np.arange(len(recordings)), np.diff(recordings.offset))
    apart_s = recordings.time_s[lag:] - recordings.time_s[:-lag]
    same: np.ndarray = (number[lag:] == number[:-lag]) & (apart_s <= lag / RATE_HZ + MAX_GAP_S - 1 / RATE_HZ)
    return same


def _autocorrelation(recordings: Recordings, velocity: np.ndarray, lag: int) -> float:
    """Mean over recordings of each one's autocorrelation; one that never moves is left out."""
    found = []
    for start, end in zip(recordings.offset[:-1], recordings.offset[1:], strict=True):
        series = velocity[start : end - 1] - velocity[start : end - 1].mean()
        if len(series) > lag and series.any():
            found.append(np.mean(series[:-lag] * series[lag:]) / np.mean(series**2))
    return _mean(found)


def _angle_to_others(recordings: Recordings, view: np.ndarray, earlier: int) -> float:
    """Mean angle of a view to the mean direction of the video's other users, so many samples before."""
    length = np.diff(recordings.offset)
    angles = []
    for video in np.unique(recordings.video):
        watched = np.flatnonzero(recordings.video == video)
        views = np.zeros((len(watched), length[watched].max(), 3))  # zero where a recording is over
        for row, i in enumerate(watched):
            views[row, : length[i]] = view[recordings.offset[i] : recordings.offset[i + 1]]
        others = (views.sum(axis=0) - views)[:, : views.shape[1] - earlier]
        size = np.linalg.norm(others, axis=-1, keepdims=True)
        now = views[:, earlier:]
        known = (size[..., 0] > 0) & now.any(axis=-1)
        angles.append(_apart_deg((others / np.maximum(size, 1e-12))[known], now[known]))
    return float(np.concatenate(angles).mean())


def _runs(condition: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First index of every run of True, and the index after its last."""
    edges = np.diff(np.concatenate([[0], condition.astype(np.int8), [0]]))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def compared(preset: str, videos: int = 24, users: int = 24, seeds: Iterable[int] = range(3)) -> dict[str, float]:
    """Rows of ``REAL`` for a preset's synthetic recordings, mean over the seeds."""
    each = [motion_statistics(synthetic_recordings(preset, seed, videos, users)) for seed in seeds]
    return {name: float(np.mean([rows[name] for rows in each])) for name in REAL[preset]}


def missed(preset: str, rows: dict[str, float]) -> list[str]:
    """Names of the rows that do not agree with ``REAL``, see ``RELATIVE`` and ``ABSOLUTE``."""
    real = REAL[preset]
    return [name for name in real if abs(rows[name] - real[name]) > max(RELATIVE * abs(real[name]), ABSOLUTE)]


@dataclass(frozen=True)
class Args:
    """This prints a table: real and synthetic figures of each preset."""

    videos: int = 24
    """A synthetic set has so many videos."""
    users: int = 24
    """So many users watch each video."""
    seeds: int = 3
    """Figures are means over so many sets."""


def main(options: Args) -> None:
    """Print the table that the options ask for."""
    made = {preset: compared(preset, options.videos, options.users, range(options.seeds)) for preset in PRESETS}
    print(f"{'':32}" + "".join(f"{'real ' + preset:>10}{'synthetic':>11}  " for preset in made))
    for name in REAL["jin"]:
        cells = (
            f"{REAL[preset][name]:10.3f}{rows[name]:11.3f}{'*' if name in missed(preset, rows) else ' '} "
            for preset, rows in made.items()
        )
        print(f"{name:32}" + "".join(cells).rstrip())
    print(f"* off by more than {RELATIVE:.0%} and by more than {ABSOLUTE}")


if __name__ == "__main__":
    from netenvs.command_line import run

    run(main, Args, "python -m netenvs.vp.motion_statistics")
