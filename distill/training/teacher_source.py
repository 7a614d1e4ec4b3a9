"""Distillation as a ``Source``: a student acts, its task's expert and a teacher say what they would have done.

One forward pass of the teacher labels all steps of an episode (Agarwal et al., *On-Policy Distillation of Language
Models*, ICLR 2024; Ross, Gordon and Bagnell, AISTATS 2011).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import torch
from torch import Tensor

from agents.ragged import Column, Ragged, offsets_of
from agents.sequence.model import SequenceModel
from agents.sequence.net import MASKED
from agents.sequence.policy import SequencePolicy
from distill.training import losses
from distill.training.labelled_sequences import Labelled
from distill.training.phase import Phase, Source

TEACHER, WEIGHT = "teacher/", "teacher_weight"
"""Targets: ``teacher/0`` and so on are the teacher's outputs, logits ragged over the choices that there are, of paths
the mean and the log of the scale; ``teacher_weight``, float32 (S,), is what the divergence from them counts."""
AT_ONCE = 64  # sequences in a forward pass of the teacher


@dataclass(frozen=True)
class Weights:
    """What counts how much in a phase."""

    task: float
    """Of the task's own loss, on labels or on returns."""
    teacher: float
    """Of the divergence from the teacher: alpha, in reinforcement learning beta."""
    last: float = 1.0
    """Share of ``teacher`` that is left at the end of all phases of the name, towards which it falls geometrically."""
    teacher_acts: bool = False
    """Whether episodes are played by the teacher, instead of the student."""


class Following:
    """A task's source with a teacher; a ``Source``.

    Arguments:
        source: of the task; it plays the episodes, and knows the loss on its labels.
        teacher: plays a model of the same task, which may have other tokens and another context.
        phases: of the training.
        weights: by the name of a phase; in others the teacher is not asked.
        temperature: of the divergence between choices.
        ask: what the teacher's model says of sequences; None: ``teacher_outputs``.
    """

    def __init__(
        self,
        source: Source,
        teacher: SequencePolicy,
        phases: Sequence[Phase],
        weights: Mapping[str, Weights],
        temperature: float = 1.0,
        ask: Callable[[SequenceModel, Labelled], Mapping[str, Column]] | None = None,
    ):
        self.source, self.teacher, self.phases = source, teacher, phases
        self.weights, self.temperature, self.ask = weights, temperature, ask or teacher_outputs

    def gather(self, phase: Phase, iteration: int, policy: SequencePolicy) -> Labelled | None:
        """See ``Source``."""
        weights = self.weights.get(phase.name, Weights(1.0, 0.0))
        found = self.source.gather(phase, iteration, self.teacher if weights.teacher_acts else policy)
        if found is None or not weights.teacher:
            return found
        share = losses.decayed(weights.teacher, self._done(phase, iteration), weights.last)
        steps = int(found.sequences.lengths.sum())
        more = {WEIGHT: np.full(steps, share, dtype=np.float32), **self.ask(self.teacher.model, found)}
        return Labelled(found.sequences, {**found.targets, **more})

    def loss(self, phase: Phase, outputs: list[Tensor], targets: dict[str, Tensor]) -> Tensor:
        """float32 (S,): the task's loss and the divergence from the teacher, weighted."""
        weights = self.weights.get(phase.name, Weights(1.0, 0.0))
        own = weights.task * self.source.loss(phase, outputs, targets) if weights.task else 0.0 * outputs[0].sum()
        theirs = [targets[f"{TEACHER}{number}"] for number in range(len(outputs)) if f"{TEACHER}{number}" in targets]
        if not theirs:
            return own
        net = self.teacher.model.task
        if net.continuous:
            far = net.apart(outputs[0], theirs[0])
            apart = losses.location_scale_divergence(far, outputs[1], theirs[1], "laplace")
        else:
            apart = losses.decision_divergence(outputs, theirs, self.temperature)
        return losses.supervised(own, apart, targets[WEIGHT])

    def _done(self, phase: Phase, iteration: int) -> float:
        """The share of all phases of this name that is over."""
        first = sum(one.iterations for one in takewhile(lambda one: one.name != phase.name, self.phases))
        return (iteration - first) / sum(one.iterations for one in self.phases if one.name == phase.name)

    def validate(self, policy: SequencePolicy) -> dict[str, float]:
        """As the task's source does."""
        return self.source.validate(policy)

    def targets(self) -> list[float]:
        """As the task's source says."""
        return self.source.targets()


def teacher_outputs(teacher: SequenceModel, data: Labelled) -> dict[str, Column]:
    """What a teacher says of each step: targets ``teacher/0`` and so on, float32.

    Later components are conditioned on the target ``action``.
    """
    parts: list[list[np.ndarray]] = []
    with torch.inference_mode():
        for begin in range(0, len(data), AT_ONCE):
            part = data.take(np.arange(begin, min(begin + AT_ONCE, len(data))))
            outputs = teacher(part.sequences, part.targets.get("action"))
            parts.append([output.float().cpu().numpy() for output in outputs])
    columns = list(zip(*parts, strict=True))
    if teacher.task.continuous:
        return {f"{TEACHER}{number}": np.concatenate(column) for number, column in enumerate(columns)}
    return {f"{TEACHER}{number}": _ragged(column) for number, column in enumerate(columns)}


def _ragged(parts: Sequence[np.ndarray]) -> Ragged:
    """Logits (S, choices), each part of its own width, up to the last choice that there is."""
    lengths, values = [], []
    for part in parts:
        there = part > MASKED / 2
        last = part.shape[1] - there[:, ::-1].argmax(axis=1)
        lengths.append(last)
        values.append(part[np.arange(part.shape[1]) < last[:, None]])
    return Ragged(np.concatenate(values), offsets_of(np.concatenate(lengths)))
