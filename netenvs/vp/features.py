"""Image features of a video's frames, read from a file: what a vision model saw in them."""

from __future__ import annotations

import zipfile
from typing import Any, NamedTuple

import numpy as np

from netenvs.arrays import named_arrays
from netenvs.errors import flat


class FrameFeatures(NamedTuple):
    """Features of the frames of several videos, end to end."""

    rate_hz: float
    """Frames a second."""
    videos: np.ndarray
    """int64 (v,), ascending."""
    offset: np.ndarray
    """int64 (v + 1,): frames of ``videos[i]`` are ``[offset[i], offset[i + 1])``."""
    values: np.ndarray
    """float32 (frames, d)."""
    low: np.ndarray
    """float32 (d,): the lowest value of each feature."""
    high: np.ndarray

    def at(self, video: np.ndarray, time_s: np.ndarray) -> np.ndarray:
        """float32 (k, d): the frame shown at a playback time; before the first and after the last frame, that one."""
        place = np.searchsorted(self.videos, video)
        # a frame is shown from its time on; sample times are not exact to the last bit
        frame = np.floor(time_s * self.rate_hz + 1e-6).astype(np.int64)
        shown: np.ndarray = self.values[self.offset[place] + np.clip(frame, 0, np.diff(self.offset)[place] - 1)]
        return shown


def load_features(path: Any, videos: np.ndarray) -> FrameFeatures:
    """Read the features of ``videos`` from an npz file without pickles.

    Its arrays are ``rate``, frames a second, one number, and for every video, its number being the name (``"4"``),
    floats (frames, d) with the same d for all. Arrays of other videos may be in it, too.

    Raises ``ValueError``, one line, for a file that is not like this and for a video that is not in it.
    """
    names = [str(number) for number in videos.tolist()]
    try:
        rate, *frames = _read(path, ["rate", *names])
    except (OSError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"features {path!r}: {flat(error)}") from None
    if rate.size != 1 or rate.dtype.kind not in "iuf" or not 0 < rate.item() < np.inf:
        raise ValueError(f"features {path!r}: rate must be one number of frames a second above 0, not {rate.tolist()}")
    for name, array in zip(names, frames, strict=True):
        if array.ndim != 2 or 0 in array.shape or array.dtype.kind != "f" or array.shape[1] != frames[0].shape[1]:
            raise ValueError(
                f"features {path!r}: array {name!r} must be floats (frames, d), the same d for all videos; "
                f"it is {array.dtype} {array.shape}"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"features {path!r}: array {name!r} has values that are NaN or infinite")
    values = np.concatenate(frames).astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"features {path!r}: some values are beyond the range of float32")
    offset = np.cumsum([0, *map(len, frames)])
    return FrameFeatures(float(rate.item()), videos.astype(np.int64), offset, values, values.min(0), values.max(0))


def _read(path: Any, names: list[str]) -> list[np.ndarray]:
    with named_arrays(path) as file:
        for name in names:
            if name not in file:
                raise ValueError(f"there is no array {name!r} in it")
        return [file[name] for name in names]
