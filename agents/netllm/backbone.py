"""A transformers decoder as the backbone of a sequence policy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from agents.hub import cache_argument
from agents.sequence.backbone import Backbone


@dataclass(frozen=True)
class Family:
    """What sets the models of a ``model_type`` apart."""

    lora: tuple[str, ...]
    """Modules that LoRA adapts unless told otherwise: the queries and values, or the one that makes both."""
    mask_by_layer: bool = False
    """Whether the model takes a mask for each type of layer."""
    learned_positions: bool = False
    """Whether it has a table of position embeddings, which ends somewhere."""
    fused: bool = True
    """Whether attention may be computed by fused kernels, which know no cap on its logits."""


FAMILIES = {
    "llama": Family(("q_proj", "v_proj")),  # SmolLM and TinyLlama are of this type
    "mistral": Family(("q_proj", "v_proj")),
    "qwen2": Family(("q_proj", "v_proj"), mask_by_layer=True),
    "qwen3": Family(("q_proj", "v_proj"), mask_by_layer=True),
    "smollm3": Family(("q_proj", "v_proj"), mask_by_layer=True),
    "phi3": Family(("qkv_proj",)),
    "olmo2": Family(("q_proj", "v_proj")),
    "gemma2": Family(("q_proj", "v_proj"), mask_by_layer=True, fused=False),
    "gemma3_text": Family(("q_proj", "v_proj"), mask_by_layer=True),  # and the text model of "gemma3"
    "gpt_neox": Family(("query_key_value",)),  # Pythia
    "gpt2": Family(("c_attn",), learned_positions=True),
    "opt": Family(("q_proj", "v_proj"), learned_positions=True),
}
"""Families by ``model_type`` of their ``config.json``."""


def family_of(config: PretrainedConfig) -> Family:
    """The family of a decoder; ``ValueError``, one line, for one that is none of ``FAMILIES``, or looks ahead."""
    if config.model_type not in FAMILIES:
        raise ValueError(f"models of type {config.model_type!r} are no backbones; {', '.join(FAMILIES)} are")
    if getattr(config, "use_bidirectional_attention", None):
        raise ValueError(f"this {config.model_type} attends to later tokens; backbones attend to earlier ones only")
    return FAMILIES[config.model_type]


def attention_of(config: PretrainedConfig) -> str:
    """How attention is computed, as transformers calls it."""
    capped = getattr(config, "attn_logit_softcapping", None) is not None
    return "sdpa" if family_of(config).fused and not capped else "eager"


NOT_THE_NETWORK = (
    *("architectures", "_name_or_path", "transformers_version", "dtype", "torch_dtype", "use_cache", "id2label"),
    *("label2id", "problem_type", "return_dict", "output_hidden_states", "output_attentions", "tie_word_embeddings"),
    *("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id", "task_specific_params", "pretraining_tp"),
    *("is_encoder_decoder", "chunk_size_feed_forward", "_attn_implementation", "auto_map"),
)
"""Entries of a ``config.json`` that do not change what the layers compute."""


def network_config(config: PretrainedConfig) -> dict[str, Any]:
    """What determines the layers of a model, as JSON, of its ``config.json``."""
    entries = {key: value for key, value in config.to_dict().items() if key not in NOT_THE_NETWORK}
    return json.loads(json.dumps(entries, sort_keys=True, default=str))


class KeyValueCache:
    """Keys and values of each row's tokens, in every layer: token i of a row is in slot i of that row.

    Rows have their own number of tokens; what lies in slots behind them is never attended to, and written over when
    the row goes on. ``transformers`` sees an object with ``update``.
    """

    is_compileable = False
    """What some models ask for."""

    def __init__(self, rows: int, device: torch.device):
        self.positions = torch.zeros(rows, dtype=torch.int64, device=device)
        """int64 (rows,): tokens of each row."""
        self._keys: list[Tensor] = []  # by layer: (rows, capacity, heads, head size)
        self._values: list[Tensor] = []
        self._places = self.positions[:, None]  # int64 (rows, n): slots of the tokens that are being added
        self.slots = 0
        """Slots in use once those are added."""

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """What some models ask for, though they are told positions and mask."""
        return self.slots - self._places.shape[1]

    def select(self, rows: Tensor) -> None:
        """Keep these rows, int64 (k,), in this order; -1 stands for a new, empty one."""
        rows = rows.to(self.positions.device)
        source = rows.clamp(min=0)
        if len(self.positions) == 0:  # nothing to take the new rows' shape from
            self._keys, self._values, self.positions = [], [], torch.zeros_like(rows)
            return
        self.positions = torch.where(rows < 0, 0, self.positions[source])
        used = int(self.positions.max()) if len(rows) else 0
        self._keys = [keys[:, :used][source] for keys in self._keys]
        self._values = [values[:, :used][source] for values in self._values]

    def open(self, n: int) -> Tensor:
        """Slots of n new tokens a row, int64 (rows, n), to which ``update`` writes."""
        self._places = self.positions[:, None] + torch.arange(n, device=self.positions.device)
        self.slots = int(self._places.max()) + 1
        return self._places

    def update(self, keys: Tensor, values: Tensor, layer_idx: int, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Add the new tokens of a layer, (rows, heads, n, head size); return those of all slots in use."""
        if layer_idx == len(self._keys):
            for store, new in ((self._keys, keys), (self._values, values)):
                store.append(new.new_zeros(len(new), 0, new.shape[1], new.shape[3]))
        return self._write(self._keys, layer_idx, keys), self._write(self._values, layer_idx, values)

    def _write(self, store: list[Tensor], layer: int, new: Tensor) -> Tensor:
        stored = store[layer]
        if (missing := self.slots - stored.shape[1]) > 0:
            missing = max(missing, stored.shape[1])  # at least twice as many: seldom copied
            stored = torch.cat([stored, stored.new_zeros(len(stored), missing, *stored.shape[2:])], dim=1)
            store[layer] = stored
        stored[torch.arange(len(stored), device=stored.device)[:, None], self._places] = new.transpose(1, 2)
        return stored[:, : self.slots].transpose(1, 2)


