"""The environment, plain Gymnasium."""

import gymnasium as gym
import numpy as np

LOADS = {"light": 1, "heavy": 2}
STEPS = 12


class BalanceEnv(gym.Env):
    """Each step, ``LOADS`` requests arrive one after the other; the servers finish as many as their speed a step."""

    def __init__(self, load: str = "light", servers: int = 3, render_mode: str | None = None):
        if load not in LOADS:
            raise ValueError(f"load must be light or heavy, not {load!r}")
        self.load, self.servers, self.render_mode = load, servers, render_mode
        self.observation_space = gym.spaces.Box(0.0, 100.0, (servers,), np.float32)
        self.action_space = gym.spaces.Discrete(servers)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.waiting = self.np_random.integers(0, 4, self.servers).astype(np.float32)
        self.steps = 0
        return self.waiting.copy(), self._info()

    def step(self, action):
        self.waiting[int(action)] += LOADS[self.load]
        speeds = self.np_random.integers(0, 2, self.servers)
        self.waiting = np.maximum(self.waiting - speeds, 0).astype(np.float32)
        self.steps += 1
        return self.waiting.copy(), -float(self.waiting.sum()), self.steps == STEPS, False, self._info()

    def _info(self):
        return {"waiting": float(self.waiting.sum()), "steps": self.steps}
