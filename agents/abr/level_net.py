"""A network over ``agents.abr.relative``: one token of a session, one score of each level, whatever their number."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from agents.abr.relative import LEVEL, PLANS, RATES, SESSION, SHARES
from agents.sequence.net import MASKED

SHARPNESS = 3.0
"""Scores are regrets of plans times this at first, in units of the utilities' range."""
TRUSTED = (0.3, 1.25)
"""Shares of the recent throughput between which plans are believed at first, all alike."""


class LevelEncoder(nn.Module):
    """Features of a session and of its levels as one vector (S, size).

    Arguments:
        size: of the vector.
        width: units of the hidden layers.
    """

    def __init__(self, size: int, width: int = 256):
        super().__init__()
        quarter = max(width // 4, 1)
        self.levels = dense(LEVEL, quarter, quarter)
        self.session = dense(SESSION + 3 * quarter, width, width, size)

    def forward(self, session: Tensor, levels: Tensor, exists: Tensor, last: Tensor) -> Tensor:
        """Of float32 (S, SESSION), (S, levels, LEVEL), bool (S, levels) and int64 (S,)."""
        each, there = self.levels(levels), exists[:, :, None]
        mean = (each * there).sum(dim=1) / there.sum(dim=1)
        highest = each.masked_fill(~there, MASKED).amax(dim=1)
        before = each[torch.arange(each.shape[0], device=each.device), last]
        return self.session(torch.cat([session, mean, highest, before], dim=1))


class LevelScorer(nn.Module):
    """A score of each level: how much the plans that begin with it are regretted, and a correction.

    The plans are those of ``agents.abr.relative``. How much each of them counts depends on the session's vector; so
    does the correction, which is nothing at first. An untrained network thus is a model-predictive controller that
    believes six throughputs alike, and a trained one is not far from one where it has seen nothing.

    Arguments:
        size: of the session's vector.
        width: as of the encoder.
    """

    def __init__(self, size: int, width: int = 256):
        super().__init__()
        half, quarter = max(width // 2, 1), max(width // 4, 1)
        self.from_token, self.from_level = nn.Linear(size, half), nn.Linear(LEVEL, half)
        last = nn.Linear(quarter, 1)
        self.correction = nn.Sequential(nn.ReLU(), nn.Linear(half, quarter), nn.ReLU(), last)
        self.trust = nn.Linear(size, PLANS)
        for layer in (self.trust, last):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(last.bias)
        believed = torch.full((PLANS,), -3.0)
        for number, share in enumerate(SHARES):
            if TRUSTED[0] <= share <= TRUSTED[1]:
                believed[RATES + number] = 0.5
        self.trust.bias.data = believed

    def forward(self, token: Tensor, levels: Tensor, exists: Tensor) -> Tensor:
        """float32 (S, levels), ``MASKED`` where there is no level, of tokens (S, size) and what the encoder saw."""
        correction = self.correction(self.from_token(token)[:, None] + self.from_level(levels))[:, :, 0]
        weights = SHARPNESS * nn.functional.softplus(self.trust(token))
        scores = correction - (levels[:, :, -PLANS:] * weights[:, None]).sum(dim=2)
        return scores.masked_fill(~exists, MASKED)


def dense(*sizes: int) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
