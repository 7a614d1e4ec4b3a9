"""CleanRL's file ``ppo.py``, unchanged, on Gymnasium: ``python examples/rl_libraries/cleanrl_ppo.py``.

``pip install --no-deps --ignore-requires-python cleanrl==1.2.0`` first: what is published is for Python up to 3.10 and
gym 0.23. The calls of that gym which the file makes are translated here.
"""

import contextlib
import io
import runpy
import sys
from types import ModuleType, SimpleNamespace

import gymnasium
import torch
from evaluate import report

import netenvs  # noqa: F401

ENV, OPTIONS = "netenvs/ABR-v0", {"observation": "flat"}  # its networks take vectors
ROWS, STEPS, FRAMES = 16, 188, 200_000


class Seeded(gymnasium.wrappers.RecordEpisodeStatistics):
    """With ``seed`` as a method."""

    def seed(self, seed):
        self.reset(seed=seed)


class Rows(gymnasium.vector.SyncVectorEnv):
    """Rows begin anew in the step that ends an episode, one ``done``, and infos as a list."""

    def __init__(self, makers):
        super().__init__(makers, autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP)

    def reset(self):
        return super().reset()[0]

    def step(self, actions):
        observations, rewards, terminated, truncated, infos = super().step(actions)
        done = terminated | truncated
        episodes = infos["final_info"]["episode"] if done.any() else {}
        rows = [{"episode": {key: episodes[key][row] for key in "rl"}} if done[row] else {} for row in range(ROWS)]
        return observations, rewards, done, rows


gym = ModuleType("gym")
gym.make = lambda env_id: gymnasium.make(env_id, **OPTIONS)
gym.spaces, gym.vector = gymnasium.spaces, SimpleNamespace(SyncVectorEnv=Rows)
gym.wrappers = SimpleNamespace(RecordEpisodeStatistics=Seeded)
sys.modules["gym"] = gym

settings = {"env-id": ENV, "num-envs": ROWS, "num-steps": STEPS, "total-timesteps": FRAMES, "update-epochs": 10}
settings |= {"learning-rate": 1e-3, "anneal-lr": False, "ent-coef": 0, "clip-vloss": False}
sys.argv = ["ppo.py", *(f"--{name}={value}" for name, value in settings.items())]
with contextlib.redirect_stdout(io.StringIO()):
    made = runpy.run_module("cleanrl.ppo", run_name="__main__")


@torch.no_grad()
def act(observation):
    return int(made["agent"].actor(torch.as_tensor(observation)).argmax())


report(["cleanrl"], made["global_step"], gymnasium.make(ENV, **OPTIONS), act)
