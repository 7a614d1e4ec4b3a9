"""Tables with names."""

import pytest

from netenvs.abr.traces import read_traces
from netenvs.readers.errors import InputError

HEADERS = [
    ("time_s,bandwidth_mbps", 1, 1),
    ("time_s,Mbps", 1, 1),
    ("timestamp_ms;throughput [kbit/s]", 1000, 1000),
    ("time (ms)\tbandwidth(Kbps)", 1000, 1000),
    ("Time [s],DL_bitrate [Mbps]", 1, 1),
    ("t_s,DL_bitrate", 1, 1000),
    ("time_us,throughput_bps", 1e6, 1e6),
    ("seconds,BW_MBps", 1, 0.125),
    ("time_s,throughput_MB/s", 1, 0.125),
    ("ms,kbps", 1000, 1000),
    ("Time (sec),Bandwidth (Mbits/sec)", 1, 1),
    (",time_s,bandwidth_kbit", 1, 1000),
    ("gps_time_s,Sprint_throughput_kbps", 1, 1000),
    ("# time_s bandwidth_mbps", 1, 1),
    ("# time_ms, bandwidth_kbps", 1000, 1000),
]


def rows(header, times, rates):
    header, index = (header[1:], "0,") if header.startswith(",") else (header, "")
    separator = next((mark for mark in ("\t", ";", ",") if mark in header), " ")
    return "\n".join(
        [f"{index[1:]}{header}", *(f"{index}{t:.10g}{separator}{r:.10g}" for t, r in zip(times, rates, strict=True))]
    )


@pytest.mark.parametrize(("header", "of_time", "of_rate"), HEADERS, ids=[header for header, *_ in HEADERS])
def test_units_are_those_of_the_names(read, header, of_time, of_rate):
    content = rows(header, [of_time * t for t in (5, 6, 7.5)], [of_rate * r for r in (1.5, 0, 2.25)])
    traces, reading = read(content, "log.csv")
    assert traces.trace(0)[0] == pytest.approx([0, 1, 2.5]) and traces.trace(0)[1] == pytest.approx([1.5, 0, 2.25])
    assert dict(reading.formats) == {"csv": 1} and not reading.notes and not reading.skipped


def test_units_beside_no_name_are_told_by_size_and_noted(read):
    """The median of 1500 and 2500 is 2000; the mean step of 0, 1000, 3000 is 1500."""
    traces, reading = read("time,bandwidth\n0,1500\n1000,0\n3000,2500\n")
    assert traces.trace(0)[0].tolist() == [0, 1, 3] and traces.trace(0)[1].tolist() == [1.5, 0, 2.5]
    assert [note.partition(": ")[2] for note in reading.notes] == [
        "mean steps of 1500 are taken for ms; if that is wrong, name it: time_unit=s",
        "medians of 2000 are taken for kbit/s; if that is wrong, name it: unit=Mbit/s",
    ]
    traces, reading = read("time,bandwidth\n0,1500\n1000,0\n3000,2500\n", unit="Mbit/s", time_unit="s")
    assert traces.trace(0)[0].tolist() == [0, 1000, 3000] and traces.trace(0)[1].tolist() == [1500, 0, 2500]
    assert len(reading.notes) == 2 and all("name it:" in note for note in reading.notes)


def test_one_note_for_a_whole_folder(read, tmp_path):
    for name, rate in (("a.csv", 1), ("b.csv", 3)):
        (tmp_path / name).write_text(f"time_s,bandwidth\n0,{rate}\n1,{rate}\n")
    _, reading = read("time_s,bandwidth\n0,2\n1,2\n", "c.csv")
    _, reading = read_traces(tmp_path)
    assert reading.notes == [
        "no unit of bandwidth is named in 3 of 3 traces: medians of 1 to 3 are taken for Mbit/s; if that is wrong, "
        "name it: unit=kbit/s"
    ]


@pytest.mark.parametrize(
    "times",
    [
        ["2019-11-28 07:59:59", "2019-11-28 08:00:00", "2019-11-28T08:00:01.500"],
        ["1645182000", "1645182001", "1645182002.5"],
        ["1645182000000", "1645182001000", "1645182002500"],
        ["07:59:59", "08:00:00", "08:00:01.5"],
    ],
    ids=["dates", "epoch in s", "epoch in ms", "time of day"],
)
def test_clocks(read, times):
    traces, reading = read("timestamp,cell,throughput_mbps\n" + "".join(f"{time},7,2\n" for time in times))
    assert traces.trace(0)[0] == pytest.approx([0, 1, 2.5])
    assert not any("time" in note for note in reading.notes[1:])


def test_without_times_a_row_lasts_a_second(read):
    traces, reading = read("cell,throughput_mbps\na,1\nb,2\nc,3\n")
    assert traces.trace(0)[0].tolist() == [0, 1, 2]
    assert reading.notes == ["there is no column of times; a row lasts 1 s; name one, time=NAME, or interval_s="]
    assert read("cell,throughput_mbps\na,1\nb,2\n", interval_s=5)[0].trace(0)[0].tolist() == [0, 5]
    assert read("3.5\n1.25\n0.5\n", format="csv", unit="Mbit/s")[0].trace(0)[1].tolist() == [3.5, 1.25, 0.5]


