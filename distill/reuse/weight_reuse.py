"""A student's first weights from those of its teacher: cross-architecture weight reuse (CWR).

Mamba4Net (arXiv 2510.17147, equations 11 to 14) gives a student's Mamba layers the projections of its teacher's
attention: x gets those of values, B of keys, C of queries, out_proj of outputs, cut down to the student's size.
``ARMS`` has that rule as it stands, one that follows what the matrices are for, and controls that tell whether it is
the teacher's knowledge that helps, or only numbers of a good size.

``principled``, step by step:

1. Scales of the teacher's norms, and LoRA adapters, are folded into its matrices (``distill.reuse.decoder``).
2. The student's stream of tokens is the teacher's along the directions that hold most of it in sequences of the task
   (``distill.reuse.basis``). Norms are scaled by what of it they miss.
3. Each Mamba or attention block gets maps of the teacher's layer at the same share of its depth, as the best factors
   there is room for, by what tokens are like there; each MLP its most important neurons (``distill.reuse.mixers``).
4. Encoders and heads are projected, and fitted to the teacher's where theirs are smaller (``distill.reuse.nets``).
5. The last map of each block is refitted by least squares, one block after the other: with what the blocks before it
   make of the sequences, the stream is to become what the teacher's is at that share of its depth. Layers and MLPs of
   the teacher that have no counterpart are made up for in this way, as far as it goes.

Nothing is trained by gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.mamba4net.hybrid import HybridBackbone
from agents.mamba4net.layers import ATTENTION, MAMBA, MLP, Block
from agents.netllm.backbone import HFBackbone
from agents.sequence.model import SequenceModel
from distill.reuse import basis as bases
from distill.reuse import literal, nets
from distill.reuse.decoder import Decoder, Layer, decoder_of, layer_of, norm_of, normalised
from distill.reuse.linear_algebra import refit_linear, relative_error
from distill.reuse.mixers import Seen, set_attention, set_mamba, set_mlp
from distill.reuse.streams import Tokens, batches, listening, read
from distill.training.labelled_sequences import Labelled

ARMS = {
    "random": "the student's own values",
    "spectrum": "singular values of `principled`, singular vectors at random: is it the sizes that help?",
    "literal": "the paper's rule",
    "principled": "steps 1 to 5",
    "principled-no-refit": "steps 1 to 4, with nothing fitted but scales",
    "weights": "`principled`, with directions from the teacher's weights instead of its tokens",
    "random-teacher": "`principled` of a teacher with random weights: is it what the teacher knows that helps?",
    "full": "steps 1 to 4 for a student with room for everything: maps of attention stay as they are",
}
"""Ways to begin, by name."""
HELD_OUT = 4  # one in so many sequences measures errors
MLP_TOKENS = 8192  # of which neurons are judged
INITIAL_STD = 0.02  # of a random teacher's matrices (``initializer_range`` of transformers' Llama)
NEUTRAL = ("A_log", "dt_bias", "D", "in_proj.bias", "conv1d.weight", "conv1d.bias", "norm.weight", "norm_f.weight")
"""Ends of names of weights that say nothing of the teacher."""


def reuse(
    teacher: SequenceModel, student: SequenceModel, arm: str, data: Labelled, seed: int = 0, rank: int | None = None
) -> dict[str, Any]:
    """Give the student its first weights; returns figures, as JSON.

    ``layers``: of the teacher, for each Mamba or attention block. ``energy``: share of the stream's mean square along
    the directions kept. ``blocks``: for each block its ``kind``; relative errors of its maps in the teacher's
    coordinates, ``scores`` and ``values`` (Mamba and attention blocks, before a refit); and ``error`` of the stream
    behind it, relative to the teacher's, with ``unfitted``, what it would be without the refit of that block, on
    sequences held out. ``tokens``: that error in front of the first block. ``fitted`` and ``left``: modules of encoders
    and heads that were fitted to the teacher's, and weights that stay as they were. Arms that do not look at the
    sequences return less. ``ValueError``, one line, for models that do not go together.

    Arguments:
        teacher: with a backbone of transformers, see ``READABLE``; it stays as it is.
        student: of the same task and layout, with a hybrid backbone; changed in place.
        arm: one of ``ARMS``.
        data: sequences of the task, about 10,000 tokens or more, with the targets that models are conditioned on.
        seed: of what is random, and of which sequences are held out.
        rank: of reused matrices at most; None: as there is room.
    """
    if arm not in ARMS:
        raise ValueError(f"arm must be one of {', '.join(ARMS)}, not {arm!r}")
    if arm == "random":
        return {}
    decoder = _check(teacher, student, arm, data, rank)
    modes = [(model, model.training) for model in (teacher, student)]
    for model, _ in modes:
        model.eval()
    try:
        with torch.no_grad():
            return _reuse(teacher, student, decoder, arm, data, seed, rank)
    finally:
        for model, training in modes:
            model.train(training)


def _reuse(
    teacher: SequenceModel,
    student: SequenceModel,
    decoder: Decoder,
    arm: str,
    data: Labelled,
    seed: int,
    rank: int | None,
) -> dict[str, Any]:
    if arm == "literal":
        return _literal(student, decoder, rank)
    order = np.random.default_rng(seed).permutation(len(data))
    held_out, fitted_to = data.take(order[::HELD_OUT]), data.take(np.delete(order, np.s_[::HELD_OUT]))
    before = {name: value.detach().clone() for name, value in student.named_parameters()}
    if arm == "random-teacher":
        with randomised(teacher, seed):
            return _Reuse(teacher, student, decoder, "principled", fitted_to, held_out, rank).figures
    figures = _Reuse(teacher, student, decoder, arm, fitted_to, held_out, rank).figures
    if arm == "spectrum":
        _shuffle(student, before, seed)
        return {}
    return figures


def _literal(student: SequenceModel, decoder: Decoder, rank: int | None) -> dict[str, Any]:
    """Layer i of the student from layer i of the teacher, as far as there are both."""
    mixers: list[Any] = [block.mixer for block in _hybrid(student).layers if block.kind == MAMBA]
    numbers = list(range(min(len(mixers), decoder.layers)))
    for number in numbers:
        literal.set_mixer(mixers[number], decoder, number, rank)
    return {"layers": numbers}


class _Reuse:
    """One run of steps 1 to 5."""

    def __init__(
        self,
        teacher: SequenceModel,
        student: SequenceModel,
        decoder: Decoder,
        arm: str,
        data: Labelled,
        held_out: Labelled,
        rank: int | None,
    ):
        self.teacher, self.student, self.decoder = teacher, student, decoder
        self.data, self.held_out, self.rank = data, held_out, rank
        self.refits = arm not in ("principled-no-refit", "full")
        self.blocks: list[Any] = list(_hybrid(student).layers)
        self.tokens, self.held_tokens = Tokens(teacher, data), Tokens(teacher, held_out)
        self.length = sum(float(mask.sum()) for mask in self.tokens.masks) / len(data)
        self.seen = self._see()
        self.basis = self._choose_basis(arm)
        self.verbatim = arm == "full" and teacher.task.d_model == student.task.d_model
        self.figures: dict[str, Any] = {"layers": [], "energy": bases.energy(self.basis, _total(self.seen))}
        self._set_nets(self._set_blocks)

    def _see(self) -> list[Seen]:
        """Moments of the normalised tokens in front of each norm of the teacher."""
        d = self.teacher.task.d_model
        sums = [torch.zeros(d, dtype=torch.float64) for _ in self.decoder.norms]
        squares = [torch.zeros(d, d, dtype=torch.float64) for _ in self.decoder.norms]

        def heard(number: int, states: Tensor) -> None:
            tokens = normalised(states, self.decoder.centred)
            sums[number].add_(tokens.sum(dim=0))
            squares[number].add_(tokens.T @ tokens)

        self._listen(self.decoder.norms, self.data, self.tokens, heard)
        count = sum(int(mask.sum()) for mask in self.tokens.masks)
        return [Seen(one / count, two / count) for one, two in zip(sums, squares, strict=True)]

    def _listen(
        self, modules: list[nn.Module], data: Labelled, tokens: Tokens, heard: Callable[[int, Tensor], None]
    ) -> None:
        """Read ``data``; ``heard`` gets inputs of modules, (n, ...) float64: one a token."""
        for part, mask in zip(batches(data), tokens.masks, strict=True):

            def flat(number: int, states: Tensor, mask: Tensor = mask) -> None:
                heard(number, states[mask].double().cpu())

            with listening(modules, flat):
                read(self.teacher, part)

    def _choose_basis(self, arm: str) -> Tensor:
        d, size = self.teacher.task.d_model, self.student.task.d_model
        if arm == "full":
            basis = bases.first_directions(d, size)
            return basis if d == size else bases.last_uniform(basis)
        moment = _total(self.seen)
        if arm == "weights":
            moment = bases.weight_moment([self._layer(number) for number in range(self.decoder.layers)])
        return bases.last_uniform(bases.top_directions(moment, size))

    def _layer(self, number: int) -> Layer:
        return layer_of(self.decoder, number, self.seen[2 * number].moment, self.tokens.distances())

    def _set_nets(self, set_blocks: Callable[[], None]) -> None:
        """Step 4, with the backbone between encoders and heads."""
        teacher, student = self.teacher, self.student
        calls = nets.calls(teacher, self.data)
        embeddings = self._embeddings()
        scale, shift = norm_of(teacher.norm)
        last_scale, last_shift = norm_of(self.decoder.norms[-1])
        onto = self.basis.T * scale
        onto = onto - onto.mean(dim=1, keepdim=True)  # of centred tokens
        if self.verbatim:
            onto = torch.eye(len(scale), dtype=torch.float64)
        between = nets.Between(onto, last_scale[:, None] * self.basis, last_shift)
        of_tokens = nets.reads_tokens(teacher, calls, embeddings)
        left = nets.project(teacher.task, student.task, between, of_tokens)
        if teacher.timestep is not None and student.timestep is not None:
            rows = min(teacher.timestep.num_embeddings, student.timestep.num_embeddings)
            table = teacher.timestep.weight[:rows].double().cpu() @ onto.T
            student.timestep.weight[:rows].copy_(table)
        fitted = []
        if self.refits:
            fitted += nets.refit(calls, teacher.task, student, between, self.data, encoders=True)
        if self.verbatim:
            student.norm.weight.copy_(scale)
            student.norm.bias.copy_(shift)
        set_blocks()
        if self.refits:
            fitted += nets.refit(calls, teacher.task, student, between, self.data, encoders=False)
        self.figures["fitted"] = fitted
        self.figures["left"] = [name for name in left if name.rpartition(".")[0] not in fitted]

    def _embeddings(self) -> Tensor:
        """(n, d): the teacher's tokens before their norm."""
        found: list[Tensor] = []

        def heard(number: int, states: Tensor) -> None:
            found.append(states.double().cpu())

        with listening([self.teacher.norm], heard):
            for part in batches(self.data):
                read(self.teacher, part)
        return torch.cat(found)

    def _set_norm(self, wanted: Tensor) -> None:
        """Scale and shift of each coordinate of the student's tokens, by regression on the teacher's (n, d)."""
        norm = self.student.norm
        norm.weight.fill_(1)
        norm.bias.zero_()
        found = Tokens(self.student, self.data).flat()
        mean, aim = found.mean(dim=0), wanted.mean(dim=0)
        centred = found - mean
        scale = (centred * (wanted - aim)).sum(dim=0) / centred.square().sum(dim=0).clamp(min=1e-12)
        norm.weight.copy_(scale)
        norm.bias.copy_(aim - scale * mean)

    def _set_blocks(self) -> None:
        """Steps 3 and 5."""
        ends = block_ends([block.kind for block in self.blocks], 2 * self.decoder.layers)
        wanted, held_wanted = (
            self._wanted(self.data, self.tokens, ends),
            self._wanted(self.held_out, self.held_tokens, ends),
        )
        if not self.verbatim:
            self._set_norm(wanted[0])
        own, held = Tokens(self.student, self.data), Tokens(self.student, self.held_out)
        self.figures["tokens"] = relative_error(held.flat(), held_wanted[0])
        self.figures["blocks"] = []
        numbers = block_layers([block.kind for block in self.blocks], self.decoder.layers)
        for block, number, aim, held_aim in zip(self.blocks, numbers, wanted[1:], held_wanted[1:], strict=True):
            figures: dict[str, Any] = {"kind": block.kind}
            if block.kind != MLP:
                self.figures["layers"].append(number)
            figures.update(self._set_block(block, number))
            if self.refits:
                figures["unfitted"] = relative_error(held.flat(_after(block, held.parts)), held_aim)
                self._refit(block, own, aim)
            own.parts, held.parts = _after(block, own.parts), _after(block, held.parts)
            figures["error"] = relative_error(held.flat(), held_aim)
            self.figures["blocks"].append(figures)
        _hybrid(self.student).norm_f.weight.fill_(self._norm_scale(self.seen[-1]))

    def _norm_scale(self, seen: Seen) -> float:
        """What the student's normalised tokens are to be multiplied with to be the teacher's, along the basis."""
        d, size = self.basis.shape
        return (bases.energy(self.basis, seen.moment) * d / size) ** 0.5

    def _set_block(self, block: Block, number: int) -> dict[str, float]:
        layer, seen = self._layer(number), self.seen[2 * number + (block.kind == MLP)]
        block.norm.weight.fill_(self._norm_scale(seen))
        mixer: Any = block.mixer
        if block.kind == MAMBA:
            return asdict(set_mamba(mixer, layer, seen, self.basis, self.length, self.rank))
        if block.kind == ATTENTION:
            return asdict(set_attention(mixer, layer, seen, self.basis, self.rank))
        inputs: list[Tensor] = []
        neurons: list[Tensor] = []

        def heard(which: int, states: Tensor) -> None:
            room = MLP_TOKENS - sum(map(len, (inputs, neurons)[which]))
            if which == 0:
                inputs.append(normalised(states[:room], self.decoder.centred) @ self.basis)
            else:
                neurons.append(states[:room])

        modules = [self.decoder.norms[2 * number + 1], self.decoder.downs[number]]
        self._listen(modules, self.data, self.tokens, heard)
        set_mlp(mixer, layer, self.basis, torch.cat(inputs), torch.cat(neurons))
        return {}

    def _wanted(self, data: Labelled, tokens: Tokens, ends: list[float]) -> list[Tensor]:
        """The teacher's stream along the basis, (n, size) each: at its beginning and at ``ends``, in half layers."""
        places = [0.0, *ends]
        found: list[list[Tensor]] = [[] for _ in places]

        def heard(number: int, states: Tensor) -> None:
            if self.decoder.centred:
                states = states - states.mean(dim=1, keepdim=True)
            along = states @ self.basis
            for place, parts in zip(places, found, strict=True):
                share = 1 - abs(place - number)  # of this state where a place is between two
                if share <= 0:
                    continue
                if number == int(place):
                    parts.append(share * along)
                else:
                    parts[-1] += share * along

        self._listen(self.decoder.norms, data, tokens, heard)
        return [torch.cat(parts) for parts in found]

    def _refit(self, block: Block, own: Tokens, aim: Tensor) -> None:
        mixer: Any = block.mixer
        last = {MAMBA: "out_proj", ATTENTION: "o_proj", MLP: "down_proj"}[block.kind]
        module = getattr(mixer, last)
        inputs: list[Tensor] = []
        with listening([module], lambda _, states: inputs.append(states)):
            _after(block, own.parts)
        refit_linear(module, own.flat(inputs), aim - own.flat())


