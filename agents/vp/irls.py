"""Least absolute deviations in closed steps."""

from __future__ import annotations

import numpy as np

ITERATIONS = 12
FLOOR_DEG = 0.05
"""Residuals below this weigh no more than this one."""
RIDGE = 1e-6


def least_absolute(inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Weights float64 (p, s) that make sum |targets - inputs @ weights| small, one column at a time.

    Inputs are (n, p), targets (n, s), in degrees. Iteratively reweighted least squares: a window weighs
    1 / max(|residual|, 0.05) of the solution before.
    """
    inputs, targets = np.asarray(inputs, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    weights = np.empty((inputs.shape[1], targets.shape[1]))
    ridge = RIDGE * np.eye(inputs.shape[1])
    for column, target in enumerate(targets.T):
        importance = np.ones(len(inputs))
        for _ in range(ITERATIONS):
            weighted = inputs * importance[:, None]
            weights[:, column] = np.linalg.solve(weighted.T @ inputs + ridge, weighted.T @ target)
            importance = 1 / np.maximum(np.abs(target - inputs @ weights[:, column]), FLOOR_DEG)
    return weights
