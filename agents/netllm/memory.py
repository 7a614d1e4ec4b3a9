"""Memory that adapting a large language model takes, by arithmetic: no weight is ever allocated.

::

    python -m agents.netllm.memory --shape llama-2-7b

The network is built on torch's ``meta`` device, where tensors have shapes and dtypes only. Weights are counted on it,
and what autograd keeps for the backward pass on a forward pass through it. That pass computes attention with matrices
of all pairs of tokens, which fused kernels on a GPU do not keep: the figure is an upper bound.

``python -m agents.netllm.gpu_check`` measures the same on a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from agents.netllm.backbone import family_of
from agents.netllm.load import SMALL_LLAMA, AdaptedBackbone
from agents.sequence.nets.abr import ABRNet
from netenvs.command_line import run

SHAPES: dict[str, dict[str, Any]] = {
    # huggingface.co/meta-llama/Llama-2-7b-hf, config.json
    "llama-2-7b": {
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
    },
    "small": SMALL_LLAMA,
    "tiny": {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4},
}
"""Arguments of ``LlamaConfig``."""
STEPS = 47  # decisions of a bitrate episode
TOKENS = 8  # of a decision in NetLLM's layout: action, return to go, six of the state
GB = 1e9
CONTEXT_GB = 1.0  # assumed: CUDA context, cuBLAS workspace, what the allocator cannot use
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def random_backbone(
    shape: Mapping[str, Any], dtype: torch.dtype = torch.bfloat16, rank: int = 128, device: str = "meta"
) -> AdaptedBackbone:
    """A Llama of random weights, made on ``device``, frozen, with a LoRA adapter as NetLLM has it."""
    ends = {"vocab_size": 8, "bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    config = AutoConfig.for_model("llama", **ends, **shape)
    with torch.device(device):
        network = AutoModel.from_config(config, dtype=dtype, attn_implementation="sdpa")
        source = {"name": None, "revision": None, "fingerprint": None}
        lora = {"rank": rank, "alpha": 32, "targets": list(family_of(config).lora), "dropout": 0.05}
        return AdaptedBackbone(network, source, lora)


def numbers(module: nn.Module, learned: bool) -> int:
    """How many of a module's weights are trained, or are not."""
    return sum(weight.numel() for weight in module.parameters() if weight.requires_grad == learned)


def size(module: nn.Module, learned: bool) -> int:
    """Bytes of the weights that are trained, or are not."""
    return sum(weight.nbytes for weight in module.parameters() if weight.requires_grad == learned)


def kept_for_backward(backbone: AdaptedBackbone, rows: int, tokens: int) -> int:
    """Bytes that a forward pass over (rows, tokens) keeps until the backward pass, weights not counted."""
    weights = {weight.untyped_storage()._cdata for weight in backbone.parameters()}
    kept: dict[int, Any] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            kept[storage._cdata] = storage  # held, so that no other storage gets its number
        return tensor

    device = next(backbone.parameters()).device
    embeddings = torch.zeros(rows, tokens, backbone.d_model, dtype=backbone.dtype, device=device, requires_grad=True)
    places = torch.arange(tokens, device=device).expand(rows, tokens)
    mask = backbone.mask(places, tokens)  # transformers would look into its positions, where there are no numbers
    backbone.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        backbone.network(inputs_embeds=embeddings, attention_mask=mask, position_ids=places, use_cache=False)
    return sum(storage.nbytes() for storage in kept.values())


@dataclass(frozen=True)
class Needs:
    """Bytes that a policy takes, by what for."""

    frozen: int
    learned: int
    """Adapter, encoders and heads."""
    gradients: int
    optimiser: int
    """AdamW's two moments."""
    activations: int
    """All that is kept for the backward pass."""
    recomputed: int
    """The same if layers keep their inputs only and one at a time is computed anew, with as much for its gradients."""
    cache: int
    """Keys and values of one episode."""

    @property
    def adapting(self) -> int:
        """With layers computed twice."""
        return self.frozen + self.learned + self.gradients + self.optimiser + self.recomputed

    @property
    def adapting_at_once(self) -> int:
        """With all activations kept."""
        return self.frozen + self.learned + self.gradients + self.optimiser + self.activations

    @property
    def acting(self) -> int:
        """In one episode at a time."""
        return self.frozen + self.learned + self.cache


