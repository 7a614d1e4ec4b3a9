"""video_sent of Puffer."""

import pytest

from netenvs.readers.errors import InputError

HEADER = (
    "time (ns GMT),session_id,index,expt_id,channel,video_ts,format,size,ssim_index,"
    "cwnd,in_flight,min_rtt,rtt,delivery_rate\n"
)
T0 = 1_645_182_000_000_000_000


def row(seconds, session, index, rate):
    return f"{T0 + int(seconds * 1e9)},{session},{index},301,abc,1234,1280x720-24,50000,0.98,12,3,20000,21000,{rate}\n"


STREAMS = [
    row(0, "k=", 0, 125_000),
    row(1, "z=", 0, 1),
    row(2, "k=", 0, 250_000),
    row(3, "k=", 1, 9),
    row(4.5, "k=", 0, 62_500),
    row(9, "k=", 1, 1_000_000),
]


def test_a_trace_for_each_stream_in_bytes_a_second(read):
    traces, reading = read(HEADER + "".join(STREAMS), "video_sent_2022-02-18.csv")
    assert [name.rpartition(":")[2] for name in traces.names] == ["k=_0", "k=_1"]
    assert traces.trace(0)[0] == pytest.approx([0, 2, 4.5], abs=1e-6) and traces.trace(0)[1].tolist() == [1, 2, 0.5]
    assert traces.trace(1)[1][1] == 8 and dict(reading.formats) == {"puffer": 1}
    assert reading.num_skipped("traces") == 1


def test_bad_rows_are_left_out(read):
    bad = [row(5, "k=", 0, "nan"), row(5, "k=", 0, -1), "5,k=,0\n", row(1, "k=", 0, 8)]
    content = HEADER + "".join([*STREAMS, *bad, *[row(10 + n, "k=", 1, 5) for n in range(4)]])
    traces, reading = read(content)
    assert traces.trace(0)[0] == pytest.approx([0, 2, 4.5], abs=1e-6)
    assert reading.num_skipped("rows") == 4


def test_video_acked_has_no_rate(read):
    with pytest.raises(InputError, match=r"video_acked\.csv: it has no delivery_rate; give the file video_sent"):
        read("time (ns GMT),session_id,index,expt_id,channel,video_ts\n1,a,0,3,abc,5\n", "video_acked.csv")


def test_another_table_is_refused(read):
    with pytest.raises(InputError, match=r"trace\.txt: it has no session_id and index"):
        read("time,delivery_rate\n1,5\n", format="puffer")


def test_cooked_traces_are_those_of_pensieve(read):
    traces, reading = read("0.0\t3.23\n0.138000011444\t0.55\n2.5\t0.65\n", "tracecaHLw9=_9")
    assert dict(reading.formats) == {"pensieve": 1} and traces.trace(0)[1].tolist() == [3.23, 0.55, 0.65]
