"""The training loop of sequence policies: gather, learn, validate, in phases; one process or many."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn

from agents.ragged import Column, Ragged
from agents.sequence.model import SequenceModel
from agents.sequence.net import MASKED
from agents.sequence.policy import SequencePolicy
from agents.training import Run
from agents.training.average import MovingAverage
from agents.training.fit import scheduled
from distill.training.labelled_sequences import Labelled
from distill.training.phase import Phase, Source

PRECISIONS = ("bf16", "fp32")
GATHERED = "gathered"
"""Folder, in that of the run, of the sequences that a training still needs."""


@dataclass(frozen=True)
class Optimisation:
    """How weights are learned."""

    seed: int
    batch: int
    """Sequences of an optimiser step, over all processes."""
    accumulate: int = 1
    """Parts that a batch is cut into, one forward and backward pass each."""
    weight_decay: float = 1e-4
    clip: float = 1.0
    """Largest norm of the gradient."""
    average: float = 0.0
    """Decay of the moving average of the weights that is validated and kept; 0: the weights themselves."""
    precision: str = "bf16"
    """``bf16``: matrix products in bfloat16 (autocast), weights in float32; ``fp32``."""
    validate_every: int = 1
    """Iterations."""
    settled: float = 0.0
    """Share of all iterations whose weights are not kept, however well they do: early ones owe it to luck."""

    def __post_init__(self) -> None:
        for name in ("batch", "accumulate", "validate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name.replace('_', '-')} must be 1 or more, not {getattr(self, name)}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be {' or '.join(PRECISIONS)}, not {self.precision!r}")
        for name in ("average", "settled"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be from 0 to below 1, not {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more, not {self.seed}")


@dataclass
class Best:
    """The weights kept."""

    valid: float
    step: int
    target: float | None
    """Return to go to begin with, normalised."""
    weights: dict[str, Tensor]
    """Of the parameters that are trained, and buffers."""


class Learner:
    """A training, which may go on in the folder of ``run``.

    An optimiser step is a function of the weights, the optimiser's state, the sequences gathered, the seed and its own
    number, so that a killed training goes on to the same weights (on the same number of threads). Under ``torchrun``
    each process takes its part of every batch; the first one gathers and validates.

    Arguments:
        model: what is trained, its parameters that require gradients.
        source: what it learns from.
        phases: one after the other.
        optimisation: how.
        run: where to.
        device: ``cpu`` or ``cuda``.
        scale: of returns, see ``SequencePolicy``.
    """

    def __init__(
        self,
        model: SequenceModel,
        source: Source,
        phases: Sequence[Phase],
        optimisation: Optimisation,
        run: Run,
        device: str = "cpu",
        scale: tuple[float, float] = (0.0, 1.0),
    ):
        unused = DistributedDataParallelKwargs(find_unused_parameters=True)
        self.accelerator = Accelerator(cpu=device == "cpu", kwargs_handlers=[unused])
        parts = self.accelerator.num_processes * optimisation.accumulate
        if optimisation.batch < parts:
            raise ValueError(f"batch {optimisation.batch} is too small for {parts} parts: processes x accumulate")
        self.model, self.source, self.phases, self.optimisation = model, source, phases, optimisation
        self.run, self.scale = run, scale
        self.average = Average(model, optimisation.average)
        self.best = Best(-math.inf, 0, None, trained_weights(model))
        self.iteration = 0
        self._trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimiser = torch.optim.AdamW(self._trained, lr=0.0, weight_decay=optimisation.weight_decay)
        saved = run.resume()
        if saved is not None:
            self.iteration, self.best = saved["iteration"], Best(**saved["best"])
            load_weights(model, saved["model"])
            self.average.restore(saved["average"])
        self._learning, self._optimiser = self.accelerator.prepare(model, optimiser)
        if saved is not None:
            self._optimiser.load_state_dict(saved["optimiser"])
        done = sum(phase_of(phases, iteration)[0].steps for iteration in range(self.iteration))
        self._schedule = scheduled(optimiser, lambda step: _rate(phases, step), done)
        self._gathered = _Gathered(run.folder / GATHERED, self.accelerator)

    def fit(self) -> Best:
        """Train to the end; the model has the kept weights then."""
        main = self.accelerator.is_main_process
        for iteration in range(self.iteration, sum(phase.iterations for phase in self.phases)):
            phase, first = phase_of(self.phases, iteration)
            data = self._gather(phase, iteration)
            figures = self._learn(phase, iteration, data)
            self.iteration = iteration + 1
            if main:
                self.run.advance(self.iteration)
                if self.iteration % self.optimisation.validate_every == 0 or self.iteration == first + phase.iterations:
                    self._validate(figures)
                self._save()
            self.accelerator.wait_for_everyone()
        load_weights(self.model, self.best.weights)
        if main:
            self._gathered.remove()
        return self.best

    def _gather(self, phase: Phase, iteration: int) -> Labelled:
        policy = play(self.model, "sampled", self.best.target, self.scale)

        def gather() -> Labelled | None:
            with self._autocast():
                return self.source.gather(phase, iteration, policy)

        return self._gathered.with_new(iteration, phase.keep, gather)

    def _learn(self, phase: Phase, iteration: int, data: Labelled) -> dict[str, float]:
        """The optimiser steps of an iteration; mean loss and norm of the gradient."""
        self._learning.train()
        losses, norms = [], []
        for number in range(phase.steps):
            rng = np.random.default_rng([self.optimisation.seed, iteration, number])
            torch.manual_seed(int(rng.integers(2**63)))
            count = self.optimisation.batch
            chosen = rng.choice(len(data), count, replace=len(data) < count)
            losses.append(self._backward(phase, data, chosen))
            if not math.isfinite(losses[-1]):
                raise ValueError(f"the loss is {losses[-1]} in iteration {iteration + 1}: lower the learning rate")
            norms.append(float(self.accelerator.clip_grad_norm_(self._trained, self.optimisation.clip)))
            self._optimiser.step()
            self._schedule.step()
            self._optimiser.zero_grad()
            self.average.update(self.model, iteration * phase.steps + number)
        return {"loss": math.fsum(losses) / len(losses), "gradient": math.fsum(norms) / len(norms)} if losses else {}

    def _backward(self, phase: Phase, data: Labelled, chosen: np.ndarray) -> float:
        """Gradients of the mean loss of a step in the sequences ``chosen``, of which this process takes its part."""
        accelerator = self.accelerator
        steps = int(data.sequences.lengths[chosen].sum())
        own = chosen[accelerator.process_index :: accelerator.num_processes]
        parts = np.array_split(own, self.optimisation.accumulate)
        total = 0.0
        for number, part in enumerate(parts):
            batch = data.take(part)
            last = number == len(parts) - 1
            with nullcontext() if last else accelerator.no_sync(self._learning):
                with self._autocast():
                    outputs = self._learning(batch.sequences, batch.targets.get("action"))
                targets = {name: _tensor(column, accelerator.device) for name, column in batch.targets.items()}
                loss = self.source.loss(phase, [_full(output) for output in outputs], targets).sum() / steps
                accelerator.backward(loss * accelerator.num_processes)  # gradients are averaged over processes
            total += float(loss.detach())
        return total

    def _validate(self, figures: dict[str, float]) -> None:
        """Record figures, and keep the weights if they are the best so far."""
        with self.average.applied(self.model):
            with self._autocast():
                found, target = validated(self.model, self.source, self.scale)
            settled = self.optimisation.settled * sum(phase.iterations for phase in self.phases)
            if self.iteration > settled and found["valid"] > self.best.valid:
                self.best = Best(found["valid"], self.iteration, target, trained_weights(self.model))
        point = {**found, **({} if target is None else {"target": target}), **figures}
        self.run.record(self.iteration, **{name: round(value, 6) for name, value in point.items()})

    def _save(self) -> None:
        self.run.save(
            {
                "iteration": self.iteration,
                "best": vars(self.best),
                "model": trained_weights(self.model),
                "optimiser": self._optimiser.state_dict(),
                "average": self.average.weights,
            }
        )

    def _autocast(self) -> AbstractContextManager[Any]:
        """Matrix products are of the precision chosen."""
        if self.optimisation.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.accelerator.device.type, torch.bfloat16)


def _tensor(column: Column, device: torch.device) -> Tensor:
    """A target; a ragged one with ``MASKED`` after its values, as wide as the longest of the batch."""
    if not isinstance(column, Ragged):
        return torch.from_numpy(column).to(device)
    lengths = column.lengths
    padded = np.full((len(column), int(lengths.max(initial=0)), *column.values.shape[1:]), MASKED, column.values.dtype)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = column.flat
    return torch.from_numpy(padded).to(device)


def _full(values: Tensor) -> Tensor:
    """In single precision, if it is in half."""
    return values.float() if values.dtype == torch.bfloat16 else values


def phase_of(phases: Sequence[Phase], iteration: int) -> tuple[Phase, int]:
    """The phase of an iteration, and its first iteration."""
    first = 0
    for phase in phases:
        if iteration < first + phase.iterations:
            return phase, first
        first += phase.iterations
    raise IndexError(f"iteration {iteration} of {first}")


def learning_rate(phase: Phase, step: int) -> float:
    """Of an optimiser step of a phase: a linear rise, then a cosine."""
    total = phase.iterations * phase.steps
    rise = min(1.0, (step + 1) / phase.warmup) if phase.warmup else 1.0
    fall = (1 + math.cos(math.pi * min(1.0, step / max(1, total)))) / 2
    return phase.learning_rate * rise * (phase.last_rate + (1 - phase.last_rate) * fall)


def _rate(phases: Sequence[Phase], step: int) -> float:
    """Learning rate of an optimiser step, numbered from the first of the training."""
    for phase in phases:
        if step < phase.iterations * phase.steps:
            return learning_rate(phase, step)
        step -= phase.iterations * phase.steps
    return 0.0


def play(model: SequenceModel, mode: str, target: float | None, scale: tuple[float, float]) -> SequencePolicy:
    """The policy of a model in training; it begins with the ``target`` that is best so far, or the mean return."""
    chosen = (0.0 if target is None else target) if model.task.returns else None
    return SequencePolicy(model, "greedy" if model.task.continuous else mode, chosen, scale)


def validated(
    model: SequenceModel, source: Source, scale: tuple[float, float]
) -> tuple[dict[str, float], float | None]:
    """Validation figures of greedy play, with the best of the returns to begin with, and that return."""
    best: tuple[dict[str, float], float | None] | None = None
    for target in source.targets() if model.task.returns else [None]:
        figures = source.validate(play(model, "greedy", target, scale))
        if best is None or figures["valid"] > best[0]["valid"]:
            best = figures, target
    assert best is not None
    return best


def trained_weights(model: nn.Module) -> dict[str, Tensor]:
    """Copies, on the CPU, of the parameters that are trained, and of all buffers that are saved."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items() if name not in frozen}


