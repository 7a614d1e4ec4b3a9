"""Draw the decision shown in docs/vp.md: ``python docs/vp_episode.py``."""

from pathlib import Path

import gymnasium as gym

import netenvs  # noqa: F401  (registers the environments)
from agents.policy import load_policy

RECORDING, DECISIONS = 8, 21

env = gym.make("netenvs/VP-v0", mode="replay", render_mode="rgb_array")
policy = load_policy("neighbours", "vp")
observation, info = env.reset(seed=0, options={"recording": RECORDING})
policy.reset(seed=0)
for _ in range(DECISIONS):
    observation, _, _, _, info = env.step(policy.act(observation, info))
figure = env.unwrapped.episode_figure()
figure.savefig(Path(__file__).with_name("vp_episode.png"))