class HFBackbone(Backbone):
    """A decoder of transformers, such as a Llama, fed with embeddings; its own word embeddings are taken out.

    Embeddings are cast to the dtype of its weights, hidden states back to float32.

    Arguments:
        network: from ``AutoModel``, of a type in ``FAMILIES``, with ``attention_of`` its configuration.
    """

    def __init__(self, network: PreTrainedModel):
        super().__init__()
        config = network.config
        self.family = family_of(config)
        words: Any = network.get_input_embeddings()
        self.d_model: int = words.embedding_dim  # an OPT may have narrower ends than layers
        scales_inputs = config.model_type == "gemma2" and not hasattr(words, "embed_scale")  # some versions within 5
        self._input_scale = config.hidden_size**-0.5 if scales_inputs else 1.0
        self._eager = attention_of(config) == "eager"
        self.max_tokens = _max_tokens(config, self.family)
        self._model_type = config.model_type
        self._window: int | None = getattr(config, "sliding_window", None)
        self._cache_argument = cache_argument(network)
        network.set_input_embeddings(nn.Identity())  # of words, which there are none of
        self.network: nn.Module = network

    def structure(self) -> dict[str, Any]:
        """See ``Backbone``; an adapter is no part of it."""
        return network_config(self.decoder.config)

    @property
    def dtype(self) -> torch.dtype:
        """Of the network's weights."""
        return next(value.dtype for name, value in self.network.named_parameters() if "lora_" not in name)

    @property
    def decoder(self) -> Any:
        """The network itself, a ``PreTrainedModel``, without what may be around it for an adapter."""
        network: Any = self.network
        return network.get_base_model() if hasattr(network, "get_base_model") else network

    def checkpoint_activations(self) -> None:
        """In training, compute the activations within layers twice instead of keeping them in memory."""
        decoder = self.decoder  # the method has two names within transformers 5
        getattr(decoder, "activation_checkpointing_enable", decoder.gradient_checkpointing_enable)()

    def forward(self, embeddings: Tensor, lengths: Tensor | None = None) -> Tensor:
        self._check_tokens(embeddings.shape[1])
        out = self.network(inputs_embeds=self._inputs(embeddings), use_cache=False)
        return out.last_hidden_state.float()

    def init_cache(self, rows: int) -> KeyValueCache:
        return KeyValueCache(rows, next(self.network.parameters()).device)

    @torch.no_grad()
    def step(self, embeddings: Tensor, cache: KeyValueCache, lengths: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """See ``Backbone``; builds no graph, and is for evaluation mode."""
        n = embeddings.shape[1]
        added = torch.full_like(cache.positions, n) if lengths is None else lengths.to(cache.positions)
        if self.max_tokens is not None:
            self._check_tokens(int((cache.positions + added).max()))
        places = cache.open(n)
        out = self.network(
            inputs_embeds=self._inputs(embeddings),
            attention_mask=self.mask(places, cache.slots),
            position_ids=places if self.max_tokens is None else places.clamp(max=self.max_tokens - 1),
            use_cache=True,
            **{self._cache_argument: cache},
        )
        cache.positions = cache.positions + added
        return out.last_hidden_state.float()

    def _inputs(self, embeddings: Tensor) -> Tensor:
        """As the layers take them."""
        return embeddings.to(self.dtype) * self._input_scale

    def mask(self, places: Tensor, slots: int) -> Tensor | dict[str, Tensor]:
        """What the tokens at ``places`` attend to, (rows, 1, n, slots), or such masks by type of layer.

        bool; where attention is not fused, numbers that are added to its logits.
        """
        distance = places[:, None, :, None] - torch.arange(slots, device=places.device)
        causal = distance >= 0
        near = causal if self._window is None else causal & (distance < self._window)
        if self._eager:
            causal, near = (
                torch.where(seen, 0.0, torch.finfo(self.dtype).min).to(self.dtype) for seen in (causal, near)
            )
        return {"full_attention": causal, "sliding_attention": near} if self.family.mask_by_layer else near

    def _check_tokens(self, tokens: int) -> None:
        if self.max_tokens is not None and tokens > self.max_tokens:
            raise ValueError(
                f"a sequence of {tokens} tokens is too long for a {self._model_type} model with {self.max_tokens} "
                "positions; see fewer steps at once (context), use fewer tokens a step, or take another backbone"
            )


def _max_tokens(config: PretrainedConfig, family: Family) -> int | None:
    """Where a table of positions ends, or rotary frequencies begin to depend on the length of the sequence."""
    if family.learned_positions:
        return config.max_position_embeddings
    rotary = getattr(config, "rope_parameters", None) or {}
    for frequencies in (rotary, *rotary.values()):  # some have theirs by type of layer
        kind = frequencies.get("rope_type") if isinstance(frequencies, dict) else None
        if kind == "dynamic":
            return config.max_position_embeddings
        if kind == "longrope":
            return frequencies["original_max_position_embeddings"]
    return None
