"""Heat maps of where viewers look, on a grid of 18 x 36 cells of 10 degrees.

A viewer who looks in direction v adds exp(-d^2 / (2 sigma^2)) to each cell, d the great-circle distance of its centre
from v and sigma 0.1 rad: the "ground-truth saliency" of TRACK (Romero Rondon et al., IEEE TPAMI 2021).
"""

from __future__ import annotations

import math

import numpy as np

from netenvs import compiled

ROWS, COLUMNS = 18, 36
CELL_DEG = 10.0
SIGMA_RAD = 0.1
REACH_RAD = 0.6
"""Farther away, what a viewer would add is below 1.6e-8 and left out."""

PITCH_DEG = -90.0 + CELL_DEG * (np.arange(ROWS) + 0.5)
"""float64 (18,): pitch of the rows' centres, -85 first."""
YAW_DEG = -180.0 + CELL_DEG * (np.arange(COLUMNS) + 0.5)
"""float64 (36,): yaw of the columns' centres, -175 first."""


@compiled.kernel
def add_heat(angles_deg, present, weight, maps):
    """Add ``weight`` times the map of one viewer an instant to ``maps``, float32 (n, 18, 36).

    ``angles_deg`` (n, 3) is roll, pitch, yaw; instants that are not ``present``, bool (n,), add nothing.
    """
    cell = math.radians(CELL_DEG)
    first_pitch, first_yaw = (cell - math.pi) / 2.0, cell / 2.0 - math.pi
    for i in range(len(angles_deg)):
        if not present[i]:
            continue
        pitch, yaw = math.radians(angles_deg[i, 1]), math.radians(angles_deg[i, 2])
        for row in range(ROWS):
            row_pitch = first_pitch + row * cell
            if abs(row_pitch - pitch) > REACH_RAD:
                continue
            along, across = math.sin(pitch) * math.sin(row_pitch), math.cos(pitch) * math.cos(row_pitch)
            for column in range(COLUMNS):
                cosine = along + across * math.cos(first_yaw + column * cell - yaw)
                if cosine > math.cos(REACH_RAD):
                    distance = math.acos(min(cosine, 1.0))
                    maps[i, row, column] += weight * math.exp(-0.5 * (distance / SIGMA_RAD) ** 2)
