"""Pictures of tiled streaming: boxes at the seam and the poles, colours, holes, and the line of text."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex

from netenvs.vp import sphere
from netenvs.vp_streaming import viewer

ID = "netenvs/VPStreaming-v0"


def scene(watched=(0, 0, 0), levels=None, **log):
    """One chunk, 4 x 8 tiles, everything at the second of three rates."""
    columns = {"quality": 1.0, "quality_spread": 0.1, "fetched_mbyte": 1.0, "wasted_mbyte": 0.25}
    columns |= {"buffer_s": 2.0, "stall_s": 0.0, "viewport_stall_s": 0.0, "delay_ms": 300.0, **log}
    return viewer.Scene(
        title="a title",
        chunk=0,
        levels=np.full((4, 8), 2) if levels is None else levels,
        watched=np.array([watched] * 5, dtype=np.float32),
        fov_deg=(100.0, 100.0),
        rates_mbps=np.array([1.0, 4.0, 9.0]),
        log={name: np.array([value]) for name, value in columns.items()},
    )


@settings(deadline=None)
@given(
    st.tuples(st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180)),
    st.sampled_from([(100.0, 100.0), (360.0, 60.0), (20.0, 170.0)]),
)
def test_boxes_cover_the_tiles_that_are_seen(angles, fov):
    boxes = viewer.viewport_boxes(np.array(angles), fov)
    (mask,) = sphere.tile_masks(np.array([angles]), 18, 36, fov)
    for row in range(18):
        for column in range(36):
            inside = [
                min(x + across, -170 + 10 * column) > max(x, -180 + 10 * column) + 1e-9
                and min(y + down, -80 + 10 * row) > max(y, -90 + 10 * row) + 1e-9
                for x, y, across, down in boxes
            ]
            if any(inside):
                assert mask[row, column]
    area = sum(across * down for _, _, across, down in boxes)
    height = min(angles[1] + fov[1] / 2, 90) - max(angles[1] - fov[1] / 2, -90)
    assert area == pytest.approx(min(fov[0], 360) * height)
    assert all(x >= -180 and x + across <= 180 + 1e-9 for x, _, across, _ in boxes)
    assert len(boxes) <= 2


def colour(picture, pitch, yaw):
    """Of the map at a place, as ``#rrggbb``."""
    x = viewer.LEFT + (yaw + 180) / 360 * viewer.MAP_WIDTH
    y = viewer.TOP + (pitch + 90) / 180 * viewer.MAP_HEIGHT
    return to_hex(picture[round(y), round(x)] / 255)


def test_the_map_shows_what_was_fetched():
    levels = np.arange(32).reshape(4, 8) % 4
    picture = viewer.frame(scene(levels=levels))
    assert picture.shape == (viewer.HEIGHT, viewer.WIDTH, 3) and picture.dtype == np.uint8
    found = {level: colour(picture, -80, -170 + 45 * level) for level in range(4)}
    assert found[0] == "#ffffff" and found[1] == viewer.LIGHT and found[3] == viewer.DARK
    assert len(set(found.values())) == 4


def test_a_hole_in_sight_is_hatched():
    levels = np.full((4, 8), 2)
    levels[2, 4] = 0  # pitch 0 to 45, yaw 0 to 45
    levels[2, 0] = 0  # yaw -180 to -135: out of sight

    def reds(picture, yaw):
        """Pixels of the colour of holes in the tile right of this yaw."""
        x = viewer.LEFT + int((yaw + 180 + 6) / 360 * viewer.MAP_WIDTH)
        y = viewer.TOP + int(96 / 180 * viewer.MAP_HEIGHT)
        tile = picture[y : y + 90, x : x + 90].astype(int)
        return np.count_nonzero(np.abs(tile - [200, 16, 46]).sum(axis=2) < 40)

    picture = viewer.frame(scene((0, 10, 10), levels))
    assert reds(picture, 0) > 100 and reds(picture, -180) == 0
    assert reds(viewer.frame(scene((0, 10, 10))), 0) == 0


def test_a_viewport_over_the_seam_is_drawn_on_both_sides():
    picture = viewer.frame(scene((0, 0, 175)))
    orange = np.abs(picture.astype(int) - [213, 94, 0]).sum(axis=2) < 60
    middle = viewer.TOP + viewer.MAP_HEIGHT // 2 + 30
    columns = np.flatnonzero(orange[middle, viewer.LEFT : viewer.LEFT + viewer.MAP_WIDTH])
    yaw = columns / viewer.MAP_WIDTH * 360 - 180
    assert yaw.min() == pytest.approx(-135, abs=1) and yaw.max() == pytest.approx(125, abs=1)
    assert not ((yaw > -133) & (yaw < 123)).any()


def test_line():
    assert viewer.line(scene()) == (
        "a title, chunk 0: quality 1.00, 1.00 Mbyte (0.25 out of sight) in 0.30 s, buffer 2.0 s, no stall, no hole"
    )
    text = viewer.line(scene(stall_s=0.25, viewport_stall_s=0.4))
    assert text.endswith("stall 0.25 s, a hole in sight for 0.4 s")


def test_environment_draws_its_own_episode():
    env = gym.make(ID, render_mode="rgb_array", action_mode="zones", traces="synthetic(count=3)").unwrapped
    env.reset(seed=0, options={"recording": 4, "trace": 2})
    before = env.render()
    env.step([5, 3, 0])
    after = env.render()
    assert before.shape == after.shape and not np.array_equal(before, after)
    shown = env.scene()
    assert shown.chunk == 1 and set(shown.levels.ravel()) == {0, 3, 5}
    assert np.array_equal(shown.watched, env.watched()[1])
    assert shown.title.endswith("on synthetic-0-002") and "(" not in shown.title
    assert [len(column) for column in env.episode_log().values()] == [2] * len(env.episode_log())
    assert env.fetched_levels().shape == (2, 8, 8)
    assert len(env.episode_figure().axes) == 4
    text = gym.make(ID, render_mode="ansi").unwrapped
    text.reset(seed=0)
    assert ", chunk 0: quality 0.00, " in text.render()
