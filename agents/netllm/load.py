"""Where backbones come from: a pretrained language model with a LoRA adapter, or random weights of its kind."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
import transformers
from huggingface_hub import snapshot_download
from huggingface_hub.constants import HF_HUB_OFFLINE
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedModel

from agents.hub import one_line, quiet
from agents.netllm.backbone import HFBackbone, attention_of, family_of, network_config
from agents.sizes import check_folder
from netenvs.errors import printable
from netenvs.files import is_file, is_folder

DTYPES = ("auto", "float32", "bfloat16", "float16")
"""Of frozen weights; ``auto``: as they are stored."""
SMALL_LLAMA: dict[str, Any] = {
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "max_position_embeddings": 4096,
}
"""The backbone that needs no download: 6.43 million weights, trained from scratch."""


class ScratchBackbone(HFBackbone):
    """A network of random weights, all of them trained, all of them saved.

    ``shape`` are the arguments of its transformers configuration, ``model_type`` among them.
    """

    def __init__(self, shape: Mapping[str, Any]):
        shape = {"model_type": "llama", **shape}
        arguments = {"vocab_size": 8, "bos_token_id": None, "eos_token_id": None, "pad_token_id": None, **shape}
        try:
            config = AutoConfig.for_model(**arguments)
            family_of(config)
            network = AutoModel.from_config(config, dtype=torch.float32, attn_implementation=attention_of(config))
        except Exception as error:
            raise ValueError(f"no backbone can be made of {shape}: {one_line(error)}") from error
        super().__init__(network)
        self.shape = shape

    def config(self) -> dict[str, Any]:
        """What makes it again, as JSON."""
        return {"kind": "scratch", "shape": self.shape}


def small_llama() -> ScratchBackbone:
    """The embedded default, ``SMALL_LLAMA``."""
    return ScratchBackbone(SMALL_LLAMA)


class AdaptedBackbone(HFBackbone):
    """A pretrained model whose frozen weights are looked up where it came from; its own are those of a LoRA adapter.

    Made by ``load_backbone``. Adapter weights are float32 whatever the dtype of the frozen ones.

    Arguments:
        network: see ``HFBackbone``.
        source: where it came from: ``name``, ``revision`` and ``fingerprint``.
        lora: ``rank``, ``alpha``, ``targets`` and ``dropout`` of the adapter; None: there is none.
    """

    def __init__(self, network: PreTrainedModel, source: Mapping[str, Any], lora: Mapping[str, Any] | None):
        super().__init__(network)
        network.requires_grad_(False)
        self._config = {
            "kind": "pretrained",
            **source,
            "dtype": str(network.dtype).removeprefix("torch."),
            "model": network_config(network.config),
            "lora": None if lora is None else dict(lora),
        }
        self._merged = False
        if lora is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers under a name that will change
                self.network = _with_adapter(network, lora)

    def config(self) -> dict[str, Any]:
        """What makes it again, as JSON; ``ValueError`` once it is merged."""
        if self._merged:
            raise ValueError("a backbone whose adapter was merged into the frozen weights cannot be saved; save before")
        return self._config

    def shared(self) -> frozenset[str]:
        """Names in its ``state_dict`` that are not its own: the frozen weights."""
        return frozenset(name for name in self.state_dict() if "lora_" not in name)

    def settle(self) -> None:
        """Merge the adapter into frozen weights in float32; in half precision it would change decisions."""
        if self.dtype == torch.float32:
            self.merge()

    def merge(self) -> None:
        """Add the adapter to the frozen weights for good: a decision takes less time, and states are the same.

        In bfloat16 the sums are rounded, and so states are the same to its precision only.
        """
        network: Any = self.network
        if self._config["lora"] is not None and not self._merged:
            self.network = network.merge_and_unload()
        self._merged = True


def load_backbone(
    name: str,
    dtype: str = "auto",
    lora_rank: int = 128,
    lora_alpha: float = 32,
    lora_targets: Sequence[str] | None = None,
    lora_dropout: float = 0.05,
    device: str = "cpu",
    revision: str | None = None,
) -> AdaptedBackbone:
    """A pretrained model with a new LoRA adapter; the defaults are NetLLM's for bitrates and schedules.

    Nothing is downloaded. Weights are read from safetensors only, and no code comes with them. ``ValueError``, one
    line, for a model that is not there, not whole or no decoder, and for an adapter that does not fit.

    Arguments:
        name: a folder with ``config.json`` and ``model.safetensors`` (or its parts with their index), or a name on
            the Hugging Face hub, ``owner/model``, that is in the local cache.
        dtype: of the frozen weights, one of ``DTYPES``.
        lora_rank: of the adapter; 0: none, the model stays as it is.
        lora_alpha: the adapter's part is scaled by lora_alpha / lora_rank.
        lora_targets: names of modules to adapt; None: the family's, see ``FAMILIES``.
        lora_dropout: of the adapter's inputs, while training.
        device: as torch calls it.
        revision: branch, tag or commit on the hub; None: the one that was fetched last.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
    if lora_rank < 0 or lora_alpha <= 0 or not 0 <= lora_dropout < 1:
        raise ValueError("lora_rank must be 0 or more, lora_alpha above 0, and lora_dropout at least 0 and below 1")
    folder, commit = _find(name, revision)
    network = _read(name, folder, dtype)
    targets = list(lora_targets if lora_targets is not None else family_of(network.config).lora)
    settings = {"rank": lora_rank, "alpha": lora_alpha, "targets": targets, "dropout": lora_dropout}
    source = {"name": name, "revision": commit, "fingerprint": fingerprint(network)}
    try:
        backbone = AdaptedBackbone(network, source, settings if lora_rank else None)
    except ValueError as error:
        raise ValueError(f"backbone {name!r}: {error}") from error
    return _to(backbone, device)


