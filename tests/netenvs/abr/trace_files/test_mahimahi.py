"""Packet-delivery times."""

import numpy as np
import pytest

from netenvs.readers.errors import InputError


def test_packets_in_bins_of_a_second(read):
    """Packets of 1500 bytes = 12 kbit; the last bin is 0.4 s long."""
    traces, reading = read("0\n400\n1000\n1000\n1001\n3200\n3400\n")
    time_s, bandwidth = traces.trace(0)
    assert time_s.tolist() == [0.0, 1.0, 2.0, 3.0, 3.4]
    assert bandwidth[1:] == pytest.approx([4 * 0.012, 0.012, 0.0, 2 * 0.012 / 0.4])
    carried = np.sum(np.diff(time_s) * bandwidth[1:]) * 1e6 / 8
    assert carried == pytest.approx(7 * 1500), "no packet is lost between the bins"
    assert dict(reading.formats) == {"mahimahi": 1}


def test_whole_seconds(read):
    traces, _ = read("".join(f"{ms}\n" for ms in range(1, 2001)))
    assert traces.trace(0)[0].tolist() == [0.0, 1.0, 2.0] and traces.trace(0)[1][1:] == pytest.approx([12.0, 12.0])


@pytest.mark.parametrize(("line", "mbps", "end_s"), [("1", 12.0, 1.0), ("3", 4.0, 1.002), ("2500\n", 0.0048, 2.5)])
def test_one_line_is_a_packet_again_and_again(read, line, mbps, end_s):
    """``1``: a packet of 12 kbit a millisecond."""
    time_s, bandwidth = read(line)[0].trace(0)
    assert time_s[-1] == pytest.approx(end_s)
    assert np.sum(np.diff(time_s) * bandwidth[1:]) / end_s == pytest.approx(mbps)


def test_lines_that_go_back_or_are_no_number_are_left_out(read):
    times = [*range(0, 2000, 100), 3, "x", *range(2000, 3001, 100)]
    traces, reading = read("".join(f"{time}\n" for time in times))
    assert traces.trace(0)[0].tolist() == [0, 1, 2, 3]
    assert traces.trace(0)[1][1:] == pytest.approx([11 * 0.012, 10 * 0.012, 10 * 0.012])
    assert {reason: one.count for (_, reason), one in reading.skipped.items()} == {
        "a time that is no number from 0 to 1e9": 1,
        "the time goes back": 1,
    }
    with pytest.raises(InputError, match=r"trace\.txt:22: a time that is no number"):
        read("".join(f"{time}\n" for time in times), strict=True)


def test_one_time_far_ahead_costs_itself(read):
    traces, reading = read("".join(f"{ms}\n" for ms in [*range(1, 900), 999_999, *range(900, 2001)]))
    assert traces.trace(0)[0][-1] == 2.0 and reading.num_skipped("rows") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [("0\n0\n", "all packets are delivered at 0 ms"), ("3.5\n1.2\n0.4\n2.2\n", "not recognised as a bandwidth trace")],
)
def test_what_is_no_trace(read, content, message):
    with pytest.raises(InputError, match=rf"trace\.txt: .*{message}"):
        read(content)


def test_the_same_number_in_every_line_is_doubted(read):
    traces, reading = read("5\n" * 30)
    assert traces.bandwidth_mbps.tolist() == [72, 72]
    (note,) = reading.notes
    assert note.startswith("the same number in every line is taken for packets at that time") and "30 at 5 ms" in note
    traces, reading = read("5\n" * 30, format="csv", bandwidth=1, unit="Mbit/s")
    assert traces.bandwidth_mbps.tolist() == [5] * 30 and traces.time_s[-1] == 29
    assert not read("1\n")[1].notes and not read("5\n5\n6\n")[1].notes
