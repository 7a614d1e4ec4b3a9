"""The policy that plays a scorer of levels, on any ladder, alone and in batches."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents.abr.level_actor import LevelActor, LevelPolicy
from agents.pretrained import save
from agents.rollout import EpisodeSpec, play


class Played(LevelPolicy):
    """Of these tests."""

    registered = "played"


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    save(LevelActor(8, 16), tmp_path / "made", "played", {"size": 8, "width": 16})
    return str(tmp_path / "made")


@pytest.mark.parametrize("levels", [2, 6, 12])
def test_ladders_of_any_length_and_batches_of_any_size(folder, levels):
    options = {"video": f"generated(levels={levels})", "traces": "synthetic(count=4)"}
    specs = [EpisodeSpec(number, options={"trace": number}) for number in range(4)]
    together = play(Played(folder), "netenvs/ABR-v0", specs, options, num_envs=4)
    alone = play(Played(folder), "netenvs/ABR-v0", specs, options, num_envs=1)
    assert [one.total_reward for one in together] == [one.total_reward for one in alone]


def test_longer_ladders_than_it_learned_are_played_and_said(folder):
    policy = Played(folder)
    options = {"video": "generated(levels=15)", "traces": "synthetic(count=1)"}
    with pytest.warns(UserWarning, match=r"played was trained for ladders of 2 to 12 levels, video .* has 15") as said:
        played = play(policy, "netenvs/ABR-v0", [EpisodeSpec(0), EpisodeSpec(1)], options, num_envs=1)
    assert len(said) == 1 and len(played) == 2


def test_drawn_levels_depend_on_the_seed_of_the_row(folder):
    policy = Played(folder, "sampled")
    torch.nn.init.constant_(policy.net.scorer.trust.bias, -20.0)  # no plan counts: all levels are alike likely
    env = gym.make_vec("netenvs/ABR-v0", num_envs=2, autoreset_mode="disabled", history=16)
    observations, infos = env.reset(seed=[1, 1])
    infos = {**infos, **env.unwrapped.shared_info, "row": np.arange(2)}

    def drawn(seeds):
        policy.reset_rows(np.arange(2), seeds)
        return [policy.act_batch(observations, infos).tolist() for _ in range(20)]

    assert drawn([1, 2]) == drawn([1, 2]) != drawn([3, 4])
    chances = policy.probabilities(observations, infos)
    assert chances.shape == (2, 6) and chances.sum(axis=1) == pytest.approx(1.0)


def test_a_mode_that_there_is_not(folder):
    with pytest.raises(ValueError, match="mode must be greedy or sampled, not 'best'"):
        Played(folder, "best")
