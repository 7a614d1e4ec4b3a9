"""Metrics of viewport prediction: closed forms, the kernel against the definitions, and published errors."""

import gzip
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from netenvs.vp import kernel, sphere
from netenvs.vp.recordings import windows
from netenvs.vp.workload import load_recordings

SETTINGS = ("default_Jin2022_h10_f20", "unseen1_Jin2022_h20_f30")
pitches, yaws = st.floats(-90, 90), st.floats(-180, 180)
directions = st.tuples(st.just(0.0), pitches, yaws)
any_angles = arrays.arrays(np.float32, (3, 5, 3), elements=st.floats(-36000, 36000, width=32))


@pytest.fixture(params=SETTINGS)
def golden(request, artifacts):
    """300 windows with the published code's errors, some whole; history, horizon."""
    with gzip.open(artifacts / "vp" / f"golden_{request.param}.json.gz", "rt") as file:
        samples = json.load(file)["samples"]
    history, horizon = (int(part[1:]) for part in request.param.split("_")[-2:])
    return samples, history, horizon


def standing_still(history, horizon):
    return np.repeat(history[:, -1:], horizon, axis=1)


def velocity(history, horizon):
    """NetLLM's: mean step over the history, from the last sample on."""
    step = (history[:, -1:] - history[:, :1]) / (history.shape[1] - 1)
    return history[:, -1:] + np.arange(1, horizon + 1)[:, None] * step


def regression(history, horizon):
    """Least squares line through the history of each axis."""
    middle = (history.shape[1] - 1) / 2
    past, future = np.arange(history.shape[1]) - middle, np.arange(horizon) + history.shape[1] - middle
    slope = np.einsum("t,nta->na", past, history) / (past**2).sum()
    return history.mean(axis=1, keepdims=True) + future[:, None] * slope[:, None]


RULES = {"static": standing_still, "velocity": velocity, "regression": regression}


# great circles


@pytest.mark.parametrize(
    ("angles", "vector"),
    [
        ((0, 0, 0), (0, 0, 1)),
        ((77, 0, 90), (1, 0, 0)),
        ((0, 0, -90), (-1, 0, 0)),
        ((0, 0, 180), (0, 0, -1)),
        ((0, 90, 33), (0, 1, 0)),
        ((0, -90, 33), (0, -1, 0)),
        ((0, 30, 45), (np.sqrt(3 / 8), 0.5, np.sqrt(3 / 8))),
    ],
)
def test_view_vectors(angles, vector):
    assert sphere.view_vectors(angles) == pytest.approx(vector, abs=1e-15)


@settings(deadline=None)
@given(pitches, pitches, yaws)
def test_on_a_meridian_the_distance_is_the_pitch_between(p, q, yaw):
    assert sphere.great_circle_deg((0, p, yaw), (50, q, yaw)) == pytest.approx(abs(p - q), abs=1e-12)


@settings(deadline=None)
@given(yaws, yaws)
def test_on_the_equator_the_distance_is_the_yaw_between(y, z):
    apart = abs(y - z)
    assert sphere.great_circle_deg((0, 0, y), (0, 0, z)) == pytest.approx(min(apart, 360 - apart), abs=1e-12)


@settings(deadline=None)
@given(pitches, yaws, yaws)
def test_at_a_pole_yaw_does_not_matter(pitch, y, z):
    assert sphere.great_circle_deg((0, 90, y), (0, pitch, z)) == pytest.approx(90 - pitch, abs=1e-12)


@settings(deadline=None)
@given(pitches, yaws)
def test_the_antipode_is_180_degrees_away(pitch, yaw):
    assert sphere.great_circle_deg((0, pitch, yaw), (0, -pitch, yaw + 180)) == pytest.approx(180, abs=1e-12)


@settings(deadline=None)
@given(pitches, pitches, yaws, yaws)
def test_great_circles_by_the_law_of_haversines(p, q, y, z):
    p_rad, q_rad, turn = np.radians([p, q, y - z])
    haversine = np.sin((p_rad - q_rad) / 2) ** 2 + np.cos(p_rad) * np.cos(q_rad) * np.sin(turn / 2) ** 2
    expected = np.degrees(2 * np.arcsin(np.sqrt(np.clip(haversine, 0, 1))))
    assert sphere.great_circle_deg((0, p, y), (0, q, z)) == pytest.approx(expected, abs=2e-6)


