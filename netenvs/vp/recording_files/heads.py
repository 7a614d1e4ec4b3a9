"""Orientations of a head: quaternions, angles and viewing directions as published angles.

All become roll, pitch, yaw in degrees as the published data sets have them,
``scipy.spatial.transform.Rotation.from_quat(q).as_euler("ZXY", degrees=True)``, with x to the right, y up and z
forward. A direction says nothing of roll, which is 0; its pitch and yaw are those at which
:func:`netenvs.vp.sphere.view_vectors` gives it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from netenvs.readers.errors import InputError
from netenvs.vp.recording_files.columns import WXYZ, XYZW

if TYPE_CHECKING:
    from scipy.spatial.transform import Rotation

EULER = "ZXY"
QUATERNION_LENGTH = (0.9, 1.1)
"""Quaternions and vectors of other lengths are damaged."""
UPRIGHT = 0.3
"""Mean cosine between a head's up and the sky from which on it tells the order of a quaternion's parts."""
UPRIGHT_BY_AXES, UPRIGHT_MORE = 0.8, 0.25
"""How upright heads are with z up, and by how much more than with y up, where z is up."""
Y_UP, Z_UP = "xyz", "-yzx"
Motion = Callable[[np.ndarray], np.ndarray]
"""Times in s, float64 (samples,), within those of the rows -> roll, pitch, yaw in degrees, float64 (samples, 3)."""


def axes_matrix(axes: str, where: str) -> np.ndarray:
    """float64 (3, 3) that takes vectors of a file to x right, y up, z forward.

    ``axes`` says which axis of the file points right, up and forward: ``xyz``; ``x-yz`` where y points down; ``-yzx``
    where x points forward, y left and z up. Raises :class:`InputError`.
    """
    found = re.fullmatch(r"(-?[xyz])(-?[xyz])(-?[xyz])", axes)
    if found is None or len({axis[-1] for axis in found.groups()}) < 3:
        raise InputError(f"{where}: axes must say what points right, up and forward, such as xyz or -yzx, not {axes!r}")
    matrix = np.zeros((3, 3))
    for row, axis in enumerate(found.groups()):
        matrix[row, "xyz".index(axis[-1])] = -1 if axis[0] == "-" else 1
    return matrix


def in_order(quaternions: np.ndarray, scalar: str, axes: np.ndarray) -> np.ndarray:
    """Quaternions x, y, z, w with x right, y up, z forward, float64 (rows, 4), of those in the order ``scalar``."""
    last = quaternions if scalar == XYZW else quaternions[:, [1, 2, 3, 0]]
    if np.array_equal(axes, np.eye(3)):
        return last
    turned = last.copy()
    turned[:, :3] = last[:, :3] @ (np.linalg.det(axes) * axes).T
    return turned


def uprightness(quaternions: np.ndarray) -> float:
    """Mean cosine between a head's up and the sky, of quaternions x, y, z, w: 1 upright, -1 upside down."""
    x, _, z, _ = quaternions.T
    return float(np.mean(1 - 2 * (x**2 + z**2)))


class Orientation(NamedTuple):
    """How quaternions may be read."""

    scalar: str
    axes: str
    upright: float
    """How upright heads are then, see :func:`uprightness`."""


def by_content(quaternions: np.ndarray, scalar: str, axes: str) -> Orientation:
    """How heads are most upright: the order of the parts, and with no ``axes`` what points up, too.

    Read in the wrong order, heads hang upside down by as much as they are upright. Below ``UPRIGHT`` the order is
    ``scalar``. z points up where heads are clearly more upright then.
    """
    up_y, up_z = (_best(quaternions, scalar, one) for one in (axes or Y_UP, axes or Z_UP))
    return up_z if up_z.upright > max(UPRIGHT_BY_AXES, up_y.upright + UPRIGHT_MORE) else up_y


def _best(quaternions: np.ndarray, scalar: str, axes: str) -> Orientation:
    matrix = axes_matrix(axes, "")
    found = [Orientation(order, axes, uprightness(in_order(quaternions, order, matrix))) for order in (XYZW, WXYZ)]
    best = max(found, key=lambda one: one.upright)
    return best if best.upright >= UPRIGHT else next(one for one in found if one.scalar == scalar)


def turning(time_s: np.ndarray, rotations: Rotation) -> Motion:
    """Between two rows the head turns evenly about one axis (spherical linear interpolation)."""
    from scipy.spatial.transform import Slerp

    slerp = Slerp(time_s, rotations)

    def at(times_s: np.ndarray) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Gimbal lock")  # straight up or down, where yaw is set to 0
            angles: np.ndarray = slerp(times_s).as_euler(EULER, degrees=True)
        return angles

    return at


def looking(time_s: np.ndarray, pitch_deg: np.ndarray, yaw_deg: np.ndarray) -> Motion:
    """Between two rows the viewing direction goes along the great circle; roll is 0."""
    pitch, yaw = np.radians(pitch_deg), np.radians(yaw_deg)
    views = np.stack([np.cos(pitch) * np.sin(yaw), np.sin(pitch), np.cos(pitch) * np.cos(yaw)], axis=1)

    def at(times_s: np.ndarray) -> np.ndarray:
        after = np.clip(np.searchsorted(time_s, times_s), 1, len(time_s) - 1)
        start, end = views[after - 1], views[after]
        share = ((times_s - time_s[after - 1]) / (time_s[after] - time_s[after - 1]))[:, None]
        arc = np.arctan2(np.linalg.norm(np.cross(start, end), axis=1), np.sum(start * end, axis=1))[:, None]
        safe = np.where((arc < 1e-6) | (arc > np.pi - 1e-6), 1.0, arc)  # no arc, or none in particular
        along = (np.sin((1 - share) * safe) * start + np.sin(share * safe) * end) / np.sin(safe)
        view = np.where(safe == arc, along, np.where(share < 1, start, end))
        return np.stack([np.zeros(len(view)), *angles_of(view)], axis=1)

    return at


def angles_of(views: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pitch and yaw in degrees, float64 (rows,) each, of vectors (rows, 3) as ``view_vectors`` gives them."""
    x, y, z = views.T
    return np.degrees(np.arctan2(y, np.hypot(x, z))), np.degrees(np.arctan2(x, z))
