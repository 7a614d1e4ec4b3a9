"""An actor for every link, ladder and objective: encoder and scorer of ``agents.abr.level_net``, and what plays it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from agents.abr.level_net import LevelEncoder, LevelScorer
from agents.abr.relative import PAST, relative_steps
from agents.abr.served import SaysItsRange
from agents.policy import BatchPolicy
from agents.pretrained import load, one_thread

INPUTS = ("session", "levels", "exists", "last")


class LevelActor(nn.Module, PyTorchModelHubMixin):
    """Logits of levels from what ``agents.abr.relative`` tells.

    Arguments:
        size: of the vector of a session.
        width: units of the hidden layers.
    """

    def __init__(self, size: int = 64, width: int = 128):
        super().__init__()
        self.size, self.width = size, width
        self.encoder, self.scorer = LevelEncoder(size, width), LevelScorer(size, width)

    def forward(self, session: Tensor, levels: Tensor, exists: Tensor, last: Tensor) -> Tensor:
        """(S, levels) of (S, SESSION), (S, levels, LEVEL), bool (S, levels) and int64 (S,)."""
        return self.scorer(self.encoder(session, levels, exists, last), levels, exists)


class LevelPolicy(SaysItsRange, BatchPolicy):
    """Plays a ``LevelActor``: the best level, or a drawn one.

    ``folder`` is one that a training wrote, default the shipped one; ``mode`` is ``greedy`` or ``sampled`` (from the
    softmax, with a generator for each row that ``reset_rows`` seeds). It calculates in double precision, so that a
    decision does not depend on the batch. ``ValueError``, one line, for a folder that cannot be used. Beyond what it
    was trained for (``agents.abr.served.beyond``) it says so once.
    """

    registered: ClassVar[str]
    """Name in the registry, and in the ``config.json`` of its folders."""
    shipped: Path

    def __init__(self, folder: str = "", mode: str = "greedy"):
        if mode not in ("greedy", "sampled"):
            raise ValueError(f"mode must be greedy or sampled, not {mode!r}")
        self.mode = mode
        net, self.bytes = load(LevelActor, Path(folder) if folder else self.shipped, self.registered)
        self._use(net)

    @classmethod
    def from_pretrained(cls, folder: str | Path, mode: str = "greedy") -> Self:
        """The policy with the weights of a folder."""
        return cls(str(folder), mode)

    @classmethod
    def of(cls, net: LevelActor) -> Self:
        """The greedy policy of a network, which it copies."""
        policy = cls.__new__(cls)
        policy.mode = "greedy"
        copy = LevelActor(net.size, net.width)
        copy.load_state_dict(net.state_dict())
        policy._use(copy)
        return policy

    def _use(self, net: LevelActor) -> None:
        self.net = net.double().eval()
        self.observation_options = {"history": PAST}
        self.parameters = sum(value.numel() for value in net.state_dict().values())
        self._streams: dict[int, np.random.Generator] = {}

    def reset_rows(self, rows: np.ndarray, seeds: Any) -> None:
        if self.mode == "sampled":
            self._streams.update((int(row), np.random.default_rng(seed)) for row, seed in zip(rows, seeds, strict=True))

    def probabilities(self, observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
        """Probability of each level, float64 (k, levels)."""
        steps = relative_steps(observations, infos, infos["video"].num_levels)
        inputs = [torch.from_numpy(steps[name]) for name in INPUTS]
        with torch.inference_mode(), one_thread():
            session, levels, exists, last = inputs
            found: np.ndarray = self.net(session.double(), levels.double(), exists, last).softmax(dim=1).numpy()
        return found

    def act_batch(self, observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
        self.look(infos)
        probabilities = self.probabilities(observations, infos)
        if self.mode == "greedy":
            return probabilities.argmax(axis=1)
        drawn = np.array([self._streams[int(row)].random() for row in infos["row"]])
        reached = np.cumsum(probabilities, axis=1) > drawn[:, None]
        return np.where(reached.any(axis=1), reached.argmax(axis=1), infos["video"].num_levels - 1)