def block_ends(kinds: list[str], length: float) -> list[float]:
    """Where each block of the student ends, as places from 0 to ``length``; attention and MLP count half a Mamba."""
    sizes = [2 if kind == MAMBA else 1 for kind in kinds]
    return [end * length / sum(sizes) for end in accumulate(sizes)]


def block_layers(kinds: list[str], layers: int) -> list[int]:
    """Number of the teacher's layer for each block of the student: spread evenly; MLPs go with what is before them."""
    units = list(accumulate(int(kind != MLP) for kind in kinds))
    return [round(max(unit - 1, 0) * (layers - 1) / max(units[-1] - 1, 1)) for unit in units]


@torch.no_grad()
def _after(block: Block, parts: list[Tensor]) -> list[Tensor]:
    mixer: Any = block.mixer
    return [part + mixer(block.norm(part)) for part in parts]


def _total(seen: list[Seen]) -> Tensor:
    """(d, d): second moment of all tokens in front of all norms."""
    return torch.stack([one.moment for one in seen]).mean(dim=0)


@contextmanager
def randomised(model: SequenceModel, seed: int) -> Iterator[None]:
    """While it lasts, matrices of the model are normal, scales of norms 1, biases and adapters 0."""
    saved = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.Generator().manual_seed(seed)
    scales = {f"{name}.weight" for name, module in model.named_modules() if "norm" in type(module).__name__.lower()}
    try:
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name in scales:
                    weight.fill_(1)
                elif weight.dim() < 2 or "lora_B" in name:
                    weight.zero_()
                else:
                    std = INITIAL_STD if name.startswith("backbone.") else weight[0].numel() ** -0.5
                    weight.copy_(std * torch.randn(weight.shape, generator=generator))
        yield
    finally:
        model.load_state_dict(saved)


