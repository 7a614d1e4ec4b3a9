"""The Mamba-2 mixer: parameters named and laid out as in ``mamba_ssm.Mamba2``."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from agents.mamba4net.kernels import Kernels, kernels_for
from agents.mamba4net.ssd import CHUNK, ssd, ssd_step


class MixerState(NamedTuple):
    """What a mixer remembers of the tokens of each row; updated in place."""

    conv: Tensor
    """(rows, d_conv - 1, channels): inputs of the convolution, the latest last, zeros before the first token."""
    ssm: Tensor
    """float32 (rows, heads, headdim, d_state)."""


class Padding(NamedTuple):
    """Which of n new tokens count, in each row the first ones."""

    counts: Tensor
    """bool (rows, n, 1)."""
    tail: Tensor
    """int64 (rows, d_conv - 1, 1): places of the last tokens that count, among the d_conv - 1 before and these n."""

    @classmethod
    def of(cls, lengths: Tensor, n: int, d_conv: int) -> Padding:
        """For the numbers of tokens that count, int64 (rows,), from 0 to n."""
        places = torch.arange(n, device=lengths.device)
        tail = lengths[:, None] + torch.arange(d_conv - 1, device=lengths.device)
        return cls((places < lengths[:, None])[..., None], tail[..., None])


class GatedRMSNorm(nn.Module):
    """RMS norm of ``x * silu(gate)``, apart for each of ``groups`` equal parts of the channels."""

    def __init__(self, channels: int, groups: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.groups, self.eps = groups, eps

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        """(..., channels), in the dtype of ``gate``."""
        gated = (x.float() * functional.silu(gate.float())).unflatten(-1, (self.groups, -1))
        normed = functional.rms_norm(gated, gated.shape[-1:], None, self.eps).flatten(-2)
        return self.weight * normed.to(gate.dtype)


class Mamba2(nn.Module):
    """A Mamba-2 mixer, (rows, length, d_model) to the same.

    ``in_proj`` makes [z, x, B, C, dt] of each token; x, B and C pass a causal convolution over the last ``d_conv``
    tokens and silu; the scan turns x into y (see ``agents.mamba4net.ssd``), D adds x to it; z gates it, and
    ``out_proj`` leads back. Initial values are those of mamba-ssm 2.3.2, ``modules/mamba2.py``.

    Arguments:
        d_model: size of tokens.
        d_state: numbers that the state keeps of each channel.
        headdim: channels of a head.
        nheads: heads; mamba-ssm's ``expand`` is nheads * headdim / d_model.
        ngroups: of heads, each with B and C of its own.
        d_conv: tokens that the convolution sees.
        bias: of the projections.
        conv_bias: of the convolution.
        eps: of the norm.
        dt_min: least dt; transformers' NemotronH has one, mamba-ssm by default none.
    """

    use_kernels: bool = True
    """Whether CUDA tensors go through the kernels of mamba-ssm, where it is installed."""

    def __init__(
        self,
        d_model: int,
        d_state: int = 64,
        headdim: int = 64,
        nheads: int = 16,
        ngroups: int = 1,
        d_conv: int = 4,
        bias: bool = True,
        conv_bias: bool = True,
        eps: float = 1e-5,
        dt_min: float = 0.0,
    ):
        super().__init__()
        self.d_state, self.headdim, self.nheads, self.ngroups = d_state, headdim, nheads, ngroups
        self.d_conv, self.dt_min = d_conv, dt_min
        self.d_inner = nheads * headdim
        self.channels = self.d_inner + 2 * ngroups * d_state
        self.in_proj = nn.Linear(d_model, self.d_inner + self.channels + nheads, bias=bias)
        self.conv1d = nn.Conv1d(
            self.channels, self.channels, d_conv, groups=self.channels, padding=d_conv - 1, bias=conv_bias
        )
        self.dt_bias = nn.Parameter(_inverse_softplus(_log_uniform(nheads, 1e-3, 0.1).clamp(min=1e-4)))
        self.A_log = nn.Parameter(torch.empty(nheads).uniform_(1, 16).log())
        self.D = nn.Parameter(torch.ones(nheads))
        self.norm = GatedRMSNorm(self.d_inner, ngroups, eps)
        self.out_proj = nn.Linear(self.d_inner, d_model, bias=bias)
        if bias:
            nn.init.zeros_(self.in_proj.bias)
            nn.init.zeros_(self.out_proj.bias)

    def forward(self, tokens: Tensor, state: MixerState | None = None, padding: Padding | None = None) -> Tensor:
        """Outputs of sequences (``state`` is None), or of tokens that follow those in ``state``.

        ``padding`` says which tokens count for the state; None: all do.
        """
        zxbcdt = self.in_proj(tokens)
        kernels = kernels_for(tokens) if self.use_kernels else None
        if kernels is not None and kernels.mixer is not None and state is None and self.aligned:
            return self._fused(zxbcdt, kernels)
        z, xbc, dt = zxbcdt.split([self.d_inner, self.channels, self.nheads], dim=-1)
        dt = functional.softplus(dt.float() + self.dt_bias)
        if self.dt_min:
            dt = dt.clamp(min=self.dt_min)
        if padding is not None:
            dt = dt * padding.counts
        xbc = functional.silu(self._convolve(xbc, state, padding))
        x, b, c = xbc.split([self.d_inner, self.ngroups * self.d_state, self.ngroups * self.d_state], dim=-1)
        x = x.unflatten(-1, (self.nheads, self.headdim))
        b = b.unflatten(-1, (self.ngroups, self.d_state))
        c = c.unflatten(-1, (self.ngroups, self.d_state))
        y = self._scan(x, dt, b, c, state, kernels) + x * self.D[:, None]
        return self.out_proj(self.norm(y.flatten(2), z))

    def _scan(
        self, x: Tensor, dt: Tensor, b: Tensor, c: Tensor, state: MixerState | None, kernels: Kernels | None
    ) -> Tensor:
        a = -self.A_log.float().exp()
        if state is None:
            return (ssd if kernels is None else kernels.ssd)(x, dt, a, b, c)[0]
        if x.shape[1] == 1:
            one = (x[:, 0], dt[:, 0], a, b[:, 0], c[:, 0], state.ssm)
            return (ssd_step if kernels is None else kernels.ssd_step)(*one)[:, None]
        y, after = (ssd if kernels is None else kernels.ssd)(x, dt, a, b, c, state.ssm, final=True)
        assert after is not None
        state.ssm.copy_(after)
        return y

    def _convolve(self, xbc: Tensor, state: MixerState | None, padding: Padding | None) -> Tensor:
        """Causal convolution of each channel, (rows, n, channels): sums of shifted tokens, quicker than a conv1d."""
        n = xbc.shape[1]
        if state is None:
            inputs = functional.pad(xbc, (0, 0, self.d_conv - 1, 0))
        else:
            inputs = torch.cat([state.conv, xbc.to(state.conv.dtype)], dim=1)
            if padding is None:
                state.conv.copy_(inputs[:, n:])
            else:
                state.conv.copy_(inputs.gather(1, padding.tail.expand(-1, -1, self.channels)))
        taps = self.conv1d.weight[:, 0].T  # (d_conv, channels), the last for the token itself
        if n == 1:
            out = (inputs * taps).sum(dim=1, keepdim=True)
        else:
            out = inputs[:, :n] * taps[0]
            for shift in range(1, self.d_conv):
                out = out + inputs[:, shift : shift + n] * taps[shift]
        return out if self.conv1d.bias is None else out + self.conv1d.bias

    @property
    def aligned(self) -> bool:
        """Whether causal-conv1d takes the channels as they lie in in_proj's output: its sizes are multiples of 8."""
        return all(size % 8 == 0 for size in (self.in_proj.out_features, self.d_inner, self.channels))

    def _fused(self, zxbcdt: Tensor, kernels: Kernels) -> Tensor:
        assert kernels.mixer is not None
        return kernels.mixer(
            zxbcdt,
            self.conv1d.weight[:, 0],
            self.conv1d.bias,
            self.dt_bias,
            -self.A_log.float().exp(),
            D=self.D,
            chunk_size=CHUNK,
            dt_limit=(self.dt_min, math.inf),
            activation="silu",
            rmsnorm_weight=self.norm.weight,
            rmsnorm_eps=self.norm.eps,
            outproj_weight=self.out_proj.weight,
            outproj_bias=self.out_proj.bias,
            headdim=self.headdim,
            ngroups=self.ngroups,
            norm_before_gate=False,
        )


def _log_uniform(count: int, low: float, high: float) -> Tensor:
    return torch.exp(torch.rand(count) * (math.log(high) - math.log(low)) + math.log(low))


def _inverse_softplus(value: Tensor) -> Tensor:
    return value + torch.log(-torch.expm1(-value))