@settings(deadline=None)
@given(directions, directions, directions)
def test_great_circles_are_a_metric_of_directions(a, b, c):
    ab, ba, bc, ac = (sphere.great_circle_deg(*pair) for pair in ((a, b), (b, a), (b, c), (a, c)))
    assert ab == ba and 0 <= ab <= 180 + 1e-12 and ac <= ab + bc + 1e-9
    assert sphere.great_circle_deg(a, a) == 0


@pytest.mark.parametrize("small", [1e-3, 1e-6, 1e-9])
def test_small_angles_are_exact(small):
    """The arc cosine has nothing left of a millionth of a degree."""
    assert sphere.great_circle_deg((0, 0, small), (0, 0, 0)) == pytest.approx(small, rel=1e-12)
    assert sphere.great_circle_deg((0, small, 0), (0, 0, 0)) == pytest.approx(small, rel=1e-12)


def test_sines_of_the_kernel():
    angles = np.concatenate([np.arange(-1080.0, 1081.0, 15.0), np.linspace(-40000, 40000, 100_001)])
    sines, cosines = np.empty_like(angles), np.empty_like(angles)
    kernel.sin_cos(angles, sines, cosines)
    reduced = np.radians(angles - 360.0 * np.rint(angles / 360.0))
    assert np.abs(sines - np.sin(reduced)).max() < 5e-16
    assert np.abs(cosines - np.cos(reduced)).max() < 5e-16
    quarters = angles % 90 == 0
    assert set(np.abs(sines[quarters])) == {0.0, 1.0} and set(np.abs(cosines[quarters])) == {0.0, 1.0}


# errors of angles


def test_the_published_error_wraps_once_on_all_axes():
    predicted, actual = [170.0, -80.0, -179.0], [-170.0, 80.0, 179.0]
    assert sphere.absolute_errors(predicted, actual).tolist() == [20.0, 160.0, 2.0]
    assert sphere.absolute_errors([0, 0, 1080.0], [0, 0, 0.0]).tolist() == [0, 0, 720.0]
    path = np.array([[[0, 0, 1080.0]], [predicted]])
    other = np.array([[[0, 0, 0.0]], [actual]])
    assert sphere.mae(path, other).tolist() == [240.0, pytest.approx(182 / 3)]
    assert sphere.mae_wrapped(path, other).tolist() == [0.0, pytest.approx(182 / 3)]


@settings(deadline=None)
@given(arrays.arrays(np.float64, (2, 4, 3), elements=st.floats(-270, 270)))
def test_up_to_540_degrees_wrapping_once_is_enough(paths):
    assert sphere.mae(*paths) == pytest.approx(sphere.mae_wrapped(*paths), abs=1e-9)


def test_root_mean_square():
    predicted, actual = np.array([[[0, 0, -179.0]]]), np.array([[[3.0, 4.0, 179.0]]])
    assert sphere.rmse(predicted, actual) == pytest.approx(np.sqrt((9 + 16 + 358**2) / 3))
    assert sphere.rmse(predicted, actual, wrapped=True) == pytest.approx(np.sqrt((9 + 16 + 4) / 3))


@settings(deadline=None)
@given(st.floats(-36000, 36000))
def test_wrapped_angles_are_the_same_direction(angle):
    wrapped = sphere.wrap_deg(angle)
    assert -180 <= wrapped <= 180
    assert abs((wrapped - angle) / 360 - np.rint((wrapped - angle) / 360)) < 1e-12


def test_unwrapped_yaw():
    history = np.array([[[-179.0, 5, yaw] for yaw in (170, 179, -178, -170, 175)]])
    unwrapped = sphere.unwrap_yaw(history)
    assert unwrapped[0, :, 2].tolist() == [170, 179, 182, 190, 175]
    assert np.array_equal(unwrapped[..., :2], history[..., :2]) and history[0, 2, 2] == -178


# tiles


def tiles_by_sampling(angles, rows, columns, fov):
    """The tiles that a fine raster of the viewport box falls into."""
    _, pitch, yaw = angles
    mask = np.zeros((rows, columns), np.bool_)
    fine = np.linspace(-0.5 + 1e-9, 0.5 - 1e-9, 2001)  # without the edge
    up = pitch + fine * fov[1]
    row = np.floor((up[(up > -90) & (up < 90)] + 90) * rows / 180).astype(int)
    column = np.floor((yaw + fine * fov[0] + 180) * columns / 360).astype(int) % columns
    mask[np.ix_(np.unique(row), np.unique(column))] = True
    return mask


