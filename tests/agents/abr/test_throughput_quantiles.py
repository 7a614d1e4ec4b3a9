"""Features of the past and the loss of quantiles against plain loops."""

import itertools
import math

import pytest
import torch

from agents.abr.throughput_quantiles import FEATURES, PAST, QUANTILES, features, pinball, reference


@pytest.mark.parametrize("known", [1, 4, 9, PAST])
def test_features_equal_their_description(known, past):
    throughput, delay = past(known)
    values, times = throughput[0, PAST - known :].tolist(), delay[0, PAST - known :].tolist()
    weights = [0.7 ** (known - 1 - i) for i in range(known)]
    scale = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
    assert reference(throughput) == pytest.approx([scale])
    harmonic = lambda some: len(some) / sum(1 / v for v in some)  # noqa: E731
    errors = [0.0]
    for at in range(max(known - 5, 1), known):
        errors.append(abs(harmonic(values[max(at - 5, 0) : at]) - values[at]) / values[at])
    logarithms = [math.log(v / scale) for v in values]
    expected = [
        *[0.0] * (PAST - known),
        *logarithms,
        *[0.0] * (PAST - known),
        *map(math.log, times),
        math.log(harmonic(values[-5:]) / scale),
        math.log(harmonic(values) / scale),
        min([*logarithms, *[0.0] * (known < PAST)]),
        math.sqrt(sum(x * x for x in logarithms) / known),
        math.log1p(max(errors)),
        known / PAST,
    ]
    assert features(throughput, delay)[0] == pytest.approx(expected, abs=1e-9)
    assert len(expected) == FEATURES


def test_features_are_free_of_the_unit_of_throughput(past):
    throughput, delay = past(12)
    assert features(1000 * throughput, delay) == pytest.approx(features(throughput, delay), abs=1e-9)


def test_pinball_is_least_at_the_quantiles():
    sample = torch.linspace(0, 1, 1001, dtype=torch.float64)
    target = torch.stack([sample, sample], dim=1)
    quantiles = torch.tensor(QUANTILES, dtype=torch.float64).expand(2, -1)
    at = pinball(quantiles.expand(1001, -1, -1), target)
    plain = [max(q * (y - q), (q - 1) * (y - q)) for y in sample.tolist() for q in QUANTILES]
    assert float(at) == pytest.approx(sum(plain) / len(plain))
    for column, step in itertools.product(range(len(QUANTILES)), (-0.02, 0.02)):
        moved = quantiles.clone()
        moved[1, column] += step
        assert pinball(moved.expand(1001, -1, -1), target) > at
