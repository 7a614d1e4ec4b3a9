"""The policy ``netllm`` of viewport prediction: folders, options, and play in the environment."""

import numpy as np
import pytest
import torch

from agents.netllm.load import ScratchBackbone
from agents.policy import load_policy
from agents.rollout import EpisodeSpec, play
from agents.sequence.checkpoint import save_policy
from agents.sequence.model import SequenceModel
from agents.sequence.nets.vp import VPNet

TINY = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}
OPTIONS = {"dataset": "synthetic(videos=6,users=8)"}
EPISODES = [EpisodeSpec(seed) for seed in range(5)]


@pytest.fixture
def folder_of(tmp_path):
    """Makes a folder of weights that are random everywhere."""

    def make(**net):
        torch.manual_seed(0)
        model = SequenceModel(VPNet(16, hidden=8, width=4, heads=2, **net), ScratchBackbone(TINY), context=1)
        with torch.no_grad():
            for weights in model.task.parameters():
                weights.normal_(std=0.3)
        save_policy(model, tmp_path / "weights", "netllm", {"scale": [0.0, 1.0]}, dtype="float32")
        return tmp_path / "weights"

    return make


def paths(policy, num_envs=64, **options):
    episodes = play(policy, "netenvs/VP-v0", EPISODES, {**OPTIONS, **options}, num_envs=num_envs)
    return [episode.actions for episode in episodes]


def test_previous_viewers_are_optional(folder_of):
    folder = str(folder_of())
    with_them, without = load_policy(folder, "vp"), load_policy(folder, "vp", viewers=False)
    assert with_them.assumption is not None and without.assumption is None
    assert np.abs(np.array(paths(with_them)) - np.array(paths(without))).max() > 0.5


def test_one_at_a_time_as_many_at_once_in_both_modes(folder_of):
    policy = load_policy(str(folder_of()), "vp")
    for options in ({}, {"mode": "replay", "stride_s": 4.0}):
        for one, many in zip(paths(policy, 1, **options), paths(policy, 4, **options), strict=True):
            np.testing.assert_allclose(one, many, atol=1e-3)
            assert options or len(one) == 1


def test_nets_that_read_heat_maps_ask_for_them(folder_of):
    policy = load_policy(str(folder_of(saliency=True)), "vp", viewers=False)
    assert policy.assumption is not None  # heat maps are of previous viewers
    assert np.isfinite(np.array(paths(policy))).all()


def test_netllms_layout_needs_no_previous_viewers(folder_of):
    folder = str(folder_of(tokenisation="netllm"))
    policy = load_policy(folder, "vp")
    assert policy.assumption is None
    np.testing.assert_array_equal(paths(policy), paths(load_policy(folder, "vp", viewers=False)))
