"""The metrics of ``netenvs.vp.sphere`` over many windows, as numba functions on flat arrays.

Loops over the steps of a window do one simple thing each, so that the compiler takes several steps at once. That is
also why sines are polynomials here and no calls of the C library. Great circles come from half angles: that takes
three sines and cosines a step instead of four and is exact for small angles and near 180 degrees.
"""

from __future__ import annotations

import math

import numpy as np

from netenvs.compiled import kernel
from netenvs.random import uniform

DEGREES = 180.0 / math.pi
SCORES = 6
"""Scores of a window: MAE, static MAE, mean great circle, tile recall, tile precision, tile IoU."""


@kernel
def sin_cos(angles_deg, sines, cosines):
    """Fill ``sines`` and ``cosines``, float64 (n,), of angles in degrees; exact at multiples of 90, else to 2e-16.

    Taylor series of the angle brought to +-45 degrees; what is left out is below 4e-17 of the result.
    """
    for i in range(len(angles_deg)):
        quarters = np.rint(angles_deg[i] / 90.0)
        x = (angles_deg[i] - 90.0 * quarters) / DEGREES
        z = x * x
        sine = 1 / 6227020800 - z / 1307674368000
        sine = 1 / 362880 - z * (1 / 39916800 - z * sine)
        sine = x - x * z * (1 / 6 - z * (1 / 120 - z * (1 / 5040 - z * sine)))
        cosine = 1 / 479001600 - z * (1 / 87178291200 - z / 20922789888000)
        cosine = 1 / 720 - z * (1 / 40320 - z * (1 / 3628800 - z * cosine))
        cosine = 1.0 - z * (1 / 2 - z * (1 / 24 - z * cosine))
        quadrant = quarters - 4.0 * np.floor(quarters / 4.0)
        odd = (quadrant == 1.0) | (quadrant == 3.0)
        first, second = (cosine if odd else sine), (sine if odd else cosine)
        sines[i] = -first if quadrant >= 2.0 else first
        cosines[i] = -second if (quadrant == 1.0) | (quadrant == 2.0) else second


@kernel
def angle_errors(predicted, actual, errors):
    """Fill ``errors``, float64 (n,): NetLLM's error of an angle, which wraps once."""
    for i in range(len(actual)):
        difference = actual[i] - predicted[i]
        errors[i] = min(abs(difference), min(abs(difference + 360.0), abs(difference - 360.0)))


@kernel
def great_circles(predicted, actual, halves, sines, cosines, distances):
    """Fill ``distances``, degrees, float64 (steps,), of angles (3, steps); the others are room, (3 x steps,) each."""
    steps = len(distances)
    for s in range(steps):
        halves[s] = (predicted[1, s] - actual[1, s]) / 2.0
        halves[steps + s] = (predicted[1, s] + actual[1, s]) / 2.0
        halves[2 * steps + s] = (predicted[2, s] - actual[2, s]) / 2.0
    sin_cos(halves, sines, cosines)
    for s in range(steps):
        sin_apart, sin_middle, sin_turn = sines[s], sines[steps + s], sines[2 * steps + s]
        cos_apart, cos_middle, cos_turn = cosines[s], cosines[steps + s], cosines[2 * steps + s]
        a, b = sin_apart * cos_turn, cos_middle * sin_turn
        c, d = cos_apart * cos_turn, sin_middle * sin_turn
        sines[s], cosines[s] = math.sqrt(a * a + b * b), math.sqrt(c * c + d * d)  # of half the distance
    for s in range(steps):
        distances[s] = 2.0 * DEGREES * math.atan2(sines[s], cosines[s])


