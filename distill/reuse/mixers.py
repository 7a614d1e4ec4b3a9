"""A layer of the teacher as the first values of a student's mixers.

A Mamba-2 mixer that computes what softmax attention does, to first order: scores s enter as 1 + s (the best linear
stand-in for exp(s) where scores are normally distributed and centred), of which the 1 is a number of the state that B
and C keep constant; values get an offset, at which silu is nearly linear, and the norm behind the scan, which divides
by the size of what the offsets add up to, divides by the sum of scores, as softmax does. Nothing is gated or mixed by
the convolution, and D adds nothing. Decay rates are those of a new mixer; its time steps are such that a head's sum
over past tokens averages to 1, with A for the same rates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from agents.mamba4net.layers import Attention, Relu2MLP
from agents.mamba4net.mixer import Mamba2
from distill.reuse.decoder import Layer
from distill.reuse.linear_algebra import balanced, product_norm, root

INFLECTION = 2.399357  # where silu bends neither way
VALUE_SIZE = 0.5  # root mean square of values around it, in which silu is straight
SCORE_SIZE = 0.33  # of B and C before silu in a new mixer: normalised tokens through torch's initial weights
LARGEST = 2.0  # factor with which smaller B and C are enlarged


@dataclass(frozen=True)
class Seen:
    """Normalised tokens that a layer's attention reads."""

    mean: Tensor
    """float64 (d,)."""
    moment: Tensor
    """float64 (d, d): second moment."""

    def along(self, basis: Tensor) -> Seen:
        """In the coordinates of a basis (d, size)."""
        return Seen(basis.T @ self.mean, basis.T @ self.moment @ basis)

    def roots(self) -> tuple[Tensor, Tensor]:
        """G G^T of the second moment of (token, 1), and of the covariance: how queries and keys vary."""
        column = self.mean[:, None]
        one = torch.ones(1, 1, dtype=self.mean.dtype)
        extended = torch.cat([torch.cat([self.moment, column], dim=1), torch.cat([column.T, one], dim=1)])
        return root(extended), root(self.moment - column * column.T)


@dataclass(frozen=True)
class Fit:
    """How near the student's maps are to the teacher's, where tokens are as the teacher has them: relative errors."""

    scores: float
    values: float


def silu_gain() -> tuple[float, float]:
    """Value and slope of silu at ``INFLECTION``."""
    gate = 1 / (1 + math.exp(-INFLECTION))
    return INFLECTION * gate, gate + INFLECTION * gate * (1 - gate)


def silu_inverse(value: float) -> float:
    """Positive u with silu(u) = value, for a value above 0."""
    low, high = 0.0, value + 2.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if middle / (1 + math.exp(-middle)) < value else (low, middle)
    return (low + high) / 2