def _shuffle(student: SequenceModel, before: dict[str, Tensor], seed: int) -> None:
    """Keep the singular values of all that was changed, and the lengths of vectors; turn them at random."""
    generator = torch.Generator().manual_seed(seed)
    mixers = {
        f"backbone.layers.{number}.mixer.in_proj.weight": block for number, block in enumerate(_hybrid(student).layers)
    }
    for name, weight in student.named_parameters():
        if name.endswith(NEUTRAL) or torch.equal(weight, before[name]):
            continue
        parts = [weight.data]
        if name in mixers:
            parts = _in_proj_parts(weight.data, mixers[name].mixer)
        for part in parts:
            part.copy_(turned(part, generator))


def _in_proj_parts(weight: Tensor, mixer: Any) -> list[Tensor]:
    """Those of z, x, each group's B, each group's C, and dt."""
    states = [mixer.d_state] * mixer.ngroups
    return list(weight.split([mixer.d_inner, mixer.d_inner, *states, *states, mixer.nheads]))


def turned(weight: Tensor, generator: torch.Generator) -> Tensor:
    """The same singular values (of a vector: length) with singular vectors at random; rows of zeros stay."""
    if weight.dim() == 1:
        direction = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        return (direction * weight.double().cpu().norm() / direction.norm().clamp(min=1e-30)).to(weight)
    matrix = weight.double().cpu().flatten(1)
    rows = matrix.abs().sum(dim=1) > 0
    values = torch.linalg.svdvals(matrix[rows])
    if len(values):
        left, right = (
            torch.linalg.qr(torch.randn(size, len(values), generator=generator, dtype=torch.float64))[0]
            for size in matrix[rows].shape
        )
        matrix[rows] = (left * values) @ right.T
    return matrix.view(weight.shape).to(weight)


