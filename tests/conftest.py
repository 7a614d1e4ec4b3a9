"""Fixtures shared by all tests."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from netenvs import datasets

ARTIFACTS = Path(__file__).parent / "artifacts"


@pytest.fixture(autouse=True, scope="session")
def _logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where stable-baselines3 makes a folder for each training, if it is not told of another logger."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SB3_LOGDIR", str(tmp_path_factory.mktemp("logs")))
        yield


@pytest.fixture(scope="session")
def artifacts() -> Path:
    return ARTIFACTS


@pytest.fixture(scope="session")
def netllm_abr() -> None:
    """The test needs the installed traces and videos."""
    _require("netllm-abr")


@pytest.fixture(scope="session")
def genet_weights() -> None:
    """The test needs the released Genet weights."""
    _require("genet-weights")


@pytest.fixture(scope="session")
def netllm_tpch() -> None:
    """The test needs the installed TPC-H job templates."""
    _require("netllm-tpch")


@pytest.fixture(scope="session")
def jin2022() -> None:
    """The test needs the installed head motion of this name."""
    _require("jin2022")


@pytest.fixture(scope="session")
def wu2017() -> None:
    """The test needs the installed head motion of this name."""
    _require("wu2017")


def _require(name: str) -> None:
    if not datasets.installed(name):
        pytest.skip(f"data set {name} is not installed (python -m netenvs.datasets install {name})")


@pytest.fixture
def trace_file(tmp_path: Path) -> Callable[..., str]:
    """Write a trace of (time_s, bandwidth_mbps) rows; returns the path."""

    def write(rows: Sequence[Sequence[float]], name: str = "trace.txt") -> str:
        path = tmp_path / name
        path.write_text("".join(" ".join(map(repr, row)) + "\n" for row in rows))
        return str(path)

    return write


@pytest.fixture
def video_file(tmp_path: Path) -> Callable[..., str]:
    """Write a video manifest; ``sizes`` has one list of bytes a level; returns the path."""

    def write(sizes: Sequence[Sequence[int]], bitrates_kbps: Sequence[int], name: str = "video.json", **more: Any):
        path = tmp_path / name
        manifest = {"bitrates_kbps": bitrates_kbps, "chunk_sizes_bytes": sizes, "chunk_duration_s": 4.0, **more}
        path.write_text(json.dumps(manifest))
        return str(path)

    return write
