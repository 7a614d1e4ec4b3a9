import pytest

from netenvs.abr.videos import read_videos


@pytest.fixture
def read(tmp_path):
    """(content, name, **arguments of ``read_videos``) -> the one video of a file of that content, and the reading."""

    def of(content, name="video.json", **arguments):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        (video,), reading = read_videos(path, **arguments)
        return video, reading

    return of


@pytest.fixture
def segments(tmp_path):
    """({path below the folder: bytes}) -> files of so many bytes."""

    def write(files):
        for name, size in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(size))

    return write
