"""Geometry of the viewing sphere and the metrics of viewport prediction, on arrays with any leading dimensions.

Angles are degrees in the order roll, pitch, yaw, as published. A head at (pitch p, yaw y) looks along
``v = (cos p sin y, sin p, cos p cos y)``, whatever its roll; at yaw 0 and pitch 0 that is the z axis. Recordings have
pitch in [-90, 90] and yaw in [-180, 180], predictions may have any finite angle.

The functions here are the definitions. ``score_windows`` gives all metrics of many windows at once by a kernel.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from netenvs.vp import kernel

TILE_ROWS, TILE_COLUMNS = 8, 8
FOV_DEG = (100.0, 100.0)
"""Width (yaw) and height (pitch) of the viewport."""


def view_vectors(angles_deg: Any) -> np.ndarray:
    """Unit vectors of the viewing directions, float64 (..., 3), of angles (..., 3)."""
    _, pitch, yaw = np.moveaxis(np.radians(_angles(angles_deg)), -1, 0)
    return np.stack([np.cos(pitch) * np.sin(yaw), np.sin(pitch), np.cos(pitch) * np.cos(yaw)], axis=-1)


def great_circle_deg(predicted: Any, actual: Any) -> np.ndarray:
    """Great-circle distance of the viewing directions in degrees, float64 (...), of angles (..., 3).

    ``atan2(|u x v|, u . v)``, which unlike the arc cosine is exact for small angles and near 180 degrees, too.
    """
    u, v = view_vectors(predicted), view_vectors(actual)
    angle: np.ndarray = np.degrees(np.arctan2(np.linalg.norm(np.cross(u, v), axis=-1), np.sum(u * v, axis=-1)))
    return angle


def wrap_deg(x: Any) -> np.ndarray:
    """The same angles in [-180, 180), float64."""
    return (np.asarray(x, dtype=np.float64) + 180.0) % 360.0 - 180.0


def unwrap_yaw(angles_deg: Any) -> np.ndarray:
    """Angles (..., samples, 3) with yaw continued over +-180 degrees, float64: the next sample is the nearest one."""
    angles = _angles(angles_deg).copy()
    angles[..., 2] = np.unwrap(angles[..., 2], period=360.0)
    return angles


def absolute_errors(predicted: Any, actual: Any) -> np.ndarray:
    """NetLLM's error of each angle in degrees, float64 (..., 3): min of |g - p|, |g + 360 - p| and |g - 360 - p|.

    It wraps once, on all three axes, and takes predictions as they are: 3 x 360 degrees off is an error of 720.
    """
    difference = _angles(actual) - _angles(predicted)
    error: np.ndarray = np.minimum(
        np.abs(difference), np.minimum(np.abs(difference + 360.0), np.abs(difference - 360.0))
    )
    return error


def mae(predicted: Any, actual: Any) -> np.ndarray:
    """NetLLM's mean absolute error of each window in degrees, float64 (...), of paths (..., steps, 3)."""
    mean: np.ndarray = absolute_errors(predicted, actual).mean(axis=(-2, -1))
    return mean


def mae_wrapped(predicted: Any, actual: Any) -> np.ndarray:
    """As ``mae``, but wrapped as often as it takes; they differ where a prediction is over 540 degrees off."""
    mean: np.ndarray = np.abs(wrap_deg(_angles(actual) - _angles(predicted))).mean(axis=(-2, -1))
    return mean


def rmse(predicted: Any, actual: Any, wrapped: bool = False) -> float:
    """Root of the mean square over all windows, steps and axes, degrees.

    As published without any wrap: an error over +-180 degrees counts as nearly 360. ``wrapped`` takes
    ``absolute_errors`` instead.
    """
    errors = absolute_errors(predicted, actual) if wrapped else _angles(actual) - _angles(predicted)
    return float(np.sqrt(np.mean(errors**2)))


def tile_masks(
    angles_deg: Any, rows: int = TILE_ROWS, columns: int = TILE_COLUMNS, fov_deg: tuple[float, float] = FOV_DEG
) -> np.ndarray:
    """Tiles that the viewport shows, bool (..., rows, columns), of angles (..., 3).

    The equirectangular frame is cut into equal tiles: row 0 begins at pitch -90 (the upper edge of the frame),
    column 0 at yaw -180. The viewport is a box of ``fov_deg`` = (width, height) around the viewing direction in this
    frame, as in the literature. A tile belongs to it where they share an area; touching is not enough. Yaw wraps.
    At the poles the box ends: it does not go on on the other side of the pole, nor widen as a camera's would. A
    prediction with a pitch beyond +-90 is first brought to the same viewing direction with a pitch within.
    """
    top, height, left, width = _tile_boxes(angles_deg, rows, columns, fov_deg)
    row, column = np.arange(rows), np.arange(columns)
    in_rows = (row >= top[..., None]) & (row < (top + height)[..., None])
    in_columns = (column - left[..., None]) % columns < width[..., None]
    covered: np.ndarray = in_rows[..., :, None] & in_columns[..., None, :]
    return covered