@torch.no_grad()
def set_mamba(mixer: Mamba2, layer: Layer, seen: Seen, basis: Tensor, length: float, rank: int | None = None) -> Fit:
    """Queries, keys, values and outputs become C, B, x and out_proj; the rest is neutral.

    Heads are dealt to the mixer's groups by how much alike their scores are, around the most important ones; a group
    has the mean of its heads' scores, weighted by what they add. Its value heads share out what its heads add; where
    there are more heads than value heads, some add up in one. All factors are the best of their rank for tokens as in
    ``seen``.

    Arguments:
        mixer: with biases.
        layer: of the teacher.
        seen: tokens in the teacher's coordinates.
        basis: (d of the teacher, d of the student).
        length: mean number of tokens of a sequence.
        rank: of each factor at most; None: as the mixer has room.
    """
    inner, states, size = mixer.d_inner, mixer.d_state, mixer.headdim
    own = seen.along(basis)
    query_root, key_root = own.roots()
    kernels = query_root.T @ _kernels(layer, basis) @ key_root
    adding = torch.einsum("ad,hds->has", basis.T, layer.o) @ (layer.v @ basis) @ key_root  # (heads, d, d)
    groups = group_heads(kernels, adding, mixer.ngroups)
    slots_each = mixer.nheads // mixer.ngroups

    weight, bias = mixer.in_proj.weight.double().cpu(), mixer.in_proj.bias.double().cpu()
    out = torch.zeros(mixer.out_proj.weight.shape, dtype=torch.float64)
    z, x, b, c, dt = weight.split([inner, inner, mixer.ngroups * states, mixer.ngroups * states, mixer.nheads])
    z_bias, x_bias, b_bias, c_bias, dt_bias = bias.split([len(part) for part in (z, x, b, c, dt)])
    z.zero_(), dt.zero_()
    dt_bias.zero_(), z_bias.fill_(silu_inverse(1.0))
    x_bias.fill_(INFLECTION)
    offset, slope = silu_gain()
    shrunk = (offset**2 + (slope * VALUE_SIZE) ** 2) ** 0.5  # what the norm divides by
    found = []
    for number, heads in enumerate(groups):
        rows = slice(number * states, (number + 1) * states)
        if not heads:  # more groups than heads: x and out are nothing, B and C as they are
            for slot in range(number * slots_each, (number + 1) * slots_each):
                x[slot * size : (slot + 1) * size].zero_()
            continue
        share = adding[heads].square().sum(dim=(1, 2))
        share = share / share.sum() if float(share.sum()) > 0 else torch.full_like(share, 1 / len(heads))
        mean_kernel = torch.einsum("h,hab->ab", share, kernels[heads])
        # Scores that vary by more than 1 would make 1 + s negative
        damping = 1 / max(1.0, float(mean_kernel.norm()))
        kept = min(states - 1, rank or states)
        left, right = balanced(damping * mean_kernel, kept)
        queries = torch.linalg.solve_triangular(query_root, left.T, upper=False, left=False)
        keys = torch.linalg.solve_triangular(key_root, right, upper=False, left=False)
        spread = float(left.square().mean().sqrt()) * len(left) ** 0.5
        factor = min(SCORE_SIZE / spread, LARGEST) if spread > 0 else LARGEST
        c[rows].zero_(), b[rows].zero_()
        c_bias[rows].zero_(), b_bias[rows].zero_()
        c[rows][:kept], c_bias[rows][:kept] = factor * queries[:, :-1], factor * queries[:, -1]
        b[rows][:kept], b_bias[rows][:kept] = factor * keys, -factor * keys @ own.mean
        # silu halves small inputs: products of B and C are factor^2 / 4 of the scores, and so is the constant's
        c_bias[rows][-1] = b_bias[rows][-1] = silu_inverse(factor / 2)
        values = []
        for slot, (members, block) in enumerate(_slots(adding, heads, slots_each)):
            into, outof = balanced(adding[members].sum(dim=0), (block + 1) * size)
            into, outof = into[:, block * size :], outof[block * size :]
            if rank is not None:
                into, outof = into[:, :rank], outof[:rank]
            place = (number * slots_each + slot) * size
            columns = slice(place, place + into.shape[1])
            reading = torch.linalg.solve_triangular(key_root, outof, upper=False, left=False)
            rms = float(outof.square().sum(dim=1).mean().sqrt())
            scale = VALUE_SIZE / rms if rms > 0 else 1.0
            x[place : place + size].zero_()
            x[columns], x_bias[columns] = scale * reading, INFLECTION - scale * reading @ own.mean
            out[:, columns] = into * shrunk / (slope * scale)
            values.append((into, reading))
        found.append((heads, damping, queries, keys, values))
    mixer.in_proj.weight.copy_(weight)
    mixer.in_proj.bias.copy_(bias)
    mixer.conv1d.weight.zero_()
    mixer.conv1d.weight[:, 0, -1] = 1
    if mixer.conv1d.bias is not None:
        mixer.conv1d.bias.zero_()
    mixer.D.zero_()
    mixer.norm.weight.fill_(1)
    _even_out(mixer, length)
    mixer.out_proj.weight.copy_(out)
    constant = layer.o_bias + torch.einsum("hds,hs->d", layer.o, layer.v @ seen.mean + layer.v_bias)
    mixer.out_proj.bias.copy_(basis.T @ constant - out.sum(dim=1) * offset / shrunk)
    return _fit(layer, seen, basis, found)


def group_heads(kernels: Tensor, adding: Tensor, groups: int) -> list[list[int]]:
    """Heads of each group, the most important first: the top ones apart, each other with the one most like it.

    ``kernels`` (heads, ...) are their scores, ``adding`` (heads, ...) what they add. Groups may be empty.
    """
    flat = kernels.flatten(1)
    importance = flat.norm(dim=1) * adding.flatten(1).norm(dim=1)
    order = importance.argsort(descending=True, stable=True).tolist()
    found = [[head] for head in order[:groups]] + [[] for _ in range(groups - len(order))]
    alike = functional.normalize(flat, dim=1)
    for head in order[groups:]:
        found[int((alike[order[:groups]] @ alike[head]).argmax())].append(head)
    return found