def needs(backbone: AdaptedBackbone, net: nn.Module, rows: int, tokens: int) -> Needs:
    """What it takes to adapt to ``rows`` episodes of ``tokens`` tokens at once, and to act in one."""
    learned = size(backbone, True) + size(net, True)
    activations = kept_for_backward(backbone, rows, tokens)
    config = backbone.decoder.config
    layers = config.num_hidden_layers
    element = backbone.dtype.itemsize
    inputs = layers * rows * tokens * backbone.d_model * element
    heads = config.num_key_value_heads * config.head_dim
    return Needs(
        frozen=size(backbone, False),
        learned=learned,
        gradients=learned,
        optimiser=2 * learned,
        activations=activations,
        recomputed=inputs + 2 * activations // layers,
        cache=2 * layers * tokens * heads * element,
    )


@dataclass
class Args:
    """This computes the memory that adapting a Llama with LoRA takes, without allocating it."""

    shape: str = "llama-2-7b"
    """The network has this shape: llama-2-7b, small or tiny."""
    dtype: str = "bfloat16"
    """The frozen weights have this type: bfloat16, float16 or float32."""
    rank: int = 128
    """The adapter has this rank."""
    episodes: int = 1
    """So many bitrate episodes, of 47 decisions of 8 tokens, are learned from at once."""
    limit_gb: float = 40.0
    """So many GB (10^9 bytes) must be enough for adapting with activations computed twice, and for acting."""


def check(shape: str, dtype: str, rank: int, episodes: int) -> None:
    """``ValueError``, one line, for settings that make no network."""
    if shape not in SHAPES:
        raise ValueError(f"shape must be one of {', '.join(SHAPES)}, not {shape!r}")
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
    if min(rank, episodes) < 1:
        raise ValueError(f"rank and episodes must be at least 1, not {rank} and {episodes}")


def main(args: Args) -> bool:
    """Print the table; whether all stays within the limit."""
    check(args.shape, args.dtype, args.rank, args.episodes)
    backbone = random_backbone(SHAPES[args.shape], DTYPES[args.dtype], args.rank)
    with torch.device("meta"):
        net = ABRNet(backbone.d_model, "netllm", returns=True)
    found = needs(backbone, net, args.episodes, STEPS * TOKENS)
    tokens = f"{args.episodes} x {STEPS * TOKENS} tokens"
    rows = [
        ("frozen weights", numbers(backbone, False), args.dtype, found.frozen),
        (f"LoRA adapter, rank {args.rank}", numbers(backbone, True), "float32", size(backbone, True)),
        ("encoders and head (bitrates)", numbers(net, True), "float32", size(net, True)),
        ("gradients of what is trained", None, "float32", found.gradients),
        ("AdamW's moments", None, "float32", found.optimiser),
        (f"activations, all kept, {tokens}", None, "", found.activations),
        (f"activations, layers twice, {tokens}", None, "", found.recomputed),
        ("keys and values of one episode", None, args.dtype, found.cache),
        (f"adapting, all kept (+ {CONTEXT_GB:g} GB CUDA)", None, "", found.adapting_at_once + CONTEXT_GB * GB),
        (f"adapting, layers twice (+ {CONTEXT_GB:g} GB CUDA)", None, "", found.adapting + CONTEXT_GB * GB),
        (f"acting (+ {CONTEXT_GB:g} GB CUDA)", None, "", found.acting + CONTEXT_GB * GB),
    ]
    print(f"{args.shape}: {'':24}{'numbers':>16}  {'dtype':10}{'GB':>8}")
    for name, count, dtype, amount in rows:
        print(f"{name:44}{'' if count is None else f'{count:,}':>16}  {dtype:10}{amount / GB:8.3f}")
    most = max(found.adapting, found.acting) / GB + CONTEXT_GB
    fits = most <= args.limit_gb
    print(f"{most:.1f} GB {'is within' if fits else 'IS MORE THAN'} {args.limit_gb:g} GB")
    return fits


def command() -> None:
    """Run the command line as a program."""
    run(lambda args: 0 if main(args) else 1, Args, "python -m agents.netllm.memory")


if __name__ == "__main__":
    command()
