"""Policies that play the folder of a trained sequence model, whatever its task and its backbone.

``netllm`` are language models adapted to networking: Wu et al., *NetLLM: Adapting Large Language Models for
Networking*, SIGCOMM 2024: encoders turn what is observed into tokens, a decoder reads them, heads turn its states into
decisions. The decoder may be any of ``agents.netllm.backbone``; the weights that are shipped have one of 6.4 million
parameters, trained from scratch.

``mamba4net`` are students with a hybrid of Mamba-2 and attention layers: Mamba4Net (arXiv 2510.17147): what a large
sequence policy knows, in one small enough to be deployed. What its Mamba layers remember does not grow with the
episode; keys and values of its attention layers do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

from agents.pretrained import CHECKPOINTS
from agents.sequence.checkpoint import load_policy_model
from agents.sequence.policy import SequencePolicy


class Shipped(SequencePolicy):
    """Plays the sequence model of a folder; a task registers a subclass that says which.

    ``ValueError``, one line, for a folder that cannot be used, or one of another task.

    Arguments:
        folder: made by ``python -m distill teach`` or ``python -m distill distill``; default the shipped one.
        mode: see ``SequencePolicy``.
        backbone: folder or hub name of the pretrained backbone, if it is not where it was when the model was taught.
        device: as torch calls it, such as ``cuda``.
    """

    task: ClassVar[str]
    """Name of the task."""
    registered: ClassVar[str]
    """Name in the registry, and in the ``config.json`` of its folders."""

    def __init__(self, folder: str = "", mode: str = "greedy", backbone: str = "", device: str = "cpu"):
        path = Path(folder) if folder else CHECKPOINTS / f"{self.task}-{self.registered}"
        model, settings, self.bytes = load_policy_model(path, self.registered, backbone or None, device)
        net = model.task
        if net.task != self.task:
            raise ValueError(f"{path} holds weights for {net.task}, not for {self.task}")
        model.backbone.settle()
        super().__init__(model, mode, settings.get("target"), tuple(settings.get("scale", (0.0, 1.0))))
        self.assumption, self.observation_options = net.assumption, net.observation_options
        self.settings = settings
        """What was saved with the weights."""

    @classmethod
    def from_pretrained(cls, folder: str | Path, **options: Any) -> Self:
        """The policy with the weights of a folder."""
        return cls(str(folder), **options)


def shipped_class(task: str, registered: str) -> type[Shipped]:
    """For folders of a task that registers no class of its own."""
    return type("Shipped", (Shipped,), {"task": task, "registered": registered, "__module__": __name__})
