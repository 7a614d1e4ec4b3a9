"""curr_webget.csv of the FCC."""

import pytest

from netenvs.readers.errors import InputError

HEADER = "unit_id,dtime,target,address,fetch_time,bytes_total,bytes_sec,objects,threads\n"


def rows(*values):
    return "".join(
        f'{unit},2016-06-01 0{hour}:11:{hour}0,"http://{site}",1.2.3.4,870000,{size},{size},10,2\n'
        for hour, (unit, site, size) in enumerate(values)
    )


MEASURED = [
    (7, "a.com", 125_000),
    (7, "b.com", 1),
    (7, "a.com", 250_000),
    (8, "a.com", 500_000),
    (7, "a.com", 0),
    (8, "a.com", 1000),
]


@pytest.mark.parametrize("header", [HEADER, ""], ids=["with a header", "of 2016 and before"])
def test_a_trace_for_each_unit_and_target_in_steps_of_5_s(read, header):
    traces, reading = read(header + rows(*MEASURED), "curr_webget.csv")
    assert [name.rpartition("csv:")[2] for name in traces.names] == ["7_http---a.com", "8_http---a.com"]
    assert traces.trace(0)[0].tolist() == [0, 5, 10] and traces.trace(0)[1].tolist() == [1.0, 2.0, 0.0]
    assert dict(reading.formats) == {"fcc": 1} and reading.num_skipped("traces") == 1


def test_another_interval(read):
    traces, _ = read(HEADER + rows(*MEASURED, (8, "a.com", 500_000)), interval_s=2.5)
    assert traces.trace(1)[0].tolist() == [0, 2.5, 5.0]
    with pytest.raises(InputError, match="interval_s must be above 0, not 0"):
        read(HEADER + rows(*MEASURED), interval_s=0)


def test_bad_measurements_are_left_out(read):
    content = HEADER + rows(*MEASURED, (8, "a.com", "NULL"), (8, "a.com", -4), (8, "a.com", 1000)) + "9,2016\n"
    traces, reading = read(content)
    assert traces.trace(1)[1].tolist() == [4.0, 0.008, 0.008]
    assert reading.skipped[("rows", "no bytes_sec from 0 up")].count == 3
    with pytest.raises(InputError, match=r"trace\.txt:8: no bytes_sec from 0 up"):
        read(content, strict=True)


def test_a_row_that_is_cut_before_its_unit(read):
    header = "bytes_sec,unit_id,dtime,target\n"
    rows = "".join(f"{rate},7,2016-01-01 00:00:0{rate % 10},http://a\n" for rate in (125001, 125002))
    traces, reading = read(header + rows + "125003\n")
    assert len(traces) == 1 and reading.skipped["traces", "less than two rows"].count == 1
