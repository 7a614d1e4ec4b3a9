"""Draw the episode shown in docs/vp_streaming.md: ``python docs/vp_streaming_episode.py``."""

from pathlib import Path

import gymnasium as gym

import netenvs  # noqa: F401  (registers the environments)
from agents.policy import load_policy

RECORDING, TRACE, CHUNKS = 41, 41, 39

env = gym.make("netenvs/VPStreaming-v0", tiles="6x12", render_mode="rgb_array")
policy = load_policy("neighbours-rate", "vp-streaming")
observation, info = env.reset(seed=0, options={"recording": RECORDING, "trace": TRACE})
policy.reset(seed=0)
for _ in range(CHUNKS):
    observation, _, _, _, info = env.step(policy.act(observation, info))
figure = env.unwrapped.episode_figure()
figure.savefig(Path(__file__).with_name("vp_streaming_episode.png"))
