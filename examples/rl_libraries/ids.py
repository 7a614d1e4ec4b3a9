"""Every id in a library, with random actions or a first update: ``python examples/rl_libraries/ids.py LIBRARY``."""

import sys
from importlib.metadata import version

import gymnasium as gym
from gymnasium.wrappers import FlattenObservation, TransformAction

from netenvs import tasks
from netenvs.wrappers.scalar_info import ScalarInfo

IDS = [env_id for task in tasks.BUILT_IN for env_id in tasks.find(task).ids]


def sb3(env_id):
    from stable_baselines3 import PPO

    from netenvs.wrappers.sb3 import make_sb3_env

    kind = "MultiInputPolicy" if isinstance(gym.make(env_id).observation_space, gym.spaces.Dict) else "MlpPolicy"
    PPO(kind, make_sb3_env(env_id, num_envs=4), n_steps=64, batch_size=64).learn(256)


def torchrl(env_id):
    from torchrl.envs import GymEnv, GymWrapper
    from torchrl.envs.utils import check_env_specs

    for env in (GymEnv(env_id), GymWrapper(gym.make_vec(env_id, num_envs=3, autoreset_mode="disabled"))):
        check_env_specs(env)
        assert env.rollout(100, break_when_any_done=False).numel() == 100 * env.batch_size.numel()


def skrl(env_id):
    import torch
    from skrl.envs.wrappers.torch import wrap_env

    env = wrap_env(gym.make_vec(env_id, num_envs=3, autoreset_mode="same-step"), wrapper="gymnasium", verbose=False)
    env.reset()
    for _ in range(100):
        observation, *_ = env.step(torch.as_tensor(env.unwrapped.action_space.sample()).reshape(3, -1))
    assert observation.shape == (3, gym.spaces.flatdim(env.observation_space))


def tianshou(env_id):
    from tianshou.algorithm.algorithm_base import RandomActionPolicy
    from tianshou.data import Collector, VectorReplayBuffer
    from tianshou.env import DummyVectorEnv

    rows = DummyVectorEnv([lambda: ScalarInfo(gym.make(env_id)) for _ in range(3)])
    policy = RandomActionPolicy(gym.spaces.Discrete(2))  # not asked: random=True
    collector = Collector(policy, rows, VectorReplayBuffer(300, 3))
    collector.reset()
    assert collector.collect(n_step=300, random=True).n_collected_steps == 300


def rllib(env_id):
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.tune.registry import register_env

    def flat(options):
        env = FlattenObservation(gym.make(f"netenvs:{env_id}", **options))
        space = env.action_space
        if len(space.shape) < 2:
            return env
        vectors = gym.spaces.Box(space.low.ravel(), space.high.ravel(), dtype=space.dtype)
        return TransformAction(env, lambda action: action.reshape(space.shape), vectors)

    register_env(env_id, flat)
    config = PPOConfig().environment(env_id).env_runners(num_env_runners=1)
    algorithm = config.training(train_batch_size_per_learner=128, minibatch_size=64, num_epochs=1).build_algo()
    assert algorithm.train()["num_env_steps_sampled_lifetime"] >= 128
    algorithm.stop()


if __name__ == "__main__":
    library = sys.argv[1]
    print({"sb3": "stable_baselines3", "rllib": "ray"}.get(library, library), end=" ")
    print(version({"sb3": "stable_baselines3", "rllib": "ray"}.get(library, library)))
    for env_id in IDS:
        globals()[library](env_id)
        print(f"{env_id}: ran", flush=True)
