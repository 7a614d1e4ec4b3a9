import pytest

from netenvs.abr.traces import read_traces


@pytest.fixture
def read(tmp_path):
    """(content, name, **arguments of ``read_traces``) -> trace set and reading of a file of that content."""

    def of(content, name="trace.txt", **arguments):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_traces(path, **arguments)

    return of