def restore_backbone(config: Mapping[str, Any], name: str | None = None, device: str = "cpu") -> HFBackbone:
    """The backbone that has this ``config()``, with its own weights still random.

    A pretrained one is looked up again where it was, or at ``name``; ``ValueError``, one line, if it is not there or
    not the model that it was.
    """
    if config["kind"] == "scratch":
        if name is not None:
            raise ValueError(f"backbone {name!r}: these weights need no pretrained backbone, they come with their own")
        return _to(ScratchBackbone(config["shape"]), device)
    lora = config["lora"] or {"rank": 0, "alpha": 1, "targets": None, "dropout": 0}
    adapter = {f"lora_{setting}": value for setting, value in lora.items()}
    place = name or config["name"]
    revision = config["revision"] if place == config["name"] else None
    backbone = load_backbone(place, config["dtype"], **adapter, device=device, revision=revision)
    found = backbone.config()
    for entry in sorted(config["model"].keys() & found["model"].keys()):
        if found["model"][entry] != config["model"][entry]:
            raise ValueError(
                f"backbone {place!r}: not the model that was adapted ({config['name']}): its {entry} is "
                f"{found['model'][entry]}, not {config['model'][entry]}"
            )
    if found["fingerprint"] != config["fingerprint"]:
        raise ValueError(f"backbone {place!r}: not the model that was adapted ({config['name']}): it has other weights")
    return backbone


@torch.no_grad()
def fingerprint(network: nn.Module) -> str:
    """Digest of a few numbers of each weight: tells models of one shape apart, whatever dtype they are loaded in."""
    digest = hashlib.sha256()
    for name, weight in sorted(network.named_parameters()):
        digest.update(name.encode())
        few = weight[tuple(slice(8) for _ in weight.shape)]
        digest.update(few.to("cpu", torch.bfloat16).contiguous().view(torch.int16).numpy().tobytes())
    return digest.hexdigest()[:16]


def _find(name: str, revision: str | None) -> tuple[Path, str | None]:
    """Folder of a model on this machine and, of one of the hub, its commit."""
    if name and is_folder(folder := Path(os.path.expanduser(name))):
        return folder, None
    if name.count("/") > 1 or name[:1] in ("", "/", ".", "~") or "\\" in name:
        raise ValueError(f"backbone {name!r}: no such folder; give one, or a name on the Hugging Face hub, owner/model")
    files = ["*.json", "*.safetensors"]
    try:
        found = Path(snapshot_download(name, revision=revision, local_files_only=True, allow_patterns=files))
    except (OSError, ValueError) as error:
        fetch = f"hf download {printable(name)}" + (f" --revision {revision}" if revision else "")
        offline = " (HF_HUB_OFFLINE is set: unset it for that)" if HF_HUB_OFFLINE else ""
        raise ValueError(
            f"backbone {name!r}: not on this machine, and nothing is downloaded unasked; fetch it with "
            f"`{fetch}`{offline}, or elsewhere with `{fetch} --local-dir DIR` and give DIR instead of the name"
        ) from error
    return found, found.name


def _read(name: str, folder: Path, dtype: str) -> PreTrainedModel:
    remedy = "it must be a folder with config.json and model.safetensors of one model, whole"
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    if is_file(folder / "adapter_config.json"):
        raise ValueError(f"backbone {name!r}: an adapter, not a model; merge it into its model and give that")
    check_folder(folder)
    try:
        with quiet():
            config = AutoConfig.from_pretrained(str(folder), **local).get_text_config(decoder=True)
    except Exception as error:
        raise ValueError(f"backbone {name!r}: {one_line(error)}; {remedy}") from error
    try:
        family_of(config)
    except ValueError as error:
        raise ValueError(f"backbone {name!r}: {error}") from error
    try:
        with quiet():
            network, info = AutoModel.from_pretrained(
                str(folder),
                dtype=dtype if dtype == "auto" else getattr(torch, dtype),
                attn_implementation=attention_of(config),
                use_safetensors=True,
                output_loading_info=True,
                **local,
            )
    except Exception as error:
        raise ValueError(f"backbone {name!r}: {one_line(error)}; {remedy}") from error
    network = getattr(network, "language_model", network)  # of a model that sees pictures too
    if missing := sorted(info["missing_keys"]):
        raise ValueError(f"backbone {name!r}: its files lack {len(missing)} weights, {missing[0]} first; {remedy}")
    if not all(bool(value.isfinite().all()) for value in network.parameters()):
        raise ValueError(f"backbone {name!r}: not all of its weights are finite; fetch it anew, or load it in float32")
    return network


Placed = TypeVar("Placed", bound=nn.Module)


def _to(backbone: Placed, device: str) -> Placed:
    try:
        return backbone.to(device)
    except (RuntimeError, AssertionError) as error:  # assertion: torch without CUDA
        raise ValueError(f"device {device!r}: {one_line(error)}") from error


def _with_adapter(network: PreTrainedModel, lora: Mapping[str, Any]) -> nn.Module:
    linear = {name.rpartition(".")[2] for name, module in network.named_modules() if _is_linear(module)}
    if unknown := [target for target in lora["targets"] if target not in linear]:
        known = ", ".join(sorted(linear))
        raise ValueError(f"it has no module {unknown[0]!r} that LoRA could adapt; it has {known}")
    settings = LoraConfig(
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        target_modules=lora["targets"],
        lora_dropout=lora["dropout"],
        fan_in_fan_out=network.config.model_type == "gpt2",  # its Conv1D keeps weights transposed
        task_type="FEATURE_EXTRACTION",
    )
    return get_peft_model(network, settings)


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | transformers.pytorch_utils.Conv1D)
