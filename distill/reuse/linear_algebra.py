"""Factors of maps that are best for given data, and regression."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FLOOR = 1e-9
"""Of second moments, relative to their mean: directions that are never seen have some, or they had no inverse."""
RIDGE = 1e-4
"""Of regressions, relative to the mean square of their inputs."""


def root(moment: Tensor) -> Tensor:
    """Lower triangular G with G G^T = moment, made positive."""
    d = len(moment)
    mean = float(moment.trace()) / d
    return torch.linalg.cholesky(moment + max(mean * FLOOR, 1e-30) * torch.eye(d, dtype=moment.dtype))


def balanced(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """(rows, rank) and (rank, columns) of equal singular values whose product is the best of that rank.

    Where the matrix has a lower rank, the last are zeros.
    """
    u, values, v = torch.linalg.svd(matrix, full_matrices=False)
    values = values.where(values > 1e-10 * values[0], 0)[:rank].sqrt()
    missing = rank - len(values)
    left = torch.nn.functional.pad(u[:, :rank] * values, (0, missing))
    right = torch.nn.functional.pad(values[:, None] * v[:rank], (0, 0, 0, missing))
    return left, right


def regression(inputs: Tensor, targets: Tensor, bias: bool = True) -> tuple[Tensor, Tensor | None]:
    """Weight (out, in) and bias (out,), float64, with which inputs (n, in) come nearest to targets (n, out).

    Without ``bias`` that is None.
    """
    inputs, targets = inputs.double(), targets.double()
    mean_in, mean_out = inputs.mean(dim=0), targets.mean(dim=0)
    if bias:
        inputs, targets = inputs - mean_in, targets - mean_out
    gram = inputs.T @ inputs
    gram.diagonal().add_(max(RIDGE * float(gram.diagonal().mean()), 1e-30))
    weight = torch.linalg.solve(gram, inputs.T @ targets).T
    return weight, mean_out - weight @ mean_in if bias else None


@torch.no_grad()
def refit_linear(module: nn.Linear, inputs: Tensor, targets: Tensor) -> None:
    """Give a linear module the weights of the regression of targets (n, out) on inputs (n, in)."""
    weight, bias = regression(inputs, targets, module.bias is not None)
    module.weight.copy_(weight)
    if bias is not None:
        module.bias.copy_(bias)


def relative_error(found: Tensor, wanted: Tensor) -> float:
    """Root mean square of what is wrong, relative to that of what varies in what is wanted, both (n, d)."""
    spread = (wanted - wanted.mean(dim=0)).square().sum()
    return float(((found - wanted).square().sum() / spread.clamp(min=1e-30)).sqrt())


def product_norm(left: Tensor, right: Tensor) -> float:
    """Frobenius norm of left^T right, (r, m) and (r, n), without making it."""
    return float(torch.sum((left @ left.T) * (right @ right.T)).clamp(min=0).sqrt())
