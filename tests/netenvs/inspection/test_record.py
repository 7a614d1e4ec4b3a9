"""Numbers as people read them, and specs that read a path the same way again."""

import numpy as np
import pytest

from netenvs.inspection.record import count, duration, number, percent, spec_of, spread
from netenvs.spec import parse_spec


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1e-15, "0"),
        (1.23456, "1.23"),
        (12345.6, "12 346"),
        (0.00123, "0.00123"),
        (300.0, "300"),
        (3e12, "3e+12"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text


def test_spreads_counts_shares_and_durations():
    assert spread(np.array([2.0, 2.0]), "s") == "2 s"
    assert spread(np.array([1.0, 4.0, 10.0]), "Mbit/s") == "1 to 10, median 4 Mbit/s"
    assert [count(1, "files"), count(3, "files")] == ["1 file", "3 files"]
    assert [percent(share) for share in (0, 1e-5, 0.123, 1)] == ["0 %", "under 0.1 %", "12.3 %", "100 %"]
    assert [duration(s) for s in (45, 600, 10_800, 400_000)] == ["45 s", "10 min", "3 h", "4.63 days"]


@pytest.mark.parametrize("path", ["a/b.csv", "odd (1), copy.csv", "[x].txt"])
def test_a_spec_says_the_path_and_the_options_again(path):
    assert spec_of(path, "auto", False, {}) == path
    name, options = parse_spec(spec_of(path, "csv", True, {"unit": "kbit/s"}))
    assert (name, options) == ("csv", {"path": path, "unit": "kbit/s", "strict": True})
