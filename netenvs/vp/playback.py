"""Episodes over recordings, for any number of rows: what each row sees next, and how its prediction scores.

What ``VPEnv`` and ``VPVectorEnv`` share: options in, arrays out.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from netenvs.arguments import check_reset_options
from netenvs.vp import kernel, sphere
from netenvs.vp.features import FrameFeatures, load_features
from netenvs.vp.heat_maps import COLUMNS, ROWS
from netenvs.vp.options import VPOptions
from netenvs.vp.previous_viewers import PreviousViewers, playback_index
from netenvs.vp.recordings import TRIM_HEAD, TRIM_TAIL, Recordings, recordings_of, windows
from netenvs.vp.workload import load_recordings

SCORE_COLUMNS = ("mae", "static_mae", "gc_deg", "tile_recall", "tile_precision", "tile_iou")
PINS = {"windows": ("window",), "replay": ("recording", "video", "user")}
DRAWN = -1


class Playback:
    """The episodes of one split, and where each row is in its own."""

    def __init__(self, options: VPOptions, rows: int):
        self.history, self.horizon = options.history, options.horizon
        self.dataset, self.split, self.mode = options.dataset, options.split, options.mode
        self.stride = options.stride
        """Samples from one decision to the next."""
        self._load()

        recordings = self.recordings
        if self.mode == "windows":
            cut = windows(recordings, self.split, self.history, self.horizon)
            self.recording = cut.recording
            self.first = self.last = recordings.offset[cut.recording] + cut.sample
        else:
            listed = recordings_of(recordings, self.split)
            first, last = recordings.offset[listed] + self.history, recordings.offset[listed + 1] - self.horizon
            long_enough = first <= last
            self.recording, self.first, self.last = listed[long_enough], first[long_enough], last[long_enough]
        if not len(self.recording):
            raise ValueError(self._too_short())

        self.saliency = bool(options.saliency)
        if self.saliency and self.previous_viewers is None:
            raise ValueError(f"saliency needs previous viewers, and {recordings.name} has no users in a training split")
        self.features: FrameFeatures | None = None
        if options.features is not None:
            self.features = load_features(options.features, np.unique(recordings.video[self.recording]))

        self.keys = np.zeros(rows, dtype=np.uint64)
        self.episode = np.zeros(rows, dtype=np.int64)
        self.item = np.zeros(rows, dtype=np.int64)
        self.position = self.first[self.item]
        """int64 (rows,): the first sample to predict, in ``recordings.angles_deg``."""
        self.decisions = np.zeros(rows, dtype=np.int64)
        self.over = np.zeros(rows, dtype=np.bool_)
        self.scores = np.zeros((len(SCORE_COLUMNS), rows))
        self.great_circle_deg = np.zeros((rows, self.horizon))
        self._score(np.arange(0), np.zeros((0, self.horizon, 3), dtype=np.float32))  # compiles the kernels
        kernel.draw(self.keys, self.episode, self.over, len(self.first), self.item)

    def _too_short(self) -> str:
        """Why no episode can be made."""
        samples = np.diff(self.recordings.offset)[recordings_of(self.recordings, self.split)]
        replayed = self.history + self.horizon
        needed, other = (
            (TRIM_HEAD + TRIM_TAIL + 1, f", or mode='replay', which needs {replayed}")
            if self.mode == "windows"
            else (replayed, ", or a smaller history or horizon")
        )
        return (
            f"split {self.split!r} of {self.recordings.name} has no recording that is long enough: the longest has "
            f"{samples.max(initial=0)} samples of 0.2 s, mode={self.mode!r} needs {needed}; give longer ones{other}"
        )

    def _load(self) -> None:
        """What a copy or a pickle does not carry: it can be large, and never changes."""
        self.recordings: Recordings = load_recordings(self.dataset)
        self.previous_viewers = _viewers_of(self.recordings)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("recordings", "previous_viewers")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._load()

    @property
    def shared_info(self) -> dict[str, Any]:
        """What all rows have in common."""
        return {
            "recordings": self.recordings,
            "split": self.split,
            "horizon": self.horizon,
            "previous_viewers": self.previous_viewers,
        }

    @property
    def video(self) -> np.ndarray:
        """int32 (rows,)."""
        video: np.ndarray = self.recordings.video[self.recording[self.item]]
        return video

    @property
    def user(self) -> np.ndarray:
        """int32 (rows,)."""
        user: np.ndarray = self.recordings.user[self.recording[self.item]]
        return user

    @property
    def time_s(self) -> np.ndarray:
        """float64 (rows,): playback time of the last observed sample."""
        time_s: np.ndarray = self.recordings.time_s[self.position - 1]
        return time_s

    def seed_row(self, row: int, rng: np.random.Generator) -> None:
        """Draw the 64-bit key of a row from its generator; the next episode is its first."""
        self.keys[row] = rng.integers(0, 2**64, dtype=np.uint64)
        self.episode[row] = -1

    def pinned(self, options: dict[str, Any] | None, *more: str) -> np.ndarray:
        """int64 (rows,): the episodes that reset options ask for, -1 where they are to be drawn.

        An option is one number or (rows,); ``more`` are the options that are the caller's.
        """
        options = check_reset_options(options, (*PINS[self.mode], *more))
        rows, count = len(self.keys), len(self.recording)
        if "recording" in options and ("video" in options or "user" in options):
            raise ValueError("options: give either the recording, or video and user")
        if ("video" in options) != ("user" in options):
            raise ValueError("options: video and user go together; give both")
        if "video" in options:
            video, user = (_numbers(name, options[name], rows) for name in ("video", "user"))
            return np.array([self._find(*pair) for pair in zip(video.tolist(), user.tolist(), strict=True)])
        name = "window" if self.mode == "windows" else "recording"
        chosen = _numbers(name, options.get(name, DRAWN), rows)
        if chosen.max() >= count:
            raise ValueError(
                f"options[{name!r}] must be a whole number from 0 to {count - 1} "
                f"({self.recordings.name}, {self.split}), not {chosen.max()}"
            )
        return chosen

    def _find(self, video: int, user: int) -> int:
        if video == user == DRAWN:
            return DRAWN
        recorded = self.recordings.video[self.recording], self.recordings.user[self.recording]
        for what, number, of in (("video", video, recorded[0]), ("user", user, recorded[1])):
            if number not in of:
                known = ", ".join(map(str, dict.fromkeys(of.tolist())))
                raise ValueError(f"{self.recordings.name}, {self.split}: there is no {what} {number}; known: {known}")
        found = np.flatnonzero((recorded[0] == video) & (recorded[1] == user))
        if not len(found):
            raise ValueError(f"{self.recordings.name}, {self.split}: user {user} has no recording of video {video}")
        return int(found[0])

    def begin(self, mask: np.ndarray, chosen: np.ndarray | None = None) -> None:
        """Begin the next episodes in the rows of ``mask``, bool (rows,): ``chosen`` ones (see ``pinned``), or drawn."""
        chosen = np.full(len(mask), DRAWN) if chosen is None else chosen.copy()
        self.episode += mask
        kernel.draw(self.keys, self.episode, mask, len(self.first), chosen)
        self.item[mask] = chosen[mask]
        self.position[mask] = self.first[chosen[mask]]
        self.decisions[mask] = 0
        self.over[mask] = False
        self.scores[:, mask] = 0.0
        self.great_circle_deg[mask] = 0.0

    def step(self, predicted: np.ndarray, begin_over: bool = False) -> np.ndarray:
        """Score the predictions, float32 (rows, horizon, 3), and go on; returns the rewards, float64 (rows,).

        Rows that are over get a new episode and no score with ``begin_over``; without, there are none.
        """
        live = ~self.over
        if begin_over and self.over.any():
            self.begin(self.over.copy())
        rows = np.flatnonzero(live)
        self._score(rows, predicted if len(rows) == len(live) else predicted[rows])
        self.decisions += live
        ahead = self.position + self.stride
        self.over[rows] = (ahead > self.last[self.item])[rows]
        # after the last decision the viewer is seen once more, as far as the recording goes
        end = self.recordings.offset[self.recording[self.item] + 1]
        self.position = np.where(live, np.minimum(ahead, end), self.position)
        return np.where(live, -self.scores[SCORE_COLUMNS.index("gc_deg")] / 180.0, 0.0)

    def _score(self, rows: np.ndarray, predicted: np.ndarray) -> None:
        position = self.position[rows]
        actual = self.stretches(position, self.horizon)
        *scores, great_circle_deg = sphere.score_windows(predicted, actual, self.recordings.angles_deg[position - 1])
        self.scores[:, rows] = scores
        self.great_circle_deg[rows] = great_circle_deg

    def stretches(self, first: np.ndarray, samples: int) -> np.ndarray:
        """float32 (k, samples, 3): the recorded angles from sample ``first``, int64 (k,), on."""
        flat = self.recordings.angles_deg.reshape(-1)
        every = np.lib.stride_tricks.sliding_window_view(flat, 3 * samples)[::3]
        stretches: np.ndarray = every[first].reshape(-1, samples, 3)
        return stretches

    def observations(self) -> dict[str, np.ndarray]:
        """Of all rows: fresh arrays (rows, ...)."""
        seen = {
            "history": self.stretches(self.position - self.history, self.history),
            "time_s": self.time_s[:, None].astype(np.float32),
        }
        if self.saliency:
            assert self.previous_viewers is not None
            first = playback_index(self.time_s) - self.history + 1
            seen["saliency"] = self.previous_viewers.heat_maps(
                self.video, first, self.history + self.horizon, exclude_user=self.user
            )
        if self.features is not None:
            seen["features"] = self.features.at(self.video, self.time_s)
        return seen

    def bounds(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Lowest and highest values of each part of the observation, float32, of the part's shape."""
        angles = np.broadcast_to(np.array([180.0, 90.0, 180.0], dtype=np.float32), (self.history, 3))
        time_s = np.array([self.recordings.time_s.min(), self.recordings.time_s.max()], dtype=np.float32)
        bounds = {"history": (-angles, angles), "time_s": (time_s[:1], time_s[1:])}
        if self.saliency:
            maps = np.zeros((self.history + self.horizon, ROWS, COLUMNS), dtype=np.float32)
            bounds["saliency"] = (maps, maps + 1.0)
        if self.features is not None:
            bounds["features"] = (self.features.low, self.features.high)
        return bounds

    def columns(self) -> dict[str, np.ndarray]:
        """The scalars of ``info``, (rows,) each, fresh."""
        columns: dict[str, np.ndarray] = dict(zip(SCORE_COLUMNS, self.scores.copy(), strict=True))
        columns["video"], columns["user"] = self.video, self.user
        columns["window"] = self.item.copy() if self.mode == "windows" else self.decisions.copy()
        columns["time_s"] = self.time_s
        columns["horizon"] = np.full(len(self.keys), self.horizon)
        return columns


@functools.lru_cache(maxsize=4)
def _viewers_of(recordings: Recordings) -> PreviousViewers | None:
    """The previous viewers, shared by all environments, as they keep what they have computed."""
    split = recordings.splits.get("train")
    return PreviousViewers(recordings) if split is not None and split.users else None


def _numbers(name: str, value: Any, rows: int) -> np.ndarray:
    """int64 (rows,): a number of a reset option for each row, -1 and above."""
    numbers = np.asarray(value)
    if numbers.dtype.kind not in "iu" or numbers.shape not in ((), (rows,)) or numbers.min() < DRAWN:
        each = "" if rows == 1 else f", or {rows} of them"
        raise ValueError(f"options[{name!r}] must be a whole number from 0 up{each}, not {value!r}")
    return np.broadcast_to(numbers, (rows,)).astype(np.int64)
