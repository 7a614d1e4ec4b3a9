"""PPO of Tianshou: ``pip install tianshou``, then ``python examples/rl_libraries/tianshou_ppo.py``."""

import gymnasium as gym
import numpy as np
import torch
from evaluate import report
from tianshou.algorithm import PPO
from tianshou.algorithm.modelfree.reinforce import DiscreteActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.trainer import OnPolicyTrainerParams
from tianshou.utils.net.common import Net
from tianshou.utils.net.discrete import DiscreteActor, DiscreteCritic

from netenvs.wrappers.scalar_info import ScalarInfo

ROWS, STEPS, EPOCHS = 16, 188, 33


def body() -> Net:
    return Net(state_shape=env.observation_space.shape, hidden_sizes=[64, 64], activation=torch.nn.Tanh)


np.random.seed(0)  # noqa: NPY002 (Tianshou draws from it)
torch.manual_seed(0)
env = gym.make("netenvs/ABR-v0")
rows = DummyVectorEnv(  # it keeps infos
    [lambda: ScalarInfo(gym.make("netenvs/ABR-v0")) for _ in range(ROWS)]
)
rows.seed(0)
actor = DiscreteActor(preprocess_net=body(), action_shape=env.action_space.n, softmax_output=False)
algorithm = PPO(
    policy=DiscreteActorPolicy(actor=actor, action_space=env.action_space, observation_space=env.observation_space),
    critic=DiscreteCritic(preprocess_net=body()),
    optim=AdamOptimizerFactory(lr=1e-3),
    max_grad_norm=0.5,
    ent_coef=0.0,
)
collector = Collector(algorithm, rows, VectorReplayBuffer(ROWS * STEPS, ROWS))
collector.reset()
algorithm.run_training(
    OnPolicyTrainerParams(
        training_collector=collector,
        max_epochs=EPOCHS,
        epoch_num_steps=ROWS * STEPS * 2,
        collection_step_num_env_steps=ROWS * STEPS,
        batch_size=752,
        update_step_num_repetitions=10,
        verbose=False,
        show_progress=False,
    )
)


@torch.no_grad()
def act(observation):
    return int(actor(observation[None])[0].argmax())


report(["tianshou"], ROWS * STEPS * 2 * EPOCHS, env, act)
