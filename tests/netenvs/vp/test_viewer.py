"""Pictures of viewport prediction: outlines and paths on the sphere and on the map, and what the picture holds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex

from netenvs.vp import sphere, viewer

HALF = np.radians(50)
angles = st.tuples(st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180))


def path(begin, end, samples=20):
    """Angles on straight lines, without the beginning."""
    share = np.arange(1, samples + 1)[:, None] / samples
    return np.array(begin) + (np.array(end) - np.array(begin)) * share


def scene(now=(0, 0, 0), actual=(0, 10, 30), predicted=(0, -5, 20), heat_map=None):
    moves = [path(now, end) for end in (actual, predicted)]
    errors = sphere.great_circle_deg(*moves)[None]
    history = path(np.array(now) - 9, now, 10)
    return viewer.Scene("a title", history, moves[1], moves[0], heat_map, errors)


# viewports


@settings(deadline=None)
@given(angles)
def test_a_viewport_is_as_wide_and_as_high_as_the_field_of_view(view):
    outline = viewer.viewport_outline(np.array(view))
    ahead = sphere.view_vectors(view)
    assert np.linalg.norm(outline, axis=-1) == pytest.approx(1, abs=1e-12)
    away = np.degrees(np.arccos(np.clip(outline @ ahead, -1, 1)))
    assert away.min() == pytest.approx(50, abs=0.01)  # in the middle of each edge
    corner = np.degrees(np.arctan(np.sqrt(2) * np.tan(HALF)))
    assert away.max() == pytest.approx(corner, abs=1e-6)


def test_an_upright_viewport_is_upright():
    outline = viewer.viewport_outline(np.array([0.0, 0.0, 0.0]))
    yaw, pitch = np.concatenate(viewer.split_at_seam(outline)).T
    assert (yaw.min(), yaw.max()) == (pytest.approx(-50), pytest.approx(50))
    assert (pitch.min(), pitch.max()) == (pytest.approx(-50, abs=0.01), pytest.approx(50, abs=0.01))
    assert np.abs(pitch[np.abs(yaw) > 49.99]).max() == pytest.approx(
        np.degrees(np.arctan(np.tan(HALF) * np.cos(HALF))), abs=1e-3
    )


def test_roll_turns_the_viewport_from_growing_yaw_to_growing_pitch():
    wide = np.array([0.0, 0.0, 0.0]), (100.0, 20.0)
    upright, rolled = (viewer.viewport_outline(wide[0] + [roll, 0, 0], wide[1]) for roll in (0, 30))
    corner = np.argmax(upright @ [1, 1, 0])  # right, down
    right, down = np.tan(HALF), np.tan(np.radians(10))
    turned = [right * np.cos(np.pi / 6) - down / 2, right / 2 + down * np.cos(np.pi / 6), 1]
    assert rolled[corner] == pytest.approx(turned / np.linalg.norm(turned), abs=0.01)


@settings(deadline=None)
@given(angles, angles)
def test_directions_in_the_viewport_are_inside_its_outline(view, direction):
    """Inside and outline by different ways: angles to the head's axes, and edges."""
    vector = sphere.view_vectors(direction)
    outline = viewer.viewport_outline(np.array(view))
    corners = outline[:: viewer.POINTS_PER_EDGE]
    normals = np.cross(corners, np.roll(corners, -1, axis=0))
    sides = normals @ vector * np.sign(normals @ sphere.view_vectors(view))
    if np.abs(sides).min() > 1e-6:
        assert viewer.in_viewport(vector, np.array(view)) == (sides > 0).all()


# lines


def test_lines_over_the_seam_end_and_begin_at_the_edges_of_the_map():
    parts = viewer.split_at_seam(sphere.view_vectors(path((0, 0, 160), (0, 40, 200))))
    assert [len(part) for part in parts] == [11, 11]
    left, right = parts
    assert left[-1].tolist() == [180.0, pytest.approx(20)] and right[0].tolist() == [-180.0, pytest.approx(20)]
    assert np.all(np.diff(left[:, 0]) >= 0) and np.all(np.diff(right[:, 0]) >= 0)


@settings(deadline=None)
@given(angles, angles)
def test_no_part_of_a_line_runs_across_the_map(begin, end):
    for part in viewer.split_at_seam(viewer.path_on_sphere(np.array([begin, end]))):
        assert np.abs(np.diff(part[:, 0])).max(initial=0) <= 180
        assert np.abs(part[:, 0]).max() <= 180 and np.abs(part[:, 1]).max() <= 90


