"""Files of other programs that hold data but no text, told apart by their first bytes, and how to get text of them."""

from __future__ import annotations

from pathlib import PurePosixPath

_TABLE = "save its table as CSV"
WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods")
_SUFFIXES = {
    **dict.fromkeys(WORKBOOKS, f"a spreadsheet; {_TABLE}"),
    ".npz": "arrays of NumPy; write them as text (numpy.savetxt)",
}
"""Files that are archives to the first look, or to every look."""
_PACKETS = "a packet capture; write its throughput as CSV (tshark -r FILE -q -z io,stat,1)"
_PICKLE = "a Python pickle, which is not opened here, as it can run code; write its content as CSV or JSON"
_FIRST_BYTES = {
    b"PK\x03\x04": "a zip archive, damaged or inside another input; get it again, or unpack it",
    b"\xd0\xcf\x11\xe0": f"an Office document; {_TABLE}",
    **dict.fromkeys(
        (b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1", b"\n\r\r\n"), _PACKETS
    ),
    b"PAR1": f"a Parquet file; {_TABLE} (pandas.read_parquet)",
    b"\x89HDF": f"an HDF5 file; {_TABLE}",
    b"MATLAB": f"a MATLAB file; {_TABLE} (writematrix)",
    b"\x93NUMPY": "an array of NumPy; write it as text (numpy.savetxt)",
    b"SQLite format 3": f"an SQLite database; {_TABLE} (sqlite3 -csv)",
    **dict.fromkeys((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), _PICKLE),
}
LONGEST_START = max(map(len, _FIRST_BYTES))


def by_name(name: str) -> str:
    """What a file of that name is and what to do about it; empty for others."""
    return _SUFFIXES.get(PurePosixPath(name.lower()).suffix, "")


def by_start(start: bytes) -> str:
    """The same of a file that begins so, ``LONGEST_START`` bytes."""
    return next((what for first, what in _FIRST_BYTES.items() if start.startswith(first)), "")
