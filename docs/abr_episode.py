"""Draw the session shown in the README and in docs/abr.md: ``python docs/abr_episode.py``."""

from pathlib import Path

import gymnasium as gym

import netenvs  # noqa: F401  (registers the environments)
from agents.policy import load_policy

TRACE = 2

env = gym.make("netenvs/ABR-v0")
policy = load_policy("robust-mpc", "abr")
observation, info = env.reset(seed=0, options={"trace": TRACE})
policy.reset(seed=0)
terminated = False
while not terminated:
    observation, _, terminated, _, info = env.step(policy.act(observation, info))
figure = env.unwrapped.episode_figure()
figure.savefig(Path(__file__).with_name("abr_episode.png"))
