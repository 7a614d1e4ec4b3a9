"""PPO of stable-baselines3: ``python examples/rl_libraries/sb3_ppo.py``."""

import gymnasium as gym
from evaluate import report
from stable_baselines3 import PPO

from netenvs.wrappers.sb3 import make_sb3_env

STEPS = 200_000

model = PPO(
    "MlpPolicy", make_sb3_env("netenvs/ABR-v0", num_envs=64), n_steps=47, batch_size=752, learning_rate=1e-3, seed=0
)
model.learn(STEPS)
report(
    ["stable_baselines3"],
    model.num_timesteps,
    gym.make("netenvs/ABR-v0"),
    lambda observation: model.predict(observation, deterministic=True)[0],
)