@kernel
def tile_boxes(angles, rows, columns, width, height, boxes):
    """Fill ``boxes``, float64 (4, n): first row, row after the last, first column (any whole number), columns.

    Of viewports at angles (3, n); see ``netenvs.vp.sphere.tile_masks``.
    """
    for i in range(angles.shape[1]):
        pitch = angles[1, i] - 360.0 * np.rint(angles[1, i] / 360.0)
        over = abs(pitch) > 90.0
        yaw = angles[2, i] + 180.0 if over else angles[2, i]
        pitch = math.copysign(180.0, pitch) - pitch if over else pitch
        boxes[0, i] = max(np.floor((pitch - height / 2 + 90.0) * rows / 180.0), 0.0)
        boxes[1, i] = min(np.ceil((pitch + height / 2 + 90.0) * rows / 180.0), rows)
        left = np.floor((yaw - width / 2 + 180.0) * columns / 360.0)
        boxes[2, i] = left
        boxes[3, i] = min(np.ceil((yaw + width / 2 + 180.0) * columns / 360.0) - left, columns)


@kernel
def tile_overlaps(p, g, columns, recall, precision, iou):
    """Fill recall, precision and IoU, float64 (n,), of the tiles in boxes ``p`` and ``g``, (4, n)."""
    for i in range(p.shape[1]):
        shared_rows = max(min(p[1, i], g[1, i]) - max(p[0, i], g[0, i]), 0.0)
        offset = g[2, i] - p[2, i]
        offset -= columns * np.floor(offset / columns)
        # the columns of g begin `offset` to the right of those of p, and again `columns - offset` to the left
        end = offset + g[3, i]
        shared_columns = max(min(p[3, i], end) - offset, 0.0) + max(min(p[3, i], end - columns), 0.0)
        in_p, in_g = (p[1, i] - p[0, i]) * p[3, i], (g[1, i] - g[0, i]) * g[3, i]
        in_both = shared_rows * shared_columns
        recall[i], precision[i], iou[i] = in_both / in_g, in_both / in_p, in_both / (in_p + in_g - in_both)


@kernel
def score(predicted, actual, last, rows, columns, width, height, scores, great_circle):
    """Fill ``scores``, float64 (6, n), and ``great_circle``, float64 (n, steps).

    ``predicted`` and ``actual`` paths float32 (n, steps, 3); ``last`` float32 (n, 3), the last observed samples.
    Tiles: rows x columns, viewport width x height, all float64.
    """
    windows, steps, _ = predicted.shape
    path, future, still = np.empty((3, steps)), np.empty((3, steps)), np.empty((3, steps))
    room = np.empty((3, 3 * steps))
    p, g = np.empty((4, steps)), np.empty((4, steps))
    errors, static_errors, tiles = np.empty(3 * steps), np.empty(3 * steps), np.empty((3, steps))
    for i in range(windows):
        for s in range(steps):
            for axis in range(3):
                path[axis, s] = predicted[i, s, axis]
                future[axis, s] = actual[i, s, axis]
                still[axis, s] = last[i, axis]
        angle_errors(path.reshape(-1), future.reshape(-1), errors)
        angle_errors(still.reshape(-1), future.reshape(-1), static_errors)
        great_circles(path, future, room[0], room[1], room[2], great_circle[i])
        tile_boxes(path, rows, columns, width, height, p)
        tile_boxes(future, rows, columns, width, height, g)
        tile_overlaps(p, g, columns, tiles[0], tiles[1], tiles[2])

        wrong = static_wrong = away = recall = precision = iou = 0.0
        for s in range(steps):
            wrong += errors[s] + errors[steps + s] + errors[2 * steps + s]
            static_wrong += static_errors[s] + static_errors[steps + s] + static_errors[2 * steps + s]
            away += great_circle[i, s]
            recall += tiles[0, s]
            precision += tiles[1, s]
            iou += tiles[2, s]
        scores[0, i], scores[1, i], scores[2, i] = wrong / (3 * steps), static_wrong / (3 * steps), away / steps
        scores[3, i], scores[4, i], scores[5, i] = recall / steps, precision / steps, iou / steps


@kernel
def draw(keys, episodes, mask, count, chosen):
    """For the rows of ``mask`` whose ``chosen`` is negative: draw a number below ``count`` from (key, episode)."""
    for row in range(len(keys)):
        if mask[row] and chosen[row] < 0:
            chosen[row] = min(int(uniform(keys[row], episodes[row], 0) * count), count - 1)
