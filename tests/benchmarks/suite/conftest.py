"""Small suites: generated sets, which are played where nothing is installed."""

import pytest

from benchmarks.suite import abr

FEW = {"test": ("synthetic", "pensieve-markov(count=9)"), "valid": ("synthetic(seed=1)",)}
"""Of fast links the optima take longer."""


@pytest.fixture(scope="module")
def nothing_installed(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETENVS_DATA", str(tmp_path_factory.mktemp("nothing")))
        patch.setattr(abr, "GENERATED_SETS", FEW)
        yield