def _slots(adding: Tensor, heads: list[int], slots: int) -> list[tuple[list[int], int]]:
    """Which heads each slot gets, and which block of their singular vectors."""
    strength = adding[heads].flatten(1).norm(dim=1)
    order = [heads[place] for place in strength.argsort(descending=True, stable=True).tolist()]
    if len(order) >= slots:
        return [(order[slot::slots], 0) for slot in range(slots)]
    return [([order[slot % len(order)]], slot // len(order)) for slot in range(slots)]


def _kernels(layer: Layer, basis: Tensor) -> Tensor:
    """(heads, d + 1, d): scores of (query's token, 1) and a key's token."""
    queries = torch.cat([layer.q @ basis, layer.q_bias[..., None]], dim=2)
    return queries.mT @ layer.between @ (layer.k @ basis)


@torch.no_grad()
def _even_out(mixer: Mamba2, length: float) -> None:
    """Time steps with which a head's faded sum over past tokens is 1 on average, at the decay rates that it has."""
    rate = functional.softplus(mixer.dt_bias.double()) * mixer.A_log.double().exp()
    last = torch.arange(1, max(round(length), 1) + 1, dtype=torch.float64, device=rate.device)
    window = (-torch.expm1(-rate[:, None] * last) / -torch.expm1(-rate[:, None])).mean(dim=1)
    step = 1 / window
    mixer.dt_bias.copy_(step + torch.log(-torch.expm1(-step)))
    mixer.A_log.copy_((rate * window).log())


def _fit(layer: Layer, seen: Seen, basis: Tensor, found: list) -> Fit:
    query_root, key_root = seen.roots()
    asked = torch.cat([layer.q, layer.q_bias[..., None]], dim=2)
    wrong = whole = wrong_values = whole_values = 0.0
    for heads, damping, queries, keys, values in found:
        own_left = torch.cat([queries[:, :-1] @ basis.T, queries[:, -1:]], dim=1) @ query_root
        own_right = keys @ basis.T @ key_root / damping
        for head in heads:
            left, right = layer.between.T @ asked[head] @ query_root, layer.k[head] @ key_root
            whole += product_norm(left, right) ** 2
            wrong += product_norm(torch.cat([left, -own_left]), torch.cat([right, own_right])) ** 2
        left = torch.cat([layer.o[head].T for head in heads])
        right = torch.cat([layer.v[head] @ key_root for head in heads])
        whole_values += product_norm(left, right) ** 2
        left = torch.cat([left, *(-(basis @ into).T for into, _ in values)])
        right = torch.cat([right, *(reading @ basis.T @ key_root for _, reading in values)])
        wrong_values += product_norm(left, right) ** 2
    return Fit((wrong / max(whole, 1e-30)) ** 0.5, (wrong_values / max(whole_values, 1e-30)) ** 0.5)


@torch.no_grad()
def set_attention(mixer: Attention, layer: Layer, seen: Seen, basis: Tensor, rank: int | None = None) -> Fit:
    """Heads of the teacher as heads of attention without positions or biases, the most important ones if it has fewer.

    Heads that share keys and values share the best ones for all of them. Heads that are too many add nothing.
    """
    own = seen.along(basis)
    token_root = root(own.moment)
    shared, size = mixer.heads // mixer.kv_heads, mixer.headdim
    kernels = token_root.T @ _kernels(layer, basis)[:, :-1] @ token_root
    adding = torch.einsum("ad,hds->has", basis.T, layer.o) @ (layer.v @ basis) @ token_root
    importance = kernels.flatten(1).norm(dim=1) * adding.flatten(1).norm(dim=1)
    chosen = importance.argsort(descending=True, stable=True)[: mixer.heads].tolist()
    q, k, v = (part.weight.double().cpu() for part in (mixer.q_proj, mixer.k_proj, mixer.v_proj))
    o = torch.zeros(mixer.o_proj.weight.shape, dtype=torch.float64)
    kept = min(size, rank or size)
    full_root = root(seen.moment)
    wrong = whole = wrong_values = whole_values = 0.0
    for number in range(mixer.kv_heads):
        heads = chosen[number * shared : (number + 1) * shared]
        if not heads:
            break
        asked, keys = balanced(torch.cat([kernels[head] for head in heads]), kept)
        into, reading = balanced(torch.cat([adding[head] for head in heads]), kept)
        keys, reading = (
            torch.linalg.solve_triangular(token_root, part, upper=False, left=False) for part in (keys, reading)
        )
        place = number * size
        k[place : place + size].zero_(), v[place : place + size].zero_()
        k[place : place + kept], v[place : place + kept] = keys * size**0.25, reading
        for slot, head in enumerate(heads):
            rows = slice(slot * basis.shape[1], (slot + 1) * basis.shape[1])
            queries = torch.linalg.solve_triangular(token_root, asked[rows].T, upper=False, left=False)
            place = (number * shared + slot) * size
            q[place : place + size].zero_()
            q[place : place + kept], o[:, place : place + kept] = queries * size**0.25, into[rows]
            left, right = layer.between.T @ layer.q[head] @ full_root, layer.k[head] @ full_root
            whole += product_norm(left, right) ** 2
            left = torch.cat([left, -queries @ basis.T @ full_root])
            wrong += product_norm(left, torch.cat([right, keys @ basis.T @ full_root])) ** 2
            left, right = layer.o[head].T, layer.v[head] @ full_root
            whole_values += product_norm(left, right) ** 2
            left = torch.cat([left, -(basis @ into[rows]).T])
            wrong_values += product_norm(left, torch.cat([right, reading @ basis.T @ full_root])) ** 2
    for part, value in ((mixer.q_proj, q), (mixer.k_proj, k), (mixer.v_proj, v), (mixer.o_proj, o)):
        part.weight.copy_(value)
    return Fit((wrong / max(whole, 1e-30)) ** 0.5, (wrong_values / max(whole_values, 1e-30)) ** 0.5)


@torch.no_grad()
def set_mlp(mixer: Relu2MLP, layer: Layer, basis: Tensor, tokens: Tensor, neurons: Tensor) -> None:
    """The teacher's neurons that add most, as squared relus of one map each.

    A gated neuron is (nearly) a product of two maps; of its halves ((g + u)^2 - (g - u)^2) / 4 the larger one is kept,
    with g and u scaled alike. Each neuron is scaled to what it stands for. Where there are more than the teacher has,
    the others add nothing.

    Arguments:
        mixer: of the student.
        layer: of the teacher.
        basis: (d of the teacher, d of the student).
        tokens: float64 (n, d of the student), normalised tokens along the basis, as the MLP reads them.
        neurons: float64 (n, neurons), what the teacher's MLP makes of them before its last map.
    """
    up, down = mixer.up_proj.weight.double().cpu(), torch.zeros(mixer.down_proj.weight.shape, dtype=torch.float64)
    importance = neurons.square().mean(dim=0).sqrt() * layer.down.norm(dim=0)
    count = min(len(up), len(importance))
    chosen = importance.argsort(descending=True, stable=True)[:count]
    reading, bias = layer.up[chosen] @ basis, layer.up_bias[chosen]
    if layer.gate is not None:
        gate = layer.gate[chosen] @ basis
        gated, upped = tokens @ gate.T, tokens @ reading.T
        scale = gated.square().mean(dim=0).sqrt() / upped.square().mean(dim=0).sqrt().clamp(min=1e-12)
        sign = torch.where((gated * upped).mean(dim=0) < 0, -1.0, 1.0)
        reading = (gate + (sign * scale)[:, None] * reading) / 2
    if mixer.up_proj.bias is None:
        bias = torch.zeros_like(bias)
    size = (tokens @ reading.T + bias).square().mean(dim=0).sqrt().clamp(min=1e-12)
    reading, bias = reading / size[:, None], bias / size
    squared = (tokens @ reading.T + bias).relu().square()
    scales = (squared * neurons[:, chosen]).sum(dim=0) / squared.square().sum(dim=0).clamp(min=1e-12)
    up[:count] = reading
    down[:, :count] = basis.T @ layer.down[:, chosen] * scales
    mixer.up_proj.weight.copy_(up)
    mixer.down_proj.weight.copy_(down)
    if mixer.up_proj.bias is not None:
        mixer.up_proj.bias[:count] = bias.to(mixer.up_proj.bias)
        mixer.down_proj.bias.zero_()
