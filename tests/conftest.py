"""Fixtures shared by all tests."""

from pathlib import Path

import pytest

from netenvs import datasets

ARTIFACTS = Path(__file__).parent / "artifacts"


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


def _require(name: str) -> None:
    if not datasets.installed(name):
        pytest.skip(f"data set {name} is not installed (python -m netenvs.datasets install {name})")