@pytest.mark.parametrize("yaw", [180, -180, 179.5])
def test_a_viewport_at_the_seam_is_in_two_parts(yaw):
    parts = viewer.split_at_seam(viewer.viewport_outline(np.array([0.0, 0.0, yaw])))
    points = np.concatenate(parts)
    assert len(parts) in (2, 3) and np.abs(points[:, 0]).min() == pytest.approx(129.8, abs=0.5)


@pytest.mark.parametrize("pitch", [-80.0, 80.0])
def test_a_viewport_around_a_pole_goes_all_the_way_round(pitch):
    points = np.concatenate(viewer.split_at_seam(viewer.viewport_outline(np.array([0.0, pitch, 20.0]))))
    assert np.histogram(points[:, 0], 36, (-180, 180))[0].min() > 0
    assert viewer.in_viewport(np.array([0.0, np.sign(pitch), 0.0]), np.array([0.0, pitch, 20.0]))


def test_paths_go_the_short_way_round_the_sphere():
    points = viewer.path_on_sphere(np.array([[0.0, 80, 0], [0, 80, 180], [0, 80, 180]]))
    assert points[:, 1].max() == pytest.approx(1, abs=1e-3)  # over the pole
    assert len(viewer.path_on_sphere(np.array([[0.0, 0, 0], [0, 0, 180]]))) > 2  # antipodes have no shortest way


# the picture


def lines_of(axes, colour):
    return [line for line in axes.lines if to_hex(line.get_color()).lower() == colour.lower()]


def test_the_map_shows_paths_and_viewports():
    shown = scene(now=(0, 0, 170), actual=(0, 10, 200), predicted=(0, -5, 150))
    world, errors = viewer.decision_figure(shown).axes
    assert world.get_ylim() == (90, -90), "negative pitch is up"
    assert [text.get_text() for text in world.get_legend().get_texts()] == [
        "observed",
        "what the viewer did",
        "prediction",
    ]
    everything = np.concatenate([line.get_xydata() for line in lines_of(world, viewer.PREDICTED)])
    assert everything[-1] == pytest.approx([150, -5])  # the path comes last
    actual = np.concatenate([line.get_xydata() for line in lines_of(world, viewer.ACTUAL)])
    assert actual[-1] == pytest.approx([-160, 10])
    prediction = lines_of(errors, viewer.PREDICTED)[0]
    assert prediction.get_xdata()[[0, -1]].tolist() == [0.2, 4.0]
    assert prediction.get_ydata() == pytest.approx(sphere.great_circle_deg(shown.predicted, shown.actual))
    still = lines_of(errors, viewer.INK)[0].get_ydata()
    assert still == pytest.approx(sphere.great_circle_deg(shown.history[-1], shown.actual))


def test_the_tint_is_where_the_viewport_is():
    shown = scene(actual=(0, 0, 179), predicted=(0, 0, 179))
    tint = viewer.decision_figure(shown).axes[0].images[0].get_array()
    rows, columns = tint.shape[:2]
    assert (rows, columns) == (viewer.TINT_ROWS, 2 * viewer.TINT_ROWS)
    inside = tint[..., 3] > 0
    assert inside[rows // 2, 0] and inside[rows // 2, -1] and not inside[rows // 2, columns // 2]
    assert not inside[0].any() and not inside[-1].any()


def test_the_heat_map_goes_on_over_the_seam():
    heat = np.zeros((18, 36), np.float32)
    heat[9, 0] = 1.0
    heat_map = viewer.decision_figure(scene(heat_map=heat)).axes[0].images[0]
    padded = heat_map.get_array()
    assert padded.shape == (20, 38) and padded[10, 1] == 1 and padded[10, 37] == 1 and padded.sum() == 2
    assert heat_map.get_extent() == [-190, 190, 100, -100]


def test_before_the_decision_there_is_the_viewport_now():
    shown = scene()._replace(predicted=None, actual=None, errors_deg=np.zeros((0, 20)))
    world, errors = viewer.decision_figure(shown).axes
    assert not lines_of(world, viewer.PREDICTED) and not lines_of(world, viewer.ACTUAL)
    assert not errors.lines and "no prediction yet" in [text.get_text() for text in errors.texts]
    assert viewer.line(shown) == "a title: looking to pitch 0.0, yaw 0.0 deg"


def test_the_line_says_how_far_off_the_prediction_is():
    shown = scene(actual=(0, 0, 30), predicted=(0, 0, 20))
    assert viewer.line(shown) == (
        "a title: looking to pitch 0.0, yaw 0.0 deg; prediction off by 5.2 deg on average, 10.0 after 4.0 s "
        "(standing still: 15.8, 30.0)"
    )


def test_pixels():
    picture = viewer.frame(scene(heat_map=np.random.default_rng(0).random((18, 36))))
    assert picture.shape == (800, 1200, 3) and picture.dtype == np.uint8 and picture.std() > 10
