"""Directions of the teacher's stream of tokens that the student keeps."""

from __future__ import annotations

import torch
from torch import Tensor

from distill.reuse.decoder import Layer


def top_directions(moment: Tensor, size: int) -> Tensor:
    """(d, size), orthonormal: directions of the largest second moment, the largest first.

    ``size`` above d: the last columns are zeros.
    """
    vectors = torch.linalg.eigh(moment)[1].flip(1)
    return _widened(vectors[:, :size], size)


def first_directions(d: int, size: int) -> Tensor:
    """(d, size): the first coordinates."""
    return torch.eye(d, size, dtype=torch.float64)


def weight_moment(layers: list[Layer]) -> Tensor:
    """(d, d): of all that attention reads and writes; its top directions need no data."""
    total = torch.zeros(layers[0].q.shape[2], layers[0].q.shape[2], dtype=torch.float64)
    for layer in layers:
        for rows in (
            layer.q.flatten(0, 1),
            layer.k.flatten(0, 1),
            layer.v.flatten(0, 1),
            layer.o.transpose(1, 2).flatten(0, 1),
        ):
            total += rows.T @ rows
    return total


def energy(basis: Tensor, moment: Tensor) -> float:
    """Share of the mean square that lies within the basis."""
    return float(torch.einsum("ds,de,es->", basis, moment, basis) / moment.trace())


def last_uniform(basis: Tensor) -> Tensor:
    """The same space, turned so that its last direction has equal coordinates.

    The layer norm over a student's tokens removes what all coordinates have in common: that should be the least of all
    directions. A reflection exchanges the two.
    """
    size = basis.shape[1]
    difference = torch.full((size,), -(size**-0.5), dtype=torch.float64)
    difference[-1] += 1
    if float(difference.norm()) < 1e-12:
        return basis
    difference /= difference.norm()
    return basis - 2 * (basis @ difference)[:, None] * difference


def _widened(basis: Tensor, size: int) -> Tensor:
    return torch.nn.functional.pad(basis, (0, size - basis.shape[1]))
