"""Pensieve's network and what plays it: what it reads, how it decides, what bad folders say."""

import json

import gymnasium as gym
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import netenvs  # noqa: F401
from agents import pretrained
from agents.abr.genet import Genet
from agents.abr.pensieve_net import PensieveNet
from agents.policy import PolicyError, load_policy
from agents.rollout import EpisodeSpec, play

ABR = "netenvs/ABR-v0"


@pytest.fixture
def random_folder(tmp_path):
    torch.manual_seed(3)
    pretrained.save(PensieveNet(6), tmp_path / "random", "genet", {"levels": 6})
    return tmp_path / "random"


def test_decisions_do_not_depend_on_the_batch(random_folder):
    specs = [EpisodeSpec(seed) for seed in range(5)]
    for mode in ("greedy", "sampled"):
        policy = load_policy(f"{random_folder}(mode={mode})", "abr")
        one, many = (play(policy, ABR, specs, num_envs=count) for count in (1, 5))
        assert all(np.array_equal(a.actions, b.actions) for a, b in zip(one, many, strict=True))


def test_sampled_actions_follow_the_probabilities(random_folder):
    policy = Genet(str(random_folder), mode="sampled", fallback="none")
    env = gym.make(ABR, history=8)
    observation, info = env.reset(seed=0)
    expected = policy.probabilities(observation[None])[0]
    assert expected.sum() == pytest.approx(1) and expected.max() - expected.min() > 0.005
    rows = np.arange(20_000)
    policy.reset_rows(rows, rows.tolist())
    infos = {"video": info["video"], "bitrate_kbps": np.full(len(rows), info["bitrate_kbps"]), "row": rows}
    drawn = policy.act_batch(np.repeat(observation[None], len(rows), axis=0), infos)
    assert np.abs(np.bincount(drawn, minlength=6) / len(rows) - expected).max() < 0.015


def test_the_network_reads_every_row_of_the_observation_and_only_the_sizes_of_the_levels():
    torch.manual_seed(0)
    net = PensieveNet(6).double()
    observation = torch.rand(1, 6, 8, dtype=torch.float64, requires_grad=True)
    net(observation)[0, 0].backward()
    seen = observation.grad[0] != 0
    assert seen[2:4].all() and seen[4, :6].all() and seen[[0, 1, 5], -1].all()
    assert not seen[4, 6:].any() and not seen[[0, 1, 5], :-1].any()


def test_jumping_actors_move_one_level(tmp_path):
    net = PensieveNet(6, jump=True)
    torch.nn.init.zeros_(net.head.weight)
    with torch.no_grad():
        net.head.bias.copy_(torch.tensor([0.0, 0.0, 1.0]))
    pretrained.save(net, tmp_path, "genet", {"levels": 6, "jump": True})
    (episode,) = play(Genet(str(tmp_path)), ABR, [EpisodeSpec(0)])
    assert episode.actions.tolist() == [1, 2, 3, 4] + [5] * 43


def test_another_ladder_is_the_rules_or_refused_in_one_line(random_folder, tmp_path):
    manifest = {"bitrates_kbps": [300, 900], "chunk_sizes_bytes": [[10**5] * 9, [3 * 10**5] * 9], "chunk_duration_s": 4}
    (tmp_path / "two.json").write_text(json.dumps(manifest))
    options = {"video": str(tmp_path / "two.json")}
    with pytest.raises(PolicyError, match=r"trained for 6 levels, video .* has 2; train one on it"):
        play(Genet(str(random_folder), fallback="none"), ABR, [EpisodeSpec(0)], options)
    with pytest.warns(UserWarning, match=r"trained for 6 levels, video .* has 2: there the rule 'dynamic' plays"):
        play(Genet(str(random_folder)), ABR, [EpisodeSpec(0)], options)


def test_bad_folders_are_one_line(random_folder, tmp_path):
    weights = random_folder / "model.safetensors"
    whole = weights.read_bytes()
    for damaged, message in ((whole[:-100], "no safetensors"), (b"", "no safetensors"), (b"x" * 500, "no safetensors")):
        weights.write_bytes(damaged)
        with pytest.raises(PolicyError, match=message) as caught:
            load_policy(str(random_folder), "abr")
        assert "\n" not in str(caught.value)
    tensors = PensieveNet(6).state_dict()
    save_file({**tensors, "head.bias": torch.full((6,), float("nan"))}, weights)
    with pytest.raises(PolicyError, match="not all weights are finite"):
        load_policy(str(random_folder), "abr")
    save_file({name: value for name, value in tensors.items() if name != "head.bias"}, weights)
    with pytest.raises(PolicyError, match="cannot be used"):
        load_policy(str(random_folder), "abr")
    (random_folder / "config.json").write_text('{"policy": "track", "levels": 6}')
    with pytest.raises(ValueError, match=r"holds weights of 'track', not of 'genet'"):
        Genet(str(random_folder))
    with pytest.raises(ValueError, match=r"it has no config\.json"):
        Genet(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="mode must be greedy or sampled, not 'both'"):
        Genet(mode="both")
