"""What earlier viewers of the same video looked at: their paths on the video's playback grid, and heat maps of them.

Previous viewers are the users of the training split and nobody else; they have watched the videos of every split.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from netenvs.compiled import kernel
from netenvs.vp.heat_maps import COLUMNS, ROWS, add_heat
from netenvs.vp.recordings import RATE_HZ, Recordings

TOLERANCE_S = 0.35
"""A viewer has no sample at an instant that is farther than this from the nearest one."""
NOBODY = -1
"""As ``exclude_user``: leave nobody out."""


def playback_index(time_s: Any) -> np.ndarray:
    """int64: the instant of the playback grid, one every 0.2 s, that is nearest to ``time_s``."""
    return np.rint(np.asarray(time_s, dtype=np.float64) * RATE_HZ).astype(np.int64)


class Paths(NamedTuple):
    """Paths of all u viewers at the same n instants; with a leading axis (k,) where k windows were asked for."""

    angles_deg: np.ndarray
    """float32 (u, n, 3): roll, pitch, yaw; zeros where not present."""
    present: np.ndarray
    """bool (u, n): the viewer has a sample there and is not left out."""


class PreviousViewers:
    """The training users of ``recordings``, in the order of the split's list.

    Videos are put on the grid, and their heat maps are drawn, when they are first asked for, and kept.
    """

    def __init__(self, recordings: Recordings):
        split = recordings.splits.get("train")
        if split is None or not split.users:
            raise ValueError(f"data set {recordings.name!r} has no training users: there are no previous viewers")
        self.users = np.array(split.users, dtype=np.int32)
        """int32 (u,): who they are."""
        self._recordings = recordings
        self._paths: dict[int, Paths] = {}
        self._heat: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        """Number of viewers."""
        return len(self.users)

    def paths(self, video: Any, index: Any, before: int, after: int, exclude_users: Any = None) -> Paths:
        """Where every viewer looked at the ``before`` instants that end with ``index`` and the ``after`` that follow.

        ``index = playback_index(time_s)`` for a window whose last observed sample was taken at ``time_s``. ``video``
        and ``index`` are numbers, or arrays (k,) for k windows at once; ``exclude_users`` likewise: one user a
        window whose path is not given, of no effect for users who are no previous viewers, None for nobody.
        Instants before the start and after the end of the video are not present. Raises ``ValueError`` for a video
        that is not in the data set.
        """
        if before < 0 or after < 0:
            raise ValueError(f"before and after must be 0 or more instants, not {before} and {after}")
        video, index, excluded = _windows(video, index, exclude_users)
        first = index.reshape(-1) + (1 - before)
        left_out = self.users == excluded.reshape(-1, 1)
        nobody = np.where(left_out.any(axis=1), left_out.argmax(axis=1), -1)
        angles = np.zeros((len(first), len(self), before + after, 3), dtype=np.float32)
        present = np.zeros(angles.shape[:3], dtype=np.bool_)
        for number, rows in _by_video(video):
            known = self._on_grid(number)
            copy_windows(known.angles_deg, known.present, rows, first, nobody, angles, present)
        return Paths(angles, present) if index.ndim else Paths(angles[0], present[0])

    def heat_maps(self, video: Any, first_index: Any, count: int, exclude_user: Any = None) -> np.ndarray:
        """Heat maps of the ``count`` instants from ``first_index`` on: float32 (count, 18, 36) in [0, 1].

        The mean over the viewers present of their maps (see ``netenvs.vp.heat_maps``), divided by its highest cell;
        zeros where no viewer is present. Row r is pitch -85 + 10 r, column c is yaw -175 + 10 c degrees.
        Arguments are numbers, or arrays (k,) for k windows at once: then (k, count, 18, 36). ``exclude_user`` and
        errors are those of ``paths``.
        """
        if count < 0:
            raise ValueError(f"count must be 0 or more instants, not {count}")
        video, index, excluded = _windows(video, first_index, exclude_user)
        instants = index.reshape(-1, 1) + np.arange(count)
        maps = np.zeros((len(instants), count, ROWS, COLUMNS), dtype=np.float32)
        for number, rows in _by_video(video):
            known = self._on_grid(number)
            inside, nearest = _inside(instants[rows], known.present.shape[1])
            heat = self._heat_of(number)[nearest]
            viewers = known.present.sum(axis=0)[nearest]
            left_out = self.users == excluded.reshape(-1, 1)[rows]
            own = np.flatnonzero(left_out.any(axis=1))
            if len(own):
                user = left_out[own].argmax(axis=1)[:, None]
                angles, present = known.angles_deg[user, nearest[own]], known.present[user, nearest[own]]
                others = heat[own]
                add_heat(
                    angles.reshape(-1, 3), present.reshape(-1), np.float32(-1.0), others.reshape(-1, ROWS, COLUMNS)
                )
                heat[own] = np.maximum(others, 0.0)
                viewers[own] -= present
            heat[~inside | (viewers == 0)] = 0.0
            highest = heat.max(axis=(2, 3), keepdims=True)
            maps[rows] = np.divide(heat, highest, out=heat, where=highest > 0)
        return maps if index.ndim else maps[0]

    def _on_grid(self, video: int) -> Paths:
        """Paths at all instants of the video."""
        if video not in self._paths:
            self._paths[video] = self._resampled(video)
        return self._paths[video]

    def _heat_of(self, video: int) -> np.ndarray:
        """float32 (instants, 18, 36): sum of the maps of all viewers."""
        if video not in self._heat:
            known = self._on_grid(video)
            heat = np.zeros((known.present.shape[1], ROWS, COLUMNS), dtype=np.float32)
            for angles, present in zip(known.angles_deg, known.present, strict=True):
                add_heat(angles, present, np.float32(1.0), heat)
            self._heat[video] = heat
        return self._heat[video]

    def _resampled(self, video: int) -> Paths:
        recordings = self._recordings
        numbers = np.flatnonzero(recordings.video == video)
        if not len(numbers):
            known = sorted({int(number) for number in recordings.video})
            raise ValueError(f"data set {recordings.name!r} has no video {video}; it has {', '.join(map(str, known))}")
        of_user = {int(recordings.user[number]): number for number in numbers}
        samples = {
            row: slice(*recordings.offset[of_user[user] : of_user[user] + 2])
            for row, user in enumerate(self.users.tolist())
            if user in of_user
        }
        last_s = max((float(recordings.time_s[own].max()) for own in samples.values()), default=0.0)
        grid_s = np.arange(int(playback_index(last_s)) + 1) / RATE_HZ
        angles = np.zeros((len(self), len(grid_s), 3), dtype=np.float32)
        present = np.zeros((len(self), len(grid_s)), dtype=np.bool_)
        for row, own in samples.items():
            nearest = nearest_samples(recordings.time_s[own], grid_s)
            present[row] = nearest >= 0
            angles[row, present[row]] = recordings.angles_deg[own][nearest[present[row]]]
        return Paths(angles, present)


@kernel
def copy_windows(grid_deg, on_grid, rows, first, left_out, angles, present):
    """Fill the windows ``rows``, int64, with paths on the grid, (u, instants, 3) and (u, instants).

    Of window r the first instant is ``first[r]``, and viewer ``left_out[r]`` (-1: nobody) is not copied; ``angles``
    (k, u, n, 3) and ``present`` (k, u, n) are zeros before.
    """
    viewers, instants = on_grid.shape
    for row in rows:
        begin = max(0, -first[row])
        end = min(present.shape[2], instants - first[row])
        for viewer in range(viewers):
            if viewer == left_out[row]:
                continue
            for place in range(begin, end):
                instant = first[row] + place
                if on_grid[viewer, instant]:
                    present[row, viewer, place] = True
                    for axis in range(3):
                        angles[row, viewer, place, axis] = grid_deg[viewer, instant, axis]


def nearest_samples(time_s: np.ndarray, grid_s: np.ndarray) -> np.ndarray:
    """int64: for each instant of the grid the sample nearest in time, the earlier of two; -1 beyond 0.35 s."""
    order = np.argsort(time_s, kind="stable")
    ascending = time_s[order]
    after = np.searchsorted(ascending, grid_s)
    before, after = np.maximum(after - 1, 0), np.minimum(after, len(ascending) - 1)
    nearest = np.where(grid_s - ascending[before] <= ascending[after] - grid_s, before, after)
    return np.where(np.abs(ascending[nearest] - grid_s) <= TOLERANCE_S, order[nearest], -1)


def _windows(video: Any, index: Any, exclude: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """int64 arrays of one shape, () or (k,)."""
    given = [video, index, NOBODY if exclude is None else exclude]
    video, index, exclude = np.broadcast_arrays(*(np.asarray(value, dtype=np.int64) for value in given))
    if index.ndim > 1:
        raise ValueError(f"windows are numbers or arrays (k,), not {index.shape}")
    return video, index, exclude


def _by_video(video: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Every video with the windows, int64, that are of it."""
    flat = video.reshape(-1)
    return [(int(number), np.flatnonzero(flat == number)) for number in np.unique(flat)]


def _inside(instants: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of ``instants`` the grid has, and all of them moved to the nearest that it has."""
    return (instants >= 0) & (instants < length), instants.clip(0, length - 1)