@settings(deadline=None)
@given(
    st.integers(-90, 90),
    st.integers(-180, 180),
    st.sampled_from([(8, 8), (6, 12), (4, 6), (9, 16)]),
    st.sampled_from([(100, 100), (84, 37), (120, 90), (360, 180)]),
)
def test_tiles_of_a_viewport(pitch, yaw, grid, fov):
    # a little beside the integers: on an edge of a tile the raster rounds
    angles = (0.0, float(np.clip(pitch + 0.011, -90, 90)), yaw + 0.013)
    assert np.array_equal(sphere.tile_masks(angles, *grid, fov), tiles_by_sampling(angles, *grid, fov))


def test_tiles_that_only_touch_are_not_in_the_viewport():
    mask = sphere.tile_masks((0, 0, 0), 4, 4, (90.0, 90.0))
    assert np.argwhere(mask).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]


def test_tiles_over_the_seam():
    mask = sphere.tile_masks((0, 0, 180), 4, 8, (90.0, 45.0))
    assert np.flatnonzero(mask.any(axis=0)).tolist() == [0, 7] and np.flatnonzero(mask.any(axis=1)).tolist() == [1, 2]
    assert np.array_equal(mask, sphere.tile_masks((0, 0, -180), 4, 8, (90.0, 45.0)))


@pytest.mark.parametrize(("pitch", "rows"), [(-90, [0, 1, 2]), (90, [5, 6, 7]), (-75, [0, 1, 2]), (75, [5, 6, 7])])
def test_at_the_poles_the_box_ends(pitch, rows):
    mask = sphere.tile_masks((0, pitch, 0))
    assert np.flatnonzero(mask.any(axis=1)).tolist() == rows
    assert np.flatnonzero(mask.any(axis=0)).tolist() == [2, 3, 4, 5]


def test_a_prediction_beyond_a_pole_is_the_direction_it_means():
    assert np.array_equal(sphere.tile_masks((0, 100, 20)), sphere.tile_masks((0, 80, -160)))
    assert np.array_equal(sphere.tile_masks((0, -190, 20)), sphere.tile_masks((0, 10, -160)))
    assert np.array_equal(sphere.tile_masks((0, 725, 1100)), sphere.tile_masks((0, 5, 20)))
    assert sphere.great_circle_deg((0, 100, 20), (0, 80, -160)) == pytest.approx(0, abs=1e-12)


def test_tile_scores():
    # 8 x 8 tiles of 45 x 22.5 degrees; a viewport at (0, 0) shows columns 2-5 and rows 1-6: 24 tiles
    recall, precision, iou = sphere.tile_scores((0, 0, 90), (0, 0, 0))
    assert (recall, precision, iou) == (0.5, 0.5, pytest.approx(12 / 36))
    # looking to (90, 0) it shows rows 5-7: 12 tiles, of which 8 are among those at (0, 0)
    recall, precision, iou = sphere.tile_scores((0, 90, 0), (0, 0, 0))
    assert (recall, precision, iou) == (pytest.approx(8 / 24), pytest.approx(8 / 12), pytest.approx(8 / 28))
    assert sphere.tile_scores((0, 0, 180), (0, 0, 0)) == (0, 0, 0)


# many windows at once


@settings(deadline=None)
@given(any_angles, any_angles, arrays.arrays(np.float32, (3, 3), elements=st.floats(-180, 180, width=32)))
def test_the_kernel_computes_the_definitions(predicted, actual, last):
    scores = sphere.score_windows(predicted, actual, last)
    recall, precision, iou = sphere.tile_scores(predicted, actual)
    assert scores.mae == pytest.approx(sphere.mae(predicted, actual), rel=1e-13)
    assert scores.static_mae == pytest.approx(sphere.mae(np.repeat(last[:, None], 5, 1), actual), rel=1e-13)
    assert scores.tile_recall == pytest.approx(recall.mean(axis=-1), rel=1e-13)
    assert scores.tile_precision == pytest.approx(precision.mean(axis=-1), rel=1e-13)
    assert scores.tile_iou == pytest.approx(iou.mean(axis=-1), rel=1e-13)
    expected = sphere.great_circle_deg(predicted, actual)
    assert scores.great_circle_deg == pytest.approx(expected, abs=1e-9)  # degrees to radians at 36,000 rounds
    assert scores.gc_deg == pytest.approx(scores.great_circle_deg.mean(axis=-1), rel=1e-13)


