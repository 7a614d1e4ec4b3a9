"""Encoders and heads of a teacher as those of a student with another width of tokens, and perhaps smaller layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from scipy.linalg import qr
from torch import Tensor, nn

from agents.sequence.model import SequenceModel
from agents.sequence.net import TaskNet
from distill.reuse.linear_algebra import refit_linear
from distill.reuse.streams import batches, read
from distill.training.labelled_sequences import Labelled

ROWS = 20_000  # of a module's inputs that a regression sees
SAME = 1e-4  # relative difference of inputs that needs no regression


@dataclass(frozen=True)
class Between:
    """How the student's tokens and hidden states hang together with the teacher's."""

    tokens: Tensor
    """(d of the student, d of the teacher): embeddings before the norm over tokens."""
    hidden: Tensor
    """(d of the teacher, d of the student): the teacher's hidden state is this times the student's, and the shift."""
    shift: Tensor
    """(d of the teacher,)."""


def width_axes(task: TaskNet) -> dict[str, tuple[int, ...]]:
    """Axes of each parameter that are as long as a token is wide."""
    with torch.device("meta"):
        wider = type(task)(task.d_model + 1, **task.config())
    sizes = {name: value.shape for name, value in wider.named_parameters()}
    return {
        name: tuple(axis for axis, size in enumerate(value.shape) if size != sizes[name][axis])
        for name, value in task.named_parameters()
    }


@torch.no_grad()
def project(teacher: TaskNet, student: TaskNet, between: Between, of_tokens: set[str]) -> list[str]:
    """Copy what has the same shape once tokens are projected; returns names of the parameters that were left.

    ``of_tokens`` are names of linear modules that read the embeddings themselves instead of hidden states.
    """
    axes = width_axes(teacher)
    back = torch.linalg.pinv(between.tokens)
    own = dict(student.named_parameters())
    left = []
    values = {name: value.detach().double().cpu() for name, value in teacher.named_parameters()}
    for name, value in values.items():
        module, kind = name.rpartition(".")[0], type(teacher.get_submodule(name.rpartition(".")[0]))
        projected: Tensor | None = value
        if issubclass(kind, nn.Linear):
            reads = 1 in axes.get(f"{module}.weight", ()) and 0 not in axes.get(f"{module}.weight", ())
            if name.endswith("weight") and 1 in axes[name]:
                value = value @ (back if module in of_tokens else between.hidden)
            if name.endswith("bias") and reads and module not in of_tokens:
                value = value + values[f"{module}.weight"] @ between.shift
            projected = between.tokens @ value if 0 in axes[name] else value
        elif issubclass(kind, nn.Embedding):
            projected = value @ between.tokens.T if axes[name] else value
        elif axes[name]:
            projected = None
        if projected is not None and projected.shape == own[name].shape:
            own[name].copy_(projected)
        else:
            left.append(name)
    for name, value in student.named_buffers():
        if name in dict(teacher.named_buffers()) and teacher.get_buffer(name).shape == value.shape:
            value.copy_(teacher.get_buffer(name))
    return left


@dataclass
class Call:
    """The first time in a batch that a linear module is called."""

    inputs: list[Tensor]
    """(n, in) of each batch."""
    outputs: list[Tensor]
    encoder: bool
    """Whether that was before the backbone was."""


@torch.no_grad()
def calls(model: SequenceModel, data: Labelled) -> dict[str, Call]:
    """What the linear modules of a task get and give, in the order in which they are called."""
    found: dict[str, Call] = {}
    heard: set[str] = set()
    handles = [model.backbone.register_forward_pre_hook(lambda *_: heard.add("backbone"))]

    def listen(name: str, module: nn.Linear) -> None:
        def call(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if name in heard:
                return
            heard.add(name)
            one = found.setdefault(name, Call([], [], "backbone" not in heard))
            one.inputs.append(inputs[0].detach().flatten(0, -2).double().cpu())
            one.outputs.append(output.detach().flatten(0, -2).double().cpu())

        handles.append(module.register_forward_hook(call))

    for name, module in _linear(model.task):
        listen(name, module)
    try:
        for part in batches(data):
            heard.clear()
            read(model, part)
    finally:
        for handle in handles:
            handle.remove()
    return found


class _Heard(Exception):
    pass


@torch.no_grad()
def inputs_of(model: SequenceModel, name: str, data: Labelled) -> Tensor:
    """(n, in): what a linear module gets at its first call in each batch; nothing behind it is computed."""
    found: list[Tensor] = []

    def call(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        found.append(inputs[0].detach().flatten(0, -2).double().cpu())
        raise _Heard

    handle = model.task.get_submodule(name).register_forward_pre_hook(call)
    try:
        for part in batches(data):
            try:
                read(model, part)
            except _Heard:
                continue
    finally:
        handle.remove()
    return torch.cat(found)


@torch.no_grad()
def refit(
    teacher: dict[str, Call], task: TaskNet, student: SequenceModel, between: Between, data: Labelled, encoders: bool
) -> list[str]:
    """Fit the student's linear modules, one after the other, to what the teacher's put out on the same sequences.

    Where the student has fewer units than the teacher, it gets those that the others follow from best: the same in all
    modules of these sizes, since some are added to each other. Modules whose inputs are as the teacher's keep the
    weights of their units. Returns the names of those that were fitted or cut.

    Arguments:
        teacher: what its modules did.
        task: of the teacher.
        student: model.
        between: see ``Between``.
        data: sequences.
        encoders: whether to fit what is in front of the backbone, or what is behind it.
    """
    axes = width_axes(task)
    own, teachers = dict(_linear(student.task)), dict(_linear(task))
    units = _units(teacher, task, student.task, axes)
    fitted = []
    for name, call in teacher.items():
        if call.encoder != encoders:
            continue
        weight = own[name].weight
        outputs = torch.cat(call.outputs)
        chosen = list(range(len(weight)))
        if 0 in axes[f"{name}.weight"]:
            outputs = outputs @ between.tokens.T
        elif outputs.shape[1] != len(weight):
            if (outputs.shape[1], len(weight)) not in units:
                continue
            chosen = units[outputs.shape[1], len(weight)]
            outputs = outputs[:, chosen]
        inputs, before = inputs_of(student, name, data), torch.cat(call.inputs)
        if inputs.shape == before.shape and torch.dist(inputs, before) <= SAME * before.norm():
            if len(teachers[name].weight) != len(weight) and 0 not in axes[f"{name}.weight"]:
                weight.copy_(teachers[name].weight[chosen])
                if own[name].bias is not None:
                    own[name].bias.copy_(teachers[name].bias[chosen])
                fitted.append(name)
            continue
        every = -(-len(inputs) // ROWS)
        refit_linear(own[name], inputs[::every], outputs[::every])
        fitted.append(name)
    return fitted


def reads_tokens(teacher: SequenceModel, found: dict[str, Call], embeddings: Tensor) -> set[str]:
    """Linear modules behind the backbone whose inputs are ``embeddings`` (n, d), the tokens before their norm."""
    axes = width_axes(teacher.task)
    return {
        name
        for name, call in found.items()
        if not call.encoder
        and 1 in axes[f"{name}.weight"]
        and sum(map(len, call.inputs)) == len(embeddings)
        and torch.dist(torch.cat(call.inputs), embeddings) <= SAME * embeddings.norm()
    }


def _units(
    teacher: dict[str, Call], task: TaskNet, student: TaskNet, axes: dict[str, tuple[int, ...]]
) -> dict[tuple[int, int], list[int]]:
    """Units to keep, by the sizes of teacher's and student's modules.

    Sizes that are the same multiple of an entry of both configurations, as of heads of a width, are made of blocks.
    """
    outputs: dict[tuple[int, int], list[Tensor]] = {}
    sizes_of = {name: module.out_features for name, module in _linear(student)}
    for name, call in teacher.items():
        sizes = (call.outputs[0].shape[1], sizes_of[name])
        if 0 not in axes[f"{name}.weight"] and sizes[0] > sizes[1]:
            outputs.setdefault(sizes, []).append(torch.cat(call.outputs)[:ROWS].relu())
    own, other = task.config(), student.config()
    entries = {(own[key], other[key]) for key in own if type(own[key]) is int and own[key] > other[key] > 0}
    found: dict[tuple[int, int], list[int]] = {}
    for sizes, parts in sorted(outputs.items(), key=lambda item: item[0] not in entries):
        block = next((pair for pair in entries & found.keys() if sizes[0] * pair[1] == sizes[1] * pair[0]), None)
        if block is not None and sizes not in entries and sizes[0] % block[0] == 0:
            found[sizes] = [number * block[0] + unit for number in range(sizes[0] // block[0]) for unit in found[block]]
            continue
        gram = sum((part.T @ part / len(part) for part in parts), torch.zeros(sizes[0], sizes[0], dtype=torch.float64))
        values, vectors = torch.linalg.eigh(gram)
        rows = values.clamp(min=0).sqrt()[:, None] * vectors.T  # rows^T rows = gram
        order = qr(rows.numpy(), mode="r", pivoting=True)[1]
        found[sizes] = sorted(order[: sizes[1]].tolist())
    return found


def _linear(task: TaskNet) -> Iterator[tuple[str, nn.Linear]]:
    return ((name, module) for name, module in task.named_modules() if isinstance(module, nn.Linear))
