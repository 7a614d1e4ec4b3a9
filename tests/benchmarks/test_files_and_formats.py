"""JSON without NaN, and numbers for people."""

import json
import math

import pytest

from benchmarks import files, formats


def test_json_keeps_full_precision_and_writes_no_nan():
    value = {"third": 1 / 3, "bad": [math.nan, math.inf, -math.inf], "pair": (0.1, 2)}
    assert json.loads(files.to_json(value)) == {"third": 1 / 3, "bad": [None] * 3, "pair": [0.1, 2]}


def test_csv():
    assert files.to_csv({"policy": ["a,b", "c"], "mean": [0.1, None]}) == 'policy,mean\n"a,b",0.1\nc,\n'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.7641513, "0.764"),
        (-0.0001, "0.000"),
        (-21.337, "-21.34"),
        (123.45, "123.5"),
        (12345.6, "12,346"),
    ],
)
def test_number(value, text):
    assert formats.number(value) == text


def test_other_formats():
    assert formats.number(0.00747, small=4) == "0.0075"
    assert [formats.signed(value) for value in (0.2, -0.2, None)] == ["+0.200", "-0.200", "-"]
    assert formats.interval((0.65, 0.88)) == "[0.650, 0.880]"
    assert formats.number(-1118.56, decimals=1) == "-1,118.6"
    assert formats.number(-0.004, decimals=2) == "0.00"
    assert (formats.signed(8.923, 1), formats.interval((-30.63, 8.923), 1)) == ("+8.9", "[-30.6, 8.9]")
    assert [formats.percent(value) for value in (-39.46, 5, -0.04, None)] == ["-39.5", "+5.0", "+0.0", "-"]
    assert [formats.percent_interval(bounds) for bounds in ((-41.06, -0.01), None)] == ["[-41.1, 0.0]", "-"]
    assert [formats.count(n) for n in (None, 9_999, 102_000, 1_230_000, 6_738_415_616)] == [
        "-",
        "9,999",
        "102 k",
        "1.23 M",
        "6.74 G",
    ]
    assert formats.milliseconds(0.0002) == "<0.001"
    assert [formats.plural(n, "episode") for n in (1, 2)] == ["1 episode", "2 episodes"]
