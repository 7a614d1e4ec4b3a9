"""PPO of TorchRL: ``pip install torchrl``, then ``python examples/rl_libraries/torchrl_ppo.py``."""

import gymnasium as gym
import torch
from evaluate import report
from tensordict.nn import TensorDictModule
from torch import nn
from torch.distributions import Categorical
from torchrl.collectors import Collector
from torchrl.envs import GymWrapper
from torchrl.modules import ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

import netenvs  # noqa: F401

ROWS, STEPS, FRAMES = 64, 47, 200_000


def network(outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(-2), nn.LazyLinear(64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, outputs)
    )


torch.manual_seed(0)
env = GymWrapper(  # TorchRL begins episodes itself
    gym.make_vec("netenvs/ABR-v0", num_envs=ROWS, autoreset_mode="disabled"), categorical_action_encoding=True
)
env.set_seed(0)
policy = TensorDictModule(network(env.action_spec.space.n), ["observation"], ["logits"])
actor = ProbabilisticActor(
    policy, in_keys=["logits"], spec=env.action_spec, distribution_class=Categorical, return_log_prob=True
)
critic = ValueOperator(network(1), in_keys=["observation"])
actor(env.reset()), critic(env.reset())  # lazy layers learn their sizes

advantage = GAE(gamma=0.99, lmbda=0.95, value_network=critic, average_gae=True)
loss = ClipPPOLoss(actor, critic, clip_epsilon=0.2, entropy_coeff=0.0)
optimiser = torch.optim.Adam(loss.parameters(), lr=1e-3)
collector = Collector(env, actor, frames_per_batch=ROWS * STEPS, total_frames=FRAMES)
seen = 0
for batch in collector:
    seen += batch.numel()
    for _ in range(10):
        with torch.no_grad():
            advantage(batch)
        rows = batch.reshape(-1)
        for part in torch.randperm(len(rows)).split(752):
            parts = loss(rows[part])
            optimiser.zero_grad()
            sum(value for name, value in parts.items() if name.startswith("loss_")).backward()
            nn.utils.clip_grad_norm_(loss.parameters(), 0.5)
            optimiser.step()
collector.shutdown()


@torch.no_grad()
def act(observation):
    return int(policy.module(torch.as_tensor(observation)[None]).argmax())


report(["torchrl", "tensordict"], seen, gym.make("netenvs/ABR-v0"), act)
