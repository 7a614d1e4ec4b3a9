"""State-space duality: the scan of Mamba-2 in plain PyTorch.

Dao and Gu, *Transformers are SSMs*, ICML 2024. Each head keeps a state H, (headdim, d_state), and for each token

    H <- exp(dt a) H + dt x B^T,    y = H C,

with dt, x, B and C of the token and a < 0 of the head. Written out over a stretch of tokens, y is masked attention
with C as queries, B as keys and x as values (the quadratic form); over stretches, it is a recurrence of their last
states. Heads share B and C in groups of equal size.

Sizes: ``heads`` of ``headdim``, ``groups`` that divide heads, ``d_state``.
"""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK = 256
"""Tokens whose quadratic form is computed at once."""
SHORT = 16
"""A stretch of at most so many tokens that stands alone takes the quickest way."""


def ssd(
    x: Tensor,
    dt: Tensor,
    a: Tensor,
    b: Tensor,
    c: Tensor,
    state: Tensor | None = None,
    final: bool = False,
    chunk: int = CHUNK,
) -> tuple[Tensor, Tensor | None]:
    """Outputs of a stretch of tokens, float32 (rows, length, heads, headdim), and the state behind it.

    A token with dt = 0 leaves the state as it is: that is what padding is given.

    Arguments:
        x: (rows, length, heads, headdim), length at least 1.
        dt: (rows, length, heads), 0 or more.
        a: (heads,), below 0.
        b: (rows, length, groups, d_state).
        c: as b.
        state: float32 (rows, heads, headdim, d_state) before the first token; None: zeros.
        final: whether the state behind the last token is wanted; else it is None.
        chunk: tokens of a quadratic form; more of them are worked through one such stretch after the other.
    """
    outputs = []
    length = x.shape[1]
    if length <= SHORT and state is None and not final:
        return _alone(x, dt.float(), a, b, c), None
    for begin in range(0, length, chunk):
        part = slice(begin, begin + chunk)
        wanted = final or begin + chunk < length
        y, state = _quadratic(x[:, part], dt[:, part].float(), a, b[:, part], c[:, part], state, wanted)
        outputs.append(y)
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1), state


def _alone(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Outputs of a short stretch with nothing before it."""
    length, groups = x.shape[1], b.shape[2]
    earlier = torch.ones(length, length, device=x.device).tril(-1)
    decay = ((dt * a).transpose(1, 2)[..., None] * earlier).cumsum(dim=-2).exp().tril()  # (rows, heads, length, length)
    scores = (c.float().transpose(1, 2) @ b.float().transpose(1, 2).mT)[:, :, None] * decay.unflatten(1, (groups, -1))
    return (scores.flatten(1, 2) @ (x.float() * dt[..., None]).transpose(1, 2)).transpose(1, 2)


def _quadratic(
    x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor | None, final: bool
) -> tuple[Tensor, Tensor | None]:
    rows, length, heads, headdim = x.shape
    groups, d_state = b.shape[2:]
    shared = heads // groups  # heads of a group
    values = (x.float() * dt[..., None]).transpose(1, 2)  # (rows, heads, length, headdim)
    b, c = b.float().transpose(1, 2), c.float().transpose(1, 2)  # (rows, groups, length, d_state)

    # (rows, heads, length): log of what each token leaves of a state before the first one. Differences are needed to
    # single precision where the sums are large (heads that are reset now and then): so these are a number and the rest
    precise = (dt.double() * a.double()).cumsum(dim=1).transpose(1, 2)
    faded = precise.float().contiguous()
    lacking = (precise - faded).float().detach()
    between = (faded[..., :, None] - faded[..., None, :]).add_(lacking[..., :, None]).sub_(lacking[..., None, :])
    later = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
    decay = between.masked_fill_(later, -torch.inf).exp_().view(rows, groups, shared, length, length)
    scores = (c @ b.mT)[:, :, None] * decay
    y = scores.flatten(1, 2) @ values

    if state is not None:
        grouped = state.reshape(rows, groups, shared * headdim, d_state)
        seen = (c @ grouped.mT).view(rows, groups, length, shared, headdim).transpose(2, 3)
        y = y + seen.reshape(rows, heads, length, headdim) * faded.exp()[..., None]
    if not final:
        return y.transpose(1, 2), None

    left = (faded[..., -1:] - faded + (lacking[..., -1:] - lacking)).exp()[..., None]  # of each token, in the end
    kept = (values * left).view(rows, groups, shared, length, headdim).transpose(3, 4)
    added = kept.reshape(rows, groups, shared * headdim, length) @ b
    after = added.view(rows, heads, headdim, d_state).float()
    if state is not None:
        after = after + state * faded[..., -1].exp()[..., None, None]
    return y.transpose(1, 2), after


def ssd_step(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor) -> Tensor:
    """Output of one token, float32 (rows, heads, headdim); ``state`` is updated in place.

    Arguments:
        x: (rows, heads, headdim).
        dt: (rows, heads).
        a: (heads,).
        b: (rows, groups, d_state).
        c: as b.
        state: float32 (rows, heads, headdim, d_state), contiguous.
    """
    rows, groups, d_state = b.shape
    dt = dt.float()
    state.mul_((dt * a).exp_()[..., None, None])
    grouped = state.view(rows, groups, -1, d_state)  # (rows, groups, shared heads x headdim, d_state)
    grouped.addcmul_((x * dt[..., None]).reshape(rows, groups, -1, 1), b.float()[:, :, None])
    return (grouped @ c.float()[..., None]).view(x.shape)
