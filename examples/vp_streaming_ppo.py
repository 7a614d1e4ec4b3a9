"""Train PPO to choose the rates of a 360-degree video: in the predicted viewport, and outside of it.

    python examples/vp_streaming_ppo.py

Some 20 seconds on one core. The viewport is that of the environment, standing still; the rates are learned on the
training split of generated head motion, the comparison is over the test split.
"""

from __future__ import annotations

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize

from agents.policy import load_policy
from agents.rollout import EpisodeSpec, play
from netenvs.wrappers.sb3 import make_sb3_env

ID = "netenvs/VPStreaming-v0"
DECISIONS = 47  # in an episode
EPISODES = [EpisodeSpec(i, i, {"recording": i % 50, "trace": i}) for i in range(100)]
TRACES = "synthetic(count=400,seed=1)"  # other ones than those of the comparison


def train(steps: int) -> tuple[PPO, VecNormalize]:
    """PPO and the statistics with which its observations are normalised."""
    torch.set_num_threads(1)
    made = make_sb3_env(ID, num_envs=32, action_mode="pair", split="train", traces=TRACES, start="random")
    env = VecNormalize(made, gamma=0.9)
    model = PPO("MultiInputPolicy", env, n_steps=64, batch_size=512, n_epochs=5, gamma=0.9, learning_rate=1e-3, seed=0)
    return model.learn(steps), env


def score(model: PPO, normaliser: VecNormalize) -> float:
    """Mean QoE per chunk over ``EPISODES``, all at once."""
    env = make_sb3_env(ID, num_envs=len(EPISODES), action_mode="pair")
    chosen = {name: np.array([spec.options[name] for spec in EPISODES]) for name in ("recording", "trace")}
    observations, _ = env.env.reset(seed=0, options=chosen)
    total = np.zeros(len(EPISODES))
    for _ in range(DECISIONS):
        actions, _ = model.predict(normaliser.normalize_obs(observations), deterministic=True)
        observations, rewards, done, _ = env.step(actions)
        total += rewards
    assert done.all()
    return float(total.mean() / DECISIONS)


def main() -> None:
    for name in ("whole-sphere", "static-rate"):
        played = play(load_policy(name, "vp-streaming"), ID, EPISODES)
        print(f"{name:12s} QoE per chunk {np.mean([episode.rewards.mean() for episode in played]):.2f}")
    for steps in (20_000, 100_000):
        print(f"PPO, {steps:,} chunks of training: {score(*train(steps)):.2f}")


if __name__ == "__main__":
    main()
