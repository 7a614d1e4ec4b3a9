"""Delimited text of any kind is one table; what is ambiguous is not guessed silently."""

import numpy as np
import pytest

from netenvs.readers.errors import InputError
from netenvs.readers.table import parse_table

ROWS = [[0.0, 2.689], [0.5, 1.25], [1.0, 3.0]]


def text_of(separator, header="", decimal="."):
    lines = [separator.join(f"{value:.3f}".replace(".", decimal) for value in row) for row in ROWS]
    return "\n".join([*([header] if header else []), *lines]) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        *(text_of(separator) for separator in (" ", ",", ";", "\t", ", ", "   ", " ; ", " \t ")),
        *(text_of(separator, decimal=",") for separator in (" ", ";", "\t")),
        text_of(",", "time,bandwidth"),
        text_of(";", "time;bandwidth", ","),
        text_of(",").replace("\n", ",\n"),
        text_of(",").replace("\n", "\r\n"),
        "# a comment\n\n" + text_of(" ") + "\n# the end\n",
        "time,bandwidth\ns,Mbit/s\n" + text_of(","),
    ],
)
def test_every_separator_gives_the_same_numbers(text):
    table = parse_table(text, "file")
    assert np.array_equal(np.stack([table.numbers(0), table.numbers(1)], axis=1), ROWS)
    assert not table.odd


def test_names_of_columns_from_a_header_its_units_and_a_comment():
    assert parse_table("time,bandwidth\ns,kbit/s\n0,1\n", "file").columns == ("time [s]", "bandwidth [kbit/s]")
    assert parse_table('"time","band, width"\n0,1\n', "file").columns == ("time", "band, width")
    assert parse_table("# time, bandwidth\n0,1\n1,2\n", "file").commented == ("time", "bandwidth")
    assert parse_table("time (ms)\tband width\n0\t1\n1\t2\n", "file").columns == ("time (ms)", "band width")
    assert parse_table("0 1\n", "file").columns is None


@pytest.mark.parametrize("rows", ["0 1\n1 2\n", "0\t1\n1\t2\n", "0,1\n1,2\n", "0;1\n1;2\n"])
def test_names_in_a_comment_need_not_be_separated_as_the_rows(rows):
    assert parse_table("# time_s kbps\n" + rows, "file").commented == ("time_s", "kbps")
    assert parse_table("#time (s), rate (kbps)\n" + rows, "file").commented == ("time (s)", "rate (kbps)")
    assert parse_table("% time [s] rate (kbps)\n" + rows, "file").commented == ("time [s]", "rate (kbps)")
    assert parse_table("# a log of mine\n" + rows, "file").commented is None


def test_dates_do_not_count_as_units_and_blanks_in_them_do_not_separate():
    table = parse_table("when,x\n2017-01-01 10:00:00.5,1.5\n2017-01-01 10:00:01.5,2.5\n", "file")
    assert table.columns == ("when", "x")
    assert table.texts(0) == ["2017-01-01 10:00:00.5", "2017-01-01 10:00:01.5"]


def test_rows_of_another_length_are_told_with_their_lines_and_numbers_that_are_none_are_nan():
    table = parse_table("0 1\n1 2 3\n2 nan\n3 1_000\n4 x\n5 6\n", "file")
    assert table.odd == [2]
    assert table.lines.tolist() == [1, 3, 4, 5, 6]
    assert np.array_equal(table.numbers(1), [1, np.nan, np.nan, np.nan, 6], equal_nan=True)


def test_a_decimal_comma_before_an_exponent():
    assert parse_table("0;1,5e-05\n1;2,5E+1\n", "file").numbers(1).tolist() == [1.5e-05, 25]


def test_a_thousands_separator_is_not_taken_for_a_decimal_comma():
    assert np.isnan(parse_table('0,"1,234"\n1,"2,345"\n', "file").numbers(1)).all()
    assert np.isnan(parse_table("0;1,234.5\n1;2,345.5\n", "file").numbers(1)).all()


def test_an_empty_file():
    with pytest.raises(InputError, match="file: the file is empty"):
        parse_table("\n# nothing\n", "file")
