"""Minari: there and back without a difference."""

import sys

import numpy as np
import pytest

from agents.ragged import Ragged
from distill.pools.minari import from_minari, to_minari
from distill.pools.shards import PoolError


def test_without_minari_the_remedy_is_named(abr_pool, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    for call in (lambda: to_minari(abr_pool, "x-v0"), lambda: from_minari("x-v0", tmp_path / "x")):
        with pytest.raises(PoolError, match=r"pip install -e \"\.\[minari\]\""):
            call()


@pytest.fixture
def minari(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    pytest.importorskip("h5py", reason="the extra minari is not installed")
    return pytest.importorskip("minari", reason="the extra minari is not installed")


def test_there_and_back(minari, any_pool, tmp_path):
    name = f"netenvs/{any_pool.task}-v0"
    dataset = to_minari(any_pool, name)
    assert dataset.total_steps == any_pool.num_steps and dataset.total_episodes == len(any_pool)
    env = any_pool.make_env()
    assert dataset.recover_environment().spec.id == env.spec.id
    assert dataset.observation_space == env.observation_space
    episode = next(iter(dataset.iterate_episodes()))
    assert np.array_equal(episode.rewards, any_pool.episode(0)["reward"])
    back = from_minari(name, tmp_path / "back")
    back.verify()
    assert back.policies == any_pool.policies and back.columns == any_pool.columns and back.task == any_pool.task
    for column in any_pool.columns:
        mine, theirs = any_pool.column(column), back.column(column)
        if isinstance(mine, Ragged):
            assert np.array_equal(mine.lengths, theirs.lengths)
            mine, theirs = mine.flat, theirs.flat
        assert np.array_equal(mine, theirs), column


def test_a_part_of_a_pool(minari, abr_pool, tmp_path):
    to_minari(abr_pool.subset([7, 2]), "part-v0")
    back = from_minari("part-v0", tmp_path / "part")
    assert back.episodes["policy"].tolist() == [1, 0] and back.episodes["reset/trace"].tolist() == [2, 2]


@pytest.mark.filterwarnings("ignore:.*is set to None:UserWarning")
def test_data_sets_of_others(minari, tmp_path):
    """Without our columns: who acted is what the data set calls its algorithm."""
    from minari.data_collector.episode_buffer import EpisodeBuffer

    rng = np.random.default_rng(0)
    episode = EpisodeBuffer(
        observations=rng.random((4, 6, 6), dtype=np.float32),
        actions=np.array([0, 5, 2]),
        rewards=[1.0, 2.0, 4.0],
        terminations=[False, False, False],
        truncations=[False, False, True],
        infos={"note": np.zeros((4, 2)), "speed": np.arange(4.0)},
    )
    minari.create_dataset_from_buffers("others-v0", [episode], env="netenvs/ABR-v0", algorithm_name="theirs")
    pool = from_minari("others-v0", tmp_path / "pool")
    pool.verify()
    steps = pool.episode(0)
    assert pool.policies == ["theirs"] and steps["policy"].tolist() == [0, 0, 0]
    assert steps["intended_action"].tolist() == [0, 5, 2] and steps["info/speed"].tolist() == [0.0, 1.0, 2.0]
    assert np.array_equal(steps["obs"], episode.observations[:3]) and steps["returns_to_go"].tolist() == [7.0, 6.0, 4.0]
    assert np.array_equal(pool.final(0)["obs"][0], episode.observations[3]) and "info/note" not in pool.columns


def test_names_that_do_not_fit(minari, abr_pool, tmp_path):
    part = abr_pool.subset([0])
    to_minari(part, "one-v0")
    with pytest.raises(PoolError, match="already exists"):
        to_minari(part, "one-v0")
    with pytest.raises(PoolError, match="two-v0"):
        from_minari("two-v0", tmp_path / "two")
    with pytest.raises(PoolError, match="a pool already"):
        from_minari("one-v0", abr_pool.folder)
    with pytest.raises(PoolError, match="not empty"):
        from_minari("one-v0", tmp_path)
