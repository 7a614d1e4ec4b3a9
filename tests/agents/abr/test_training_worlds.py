"""Where bitrate policies learn: from what is installed, and without anything."""

import numpy as np
import pytest

from agents.abr.training_worlds import GENERATED, TRAINED_ON, TrainingWorlds, environment
from netenvs import datasets
from netenvs.abr.installed import INSTALLED_SPLITS


def test_without_data_links_are_generated(monkeypatch, tmp_path):
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path))
    worlds = TrainingWorlds()
    assert worlds.names == (GENERATED,) and worlds.video.name == "synthetic"
    world = worlds.make([1, 2], 3)
    env = environment(world, 4)
    observations, infos = env.reset(seed=0)
    assert observations.shape == (4, 6, 16) and len(env.unwrapped.traces) == 3
    assert np.isin(infos["buffer_cap_s"], world.traces.buffer_cap_s).all()


def test_no_split_that_judges_is_learned_from():
    assert all(not name.endswith(("-test", "-test-clean", "-valid", "-valid-clean")) for name in TRAINED_ON)


def test_with_data_recorded_links_are_among_them():
    if not all(datasets.installed(INSTALLED_SPLITS[name]) for name in TRAINED_ON):
        pytest.skip("not all data sets of bandwidth traces are installed")
    assert TrainingWorlds().names == TRAINED_ON
