"""Pensieve's network on the observation of ``netenvs/ABR-v0``, and the policy that plays one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from agents.abr.fallback import NONE, Fallback, TrainingRange
from agents.policy import BatchPolicy
from agents.pretrained import load, one_thread
from netenvs.abr.rows import BITRATE, BUFFER, CHUNKS_LEFT, DOWNLOAD_TIME, NEXT_SIZES, THROUGHPUT

HISTORY = 8  # past chunks (Pensieve sim/a3c.py, S_LEN)
MEGABYTE_PER_S = 8.0  # Mbit/s
WIDTH = 64


class PensieveFeatures(nn.Module):
    """The observation, float32 (k, 6, history), as one vector (k, 6 x width): a branch for each row.

    Pensieve (Mao et al., SIGCOMM 2017, figure 5): dense branches on the last bitrate, the buffer and the chunks left,
    branches on past throughputs, past download times and next sizes, ReLU. Its "convolutions" see one padded step
    only, so they are dense layers, and dense layers they are here. Unlike there, throughputs (as Mbit/s) and times
    go through log(1 + x), so that fast links and long stalls stay in range, and branches have 64 units, not 128.
    """

    def __init__(self, history: int, levels: int, width: int = WIDTH):
        super().__init__()
        self.levels = levels
        self.size = 6 * width
        self.bitrate, self.buffer, self.left = (nn.Linear(1, width) for _ in range(3))
        self.throughput, self.time = (nn.Linear(history, width) for _ in range(2))
        self.sizes = nn.Linear(levels, width)

    def forward(self, observation: Tensor) -> Tensor:
        branches = [
            self.bitrate(observation[:, BITRATE, -1:]),
            self.buffer(observation[:, BUFFER, -1:]),
            self.throughput((MEGABYTE_PER_S * observation[:, THROUGHPUT]).log1p()),
            self.time(observation[:, DOWNLOAD_TIME].log1p()),
            self.sizes(observation[:, NEXT_SIZES, : self.levels]),
            self.left(observation[:, CHUNKS_LEFT, -1:]),
        ]
        return torch.cat(branches, dim=1).relu()


class PensieveNet(nn.Module, PyTorchModelHubMixin):
    """The actor: features, one hidden layer, logits.

    Arguments:
        levels: of the bitrate ladder.
        jump: whether it has three actions, one level down, none, one up; else one for each level.
        history: columns of the observation.
        width, hidden: units of a branch and of the hidden layer.
    """

    def __init__(self, levels: int, jump: bool = False, history: int = HISTORY, width: int = WIDTH, hidden: int = 128):
        super().__init__()
        self.levels, self.jump, self.history = levels, jump, history
        self.actions = 3 if jump else levels
        self.features = PensieveFeatures(history, levels, width)
        self.hidden = nn.Linear(self.features.size, hidden)
        self.head = nn.Linear(hidden, self.actions)

    def forward(self, observation: Tensor) -> Tensor:
        """Logits (k, actions) of observations (k, 6, history)."""
        return self.head(self.hidden(self.features(observation)).relu())


class TrainedActor(BatchPolicy):
    """Plays a ``PensieveNet``: the best level, or a drawn one.

    ``folder`` is one that a training wrote, default the shipped one; ``mode`` is ``greedy`` or ``sampled`` (from the
    softmax, with a generator for each row that ``reset_rows`` seeds). It calculates in double precision, so that a
    decision does not depend on the batch. Outside the worlds that the shipped weights were trained for, and with
    weights of one's own for another number of levels, the rule ``fallback`` plays, and a warning says so; with
    ``none`` the network plays wherever it has an action for each level. ``ValueError``, one line, for a folder that
    cannot be used, and then for a video with another number of levels.
    """

    registered: str
    """Name in the registry, and in the ``config.json`` of its folders."""
    shipped: Path
    trained: TrainingRange
    """What the shipped weights were trained for."""

    def __init__(self, folder: str = "", mode: str = "greedy", fallback: str = "dynamic"):
        if mode not in ("greedy", "sampled"):
            raise ValueError(f"mode must be greedy or sampled, not {mode!r}")
        self.mode = mode
        place = Path(folder) if folder else self.shipped
        net, self.bytes = load(PensieveNet, place, self.registered)
        shipped = place.resolve() == self.shipped.resolve()
        self._use(net, self.trained if shipped else TrainingRange(net.levels), fallback)

    @classmethod
    def from_pretrained(cls, folder: str | Path, mode: str = "greedy", fallback: str = "dynamic") -> Self:
        """The policy with the weights of a folder."""
        return cls(str(folder), mode, fallback)

    @classmethod
    def of(cls, net: PensieveNet) -> Self:
        """The greedy policy of a network, which it copies; it has no fallback."""
        policy = cls.__new__(cls)
        policy.mode = "greedy"
        copy = PensieveNet(net.levels, net.jump, net.history, net.features.size // 6, net.hidden.out_features)
        copy.load_state_dict(net.state_dict())
        policy._use(copy, TrainingRange(net.levels), NONE)
        return policy

    def _use(self, net: PensieveNet, trained: TrainingRange, fallback: str) -> None:
        self.net = net.double().eval()
        self._fallback = Fallback(self.registered, trained, fallback)
        self.optional_observation = self._fallback.plays
        self.observation_options = {"history": net.history}
        self.parameters = sum(value.numel() for value in net.state_dict().values())
        self._streams: dict[int, np.random.Generator] = {}

    def reset_rows(self, rows: np.ndarray, seeds: Any) -> None:
        self._fallback.reset_rows(rows, seeds)
        if self.mode == "sampled":
            self._streams.update((int(row), np.random.default_rng(seed)) for row, seed in zip(rows, seeds, strict=True))

    def probabilities(self, observations: np.ndarray) -> np.ndarray:
        """Probability of each action, float64 (k, actions)."""
        with torch.inference_mode(), one_thread():
            return self.net(torch.from_numpy(np.asarray(observations, dtype=np.float64))).softmax(dim=1).numpy()

    def act_batch(self, observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
        return self._fallback.act_batch(self._decide, observations, infos)

    def _decide(self, observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
        video = infos["video"]
        probabilities = self.probabilities(observations)
        if self.mode == "greedy":
            action = probabilities.argmax(axis=1)
        else:
            drawn = np.array([self._streams[int(row)].random() for row in infos["row"]])
            reached = np.cumsum(probabilities, axis=1) > drawn[:, None]
            action = np.where(reached.any(axis=1), reached.argmax(axis=1), self.net.actions - 1)
        if not self.net.jump:
            return action
        level = np.searchsorted(video.bitrates_kbps, infos["bitrate_kbps"])
        return np.clip(level + action - 1, 0, video.num_levels - 1)
