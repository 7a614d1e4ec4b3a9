"""Pools as sequences: what a policy at play would have seen, and what it should have done."""

import numpy as np
import pytest
import torch

from agents.policy import load_policy
from agents.rollout import EpisodeSpec
from agents.sequence.backbone import Backbone
from agents.sequence.model import SequenceModel
from agents.sequence.nets.abr import ABRNet
from agents.sequence.policy import SequencePolicy
from distill.pools.collect import collect
from distill.pools.pool import Pool
from distill.pools.shards import PoolError
from distill.training.behaviour_cloning import Cloning, phases
from distill.training.pool_sequences import labelled, quantiles, returns_scale


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pool") / "abr"
    episodes = [EpisodeSpec(i, i, {"trace": i}) for i in range(6)]
    policies = [load_policy("bba"), load_policy("random", "abr")]
    return collect(folder, "netenvs/ABR-v0", policies, episodes, noise=0.3)


def test_steps_are_those_of_play(pool):
    net = ABRNet(16)
    data = labelled([pool], net)
    seen = []

    class Watching(SequencePolicy):
        def act_batch(self, observations, infos):
            seen.append(self.model.task.observe(observations, infos))
            return load_policy("bba").act_batch(observations, infos)

    class Nothing(Backbone):
        d_model = 16

    policy = Watching(SequenceModel(net, Nothing()))
    number = 3  # an episode of bba
    from distill.pools.recorder import record

    record(policy, pool.env_id, [EpisodeSpec(number, number, {"trace": number})], pool.env_options, num_envs=1)
    first = seen[0]
    own = data.take(np.array([number])).sequences
    for name, values in first.items():
        assert np.array_equal(own.steps[name][:1], values), name


def test_previous_actions_are_those_carried_out_and_targets_those_decided(pool):
    data = labelled([pool, pool], ABRNet(16))
    assert len(data) == 24
    begin = 0
    for number in range(12):
        episode = pool.episode(number)
        end = begin + len(episode["reward"])
        assert data.sequences.previous[begin] == -1
        assert np.array_equal(data.sequences.previous[begin + 1 : end], episode["action"][:-1])
        assert np.array_equal(data.targets["action"][begin:end, 0], episode["intended_action"])
        assert data.sequences.numbers[begin] == 0
        begin = end
    noisy = np.concatenate([pool.episode(i)["action"] != pool.episode(i)["intended_action"] for i in range(12)])
    assert noisy.any()


def test_returns_are_normalised_with_those_of_episodes(pool):
    scale = returns_scale([pool])
    data = labelled([pool], ABRNet(16, returns=True), scale)
    first = data.sequences.returns[data.sequences.numbers == 0]
    returns = pool.episodes["return"]
    np.testing.assert_allclose(first, (returns - returns.mean()) / returns.std(), rtol=1e-6)
    assert quantiles([pool], [1.0], scale) == [pytest.approx(first.max())]
    last = data.sequences.returns[-1] * scale[1] + scale[0]
    assert last == pytest.approx(pool.episode(11)["reward"][-1], rel=1e-4)


def test_cloning_takes_windows_within_episodes(pool):
    source = Cloning([pool], ABRNet(16, returns=True), returns_scale([pool]), 20, lambda policy: {"valid": 0.0})
    data = source.gather(phases([pool])[0], 0, None)
    assert data.sequences.lengths.tolist() == [20, 20, 7] * 12
    begins = np.cumsum([0, *data.sequences.lengths[:-1]])
    assert data.sequences.numbers[begins].tolist() == [0, 20, 40] * 12
    assert source.gather(phases([pool])[0], 1, None) is None
    logits = torch.zeros(2, 6)
    loss = source.loss(None, [logits], {"action": torch.tensor([[1], [2]])})
    torch.testing.assert_close(loss, torch.full((2,), float(np.log(6))))


def test_a_pool_of_another_task_is_refused(pool):
    class Other(ABRNet):
        task = "cjs"

    with pytest.raises(PoolError, match="a pool of abr, not of cjs"):
        labelled([pool], Other(16))
    assert isinstance(pool, Pool)
