"""How the suite runs, and fixtures shared by all tests."""

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch: as many workers as cores, a thread each

import numba.core.caching
import pytest

from netenvs import datasets

ARTIFACTS = Path(__file__).parent / "artifacts"


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """The whole suite runs on all cores, unless -n says otherwise; files that are named, in one process."""
    if "PYTEST_XDIST_WORKER" in os.environ or config.option.collectonly:
        return
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if whole and config.pluginmanager.hasplugin("xdist") and config.option.numprocesses is None:
        config.option.numprocesses = "auto"
        config.option.dist = "worksteal"  # neighbours stay together, and share what their module has made


@pytest.fixture(autouse=True, scope="session")
def _one_writer_of_compiled_kernels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two workers that compile the same function for different types would take the same file for both."""
    save = numba.core.caching.IndexDataCacheFile.save
    shared = tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else None

    def locked(self: Any, key: Any, data: Any) -> None:
        if shared is None:
            return save(self, key, data)
        with (shared / "numba.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            return save(self, key, data)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(numba.core.caching.IndexDataCacheFile, "save", locked)
        yield


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


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random Llama with two layers and grouped queries."""
    import torch
    from transformers import AutoModel, LlamaConfig

    folder = tmp_path_factory.mktemp("backbone") / "llama"
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    config = LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2, vocab_size=16)
    AutoModel.from_config(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def short_video(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of a video of eight chunks, in six levels."""
    path, rates = tmp_path_factory.mktemp("video") / "short.json", [300, 750, 1200, 1850, 2850, 4300]
    sizes = [[500 * rate] * 8 for rate in rates]
    path.write_text(json.dumps({"bitrates_kbps": rates, "chunk_duration_s": 4.0, "chunk_sizes_bytes": sizes}))
    return str(path)


@pytest.fixture
def full_disk() -> Callable[[int], contextlib.AbstractContextManager[None]]:
    """Let no file grow beyond so many bytes inside, as if the disk were full; the system says EFBIG, not ENOSPC."""
    resource = pytest.importorskip("resource")

    @contextlib.contextmanager
    def limited(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


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