def tile_scores(
    predicted: Any,
    actual: Any,
    rows: int = TILE_ROWS,
    columns: int = TILE_COLUMNS,
    fov_deg: tuple[float, float] = FOV_DEG,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Recall, precision and IoU of the tiles P of the predicted viewport and G of the actual one, float64 (...) each.

    ``|P & G|`` over ``|G|``, over ``|P|`` and over ``|P or G|``, see ``tile_masks``; of angles (..., 3).
    """
    p = tile_masks(predicted, rows, columns, fov_deg)
    g = tile_masks(actual, rows, columns, fov_deg)
    in_p, in_g, in_both = (np.count_nonzero(mask, axis=(-2, -1)) for mask in (p, g, p & g))
    return in_both / in_g, in_both / in_p, in_both / (in_p + in_g - in_both)


class Scores(NamedTuple):
    """Metrics of n windows, float64 (n,) each; distances in degrees."""

    mae: np.ndarray
    """``mae`` of the prediction."""
    static_mae: np.ndarray
    """``mae`` of standing still at the last observed sample."""
    gc_deg: np.ndarray
    """Mean over steps of the great-circle distance."""
    tile_recall: np.ndarray
    """Means over steps of ``tile_scores``."""
    tile_precision: np.ndarray
    tile_iou: np.ndarray
    great_circle_deg: np.ndarray
    """float64 (n, steps): the great-circle distance at each step."""


def score_windows(predicted: Any, actual: Any, last: Any) -> Scores:
    """All metrics of n windows: predicted and actual paths (n, steps, 3), last observed samples (n, 3).

    8 x 8 tiles, viewport of 100 x 100 degrees. Under a microsecond a window of 20 steps on one core.
    """
    predicted, actual = (np.ascontiguousarray(path, dtype=np.float32) for path in (predicted, actual))
    last = np.ascontiguousarray(last, dtype=np.float32)
    if predicted.ndim != 3 or predicted.shape[1] < 1 or predicted.shape[2] != 3:
        raise ValueError(f"predicted paths must have shape (windows, steps, 3), not {predicted.shape}")
    windows, steps, _ = predicted.shape
    if actual.shape != predicted.shape or last.shape != (windows, 3):
        raise ValueError(
            f"predicted paths {predicted.shape}, actual paths {actual.shape} and last samples {last.shape} do not "
            f"belong together; expected {predicted.shape}, {predicted.shape} and {(windows, 3)}"
        )
    scores, great_circle = np.empty((kernel.SCORES, windows)), np.empty((windows, steps))
    tiles = float(TILE_ROWS), float(TILE_COLUMNS), *FOV_DEG
    kernel.score(predicted, actual, last, *tiles, scores, great_circle)
    mae, static_mae, gc_deg, recall, precision, iou = scores
    return Scores(mae, static_mae, gc_deg, recall, precision, iou, great_circle)


def _angles(angles_deg: Any) -> np.ndarray:
    angles = np.asarray(angles_deg, dtype=np.float64)
    if angles.ndim < 1 or angles.shape[-1] != 3:
        raise ValueError(f"angles must have shape (..., 3): roll, pitch, yaw; they have shape {angles.shape}")
    return angles


def _tile_boxes(angles_deg: Any, rows: int, columns: int, fov_deg: tuple[float, float]) -> tuple[np.ndarray, ...]:
    """First row, number of rows, first column (any whole number), number of columns, int64 (...) each."""
    if rows < 1 or columns < 1:
        raise ValueError(f"a tile grid has at least one row and one column, not {rows} x {columns}")
    if not all(0 < extent <= 360 for extent in fov_deg):
        raise ValueError(f"fov_deg must be a width and a height above 0 and up to 360 degrees, not {fov_deg}")
    _, pitch, yaw = np.moveaxis(_angles(angles_deg), -1, 0)
    pitch = pitch - 360.0 * np.rint(pitch / 360.0)
    over = np.abs(pitch) > 90.0
    pitch, yaw = np.where(over, np.copysign(180.0, pitch) - pitch, pitch), np.where(over, yaw + 180.0, yaw)
    width, height = fov_deg
    top = np.maximum(np.floor((pitch - height / 2 + 90.0) * rows / 180.0), 0.0)
    bottom = np.minimum(np.ceil((pitch + height / 2 + 90.0) * rows / 180.0), rows)
    left = np.floor((yaw - width / 2 + 180.0) * columns / 360.0)
    right = np.minimum(np.ceil((yaw + width / 2 + 180.0) * columns / 360.0), left + columns)
    return tuple(edge.astype(np.int64) for edge in (top, bottom - top, left, right - left))
