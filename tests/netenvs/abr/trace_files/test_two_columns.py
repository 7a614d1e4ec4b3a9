"""Pensieve's and Oboe's two columns."""

import pytest

from netenvs.readers.errors import InputError

WANT = ([0, 1, 2.5], [2.5, 0, 1.25])


@pytest.mark.parametrize(
    "content",
    [
        "10 2.5\n11 0\n12.5 1.25\n",
        "10\t2.5\n11\t0\n12.5\t1.25\n",
        "10,2.5\n11,0\n12.5,1.25\n",
        "10;2.5\n11;0\n12.5;1.25",
        "10;2,5\n11;0\n12,5;1,25",
        "10, 2.5\n11, 0\n12.5, 1.25\n",
        "# a link\n\n10 2.5\n// a comment\n11 0\n\n12.5 1.25\n",
        "\ufeff10 2.5\r\n11 0\r\n12.5 1.25\r\n",
        "  10   2.5\n 11 0 \n12.5 1.25",
    ],
    ids=["blanks", "tabs", "commas", "semicolons", "decimal commas", "comma and blank", "comments", "mark", "indented"],
)
def test_pensieve_with_any_separator(read, content):
    traces, reading = read(content)
    assert (traces.trace(0)[0].tolist(), traces.trace(0)[1].tolist()) == WANT
    assert dict(reading.formats) == {"pensieve": 1} and not reading.skipped and not reading.notes


def test_units_by_option(read):
    traces, _ = read("10000 2500\n11000 0\n12500 1250\n", format="pensieve", unit="kbit/s", time_unit="ms")
    assert (traces.trace(0)[0].tolist(), traces.trace(0)[1].tolist()) == WANT
    assert read("10 2.5\n11 0\n12.5 1.25\n", unit="MB/s")[0].trace(0)[1].tolist() == [20, 0, 10]
    with pytest.raises(InputError, match="unit=furlong: not a unit; known: Mbit/s, kbit/s"):
        read("10 2.5\n11 0\n12.5 1.25\n", unit="furlong")
    with pytest.raises(InputError, match="time_unit=Mbit/s: not a unit; known: s, ms"):
        read("10 2.5\n11 0\n12.5 1.25\n", time_unit="Mbit/s")


@pytest.mark.parametrize(
    "times",
    [
        ["1645182000", "1645182001", "1645182002.5"],
        ["1645182000000", "1645182001000", "1645182002500"],
        ["2022-02-18 11:00:00", "2022-02-18 11:00:01", "2022-02-18T11:00:02.5"],
    ],
    ids=["epoch in s", "epoch in ms", "dates"],
)
def test_clocks(read, times):
    traces, reading = read("".join(f"{time},{mbps}\n" for time, mbps in zip(times, WANT[1], strict=True)))
    assert (traces.trace(0)[0].tolist(), traces.trace(0)[1].tolist()) == WANT and not reading.notes


OBOE = "7.0 4646.67\n320.0 4646.67\n408.0 4696.75\n1673.0 2746\n"


def test_oboe_is_told_by_its_numbers_which_are_noted(read):
    """The mean step is (1673 - 7) / 3 = 555.3, the median (4646.67 + 4646.67) / 2."""
    traces, reading = read(OBOE)
    assert traces.trace(0)[0] == pytest.approx([0, 0.313, 0.401, 1.666])
    assert traces.trace(0)[1] == pytest.approx([4.64667, 4.64667, 4.69675, 2.746])
    assert dict(reading.formats) == {"oboe": 1}
    assert reading.notes == [
        "no unit of time is named in 1 of 1 traces: mean steps of 555.3 are taken for ms; if that is wrong, name it: "
        "time_unit=s",
        "no unit of bandwidth is named in 1 of 1 traces: medians of 4647 are taken for kbit/s; if that is wrong, name "
        "it: unit=Mbit/s",
    ]


def test_units_of_oboe_by_option_are_no_guess(read):
    traces, reading = read(OBOE, unit="kbit/s", time_unit="ms")
    assert traces.trace(0)[0][-1] == pytest.approx(1.666) and not reading.notes


def test_no_trace_is_taken_for_oboe_by_one_of_both(read):
    assert dict(read("0 4646\n1 4646\n2 4696\n")[1].formats) == {"pensieve": 1}
    assert dict(read("0 4.6\n1000 4.6\n2000 4.7\n")[1].formats) == {"pensieve": 1}


def test_named_as_pensieve_it_is_s_and_mbps_and_said_to_be_far_off(read):
    traces, reading = read(OBOE, format="pensieve")
    assert traces.trace(0)[1][0] == 4646.67
    assert [note.partition(",")[0] for note in reading.notes] == [
        "1 of 1 traces lies far above the ladder of 0.3 to 4.3 Mbit/s",
        "1 of 1 traces lies in steps of 555.3 s in the mean; if that is another unit",
    ]


def test_more_columns_need_names(read):
    with pytest.raises(InputError, match=r"trace\.txt: 3 columns, not two; csv\(path=FILE,time=1,bandwidth=2\)"):
        read("0 1 2\n1 1 2\n", format="pensieve")
    traces, _ = read("0 1 2000\n1 1 2500\n", format="csv", bandwidth=3, time=1, unit="kbit/s")
    assert traces.trace(0)[1].tolist() == [2.0, 2.5]