def test_of_several_throughputs_one_has_to_be_named(read):
    content = "seq_num,Sprint_throughput_mbps,TMobile_throughput_mbps\n0,25.5,145.5\n1,65,87.5\n"
    with pytest.raises(InputError, match=r"not known \(seq_num, Sprint_throughput_mbps, TMobile.*; name it"):
        read(content)
    traces, _ = read(content, bandwidth="TMobile_throughput_mbps", time="seq_num")
    assert traces.trace(0)[1].tolist() == [145.5, 87.5]
    traces, _ = read("time_s,UL_bitrate_kbps,my_bitrate_kbps\n0,1,1000\n1,1,2000\n")
    assert traces.trace(0)[1].tolist() == [1, 2]


def test_columns_by_option(read):
    content = "when,speed\n0,8\n1,16\n"
    with pytest.raises(InputError, match=r"which column is the bandwidth is not known \(when, speed\); name it"):
        read(content)
    traces, _ = read(content, time="when", bandwidth="speed", unit="MB/s", time_unit="s")
    assert traces.trace(0)[0].tolist() == [0, 1] and traces.trace(0)[1].tolist() == [64, 128]
    with pytest.raises(InputError, match="bandwidth=sped: no such column; known: when, speed"):
        read(content, bandwidth="sped")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("time_s,bandwidth [furlong]\n0,1\n1,2\n", "the unit is not known; name it, unit=kbit/s"),
        ("time_s,bandwidth\n0,0.0001\n1,0.0002\n", "has no unit, and a median of 0.00015; name it, unit=kbit/s"),
    ],
)
def test_units_that_cannot_be_told_are_asked_for(read, content, message):
    with pytest.raises(InputError, match=message):
        read(content)


@pytest.mark.parametrize(
    ("content", "times", "rates"),
    [
        ("Zeit;Bandbreite (MBit/s);Ort\n03.05.2024 14:00:00;1,5;A\n03.05.2024 14:00:02;2,5;B\n", [0, 2], [1.5, 2.5]),
        ("Date,Time,Download speed [Mbps]\n05/03/2024,1:59:59 PM,1\n05/03/2024,2:00:01 PM,3\n", [0, 2], [1, 3]),
        ("Zeit (ms),Rtt (ms),Rate am Handy (kbit/s)\n500,40,1000\n1500,30,3000\n", [0, 1], [1, 3]),
        ("when,UL [Mbps],DL x [Mbps]\n2024-05-03T14:00:00Z,9,1\n2024-05-03T14:00:03Z,9,3\n", [0, 3], [1, 3]),
        ("timestamp,bytes_per_sec\n1714744800000,125000\n1714744801000,250000\n", [0, 1], [1, 2]),
    ],
)
def test_columns_are_told_by_their_units_and_dates_where_their_names_are_unknown(read, content, times, rates):
    traces, reading = read(content, "log.csv")
    assert traces.trace(0)[0] == pytest.approx(times) and traces.trace(0)[1] == pytest.approx(rates)
    assert not reading.notes and not reading.skipped


def test_a_header_alone_and_names_without_numbers(read):
    with pytest.raises(InputError, match=r"a header and no rows"):
        read("time,mbps\n", "log.csv")
    with pytest.raises(InputError, match=r"not recognised"):
        read("#EXTM3U\nlow/index.m3u8\nhigh/index.m3u8\n", "log.csv")


@pytest.mark.parametrize("separator", [" ", "\t", ",", ";"])
@pytest.mark.parametrize(
    "header", ["# time_ms bandwidth_kbps", "# time [ms], bandwidth [kbps]", "# time (ms) bw (kbps)"]
)
def test_names_and_units_in_a_comment_count_whatever_separates_the_rows(read, header, separator):
    traces, reading = read(header + "\n" + "".join(f"{n * 1000}{separator}{300 + n}\n" for n in range(4)))
    assert traces.time_s.tolist() == [0, 1, 2, 3]
    assert traces.bandwidth_mbps == pytest.approx([0.3, 0.301, 0.302, 0.303]) and not reading.notes


def test_a_remark_that_names_no_time_is_no_header(read):
    traces, reading = read("# measured bandwidth\n0,1\n1,2\n2,2\n")
    assert dict(reading.formats) == {"pensieve": 1} and traces.time_s.tolist() == [0, 1, 2]


def test_an_upload_is_not_taken_for_the_link(read):
    with pytest.raises(InputError, match="which column is the bandwidth is not known"):
        read("time_s,throughput_ul_mbps\n0,9\n1,9\n")
    traces, _ = read("time_s,throughput_ul_mbps,throughput_dl_mbps\n0,9,2\n1,9,3\n")
    assert traces.bandwidth_mbps.tolist() == [2, 3]


def test_steps_of_microseconds(read):
    traces, reading = read("time,bandwidth_mbps\n" + "".join(f"{n * 1000000},2\n" for n in range(4)))
    assert traces.time_s.tolist() == [0, 1, 2, 3]
    assert [note.partition(";")[0] for note in reading.notes] == [
        "no unit of time is named in 1 of 1 traces: mean steps of 1e+06 are taken for us"
    ]


def test_seconds_called_milliseconds_are_doubted(read):
    _, reading = read("time_ms,bandwidth_mbps\n" + "".join(f"{n},20\n" for n in range(900)))
    assert [note.partition(" in the")[0] for note in reading.notes] == ["1 of 1 traces lies in steps of 0.001 s"]