@settings(deadline=None)
@given(arrays.arrays(np.float32, (2, 6, 3), elements=st.floats(-180, 180, width=32)))
def test_a_perfect_prediction(paths):
    scores = sphere.score_windows(paths, paths, paths[:, 0])
    for errors in (scores.mae, scores.gc_deg, scores.great_circle_deg):
        assert not errors.any()
    for share in (scores.tile_recall, scores.tile_precision, scores.tile_iou):
        assert share == pytest.approx(1.0, abs=1e-15)


def test_whole_golden_windows(golden):
    """Errors of the published code, printed to 5 decimals; its loader adds float32 rounding."""
    samples, _, horizon = golden
    whole = [sample for sample in samples if "history" in sample]
    assert len(whole) == 20
    past, future = (np.array([sample[part] for sample in whole]) for part in ("history", "future"))
    for rule, predict in RULES.items():
        prediction = predict(past, horizon)
        scores = sphere.score_windows(prediction, future, past[:, -1])
        for got, name in ((scores.mae, "mae"), (scores.gc_deg, "gc")):
            assert got == pytest.approx([sample["err"][rule][name] for sample in whole], abs=5e-5), (rule, name)
        assert sphere.mae(prediction, future) == pytest.approx(scores.mae, abs=1e-5)
        assert sphere.great_circle_deg(prediction, future).mean(-1) == pytest.approx(scores.gc_deg, abs=1e-5)
        if f"{rule}_last" in whole[0]:
            assert prediction[:, -1] == pytest.approx(np.array([s[f"{rule}_last"] for s in whole]), abs=5e-5)


def test_errors_of_all_golden_windows(golden, jin2022):
    samples, history, horizon = golden
    cut = windows(load_recordings("jin2022"), "test", history, horizon)
    number = [sample["index"] for sample in samples]
    past = cut.history[number].astype(np.float64)
    for rule, predict in RULES.items():
        scores = sphere.score_windows(predict(past, horizon), cut.future[number], cut.history[number][:, -1])
        for got, name in ((scores.mae, "mae"), (scores.gc_deg, "gc")):
            assert got == pytest.approx([sample["err"][rule][name] for sample in samples], abs=1e-4), (rule, name)


@pytest.mark.parametrize(
    ("size", "rule", "expected"),
    [  # spec table: MAE, RMSE without wrap, great circle, tile recall, tile IoU
        ((10, 20), "static", (9.763, 37.99, 20.03, 0.847, 0.773)),
        ((10, 20), "velocity", (17.500, 71.78, 31.34, 0.753, 0.674)),
        ((10, 20), "regression", (19.474, 77.84, 33.95, 0.732, 0.651)),
        ((20, 30), "static", (11.386, 40.92, 23.54, 0.821, 0.741)),
        ((20, 30), "velocity", (19.430, 70.94, 37.08, 0.712, 0.628)),
        ((20, 30), "regression", (23.096, 78.09, 43.25, None, None)),  # its tiles depend on what pitch > 90 means
    ],
)
def test_published_table(size, rule, expected, jin2022):
    cut = windows(load_recordings("jin2022"), "test", *size)
    prediction = RULES[rule](cut.history.astype(np.float64), size[1])
    scores = sphere.score_windows(prediction, cut.future, cut.history[:, -1])
    got = (scores.mae, sphere.rmse(prediction, cut.future), scores.gc_deg, scores.tile_recall, scores.tile_iou)
    for value, published, decimals in zip(got, expected, (3, 2, 2, 3, 3), strict=True):
        if published is not None:
            assert np.mean(value) == pytest.approx(published, abs=0.55 * 10**-decimals)


# wrong input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sphere.view_vectors([1.0, 2.0]), r"shape \(..., 3\)"),
        (lambda: sphere.mae(np.zeros((2, 4)), np.zeros((2, 4))), r"shape \(..., 3\)"),
        (lambda: sphere.tile_masks((0, 0, 0), 0, 8), "at least one row"),
        (lambda: sphere.tile_masks((0, 0, 0), 8, 8, (0, 100)), "fov_deg"),
        (lambda: sphere.score_windows(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 3))), "predicted paths"),
        (lambda: sphere.score_windows(np.zeros((2, 5, 3)), np.zeros((2, 4, 3)), np.zeros((2, 3))), "belong together"),
        (lambda: sphere.score_windows(np.zeros((2, 5, 3)), np.zeros((2, 5, 3)), np.zeros((1, 3))), "belong together"),
    ],
)
def test_wrong_shapes_are_one_line(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
