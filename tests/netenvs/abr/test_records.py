"""Trace sets made in Python."""

import numpy as np
import pytest

from netenvs.abr.workload import make_trace_set


def test_traces_made_in_python_are_checked():
    good = np.array([0.0, 1.0, 2.0])
    made = make_trace_set("mine", [("first", good, good), ("second", good[:2], good[:2] + 1)])
    assert made.names == ("first", "second") and made.offset.tolist() == [0, 3, 5]
    for time_s, bandwidth, message in (
        (good[::-1], good, "first: row 2: time 1.0 s does not come after 2.0 s"),
        (good, -good, "first: row 2: bandwidth -1.0 is not a number"),
        (good, good * np.nan, "first: row 1: bandwidth nan"),
        (good, good * 0, "first: the whole trace carries 0 bytes"),
        (good[:1], good[:1], "first: a trace needs at least two"),
    ):
        with pytest.raises(ValueError, match=message):
            make_trace_set("mine", [("first", time_s, bandwidth)])
    with pytest.raises(ValueError, match="no trace in it"):
        make_trace_set("mine", [])
    for pointer in (0, 3):
        with pytest.raises(ValueError, match="start pointers must lie inside"):
            make_trace_set("mine", [("first", good, good)], np.array([pointer]))


@pytest.mark.parametrize(
    ("latency_ms", "message"),
    [
        ([20.0, -1.0, 20.0], r"latency_ms: value \[1\] is -1"),
        ([20.0, np.nan, 20.0], r"latency_ms: value \[1\] is nan"),
        ([20.0, 20.0], r"latency_ms: it must have the shape \(3\)"),
        (["a", "b", "c"], "could not convert|latency_ms: it must be an array"),
    ],
)
def test_a_latency_by_segment_is_checked(latency_ms, message):
    row = np.array([0.0, 1.0, 2.0])
    with pytest.raises(ValueError, match=message):
        make_trace_set("mine", [("first", row, row)], latency_ms=np.array(latency_ms))
