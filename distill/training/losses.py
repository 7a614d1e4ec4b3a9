"""Losses that draw a student to its teacher.

Named as in the Mamba4Net paper (arXiv 2510.17147, equations 3 and 6 to 8): a supervised objective, the task's loss plus
alpha times a divergence; where the task's loss is minus the clipped surrogate, alpha is the paper's beta. All are per
step, finite where choices are masked, and have finite gradients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from agents.sequence.net import MASKED


def divergence(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(teacher || student) of choices, (S,), times the squared temperature (Hinton et al., arXiv 1503.02531).

    Choices that the teacher cannot make count nothing, even if the student could.

    Arguments:
        student, teacher: logits (S, choices), ``MASKED`` or less where there is no choice; each row has one. The
            teacher's may lack columns at the end where it has none.
        temperature: above 1, what the teacher thinks of the less likely choices counts more.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, not {temperature}")
    teacher = functional.pad(teacher, (0, student.shape[1] - teacher.shape[1]), value=MASKED)
    there = teacher > MASKED / 2
    theirs = functional.log_softmax(teacher / temperature, dim=1)
    ours = functional.log_softmax(student / temperature, dim=1)
    difference = torch.where(there, theirs - ours, 0.0)
    return temperature**2 * (theirs.exp() * difference).sum(dim=1)


def decision_divergence(
    student: Sequence[Tensor], teacher: Sequence[Tensor], temperature: float = 1.0, counts: Tensor | None = None
) -> Tensor:
    """Sum of ``divergence`` over the components of a decision, (S,).

    ``counts``, bool (S, components), are the components that matter, such as no executors where none are given.
    """
    parts = torch.stack(
        [divergence(ours, theirs, temperature) for ours, theirs in zip(student, teacher, strict=True)], dim=1
    )
    return (parts if counts is None else torch.where(counts, parts, 0.0)).sum(dim=1)


def location_scale_divergence(apart: Tensor, student: Tensor, teacher: Tensor, distribution: str) -> Tensor:
    """KL(teacher || student) of predictions with a mean and a scale each, (S,): mean over what is predicted.

    Arguments:
        apart: the student's mean less the teacher's, (S, ...); of angles, the short way round.
        student, teacher: logs of the scales, (S, ...).
        distribution: ``gaussian``, scale the standard deviation, or ``laplace``, scale the mean absolute deviation.
    """
    ours, theirs = student, teacher
    if distribution == "gaussian":
        ratio = 2 * (theirs - ours)
        found = ours - theirs + (ratio.exp() + apart.square() * torch.exp(-2 * ours) - 1) / 2
    elif distribution == "laplace":
        far = apart.abs()
        inside = torch.exp(theirs - ours - far * torch.exp(-theirs))
        found = ours - theirs + inside + far * torch.exp(-ours) - 1
    else:
        raise ValueError(f"distribution must be gaussian or laplace, not {distribution!r}")
    return found.flatten(1).mean(dim=1)


def supervised(task_loss: Tensor, divergence: Tensor, alpha: float | Tensor) -> Tensor:
    """The supervised objective, (S,): the loss on the labels plus alpha times the divergence from the teacher."""
    return task_loss + alpha * divergence


def decayed(beta: float, done: float, last: float = 0.01) -> float:
    """The weight of the teacher after a share ``done`` of a phase: it falls geometrically to ``last`` times ``beta``.

    Schmitt et al., *Kickstarting Deep Reinforcement Learning* (arXiv 1803.03835), let it vanish, so that the student
    may pass its teacher.
    """
    return beta * math.exp(math.log(last) * min(max(done, 0.0), 1.0))
