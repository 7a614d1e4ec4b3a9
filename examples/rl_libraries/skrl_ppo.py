"""PPO of skrl: ``pip install skrl``, then ``python examples/rl_libraries/skrl_ppo.py``."""

import gymnasium as gym
import torch
from evaluate import report
from skrl.agents.torch.ppo import PPO, PPO_CFG
from skrl.envs.wrappers.torch import wrap_env
from skrl.memories.torch import RandomMemory
from skrl.models.torch import CategoricalMixin, DeterministicMixin, Model
from skrl.trainers.torch import SequentialTrainer
from skrl.utils import set_seed
from torch import nn

import netenvs  # noqa: F401

ROWS, STEPS, FRAMES = 64, 47, 200_000


class Net(Model):
    def __init__(self, env, outputs: int):
        Model.__init__(self, observation_space=env.observation_space, action_space=env.action_space, device="cpu")
        layers = nn.Linear(self.num_observations, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, outputs)
        self.net = nn.Sequential(*layers)

    def compute(self, inputs, role):
        return self.net(inputs["observations"]), {}


class Actor(CategoricalMixin, Net):
    def __init__(self, env):
        Net.__init__(self, env, env.action_space.n)
        CategoricalMixin.__init__(self)


class Critic(DeterministicMixin, Net):
    def __init__(self, env):
        Net.__init__(self, env, 1)
        DeterministicMixin.__init__(self)


set_seed(0)
made = gym.make_vec("netenvs/ABR-v0", num_envs=ROWS, autoreset_mode="same-step", observation="flat")
env = wrap_env(made, wrapper="gymnasium")
settings = PPO_CFG(rollouts=STEPS, learning_epochs=10, mini_batches=4, learning_rate=1e-3, value_loss_scale=0.5)
settings.value_clip = 0.0
settings.experiment.write_interval = settings.experiment.checkpoint_interval = 0
models = {"policy": Actor(env), "value": Critic(env)}
agent = PPO(
    models=models,
    memory=RandomMemory(memory_size=STEPS, num_envs=ROWS),
    observation_space=env.observation_space,
    action_space=env.action_space,
    device="cpu",
    cfg=settings,
)
steps = FRAMES // ROWS // STEPS * STEPS
SequentialTrainer(
    env=env, agents=agent, cfg={"timesteps": steps, "headless": True, "disable_progressbar": True}
).train()


@torch.no_grad()
def act(observation):
    return int(models["policy"].net(torch.as_tensor(observation)).argmax())


report(["skrl"], steps * ROWS, gym.make("netenvs/ABR-v0", observation="flat"), act)
