"""Two policies, and the net of sequence policies."""

import numpy as np

from agents.policy import BatchPolicy, Policy
from agents.registry import AgentTask, Entry


class RoundRobin(Policy):
    """One server after the other."""

    def reset(self, seed=None):
        self.last = -1

    def act(self, observation, info):
        self.last = (self.last + 1) % len(observation)
        return self.last


class ShortestQueue(BatchPolicy):
    """The server with the fewest requests waiting."""

    def act_batch(self, observations, infos):
        return np.asarray(observations).argmin(axis=1)


TASK = AgentTask(
    policies={
        "round-robin": Entry("toy_balance.policies:RoundRobin"),
        "shortest-queue": Entry("toy_balance.policies:ShortestQueue"),
    },
    net="toy_balance.net:BalanceNet",
)
