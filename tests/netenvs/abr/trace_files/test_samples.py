"""Rows that cannot be used, in every format of rows."""

import pytest

from netenvs.readers.errors import InputError

GOOD = "".join(f"{second} 2\n" for second in range(10))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("10 nan", "a time or bandwidth that is no number from 0 to 1e9"),
        ("10 -2", "a time or bandwidth that is no number from 0 to 1e9"),
        ("10 inf", "a time or bandwidth that is no number from 0 to 1e9"),
        ("10 1e10", "a time or bandwidth that is no number from 0 to 1e9"),
        ("nan 2", "a time or bandwidth that is no number from 0 to 1e9"),
        ("10 fast", "a time or bandwidth that is no number from 0 to 1e9"),
        ("10 1_0", "a time or bandwidth that is no number from 0 to 1e9"),
        ("3 2", "the time does not come after the one before"),
        ("9 2", "the time does not come after the one before"),
        ("10 2 2", "not 2 columns"),
        ("10", "not 2 columns"),
    ],
)
def test_a_bad_row_is_left_out_counted_and_named(read, line, reason):
    traces, reading = read(f"{GOOD}{line}\n11 2\n{line}\n")
    assert traces.trace(0)[0].tolist() == [*range(10), 11] and reading.records["rows"] == 11
    (((kind, why), skipped),) = reading.skipped.items()
    assert (kind, why, skipped.count) == ("rows", reason, 2) and "trace.txt:11" in skipped.first
    with pytest.raises(InputError, match=rf"trace\.txt:11: {reason}.*; mend it or take it out") as caught:
        read(f"{GOOD}{line}\n11 2\n", strict=True)
    assert "\n" not in str(caught.value)


def test_one_time_far_ahead_costs_itself(read):
    traces, reading = read(f"{GOOD}500 2\n10 2\n11 2\n")
    assert traces.trace(0)[0].tolist() == [*range(12)] and reading.num_skipped("rows") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0 0\n1 0\n2 0\n", "the whole trace carries 0 bytes"),
        ("0 9\n1 0\n2 0\n", "the whole trace carries 0 bytes"),
        ("0 1e-9\n1 1e-9\n", "the whole trace carries 0 bytes"),
        ("0 1\n", "at least two lines, it has 1"),
        ("0 1\n1 nan\n2 nan\n", "2 of 3 rows cannot be used"),
        ('time,kbps\n0,"1,200"\n1,"1,300"\n', "2 of 2 rows cannot be used, .*:2: 0,1,200"),
        ("0 1\n1 1\nx 1\ny 1\nz 1\n", "3 of 5 rows cannot be used"),
        ("", "not recognised as a bandwidth trace"),
        ("# nothing\n# here\n", "not recognised as a bandwidth trace"),
        (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", "not recognised as a bandwidth trace"),
        (b"\x00\x01\x02\x03\n", "not recognised as a bandwidth trace"),
        ("0 1\n5e9 1\n", "2 of 2 rows cannot be used"),
    ],
)
def test_what_is_no_trace_is_one_line(read, content, message):
    with pytest.raises(InputError, match=rf"trace\.txt: .*({message})") as caught:
        read(content)
    assert "\n" not in str(caught.value)


def test_a_time_beyond_reason_costs_itself(read):
    for place in (0, 5, 10):
        lines = GOOD.splitlines()
        lines.insert(place, "1e15 2")
        traces, reading = read("\n".join(lines))
        assert traces.trace(0)[0].tolist() == [*range(10)] and reading.num_skipped("rows") == 1


def test_zero_for_a_stretch_is_an_outage(read):
    traces, reading = read("0 1\n1 0\n60 0\n61 4\n")
    assert traces.trace(0)[1].tolist() == [1, 0, 0, 4] and not reading.skipped