def _hybrid(student: SequenceModel) -> HybridBackbone:
    assert isinstance(student.backbone, HybridBackbone)
    return student.backbone


def _check(teacher: SequenceModel, student: SequenceModel, arm: str, data: Labelled, rank: int | None) -> Decoder:
    """The teacher's decoder; ``ValueError``, one line, for models that do not go together."""
    if not isinstance(teacher.backbone, HFBackbone):
        raise ValueError(f"a teacher needs a backbone of transformers, not a {type(teacher.backbone).__name__}")
    if not isinstance(student.backbone, HybridBackbone):
        raise ValueError(f"a student needs a hybrid backbone, not a {type(student.backbone).__name__}")
    decoder = decoder_of(teacher.backbone)
    one, other = teacher.task, student.task
    if type(one) is not type(other):
        raise ValueError(f"teacher and student are of different tasks, {one.task} and {other.task}")
    for name in ("tokenisation", "returns"):
        if getattr(one, name) != getattr(other, name):
            raise ValueError(
                f"teacher and student need the same {name}, not {getattr(one, name)!r} and {getattr(other, name)!r}"
            )
    if rank is not None and rank < 1:
        raise ValueError(f"rank must be 1 or more, not {rank}")
    if arm == "literal":
        if student.task.d_model > teacher.task.d_model:
            raise ValueError(
                f"arm 'literal' needs a student no wider than its teacher, not {other.d_model} and {one.d_model}"
            )
        return decoder
    if len(data) < 2:
        raise ValueError(f"arm {arm!r} needs 2 sequences or more, not {len(data)}")
    shape, config = student.backbone.shape, decoder.model.config
    if not shape.bias:
        raise ValueError(f"arm {arm!r} needs a student whose Mamba mixers have biases: bias=True")
    if shape.d_state < 2:
        raise ValueError(f"arm {arm!r} needs a student with d_state 2 or more, not {shape.d_state}")
    if arm == "full":
        if rank is not None:
            raise ValueError("arm 'full' cuts nothing: leave rank out")
        heads = config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // heads
        for name, has, needs in (
            ("d_model", shape.d_model, one.d_model),
            ("ngroups", shape.ngroups, heads),
            ("d_state", shape.d_state, size + 1),
            ("headdim", shape.headdim, size),
            ("attention_heads", shape.kv_heads, heads),
            ("attention_headdim", shape.attention_headdim, size),
        ):
            if has < needs:
                raise ValueError(f"arm 'full' needs a student with room for everything: {name} {needs}, not {has}")
    return decoder
