"""Parts of the dynamics against definitions written in another way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netenvs.vp import sphere
from netenvs.vp.kernel import tile_boxes
from netenvs.vp_streaming import kernel
from netenvs.vp_streaming.tiles import TileGrid, bytes_at_1_mbps, parse_grid, viewport_rings

grids = st.sampled_from([TileGrid(8, 8), TileGrid(6, 12), TileGrid(1, 2), TileGrid(5, 3)])
fields = st.sampled_from([(100.0, 100.0), (30.0, 20.0), (360.0, 60.0), (1.0, 170.0)])
angle = st.tuples(st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180))
paths = st.lists(angle, min_size=kernel.SAMPLES, max_size=kernel.SAMPLES).map(np.array)


def grown(mask):
    """The tiles of a mask, bool (rows, columns), and their neighbours of eight; columns go round, rows do not."""
    wide = mask | np.roll(mask, 1, axis=1) | np.roll(mask, -1, axis=1)
    tall = wide.copy()
    tall[1:] |= wide[:-1]
    tall[:-1] |= wide[1:]
    return tall


def boxes_of(path, grid, fov):
    boxes = np.empty((4, len(path)))
    tile_boxes(np.ascontiguousarray(path.T), float(grid.rows), float(grid.columns), *fov, boxes)
    return boxes


@settings(max_examples=150, deadline=None)
@given(grids, fields, paths)
def test_rings_grow_around_the_viewport(grid, fov, path):
    (ring,) = viewport_rings(grid, path[None], fov)
    mask = sphere.tile_masks(path, *grid, fov).any(axis=0)
    distance = 0
    assert np.array_equal(ring.reshape(grid) == 0, mask)
    while not mask.all():
        distance += 1
        bigger = grown(mask)
        assert np.array_equal(ring.reshape(grid) == distance, bigger & ~mask)
        mask = bigger
    assert ring.max() == distance


def test_rings_go_over_the_seam():
    (ring,) = viewport_rings(TileGrid(1, 8), np.array([[[0.0, 0.0, 179.0]]]), (40.0, 40.0))
    assert ring.tolist() == [0, 1, 2, 3, 3, 2, 1, 0]


@settings(max_examples=150, deadline=None)
@given(grids, fields, paths, st.integers(0, 2**32 - 1))
def test_what_is_seen(grid, fov, path, seed):
    utility = np.array([0.0, 0.1, 0.45, 1.0])
    levels = np.random.default_rng(seed).integers(len(utility), size=grid.tiles)
    seen = np.ones(grid.tiles, dtype=np.bool_)
    quality, spread, stall_s = kernel.look(boxes_of(path, grid, fov), grid.columns, utility, levels, seen)
    masks = sphere.tile_masks(path, *grid, fov).reshape(len(path), -1)
    shown = [levels[mask] for mask in masks]
    assert np.array_equal(seen, masks.any(axis=0))
    assert quality == pytest.approx(np.mean([utility[of].mean() for of in shown]))
    assert spread == pytest.approx(np.mean([utility[of].std() for of in shown]), abs=1e-12)
    assert stall_s == pytest.approx(0.2 * sum((of == 0).any() for of in shown))


def test_one_quality_everywhere_has_no_spread_at_all():
    grid = TileGrid(8, 8)
    path, seen = np.zeros((5, 3)), np.zeros(64, dtype=np.bool_)
    utility = np.array([0.0, 0.1, 0.3])
    found = kernel.look(boxes_of(path, grid, (100.0, 100.0)), 8, utility, np.full(64, 2), seen)
    assert found == (pytest.approx(0.3, abs=1e-15), 0.0, 0.0)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 12), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_the_line_is_the_least_squares_line(last, ahead, seed):
    rng = np.random.default_rng(seed)
    turned = np.cumsum(rng.normal(0, 30, (13, 3)), axis=0)
    turned[:, 1] = turned[:, 1].clip(-90, 90)
    recorded = turned.copy()
    recorded[:, [0, 2]] = sphere.wrap_deg(turned[:, [0, 2]])
    angles = np.concatenate([[[9.0, 9.0, 9.0]] * 2, recorded]).astype(np.float32)  # another recording comes before
    path = np.empty((3, kernel.SAMPLES))
    kernel.predict(angles, 2, 2 + last, ahead, True, path)
    x = np.arange(1 - kernel.LINE_SAMPLES, 1)
    known = turned[np.maximum(last + x, 0)]  # before its beginning the head stood as in its first sample
    expected = [np.polyval(np.polyfit(x, known[:, axis], 1), ahead + np.arange(5)) for axis in range(3)]
    assert sphere.wrap_deg(path - expected) == pytest.approx(np.zeros((3, 5)), abs=1e-2)
    assert path[1] == pytest.approx(expected[1], abs=1e-2), "pitch is not wrapped"

    kernel.predict(angles, 2, 2 + last, ahead, False, path)
    assert np.array_equal(path, np.repeat(angles[2 + last][:, None], 5, axis=1))


RATES = np.array([1.0, 5.0, 8.0, 16.0, 35.0])


def levels_of(mode, action, ring):
    pairs = np.array([(i, j) for i in range(1, 6) for j in range(1, i + 1)])
    levels = np.full(len(ring), -1)
    kernel.choose_levels(mode, np.array(action), pairs, RATES, np.array(ring), levels)
    return levels.tolist()


def test_actions_become_levels():
    ring = [0, 1, 2, 3, 4, 9]
    assert levels_of(kernel.TILES, [0, 5, 1, 3, 2, 4], ring) == [0, 5, 1, 3, 2, 4]
    assert levels_of(kernel.ZONES, [5, 2, 0], ring) == [5, 2, 0, 0, 0, 0]
    # 35 Mbit/s in, 35, 17.5, 11.7, 8.75 and 3.9 out; the nearest of the ladder
    assert levels_of(kernel.PAIR, [14], ring) == [5, 5, 4, 3, 3, 2]
    # 16 in, 8, 4, 2.7, 2 and 0.9 out
    assert levels_of(kernel.PAIR, [8], ring) == [4, 3, 2, 1, 1, 1]
    assert levels_of(kernel.PAIR, [0], ring) == [1] * 6


def test_pairs_count_up_inside_then_outside():
    ring = [0, 1]
    found = [levels_of(kernel.PAIR, [number], ring) for number in range(15)]
    assert found == [[i, j] for i in range(1, 6) for j in range(1, i + 1)]


# --- sizes of tiles ---


def test_sizes_follow_rate_share_and_detail():
    grid = TileGrid(6, 12)
    assert grid.shares().sum() == pytest.approx(1)
    edges = np.radians([-90, -60, -30, 0])
    assert grid.shares()[[0, 12, 24]] == pytest.approx(np.diff(np.sin(edges)) / 2 / 12)
    sizes = bytes_at_1_mbps(grid, video=3, chunks=2000, seed=0)
    detail = np.log(sizes / (125_000 * grid.shares()))
    assert detail.std() == pytest.approx(0.3, rel=0.01)
    assert detail.mean() == pytest.approx(-0.045, abs=0.003)
    assert sizes.sum(axis=1).mean() == pytest.approx(125_000, rel=0.005), "a second at 1 Mbit/s"
    lags = [np.corrcoef(detail[:-1].ravel(), detail[1:].ravel())[0, 1], np.corrcoef(detail[:, 0], detail[:, 1])[0, 1]]
    assert np.abs(lags).max() < 0.06


def test_sizes_belong_to_the_video():
    grid = TileGrid(8, 8)
    sizes = bytes_at_1_mbps(grid, 3, 10, 0)
    assert np.array_equal(bytes_at_1_mbps(grid, 3, 20, 0)[:10], sizes)
    for other in (bytes_at_1_mbps(grid, 4, 10, 0), bytes_at_1_mbps(grid, 3, 10, 1)):
        assert not np.isclose(other, sizes).any()


def test_grids():
    assert parse_grid("6x12") == TileGrid(6, 12) and str(TileGrid(6, 12)) == "6x12"
    for text in ("8", "8x", "x8", "0x8", "8x8x8", " 8x8", "1x1", "64x64", None, 8, "-8x8"):
        with pytest.raises(ValueError, match="tiles"):
            parse_grid(text)


def test_paths_of_wrong_shape_or_value():
    with pytest.raises(ValueError, match="shape"):
        viewport_rings(TileGrid(8, 8), np.zeros((5, 3)), (100.0, 100.0))
    with pytest.raises(ValueError, match="finite"):
        viewport_rings(TileGrid(8, 8), np.full((1, 5, 3), np.nan), (100.0, 100.0))
