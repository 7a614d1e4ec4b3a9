"""Tiny hybrids, on one thread."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from agents.mamba4net.hybrid import HybridBackbone
from agents.mamba4net.layers import HybridConfig
from agents.pretrained import one_thread

TINY: dict[str, Any] = {
    "d_model": 24,
    "pattern": "MM*-M*-",
    "d_state": 8,
    "headdim": 12,
    "nheads": 4,
    "attention_heads": 4,
    "kv_heads": 4,
    "attention_headdim": 6,
    "d_ff": 40,
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture
def make_hybrid() -> Callable[..., HybridBackbone]:
    """A hybrid of changed sizes, in evaluation mode, with random numbers in place of zeros and ones."""

    def make(seed: int = 0, **changes: Any) -> HybridBackbone:
        torch.manual_seed(seed)
        backbone = HybridBackbone(HybridConfig(**{**TINY, **changes}))
        with torch.no_grad():
            for name, weight in backbone.named_parameters():
                if weight.ndim == 1:
                    weight += 0.3 * torch.randn_like(weight)
                elif "conv" in name or "mixer.q_proj" in name or "mixer.k_proj" in name:
                    weight.normal_()  # so that attention is far from uniform
        return backbone.eval()

    return make
