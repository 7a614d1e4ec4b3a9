"""Tiny random language models on disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

TINY: dict[str, dict[str, Any]] = {
    "llama": {"num_key_value_heads": 2},
    "mistral": {"num_key_value_heads": 2, "sliding_window": 5},
    "qwen2": {"num_key_value_heads": 1, "use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 16},
    "smollm3": {"num_key_value_heads": 2},
    "phi3": {"num_key_value_heads": 2},
    "olmo2": {"num_key_value_heads": 2},
    "gemma2": {"num_key_value_heads": 2, "head_dim": 16, "sliding_window": 5, "attn_logit_softcapping": 2.0},
    "gemma3_text": {"num_key_value_heads": 2, "head_dim": 16, "sliding_window": 5, "sliding_window_pattern": 2},
    "gpt_neox": {},
    "gpt2": {},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
}
"""By family: what differs from one shape of 3 layers, width 32 and 4 heads."""
TOKENS = 64
"""That they are made for."""


def tiny_config(family: str, **changes: Any) -> Any:
    """Configuration of a tiny model."""
    shape = {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": TOKENS,
        **({} if family == "gpt2" else {"intermediate_size": 48}),
        **{"vocab_size": 20, "pad_token_id": None, "bos_token_id": None, "eos_token_id": None},
    }
    return AutoConfig.for_model(family, **{**shape, **TINY[family], **changes})


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[..., Path]:
    """Save a tiny causal language model, with its word embeddings and head as on the hub; returns its folder."""

    def make(family: str, dtype: torch.dtype = torch.float32, seed: int = 0, **changes: Any) -> Path:
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(tiny_config(family, **changes), dtype=torch.float32)
        with torch.no_grad():
            for weight in model.parameters():  # larger than usual, so that attention is not all but uniform
                if weight.ndim > 1:
                    weight.normal_(std=0.3)
        folder = tmp_path / f"{family}-{seed}-{len(list(tmp_path.iterdir()))}"
        model.to(dtype).save_pretrained(folder)
        return folder

    return make
