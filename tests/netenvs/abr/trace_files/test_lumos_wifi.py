"""Sessions of Lumos."""

import pytest

from netenvs.readers.errors import InputError

HEADER = (
    "downstream_bandwidth,connection_type,signal_strength,bitrate,chunk_size,app_throughput,delivery_time,"
    "player_state,chunk_index\n"
)
ROWS = [
    "50M,4g,weak,300,16,160,0.1,steady,1",
    "50M,4g,weak,300,1295,1036,1.25,steady,1",
    "5M,wifi,strong,750,0,0,0.5,x,2",
]


def test_a_segment_for_each_chunk(read):
    traces, reading = read(HEADER + "\n".join(ROWS), "210511_1844-50Mbps-4g-weak-ed_4s-MPC.csv")
    time_s, mbps = traces.trace(0)
    assert time_s == pytest.approx([0, 0.1, 1.35, 1.85]) and mbps == pytest.approx([0.16, 0.16, 1.036, 0])
    assert dict(reading.formats) == {"lumos-wifi": 1} and reading.records["rows"] == 3
    assert not reading.skipped and not reading.notes


def test_bad_chunks_are_left_out(read):
    bad = ["50M,4g,weak,300,16,160,0,steady,1", "50M,4g,weak,300,16,fast,0.1,steady,1", "50M,4g,weak,300"]
    traces, reading = read(HEADER + "\n".join([ROWS[0], *bad[:1], ROWS[1], *bad[1:], ROWS[2], ROWS[2]]))
    assert traces.trace(0)[0] == pytest.approx([0, 0.1, 1.35, 1.85, 2.35])
    assert reading.num_skipped("rows") == 3
    with pytest.raises(InputError, match=r"trace\.txt:3: no delivery_time above 0"):
        read(HEADER + "\n".join([ROWS[0], bad[0], ROWS[1]]), strict=True)


def test_another_unit(read):
    traces, _ = read(HEADER + "\n".join(ROWS), unit="kB/s")
    assert traces.trace(0)[1] == pytest.approx([1.28, 1.28, 8.288, 0])
