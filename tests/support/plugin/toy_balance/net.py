"""Encoders and head: the requests waiting are one token, and each server has a logit."""

import numpy as np
import torch
from torch import nn

from agents.sequence.net import TaskNet, Tokens


class BalanceNet(TaskNet):
    task = "load-balancing"

    def __init__(self, d_model: int, tokenisation: str = "fused", returns: bool = False, servers: int = 3):
        super().__init__(d_model, tokenisation, returns)
        self.servers = servers
        self.encoder, self.head = nn.Linear(servers, d_model), nn.Linear(d_model, servers)

    def config(self):
        return {**super().config(), "servers": self.servers}

    def observe(self, observations, infos):
        return {"waiting": np.asarray(observations, dtype=np.float32)}

    def embed(self, steps, previous, returns):
        waiting = torch.from_numpy(np.ascontiguousarray(steps["waiting"])).to(self.device)
        return Tokens(self.encoder(waiting), torch.ones(len(waiting), dtype=torch.int64))

    def logits(self, component, hidden, memory, actions):
        return self.head(hidden)
