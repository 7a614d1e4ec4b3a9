"""Draw the episode shown in the README and in docs/cjs.md: ``python docs/cjs_episode.py``."""

from pathlib import Path

import gymnasium as gym

import netenvs  # noqa: F401  (registers the environments)
from agents.policy import load_policy

env = gym.make("netenvs/CJS-small-v0", render_mode="rgb_array")
policy = load_policy("capped-srpt", "cjs")
observation, info = env.reset(seed=0)
policy.reset(seed=0)
terminated = False
while not terminated:
    observation, _, terminated, _, info = env.step(policy.act(observation, info))
figure = env.unwrapped.episode_figure()
figure.savefig(Path(__file__).with_name("cjs_episode.png"))
