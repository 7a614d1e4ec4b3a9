"""What is said of traces far off the task's scale."""

import pytest

from netenvs.abr.traces import read_traces


def test_figures_are_those_of_all_traces(tmp_path):
    for name, rate in (("a", 1.5), ("b", 1500), ("c", 4500), ("d", 0.004)):
        (tmp_path / f"{name}.txt").write_text(f"0 {rate}\n10 {rate}\n20 0\n30 {rate}\n")
    _, reading = read_traces(tmp_path)
    assert reading.notes == [
        "2 of 4 traces lie far above the ladder of 0.3 to 4.3 Mbit/s, with medians of 1500 to 4500 Mbit/s; if that is "
        "another unit, name it: unit=kbit/s",
        "1 of 4 traces lies far below the ladder of 0.3 to 4.3 Mbit/s, with medians of 0.004 Mbit/s; if that is "
        "another unit, name it: unit=Mbit/s",
    ]
    _, reading = read_traces(tmp_path, unit="kbit/s")
    assert [note[:33] for note in reading.notes] == ["1 of 3 traces lies far below the "]


@pytest.mark.parametrize(("step", "unit"), [(1000, "ms"), (1e-5, "s")])
def test_steps(tmp_path, step, unit):
    (tmp_path / "a.txt").write_text("".join(f"{n * step:.10g} 48\n" for n in range(50)))
    _, reading = read_traces(tmp_path)
    assert reading.notes == [
        f"1 of 1 traces lies in steps of {step:.4g} s in the mean; if that is another unit, name it: time_unit={unit}"
    ]


@pytest.mark.parametrize(
    ("step", "rate", "options", "notes"),
    [
        (1, 400, {}, ["no unit of bandwidth is named in 1 of 1 traces: medians of 400 are taken for Mbit/s"]),
        (1, 400, {"unit": "Mbit/s"}, []),
        (20, 4, {}, ["no unit of time is named in 1 of 1 traces: mean steps of 20 are taken for s"]),
        (20, 4, {"time_unit": "s"}, []),
        (10, 100, {}, []),
    ],
)
def test_unusual_numbers_without_a_unit_are_said(tmp_path, step, rate, options, notes):
    (tmp_path / "a.txt").write_text("".join(f"{n * step} {rate}\n" for n in range(5)))
    traces, reading = read_traces(tmp_path, **options)
    assert [note.partition(";")[0] for note in reading.notes] == notes
    assert traces.time_s[-1] == 4 * step and traces.bandwidth_mbps[-1] == rate
