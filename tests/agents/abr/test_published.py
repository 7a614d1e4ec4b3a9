"""Published logs as policies: on logs that the test writes, and on the real ones where they are installed."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

from agents.abr import published
from agents.errors import LeftOut
from agents.policy import PolicyError, load_policy
from agents.rollout import EpisodeSpec, play
from netenvs.abr.env import ABRVectorEnv
from netenvs.abr.published_logs import BITRATES_KBPS, NUM_CHUNKS, PublishedLogs
from netenvs.abr.workload import load_traces

SETTING = {"traces": "synthetic(count=3)", "video": "synthetic", "preset": "pensieve"}


@pytest.fixture
def logs(monkeypatch):
    """Logs of random levels, with the rewards that they earn."""
    monkeypatch.setattr(published, "SETTING", SETTING)
    quality = np.random.default_rng(3).integers(6, size=(3, NUM_CHUNKS))
    env = ABRVectorEnv(3, autoreset_mode="Disabled", **SETTING)
    env.reset(seed=0, options={"trace": np.arange(3)})
    rewards = [np.zeros(3), *(env.step(levels)[1] for levels in quality[:, 1:].T)]
    zeros = np.zeros((3, NUM_CHUNKS))
    found = PublishedLogs(
        name="ppo",
        names=load_traces(SETTING["traces"]).names,
        time_s=zeros,
        bitrate_kbps=np.array(BITRATES_KBPS)[quality],
        buffer_s=zeros,
        rebuffer_s=zeros,
        chunk_bytes=zeros.astype(int),
        delay_ms=zeros,
        reward=np.array(rewards).T,
    )
    shown = {"ppo": found}
    monkeypatch.setattr(published, "load_published_logs", shown.__getitem__)
    return shown


def test_logged_actions_earn_the_logged_rewards(logs):
    policy = load_policy("published:ppo")
    assert policy.name == "published:ppo" and policy.recorded
    episodes = play(policy, "netenvs/ABR-v0", [EpisodeSpec(i, options={"trace": i}) for i in (2, 0)], SETTING)
    for number, episode in zip((2, 0), episodes, strict=True):
        assert episode.actions.tolist() == logs["ppo"].quality[number, 1:].tolist()
        assert episode.rewards.tolist() == logs["ppo"].reward[number, 1:].tolist()


@pytest.mark.parametrize(
    "other",
    [
        {"traces": "synthetic(count=4)"},
        {"video": "synthetic(seed=1)"},
        {"preset": "netllm"},
        {"qoe": "log"},
        {"rebuffer_penalty": 5.0},
        {"delay_noise": True},
        {"action_mode": "jump"},
    ],
)
def test_every_other_environment_is_refused_in_a_line(logs, other):
    with pytest.raises(PolicyError, match="--dataset pensieve-test --set preset=pensieve and no other") as caught:
        play(load_policy("published:ppo"), "netenvs/ABR-v0", [EpisodeSpec(0)], {**SETTING, **other})
    assert not isinstance(caught.value, LeftOut) and "\n" not in str(caught.value)


def test_an_environment_of_another_task_is_refused(logs):
    env = gym.make("netenvs/VP-v0")
    with pytest.raises(PolicyError, match="a log of pensieve-test"):
        load_policy("published:ppo").check_environment(env)


def test_a_reward_that_differs_by_more_than_rounding_leaves_a_log_out(logs):
    env = gym.make("netenvs/ABR-v0", **SETTING)
    reward = logs["ppo"].reward.copy()
    reward[1, 7] += 1e-9
    logs["ppo"] = replace(logs["ppo"], reward=reward)
    load_policy("published:ppo").check_environment(env)
    reward = reward.copy()
    reward[1, 7] += 0.5
    logs["ppo"] = replace(logs["ppo"], reward=reward)
    line = r"published:ppo: its log does not replay, the rewards of 1 of 141 decisions differ, by up to 0\.5"
    with pytest.raises(LeftOut, match=line):
        load_policy("published:ppo").check_environment(env)


def test_a_log_of_other_traces_is_left_out(logs):
    logs["ppo"] = replace(logs["ppo"], names=("a", "b", "c"))
    with pytest.raises(LeftOut, match="other traces than those that are installed"):
        load_policy("published:ppo").check_environment(gym.make("netenvs/ABR-v0", **SETTING))


def test_an_unknown_one_names_those_there_are(monkeypatch, tmp_path):
    with pytest.raises(PolicyError, match="unknown policy 'published:pp'; did you mean 'published:ppo'"):
        load_policy("published:pp", "abr")
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path))
    with pytest.raises(PolicyError, match="install pensieve-logs"):
        load_policy("published:ppo", "abr")
