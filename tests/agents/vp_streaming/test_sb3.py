"""stable-baselines3 trains in ``netenvs/VPStreaming-v0``: from the id alone, and to something better than chance."""

import gymnasium as gym
import numpy as np
import pytest

from agents.vp_streaming.predicted_viewport import PredictedViewport
from netenvs.wrappers.sb3 import make_sb3_env

stable_baselines3 = pytest.importorskip("stable_baselines3")
ID = "netenvs/VPStreaming-v0"
NET = {"net_arch": [8]}


def parameters(model) -> np.ndarray:
    return np.concatenate([value.detach().numpy().ravel() for value in model.policy.parameters()])


@pytest.mark.parametrize(
    "make",
    [
        lambda: ID,
        lambda: gym.make(ID, action_mode="zones", tiles="6x12"),
        lambda: gym.make(ID, action_mode="pair"),
        lambda: PredictedViewport(gym.make(ID), "static", "pair"),
        lambda: make_sb3_env(ID, num_envs=2),
    ],
    ids=["id", "zones", "pair", "predictor", "adapter"],
)
def test_ppo_takes_steps(make):
    model = stable_baselines3.PPO(
        "MultiInputPolicy", make(), n_steps=32, batch_size=32, n_epochs=1, policy_kwargs=NET, seed=0
    )
    before = parameters(model)
    model.learn(64)
    after = parameters(model)
    assert np.all(np.isfinite(after)) and not np.array_equal(before, after)


def test_maskable_ppo_finds_the_masks():
    contrib = pytest.importorskip("sb3_contrib")
    env = make_sb3_env(ID, num_envs=2, action_mode="zones")
    model = contrib.MaskablePPO("MultiInputPolicy", env, n_steps=32, batch_size=32, n_epochs=1, policy_kwargs=NET)
    model.learn(64)
    assert env.env_method("action_masks")[0].shape == (18,)


def test_ppo_learns_which_rates_the_link_carries():
    """Some seconds of training: from chance to the level of rules for rates."""
    from stable_baselines3.common.vec_env import VecNormalize

    def mean_reward(model):
        env = make_sb3_env(ID, num_envs=50, action_mode="pair")
        env.seed(1000)
        observations, rewards = env.reset(), []
        for _ in range(47):
            actions, _ = model.predict(training.normalize_obs(observations), deterministic=True)
            observations, reward, _, _ = env.step(actions)
            rewards.append(reward)
        return np.mean(rewards)

    training = VecNormalize(make_sb3_env(ID, num_envs=16, action_mode="pair", split="train"), gamma=0.9)
    model = stable_baselines3.PPO(
        "MultiInputPolicy", training, n_steps=64, batch_size=256, n_epochs=5, gamma=0.9, learning_rate=1e-3, seed=0
    )
    before = mean_reward(model)
    model.learn(10_000)
    after = mean_reward(model)
    assert before < 0.5 and after > 1.2, (before, after)
