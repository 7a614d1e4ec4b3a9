"""A network that reads past downloads and predicts quantiles of the bandwidth of the next seconds, free of scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

PAST = 16  # downloads that are read
RECENT = 5  # of them, for the statistics that robust-mpc uses
FORGETTING = 0.7  # weight of a download relative to the one after it, in the reference throughput
QUANTILES = (0.05, 0.20, 0.35, 0.50, 0.65, 0.80, 0.95)
WINDOWS_S = (6.0, 20.0)
"""The mean bandwidth is predicted of the next 6 s and of the next 20 s."""
FEATURES = 2 * PAST + 6
LIMIT = 5.0  # features, standardised, are cut off here


@dataclass(frozen=True)
class QuantileConfig:
    """Size of the network."""

    hidden: int = 64


class QuantileNet(nn.Module, PyTorchModelHubMixin):
    """Two hidden layers; features are standardised by ``mean`` and ``deviation``, which training measures."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, hidden: int = 64):
        super().__init__()
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("deviation", torch.ones(FEATURES))
        self.layers = nn.Sequential(
            nn.Linear(FEATURES, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, len(WINDOWS_S) * len(QUANTILES)),
        )

    def standardise(self, features: Tensor) -> None:
        """Take mean and deviation of features (n, FEATURES); those that never vary stay as they are."""
        self.mean.copy_(features.mean(dim=0))
        deviation = features.std(dim=0)
        self.deviation.copy_(torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation)))

    def forward(self, features: Tensor) -> Tensor:
        """Quantiles of log(mean bandwidth / reference throughput): (k, windows, quantiles) from (k, FEATURES)."""
        scaled = ((features - self.mean) / self.deviation).clamp(-LIMIT, LIMIT)
        return self.layers(scaled).view(-1, len(WINDOWS_S), len(QUANTILES))


def reference(throughput: np.ndarray) -> np.ndarray:
    """Exponentially weighted mean of past throughputs (k, PAST), oldest first, zeros where there are none: (k,)."""
    weights = FORGETTING ** np.arange(PAST - 1, -1, -1.0) * (throughput > 0)
    return (weights * throughput).sum(axis=1) / weights.sum(axis=1)


def features(throughput: np.ndarray, delay_s: np.ndarray) -> np.ndarray:
    """Features float64 (k, FEATURES) of past downloads (k, PAST): throughputs in any unit, download times in s.

    Of each download the logarithms of its throughput over the reference and of its time; then logarithms over the
    reference of the harmonic means of the last five and of all, of the least, the spread of the logarithms, the
    largest relative error of the harmonic mean of the last five (as RobustMPC's), and how many downloads there are.
    """
    known = throughput > 0
    count = known.sum(axis=1)
    scale = reference(throughput)[:, None]
    relative = np.log(np.where(known, throughput, scale) / scale)
    time = np.where(known, np.log(np.maximum(delay_s, 1e-3)), 0.0)
    inverse = np.where(known, np.exp(-relative), 0.0)
    recent = known[:, -RECENT:].sum(axis=1)
    spread = np.sqrt((relative**2).sum(axis=1) / count)
    statistics = [
        np.log(recent / inverse[:, -RECENT:].sum(axis=1)),
        np.log(count / inverse.sum(axis=1)),
        relative.min(axis=1),
        spread,
        _largest_error(inverse, known),
        count / PAST,
    ]
    return np.concatenate([relative, time, np.stack(statistics, axis=1)], axis=1)


def _largest_error(inverse: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Largest log1p of the relative errors of harmonic means of five that predict the last five downloads: (k,)."""
    worst = np.zeros(len(inverse))
    for at in range(PAST - RECENT, PAST):
        before = slice(at - RECENT, at)
        sums, count = inverse[:, before].sum(axis=1), known[:, before].sum(axis=1)
        predicted = count / np.maximum(sums, 1e-12)
        error = np.where(known[:, at] & (count > 0), np.abs(predicted * inverse[:, at] - 1.0), 0.0)
        worst = np.maximum(worst, np.log1p(error))
    return worst


def pinball(predicted: Tensor, actual: Tensor) -> Tensor:
    """Mean quantile loss of (k, windows, quantiles) for actual values (k, windows)."""
    levels = torch.tensor(QUANTILES, dtype=predicted.dtype)
    error = actual[:, :, None] - predicted
    return torch.maximum(levels * error, (levels - 1.0) * error).mean()
