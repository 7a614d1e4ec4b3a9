"""Equations 11 to 14 and Algorithm 1 of the Mamba4Net paper (arXiv 2510.17147), as they stand."""

from __future__ import annotations

import torch
from torch import Tensor

from agents.mamba4net.mixer import Mamba2
from distill.reuse.decoder import Decoder, weight_and_bias


def reduced(weight: Tensor, rows: int, columns: int, rank: int | None = None) -> Tensor:
    """(rows, columns): the first rows of the matrix of the given rank that is nearest to ``weight``.

    W = U S V^T is cut to ``rank`` singular values; the first ``rows`` rows of U, times S V^T, are the student's. That
    leaves the inputs as they were; so that they fit, the first ``columns`` of them are kept by the same rule. Where
    ``weight`` has fewer rows or columns than asked for, the result has, too.
    """
    u, values, v = torch.linalg.svd(weight, full_matrices=False)
    return (u[:rows, :rank] * values[:rank]) @ v[:rank, :columns]


@torch.no_grad()
def set_mixer(mixer: Mamba2, decoder: Decoder, number: int, rank: int | None = None) -> None:
    """x from V, B from K, C from Q and out_proj from O of a layer; all else as it was.

    Norms are not folded into the matrices. Keys and values of fewer heads than queries are repeated. The teacher's
    heads come one after the other, and so do the student's: what there is room for is kept, and rows and columns for
    which the teacher has nothing keep their values.
    """
    block = decoder.model.layers[number] if hasattr(decoder.model, "layers") else decoder.model.h[number]
    if hasattr(block, "self_attn"):
        own = block.self_attn
        q, k, v, o = (weight_and_bias(part)[0] for part in (own.q_proj, own.k_proj, own.v_proj, own.o_proj))
        shared = len(q) // len(k)
        k, v = (part.unflatten(0, (-1, own.head_dim)).repeat_interleave(shared, dim=0).flatten(0, 1) for part in (k, v))
    else:
        q, k, v = weight_and_bias(block.attn.c_attn)[0].chunk(3)
        o = weight_and_bias(block.attn.c_proj)[0]
    inner, scores, d = mixer.d_inner, mixer.ngroups * mixer.d_state, mixer.in_proj.in_features
    begin = inner  # behind z
    for weight, rows in ((v, inner), (k, scores), (q, scores)):
        part = reduced(weight, rows, d, rank)
        mixer.in_proj.weight[begin : begin + len(part), : part.shape[1]] = part.to(mixer.in_proj.weight)
        begin += rows
    part = reduced(o, d, inner, rank)
    mixer.out_proj.weight[: len(part), : part.shape[1]] = part.to(mixer.out_proj.weight)
