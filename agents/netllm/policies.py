"""The policies ``netllm``: language models adapted to networking.

Wu et al., *NetLLM: Adapting Large Language Models for Networking*, SIGCOMM 2024: encoders turn what is observed into
tokens, a decoder reads them, heads turn its states into decisions. The decoder may be any of
``agents.netllm.backbone``; the weights that are shipped have one of 6.4 million parameters, trained from scratch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import torch

from agents.netllm.load import AdaptedBackbone
from agents.pretrained import CHECKPOINTS
from agents.sequence.checkpoint import load_policy_model
from agents.sequence.policy import SequencePolicy
from agents.sequence.vp import VPNet
from agents.vp.predictor import PREVIOUS_VIEWERS


class NetLLM(SequencePolicy):
    """Plays the sequence model of a folder.

    ``ValueError``, one line, for a folder that cannot be used, or one of another task.

    Arguments:
        folder: made by ``python -m distill teach``; default the shipped one.
        mode: see ``SequencePolicy``.
        backbone: folder or hub name of the pretrained backbone, if it is not where it was when the model was taught.
        device: as torch calls it, such as ``cuda``.
    """

    registered = "netllm"
    """Name in the registry, and in the ``config.json`` of its folders."""
    task: str

    def __init__(self, folder: str = "", mode: str = "greedy", backbone: str = "", device: str = "cpu"):
        path = Path(folder) if folder else CHECKPOINTS / f"{self.task}-{self.registered}"
        model, settings, self.bytes = load_policy_model(path, self.registered, backbone or None, device)
        if model.task.task != self.task:
            raise ValueError(f"{path} holds weights for {model.task.task}, not for {self.task}")
        if isinstance(model.backbone, AdaptedBackbone) and model.backbone.dtype == torch.float32:
            model.backbone.merge()  # for speed; in half precision it would change decisions
        super().__init__(model, mode, settings.get("target"), tuple(settings.get("scale", (0.0, 1.0))))
        self.settings = settings
        """What was saved with the weights."""

    @classmethod
    def from_pretrained(cls, folder: str | Path, **options: Any) -> Self:
        """The policy with the weights of a folder."""
        return cls(str(folder), **options)


class NetLLMABR(NetLLM):
    """Bitrates by a sequence model of whole sessions."""

    task = "abr"


class NetLLMCJS(NetLLM):
    """Schedules by a sequence model of the last decisions."""

    task = "cjs"


class NetLLMVP(NetLLM):
    """Viewports by a sequence model that sees the last 2 s and, if there are any, previous viewers of the same video.

    Arguments:
        folder, mode, backbone, device: see ``NetLLM``.
        viewers: False: predict without previous viewers, even where there are some.
    """

    task = "vp"

    def __init__(
        self, folder: str = "", mode: str = "greedy", backbone: str = "", device: str = "cpu", viewers: bool = True
    ):
        super().__init__(folder, mode, backbone, device)
        net = self.model.task
        assert isinstance(net, VPNet)
        net.look_at_viewers = net.look_at_viewers and viewers
        if net.look_at_viewers or net.saliency:
            self.assumption = PREVIOUS_VIEWERS
        if net.saliency:
            self.observation_options = {"saliency": True}
