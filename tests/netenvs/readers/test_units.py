"""Units of columns, clocks, and rows that go back in time."""

import numpy as np
import pytest

from netenvs.readers.units import MBPS, SECONDS, clock_s, increasing, known_unit, split_unit


@pytest.mark.parametrize(
    ("column", "name", "mbps"),
    [
        ("DL_bitrate [kbit/s]", "dl_bitrate", 1e-3),
        ("Throughput(Mbps)", "throughput", 1.0),
        ("bandwidth_kbps", "bandwidth", 1e-3),
        ("DL_MBPS", "dl", 1.0),
        ("throughput_MBps", "throughput", 8.0),
        ("throughput (KB/s)", "throughput", 8e-3),
        ("throughput_bits_per_second", "throughput", 1e-6),
        ("Bandbreite (MBit/s)", "bandbreite", 1.0),
        ("Rate (Bytes per sec)", "rate", 8e-6),
        ("bytes/s", "bytes_s", None),
        ("throughput [GBit/s]", "throughput", 1e3),
        ("throughput_MiBps", "throughput", 8 * 1.048576),
        ("BANDWIDTH (MBIT/S)", "bandwidth", 1.0),
        ("bandwidth", "bandwidth", None),
        ("app_throughput", "app_throughput", None),
    ],
)
def test_units_of_bandwidth(column, name, mbps):
    found = split_unit(column, MBPS)
    assert found.name == name
    assert (None if found.unit is None else MBPS[found.unit]) == (None if mbps is None else pytest.approx(mbps))


def test_capitals_that_may_be_bits_or_bytes_are_no_unit_that_is_known():
    assert known_unit("MB/S", MBPS) is None and known_unit("MB/s", MBPS) == "MB/s"


def test_units_of_time():
    assert split_unit("time_usec", SECONDS) == ("time", "usec")
    assert split_unit("time_ms", SECONDS) == ("time", "ms")
    assert split_unit("Time (s)", SECONDS) == ("time", "s")
    assert split_unit("TIMESTAMP", SECONDS) == ("timestamp", None)


@pytest.mark.parametrize(
    ("fields", "unit", "seconds"),
    [
        (["0.5", "1"], None, [0.5, 1]),
        (["500", "1000"], "ms", [0.5, 1]),
        (["1510000000500", "1510000001000"], None, [1510000000.5, 1510000001]),
        (["1510000000500000"], None, [1510000000.5]),
        (["2019.12.14_10.16.30", "2019.12.14_10.16.31"], None, [1576318590, 1576318591]),
        (["2017-01-01 10:00:00.250", "x"], None, [1483264800.25, np.nan]),
        (["x", "y"], None, [np.nan, np.nan]),
        (["1", "x", "y"], "ms", [0.001, np.nan, np.nan]),
        (["00:00:01.5", "00:00:02"], None, None),
        (["03.05.2024 14:00:01", "03.05.2024 14:00:01.500"], None, [1714744801, 1714744801.5]),
        (["30.04.2024 23:59", "01.05.2024 00:00"], None, [1714521540, 1714521600]),
        (["05/04/2024 11:59:59 PM", "05/05/2024 12:00:00 AM"], None, [1714867199, 1714867200]),
        (["05/04/2024 23:59:59", "06/04/2024 00:00:00"], None, [1712361599, 1712361600]),
        (["05/13/2024 02:00:05", "x"], None, [1715565605, np.nan]),
        (["20240503140000", "20240503140001"], None, [1714744800, 1714744801]),
        (["20240503140000", "20240503140001"], "ms", [20240503140.0, 20240503140.001]),
    ],
)
def test_clocks(fields, unit, seconds):
    found = clock_s(fields, unit)
    if seconds is None:
        assert np.diff(found) == pytest.approx([0.5])
    else:
        assert np.allclose(found, seconds, equal_nan=True, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "fields",
    [
        ["23:59:58", "23:59:59", "00:00:00", "00:00:01.5"],
        ["03/04/2020 23:59:58", "03/04/2020 23:59:59", "03/05/2020 00:00:00", "03/05/2020 00:00:01.5"],
        ["03/12/2020 23:59:58", "03/12/2020 23:59:59", "03/13/2020 00:00:00", "03/13/2020 00:00:01.5"],
        ["12/03/2020 23:59:58", "12/03/2020 23:59:59", "13/03/2020 00:00:00", "13/03/2020 00:00:01.5"],
        ["3/4/2020 11:59:58 PM", "3/4/2020 11:59:59 PM", "3/5/2020 12:00:00 AM", "x"],
    ],
)
def test_clocks_go_on_after_midnight(fields):
    found = clock_s(fields, None)
    assert found - found[0] == pytest.approx([0, 1, 2, 3.5 if fields[3] != "x" else np.nan], nan_ok=True)


def test_one_time_of_the_day_that_is_far_off_costs_itself():
    found = clock_s(["10:00:00", "23:30:00", "10:00:02", "10:00:03"], None)
    assert found[[2, 3]] - found[0] == pytest.approx([2, 3])


def test_as_many_increasing_values_as_can_be_are_kept():
    for values, kept in [
        ([1, 2, 3], [1, 2, 3]),
        ([1, 1, 2], [1, 2]),
        ([1, 1e9, 2, 3], [1, 2, 3]),
        ([5, 6, 7, 1, 8], [5, 6, 7, 8]),
        ([1, np.nan, 2], [1, 2]),
        ([], []),
        ([3, 2, 1], [1]),
    ]:
        assert np.array(values, float)[increasing(np.array(values, float))].tolist() == kept
