"""The kernels of mamba-ssm for CUDA tensors, where that package is installed; nothing of it is imported before.

mamba-ssm brings the scan as Triton kernels (package ``mamba_ssm``, extra ``gpu``). Its first import fails in version
2.3.2 when the package was built without its CUDA extension, which Mamba-2 does not use: a placeholder stands in for
that extension while it is imported; later versions do without. With causal-conv1d there is one more kernel, which does
a whole mixer at once.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import types
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from agents.mamba4net.ssd import CHUNK

EXTENSION = "selective_scan_cuda"
"""The CUDA extension of Mamba-1."""


class Kernels(NamedTuple):
    """Functions of mamba-ssm."""

    scan: Callable[..., tuple[Tensor, Tensor]]
    """``mamba_chunk_scan_combined``."""
    update: Callable[..., Tensor]
    """``selective_state_update``."""
    mixer: Callable[..., Tensor] | None
    """``mamba_split_conv1d_scan_combined``; None without causal-conv1d, which it calls."""

    def ssd(
        self, x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor | None = None, final: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """See ``agents.mamba4net.ssd.ssd``; outputs have the dtype of x."""
        y, after = self.scan(x, dt, a, b, c, CHUNK, initial_states=state, return_final_states=True)
        return y, after if final else None

    def ssd_step(self, x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor) -> Tensor:
        """See ``agents.mamba4net.ssd.ssd_step``; the output has the dtype of x."""
        _, heads, headdim, d_state = state.shape
        # expanded, so that the kernel knows that the channels of a head share them; it does not do without the zeros
        per_channel, decay = dt[..., None].expand(x.shape), a[:, None, None].expand(heads, headdim, d_state)
        zeros = dt.new_zeros(1, 1).expand(heads, headdim)
        return self.update(state, x, per_channel, decay, b, c, D=zeros, dt_bias=zeros)


def kernels_for(tensor: Tensor) -> Kernels | None:
    """Kernels for computing with ``tensor``; None: plain PyTorch must do."""
    return installed() if tensor.is_cuda else None


@functools.cache
def installed() -> Kernels | None:
    """The kernels of mamba-ssm, imported; None where it is not installed, or does not fit this machine."""
    if importlib.util.find_spec("mamba_ssm") is None:
        return None
    placeholder = importlib.util.find_spec(EXTENSION) is None
    if placeholder:
        sys.modules[EXTENSION] = types.ModuleType(EXTENSION)
    try:
        combined = importlib.import_module("mamba_ssm.ops.triton.ssd_combined")
        update = importlib.import_module("mamba_ssm.ops.triton.selective_state_update")
    except (ImportError, RuntimeError):  # RuntimeError: Triton finds no driver
        return None
    finally:
        if placeholder:
            del sys.modules[EXTENSION]
    mixer = combined.mamba_split_conv1d_scan_combined if _has_convolution() else None
    return Kernels(combined.mamba_chunk_scan_combined, update.selective_state_update, mixer)


def _has_convolution() -> bool:
    try:
        importlib.import_module("causal_conv1d")  # fails if it was built without its CUDA extension
    except (ImportError, RuntimeError):
        return False
    return torch.cuda.is_available()
