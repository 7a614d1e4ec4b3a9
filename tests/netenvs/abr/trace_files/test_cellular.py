"""Logs of HSDPA and 4G in six columns, of G-NetTrack Pro, and Lumos5G."""

import pytest

from netenvs.readers.errors import InputError

# 248456 bytes in 1190 ms, and so on: epoch, ms, latitude, longitude, bytes, ms
HSDPA = [
    "1289406399 549893 59.851754 10.781778 248456 1190",
    "1289406400 550893 59.85 10.78 250000 1000",
    "1289406402 552393 - - 0 1500",
]


def test_hsdpa(read):
    traces, reading = read("\n".join(HSDPA), "report_bus_0001.log")
    time_s, mbps = traces.trace(0)
    assert time_s == pytest.approx([0, 1.0, 2.5]) and mbps == pytest.approx([248456 * 8 / 1190 / 1000, 2.0, 0.0])
    assert dict(reading.formats) == {"hsdpa": 1} and not reading.notes


def test_ghent_has_milliseconds_since_1970(read):
    rows = [
        f"14531207{n}0686 {ms} 51.04 3.73 {size} 1000"
        for n, ms, size in ((90, 4, 1), (91, 1004, 5_000_000), (92, 2004, 125_000))
    ]
    traces, reading = read("\n".join(rows), "report_foot_0001.log")
    assert traces.trace(0)[0] == pytest.approx([0, 1, 2]) and traces.trace(0)[1] == pytest.approx([8e-6, 40, 1])
    assert dict(reading.formats) == {"ghent": 1}


def test_rows_in_no_time_are_left_out(read):
    rows = [
        *HSDPA,
        "1289406403 553393 59.85 10.78 9 0",
        "1289406403 550000 59.85 10.78 9 5",
        "1289406404 553493 1 2 12500 100",
    ]
    traces, reading = read("\n".join(rows))
    assert traces.trace(0)[0] == pytest.approx([0, 1.0, 2.5, 3.6]) and traces.trace(0)[1][-1] == pytest.approx(1.0)
    assert reading.num_skipped("rows") == 2


G_NET_TRACK = (
    "Timestamp,Longitude,Latitude,Speed,Operatorname,CellID,NetworkMode,RSRP,RSRQ,SNR,CQI,RSSI,"
    "DL_bitrate,UL_bitrate,State\n"
)


def test_5gdataset(read):
    rows = [
        f"2019.11.28_07.{clock},-8.3,51.9,0,B,12,5G,-100,-10,8,9,-,{kbps},7,D"
        for clock, kbps in (("59.58", 10), ("59.59", 4000), ("59.59", 5000))
    ]
    rows.append(rows[0].replace("07.59.58", "08.00.01").replace(",10,7", ",25678,7"))
    traces, reading = read(G_NET_TRACK + "\n".join(rows), "B_2019.11.28_07.27.58.csv")
    assert traces.trace(0)[0].tolist() == [0, 1, 3] and traces.trace(0)[1] == pytest.approx([0.01, 4.0, 25.678])
    assert dict(reading.formats) == {"5gdataset": 1}
    (skipped,) = reading.skipped_lines()
    assert skipped.startswith("1 row left out: the time does not come after the one before (") and ".csv:4" in skipped
    assert read(G_NET_TRACK + "\n".join(rows), unit="Mbit/s")[0].trace(0)[1][1] == 4000


LUMOS5G = (
    "run_num,seq_num,abstractSignalStr,latitude,longitude,movingSpeed,Throughput,"
    "mobility_mode,trajectory_direction,tower_id\n"
)


def test_lumos5g_has_a_trace_for_each_run(read):
    rows = [
        ("1", 1, 300.5, "walking", "CW"),
        ("1", 2, 410.0, "walking", "CW"),
        ("1", 1, 3, "driving", "CW"),
        ("1", 4, 100, "walking", "CW"),
        ("1", 2, 5, "driving", "CW"),
        ("2", 1, 5, "driving", "CW"),
        ("1", 3, -1, "driving", "CW"),
    ]
    content = "".join(
        f"{run},{second},2,44.9,-93.2,1.3,{mbps},{mode},{way},4\n" for run, second, mbps, mode, way in rows
    )
    traces, reading = read(LUMOS5G + content, "Lumos5G-v1.0.csv")
    assert [name.rpartition(":")[2] for name in traces.names] == ["1_walking_CW", "1_driving_CW"]
    assert traces.trace(0)[0].tolist() == [0, 1, 3] and traces.trace(0)[1].tolist() == [300.5, 410, 100]
    assert traces.trace(1)[1].tolist() == [3, 5]
    assert reading.num_skipped("rows") == 1 and reading.num_skipped("traces") == 1
    assert any("2_driving_CW" in line for line in reading.skipped_lines())
    with pytest.raises(InputError):
        read(LUMOS5G + content, strict=True)


def test_another_number_of_columns_is_named(read):
    with pytest.raises(InputError, match="2 columns; a line of this log has six"):
        read("0 1\n1 1\n", format="hsdpa")
