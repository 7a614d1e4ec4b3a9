"""The tiles of an equirectangular video: how it is cut, and how large each tile of each chunk is."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from netenvs.vp_streaming import kernel

MAX_TILES = 1024
DETAIL_SPREAD = 0.3
"""Standard deviation of the logarithm of a tile's detail, which multiplies its size; tiles of one chunk are unlike."""


class TileGrid(NamedTuple):
    """A frame cut into equal rectangles: row 0 begins at pitch -90, column 0 at yaw -180; numbers go row by row."""

    rows: int
    columns: int

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return self.rows * self.columns

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}"

    def shares(self) -> np.ndarray:
        """float64 (tiles,): the share of the sphere that each tile covers; they sum to 1."""
        edges = np.sin(np.linspace(-np.pi / 2, np.pi / 2, self.rows + 1))
        return np.repeat(np.diff(edges) / 2 / self.columns, self.columns)


def parse_grid(text: str) -> TileGrid:
    """``"8x8"`` or ``"6x12"``: rows x columns. ``ValueError`` for others."""
    match = re.fullmatch(r"([1-9][0-9]*)x([1-9][0-9]*)", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"tiles must be rows x columns, such as '8x8' or '6x12', not {text!r}")
    grid = TileGrid(*map(int, match.groups()))
    if not 2 <= grid.tiles <= MAX_TILES:
        raise ValueError(f"tiles {text!r}: a frame is cut into 2 to {MAX_TILES} tiles, not {grid.tiles}")
    return grid


def bytes_at_1_mbps(grid: TileGrid, video: int, chunks: int, seed: int) -> np.ndarray:
    """Sizes of all tiles of a video coded at 1 Mbit/s, float64 (chunks, tiles); other rates are proportional.

    Mean size = duration x rate x share of the sphere, as if all of the sphere were equally hard to code; this is
    multiplied with a lognormal detail of mean 1 (``DETAIL_SPREAD``), which depends on (seed, video, chunk, tile) alone,
    so that all viewers of a video are sent the same.
    """
    sizes = np.empty((chunks, grid.tiles))
    kernel.fill_sizes(np.uint64(seed), video, grid.shares(), DETAIL_SPREAD, sizes)
    return sizes


def viewport_rings(grid: TileGrid, angles_deg: np.ndarray, fov_deg: tuple[float, float]) -> np.ndarray:
    """Steps from each tile to the nearest viewport, int64 (k, tiles), of k paths, (k, samples, 3) degrees.

    0 where a viewport of the path shows the tile, see ``netenvs.vp.sphere.tile_masks``; diagonal steps count as one.
    """
    paths = np.ascontiguousarray(angles_deg, dtype=np.float64)
    if paths.ndim != 3 or paths.shape[1] < 1 or paths.shape[2] != 3:
        raise ValueError(f"paths must have shape (k, samples, 3): roll, pitch, yaw; they have shape {paths.shape}")
    if not np.isfinite(paths).all():
        raise ValueError("paths must be finite angles in degrees")
    out = np.empty((len(paths), grid.tiles), dtype=np.int64)
    kernel.rings_of_paths(paths, grid.rows, grid.columns, fov_deg[0], fov_deg[1], out)
    return out
