"""A hybrid as a NemotronH model of transformers, and back: the same weights under the same names, the same states.

``save_nemotron_h`` writes a folder that plain transformers opens::

    from transformers import AutoModel
    states = AutoModel.from_pretrained(folder)(inputs_embeds=embeddings).last_hidden_state

Its word embeddings are zeros: policies feed embeddings of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import NemotronHConfig, NemotronHModel

from agents.hub import one_line, quiet
from agents.mamba4net.hybrid import HybridBackbone
from agents.mamba4net.layers import ATTENTION, MAMBA, MLP, HybridConfig
from agents.sizes import check_folder
from netenvs.errors import printable
from netenvs.files import is_file

KINDS = {MAMBA: "linear_attention", ATTENTION: "full_attention", MLP: "mlp"}
"""Blocks as transformers names them."""
EMBEDDINGS = "embeddings.weight"
"""Word embeddings of a NemotronH model, which a hybrid has not."""
WORDS = 8
"""Size of the vocabulary that takes their place."""
NO_DT_MIN = 1e-30
"""Stands for no least time step: it is no 0 because transformers takes its logarithm."""
CHUNK = 64
"""Tokens that transformers works on at once; any number gives the same states, large ones are slow on a CPU."""
FIXED: dict[str, Any] = {
    "mamba_hidden_act": "silu",
    "mlp_hidden_act": "relu2",
    "hidden_dropout": 0,
    "attention_dropout": 0,
}
"""Entries of a NemotronH configuration for which there is no choice here."""


def nemotron_h_config(config: HybridConfig) -> NemotronHConfig:
    """The configuration of the same layers in transformers."""
    return NemotronHConfig(
        vocab_size=WORDS,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
        hidden_size=config.d_model,
        layers_block_type=[KINDS[kind] for kind in config.pattern],
        ssm_state_size=config.d_state,
        mamba_head_dim=config.headdim,
        mamba_num_heads=config.nheads,
        n_groups=config.ngroups,
        conv_kernel=config.d_conv,
        num_attention_heads=config.attention_heads,
        num_key_value_heads=config.kv_heads,
        head_dim=config.attention_headdim,
        intermediate_size=config.d_ff,
        use_bias=config.bias,
        use_conv_bias=config.conv_bias,
        mlp_bias=config.mlp_bias,
        layer_norm_epsilon=config.eps,
        time_step_min=max(config.dt_min, NO_DT_MIN),
        chunk_size=CHUNK,
        use_cache=ATTENTION in config.pattern,  # without attention, transformers 5.23 cannot tell a cache's length
        **FIXED,
    )


def hybrid_config(config: NemotronHConfig) -> HybridConfig:
    """The sizes of a hybrid with the layers of a NemotronH; ``ValueError``, one line, if there is none."""
    for entry, value in FIXED.items():
        if getattr(config, entry) != value:
            raise ValueError(f"a hybrid has {entry} {value!r}, not {getattr(config, entry)!r}")
    letters = {kind: letter for letter, kind in KINDS.items()}
    kinds = list(config.layers_block_type or [])
    if other := [kind for kind in kinds if kind not in letters]:
        raise ValueError(f"a hybrid has no layers of type {other[0]!r}")
    return HybridConfig(
        d_model=config.hidden_size,
        pattern="".join(letters[kind] for kind in kinds),
        d_state=config.ssm_state_size,
        headdim=config.mamba_head_dim,
        nheads=config.mamba_num_heads,
        ngroups=config.n_groups,
        d_conv=config.conv_kernel,
        attention_heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        attention_headdim=config.head_dim,
        d_ff=config.intermediate_size,
        bias=config.use_bias,
        conv_bias=config.use_conv_bias,
        mlp_bias=config.mlp_bias,
        eps=config.layer_norm_epsilon,
        dt_min=0.0 if config.time_step_min <= NO_DT_MIN else config.time_step_min,
    )


def to_nemotron_h(backbone: HybridBackbone) -> NemotronHModel:
    """A NemotronH with copies of the weights, in evaluation mode on the CPU; states are equal to 1e-5."""
    model: Any = NemotronHModel(nemotron_h_config(backbone.shape))
    model.to(backbone.dtype)
    words = torch.zeros(WORDS, backbone.d_model)
    model.load_state_dict({**backbone.state_dict(), EMBEDDINGS: words})
    return model.eval()


def save_nemotron_h(backbone: HybridBackbone, folder: str | Path) -> None:
    """Write ``config.json`` and ``model.safetensors`` as transformers reads them."""
    with quiet():
        to_nemotron_h(backbone).save_pretrained(folder)


def from_nemotron_h(folder: str | Path) -> HybridBackbone:
    """The hybrid of a folder that holds a NemotronH model, with or without its language head, in evaluation mode.

    Weights are read from safetensors only, in float32. ``ValueError``, one line, for a folder that cannot be used.
    """
    folder = Path(folder)
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    remedy = "give a folder with config.json and model.safetensors of a NemotronH, whole"
    if not is_file(folder / "config.json"):
        raise ValueError(f"{printable(folder)}: no config.json; {remedy}")
    check_folder(folder)
    try:
        config = NemotronHConfig.from_pretrained(str(folder), **local)
    except Exception as error:
        raise ValueError(f"{printable(folder)}: {one_line(error)}; {remedy}") from error
    if config.model_type != NemotronHConfig.model_type:
        raise ValueError(f"{printable(folder)}: a model of type {config.model_type!r}; {remedy}")
    try:
        shape = hybrid_config(config)
    except ValueError as error:
        raise ValueError(f"{printable(folder)}: {error}") from error
    read: Any = NemotronHModel.from_pretrained
    try:
        with quiet():
            model, info = read(
                str(folder), config=config, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **local
            )
    except Exception as error:
        raise ValueError(f"{printable(folder)}: {one_line(error)}; {remedy}") from error
    weights = {name: value for name, value in model.state_dict().items() if name != EMBEDDINGS}
    if missing := sorted(weights.keys() & info["missing_keys"]):
        raise ValueError(f"{printable(folder)}: {len(missing)} weights are missing, {missing[0]} first; {remedy}")
    if not all(bool(value.isfinite().all()) for value in weights.values()):
        raise ValueError(f"{printable(folder)}: not all weights are finite; train or fetch them anew")
    backbone = HybridBackbone(shape)
    backbone.load_state_dict(weights)
    return backbone.eval()
