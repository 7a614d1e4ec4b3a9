"""Clusters in the middle of their episodes, and a network that scores them."""

import numpy as np
import pytest

from agents.cjs.clusters import Setting, start
from agents.cjs.decima.decisions import pack
from agents.cjs.decima.network import SHAPES, DecimaNet

ROWS = 6
SETTING = Setting(7, 12)


@pytest.fixture
def network():
    """Random weights, large enough that every input matters."""
    rng = np.random.default_rng(0)
    return DecimaNet({name: rng.normal(0.0, 0.5, shape).astype(np.float32) for name, shape in SHAPES.items()}).float()


@pytest.fixture
def engine():
    """Clusters in the middle of their episodes."""
    engine = start(SETTING, "synthetic", range(ROWS), mean_interarrival_ms=5000.0)
    rng = np.random.default_rng(1)
    for _ in range(60):
        stages = [rng.choice(np.flatnonzero(mask[1 : 1 + 20 * SETTING.num_jobs])) + 1 for mask in engine.action_mask]
        engine.step(np.stack([stages, rng.integers(0, 2, ROWS)], axis=1), False)
    assert not engine.outcomes["terminated"].any()
    return engine


@pytest.fixture
def packed(engine):
    """Gives the decisions of some of the clusters, by default of all."""

    def pack_rows(rows=range(ROWS)):
        return pack(engine.observation._asdict(), np.array(rows), SETTING.num_executors)

    return pack_rows
