"""PPO of RLlib: ``pip install "ray[rllib]"``, then ``python examples/rl_libraries/rllib_ppo.py``."""

import os

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import gymnasium as gym
import ray
import torch
from evaluate import report
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns

ENV, OPTIONS = "netenvs:netenvs/ABR-v0", {"observation": "flat"}  # its networks take vectors
ITERATIONS, STEPS = 66, 3008

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
config = (
    PPOConfig()
    .environment(ENV, env_config=OPTIONS)
    .env_runners(num_env_runners=0, num_envs_per_env_runner=16)
    .training(
        train_batch_size_per_learner=STEPS, minibatch_size=752, num_epochs=10, lr=1e-3, grad_clip=0.5, vf_clip_param=1e4
    )
    .debugging(seed=0)
)
algorithm = config.build_algo()
for _ in range(ITERATIONS):
    result = algorithm.train()
module = algorithm.get_module()


@torch.no_grad()
def act(observation):
    found = module.forward_inference({Columns.OBS: torch.as_tensor(observation)[None]})
    return int(found[Columns.ACTION_DIST_INPUTS].argmax())


steps = int(result["num_env_steps_sampled_lifetime"])
report(["ray"], steps, gym.make(ENV, **OPTIONS), act)
algorithm.stop()
ray.shutdown()