def load_weights(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Put back what ``trained_weights`` has copied."""
    model.load_state_dict(weights, strict=False)


class Average:
    """Moving average, on the CPU, of the weights that are trained; decay 0: there is none."""

    def __init__(self, model: nn.Module, decay: float):
        self.weights: dict[str, Tensor] = {}
        self._average: MovingAverage | None = None
        if decay:
            self._average = MovingAverage(_trained(model, "cpu"), decay)
            names = [name for name, value in model.named_parameters() if value.requires_grad]
            self.weights = {name: value.detach() for name, value in zip(names, self._average.parameters(), strict=True)}

    def restore(self, weights: dict[str, Tensor]) -> None:
        """Go on from ``weights`` of the same model."""
        for name, value in self.weights.items():
            value.copy_(weights[name])

    def update(self, model: nn.Module, step: int) -> None:
        """After optimiser step number ``step``."""
        if self._average is not None:
            self._average.n_averaged.fill_(step + 1)
            self._average.update_parameters(_trained(model))

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """The model has the averages inside."""
        if self._average is None:
            yield
            return
        own = trained_weights(model)
        load_weights(model, self.weights)
        try:
            yield
        finally:
            load_weights(model, own)


def _trained(model: nn.Module, device: str | None = None) -> nn.ParameterList:
    """The parameters that are trained; with ``device`` what they are now, there."""
    values = [value for value in model.parameters() if value.requires_grad]
    return nn.ParameterList(values if device is None else [value.detach().to(device) for value in values])


class _Gathered:
    """Sequences of the iterations that are still learned from, each in a file: a training that goes on reads them."""

    def __init__(self, folder: Path, accelerator: Accelerator):
        self.folder, self.accelerator = folder, accelerator
        self._parts: dict[int, Labelled] = {}

    def with_new(self, iteration: int, keep: int, gather: Callable[[], Labelled | None]) -> Labelled:
        """What ``gather`` makes in the first process, and the ``keep`` iterations with it (0: all that are there)."""
        oldest = iteration + 1 - keep if keep else 0
        if self.accelerator.is_main_process:
            new = gather()
            self._path(iteration).unlink(missing_ok=True)
            if new is not None:
                new.save(self._path(iteration))
        self.accelerator.wait_for_everyone()
        there = sorted(int(path.stem) for path in self.folder.glob("*.safetensors"))
        for number in there:
            if oldest <= number <= iteration and number not in self._parts:
                self._parts[number] = Labelled.load(self._path(number))
        self._parts = {number: part for number, part in self._parts.items() if number >= oldest}
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            for number in there:
                if number < oldest or number > iteration:
                    self._path(number).unlink()
        if not self._parts:
            raise ValueError("there is nothing to learn from: give a pool, or let the policy play")
        return Labelled.concatenate([self._parts[number] for number in sorted(self._parts)])

    def remove(self) -> None:
        """The training is over."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, iteration: int) -> Path:
        return self.folder / f"{iteration:05d}.safetensors"
