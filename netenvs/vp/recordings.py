"""Head-motion recordings as flat arrays, and the windows that the published protocol cuts from them.

All angles are degrees in the order roll, pitch, yaw, as published: yaw wraps at +-180, nothing is unwrapped.
Samples come at 5 Hz, nominally; ``time_s`` says when each was really taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from netenvs.records import ArrayRecord, put_array, put_offsets, refuse_field
from netenvs.spec import unknown_name

RATE_HZ = 5.0
TRIM_HEAD, TRIM_TAIL, STEP = 30, 60, 15
"""Samples left out at either end of a recording, and between windows: constants of NetLLM's protocol."""
MAX_GAP_S = 0.6
"""Longer pauses between samples are gaps in a recording."""
LARGEST_DEG = np.array([180.0, 90.0, 180.0])
"""Of roll, pitch and yaw; those of two ends of a turn are the same."""
TIME_SLACK_S = 1e-6
"""Times are given to a microsecond: 0.6 s apart may come out as a little more."""


class Split(NamedTuple):
    """Videos and users of a split, in the order of the published lists; users and videos of splits are disjoint."""

    videos: tuple[int, ...]
    users: tuple[int, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Recordings(ArrayRecord):
    """One recording per (video, user); every array is read-only."""

    name: str
    offset: np.ndarray
    """int64 (recordings + 1,): samples of recording i are ``[offset[i], offset[i + 1])``."""
    angles_deg: np.ndarray
    """float32 (samples, 3): roll, pitch, yaw."""
    time_s: np.ndarray
    """float64 (samples,): playback time of the video, from about 0."""
    video: np.ndarray
    """int32 (recordings,), ascending; recordings are in order of (video, user)."""
    user: np.ndarray
    """int32 (recordings,)."""
    splits: Mapping[str, Split] = field(compare=False)
    """``train``, ``valid``, ``test``."""

    def __post_init__(self) -> None:
        """Raises ``ValueError``, one line: a kernel reads what is here without a look."""
        count, samples = len(np.atleast_1d(self.video)), len(np.atleast_1d(self.time_s))
        put_offsets(self, "offset", count, samples)
        put_array(self, "angles_deg", np.float32, (samples, 3), -LARGEST_DEG, LARGEST_DEG)
        put_array(self, "time_s", np.float64, (samples,))
        video, user = (put_array(self, name, np.int32, (count,)) for name in ("video", "user"))
        if np.any(np.diff(_key(video, user)) <= 0):
            refuse_field(self, "video", "recordings must be in order of (video, user), each pair once")
        for split, of in self.splits.items():
            for number in (*of.videos, *of.users):
                if isinstance(number, bool) or not isinstance(number, int | np.integer) or not 0 <= number < 2**31:
                    refuse_field(self, "splits", f"{split} lists {number!r}; videos and users are whole numbers")

    def __len__(self) -> int:
        """Number of recordings."""
        return len(self.video)

    def __deepcopy__(self, memo: dict[int, Any]) -> Recordings:
        """Itself: nothing in it can change."""
        return self

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled; a read-only mapping cannot be."""
        return {**self.__dict__, "splits": dict(self.splits)}

    def __repr__(self) -> str:
        return f"<Recordings {self.name!r}: {len(self)} recordings, {len(self.time_s)} samples>"


class Windows(NamedTuple):
    """Windows of one split, in the order video, user, time of the split's lists."""

    history: np.ndarray
    """float32 (windows, history, 3): the last observed samples, oldest first."""
    future: np.ndarray
    """float32 (windows, horizon, 3): the samples that follow."""
    recording: np.ndarray
    """int64 (windows,): number of the recording."""
    sample: np.ndarray
    """int64 (windows,): position in the recording of the first future sample, NetLLM's ``timestep``."""
    video: np.ndarray
    """int32 (windows,)."""
    user: np.ndarray
    """int32 (windows,)."""
    time_s: np.ndarray
    """float64 (windows,): playback time of the last observed sample."""
    valid: np.ndarray
    """bool (windows,): each sample inside was taken after the one before it, by at most ``MAX_GAP_S``."""


def pack_recordings(
    name: str, recordings: Mapping[tuple[int, int], tuple[Any, Any]], splits: Mapping[str, Split]
) -> Recordings:
    """Put recordings, (video, user) -> (time_s, angles_deg (samples, 3)), end to end."""
    if not recordings:
        raise ValueError(f"{name}: there is no recording in it")
    keys = sorted(recordings)
    return Recordings(
        name=name,
        offset=_frozen(np.cumsum([0, *(len(recordings[key][0]) for key in keys)]), np.int64),
        angles_deg=_frozen(np.concatenate([recordings[key][1] for key in keys]), np.float32),
        time_s=_frozen(np.concatenate([recordings[key][0] for key in keys]), np.float64),
        video=_frozen([video for video, _ in keys], np.int32),
        user=_frozen([user for _, user in keys], np.int32),
        splits=splits,
    )


def find_recording(recordings: Recordings, video: int, user: int) -> int:
    """Number of the recording of a video by a user. Raises ``ValueError`` where there is none."""
    number = _numbers(recordings, np.array([video]), np.array([user]))
    if not len(number):
        what, known = ("user", recordings.user) if video in recordings.video else ("video", recordings.video)
        raise ValueError(
            f"{recordings.name}: no recording of video {video} by user {user}; "
            f"{what}s are numbered {known.min()} to {known.max()}"
        )
    return int(number[0])


def recordings_of(recordings: Recordings, split: str) -> np.ndarray:
    """int64: numbers of the recordings of a split, in order of its videos, then of its users."""
    if split not in recordings.splits:
        raise ValueError(unknown_name("split", str(split), recordings.splits))
    videos, users = (np.array(listed, dtype=np.int64) for listed in recordings.splits[split])
    return _numbers(recordings, np.repeat(videos, len(users)), np.tile(users, len(videos)))


def windows(
    recordings: Recordings,
    split: str,
    history: int = 10,
    horizon: int = 20,
    step: int = STEP,
    trim_head: int = TRIM_HEAD,
    trim_tail: int = TRIM_TAIL,
) -> Windows:
    """Cut windows of ``history + horizon`` samples, one every ``step`` samples.

    The first future sample is at ``trim_head``, ``trim_head + step``, ... of a recording, as long as it is before
    the last ``trim_tail`` samples. The defaults are NetLLM's constants, which follow neither history nor horizon,
    so that all settings have the same number of windows. A pair of a video and a user that was not recorded is
    passed over; a recording too short for a window gives none.

    Raises ``ValueError`` for an unknown split, and unless ``trim_head >= history >= 1`` and
    ``trim_tail >= horizon >= 1``.
    """
    counts = {"history": history, "horizon": horizon, "step": step, "trim_head": trim_head, "trim_tail": trim_tail}
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
            raise ValueError(f"{name} must be a whole number of samples from 1 up, not {count!r}")
    if trim_head < history:
        raise ValueError(f"trim_head ({trim_head} samples) must be at least history ({history})")
    if trim_tail < horizon:
        raise ValueError(f"trim_tail ({trim_tail} samples) must be at least horizon ({horizon})")

    chosen = recordings_of(recordings, split)
    samples = np.diff(recordings.offset)[chosen]
    per_recording = np.maximum(-(-(samples - trim_tail - trim_head) // step), 0)
    recording = np.repeat(chosen, per_recording)
    within = np.arange(len(recording)) - np.repeat(np.cumsum(per_recording) - per_recording, per_recording)
    sample = trim_head + step * within
    first = recordings.offset[recording] + sample - history

    length = history + horizon
    block = _stretches(recordings.angles_deg, first, length)
    passed = np.diff(recordings.time_s[first[:, None] + np.arange(length)], axis=1)
    return Windows(
        history=block[:, :history],
        future=block[:, history:],
        recording=recording,
        sample=sample,
        video=recordings.video[recording],
        user=recordings.user[recording],
        time_s=recordings.time_s[first + history - 1],
        valid=np.all((passed > 0) & (passed <= MAX_GAP_S + TIME_SLACK_S), axis=1),
    )


def _stretches(angles_deg: np.ndarray, first: np.ndarray, length: int) -> np.ndarray:
    """float32 (stretches, length, 3): the samples from each of ``first`` on."""
    if not len(first):
        return np.empty((0, length, 3), dtype=np.float32)
    every = np.lib.stride_tricks.sliding_window_view(angles_deg.reshape(-1), 3 * length)[::3]
    stretches: np.ndarray = every[first].reshape(-1, length, 3)
    return stretches


def _numbers(recordings: Recordings, video: np.ndarray, user: np.ndarray) -> np.ndarray:
    """Numbers of the recordings of (video, user) pairs; pairs that were not recorded are left out."""
    known = _key(recordings.video, recordings.user)
    wanted = _key(video, user)
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    numbers: np.ndarray = place[known[place] == wanted]
    return numbers


def _key(video: np.ndarray, user: np.ndarray) -> np.ndarray:
    """One number per pair, in order of video, then user."""
    return (video.astype(np.int64) << 32) + user.astype(np.int64)


def _frozen(values: Any, dtype: type) -> np.ndarray:
    array: np.ndarray = np.ascontiguousarray(values, dtype=dtype)
    array.flags.writeable = False
    return array
