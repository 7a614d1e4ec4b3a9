"""An input of several files: what is read, what is left out, and what is said about it."""

import numpy as np
import pytest

from netenvs.readers.errors import InputError
from netenvs.readers.reader import NotRecognised, Reader, check_share, find_path, read_input
from netenvs.readers.reading import Reading
from netenvs.readers.table import read_table


def read_numbers(source, reading, *, unit="s"):
    """A toy: the numbers of one column."""
    before, table = reading.num_skipped("rows"), read_table(source)
    values = table.numbers(0)
    reading.skip_rows(source.name, table.lines, np.isnan(values), "not a number", table.texts(0))
    check_share(source.name, reading, before, len(values))
    kept = values[~np.isnan(values)]
    reading.records["rows"] += len(kept)
    return [(source.parts[-1], unit, kept.tolist())]


READERS = (
    Reader(name="numbers", title="a column of numbers", sniff=lambda s: s.head[:1].isdigit(), read=read_numbers),
)


def read(path, **options):
    return read_input(path, READERS, "a column of numbers", **options)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a").write_text("1\n2\n")
    (tmp_path / "b").write_text("1\nx\ny\n2\n3\n")
    (tmp_path / "c").write_text("words\n")
    return tmp_path


def test_what_cannot_be_read_is_left_out_counted_and_named(folder):
    records, reading = read(folder, unit="ms")
    assert records == [("a", "ms", [1, 2]), ("b", "ms", [1, 2, 3])]
    assert reading.formats == {"numbers": 2}
    assert reading.records == {"rows": 5}
    rows, files = reading.skipped_lines()
    assert rows == f"2 rows left out: not a number (first {folder / 'b'}:2: x)"
    assert files.startswith(f"1 file left out: cannot be used ({folder / 'c'}: not recognised as a column of numbers")
    with pytest.warns(UserWarning, match="2 rows left out: .*; 1 file left out") as caught:
        reading.warn()
    assert len(caught) == 1


def test_strict_refuses_the_first(folder):
    with pytest.raises(InputError, match=r"b:2: not a number \(x\); mend it or take it out"):
        read(folder, strict=True)


def test_only_an_input_that_no_reader_takes_is_not_recognised(tmp_path):
    (tmp_path / "a").write_text("words\n")
    for path in (tmp_path / "a", tmp_path):
        with pytest.raises(NotRecognised):
            read(path)
    (tmp_path / "b").write_text("1\nx\ny\n")
    for path in (tmp_path / "b", tmp_path):
        with pytest.raises(InputError, match="2 of 3 rows cannot be used") as caught:
            read(path)
        assert not isinstance(caught.value, NotRecognised)


def test_a_file_of_which_no_record_is_left_was_recognised(tmp_path):
    def read_none(source, reading):
        reading.skip("jobs", "it did not end", source.name)
        return []

    (tmp_path / "a").write_text("1\n")
    reader = Reader(name="none", title="no jobs", sniff=lambda source: True, read=read_none)
    with pytest.raises(InputError, match="nothing to read is left: 1 job left out: it did not end") as caught:
        read_input(tmp_path, (reader,), "a workload")
    assert not isinstance(caught.value, NotRecognised)


def test_one_file_and_no_file_that_can_be_used(folder):
    with pytest.raises(InputError, match=r"c: not recognised as a column of numbers.*'words'.*one of: numbers"):
        read(folder / "c")
    (folder / "a").unlink()
    (folder / "b").write_text("1\nx\ny\nz\n")
    with pytest.raises(InputError, match="nothing to read is left"):
        read(folder)
    with pytest.raises(InputError, match="3 of 4 rows cannot be used"):
        read(folder / "b")


def test_wrong_options(folder):
    with pytest.raises(InputError, match="unknown option 'units'; did you mean 'unit'"):
        read(folder, units="ms")
    with pytest.raises(InputError, match="unit must be a name"):
        read(folder, unit=3)
    with pytest.raises(InputError, match="unknown format 'number'; did you mean 'numbers'"):
        read(folder, format="number")
    with pytest.raises(InputError, match="strict must be true or false"):
        read(folder, strict="yes")


def test_what_means_a_file(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "odd (1), copy.csv").write_text("1\n")
    (folder / "fair").write_text("1\n")

    def found(spec):
        return find_path(spec, READERS, ["fair"])

    assert found("a") == ("auto", "a", {})
    assert found("odd (1), copy.csv") == ("auto", "odd (1), copy.csv", {})
    assert found('numbers(path="odd (1), copy.csv",unit=ms,strict=true)') == (
        "numbers",
        "odd (1), copy.csv",
        {"unit": "ms", "strict": True},
    )
    assert found("auto(path=a)") == ("auto", "a", {})
    assert found("fair") is None
    assert found("fair(count=3)") is None
    assert found("./fair") == ("auto", "./fair", {})
    assert found("missing") is None
    assert found("x" * 300) is None
    with pytest.raises(InputError, match="there is no file 'missing'; write numbers"):
        found("numbers(path=missing)")


def test_a_doubt_is_told_once_with_the_figures_of_the_first_case():
    reading = Reading("traces")
    for name in ("a", "b"):
        reading.note("times are taken for ms", f"{name}: a row every 20")
        reading.note("no header")
    assert reading.notes == ["times are taken for ms (a: a row every 20)", "no header"]


def test_a_message_stays_one_line_of_a_readable_length(folder):
    (folder / "b").write_text("1\n" + "x" * 100_000 + "\n3\n")
    (folder / "c").write_text("[" * 100_000)
    _records, reading = read(folder)
    assert all(len(line) < 1000 for line in reading.skipped_lines())
    with pytest.raises(InputError) as error:
        read(folder / "c", format="numbers")
    assert len(str(error.value)) <= 1500
