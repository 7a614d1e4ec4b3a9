"""Encoders and head of ``netenvs/ABR-v0``.

All that is encoded has units (Mbit/s, Mbit, s), so that another video, with another ladder, looks like nothing new.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from agents.sequence.net import MASKED, Steps, TaskNet, Tokens
from netenvs.abr.qoe import QoE
from netenvs.abr.rows import BITRATE, DOWNLOAD_TIME, THROUGHPUT
from netenvs.abr.workload import Video

HISTORY = 6  # past chunks of a step (NetLLM and the observation's default)
AHEAD = 5  # next chunks whose sizes a step tells
LEVELS = 10
MEGABYTE = 8.0  # Mbit
LEAST = 1e-3  # of what a logarithm is taken of: kbit/s, ms
LIMIT = 5.0  # of an input's size
MODALITIES = 6  # tokens of the state in NetLLM's layout


class Inputs(NamedTuple):
    """What the network gets of S steps."""

    session: np.ndarray
    """float32 (S, SESSION): of the player and the link."""
    levels: np.ndarray
    """float32 (S, levels, LEVEL): of each level for the next chunks."""
    exists: np.ndarray
    """bool (S, levels)."""
    last: np.ndarray
    """int64 (S,): level of the last chunk."""


class Modalities(NamedTuple):
    """What the network of NetLLM's layout gets of S steps, float32, on the scales of the environment's observation."""

    action: np.ndarray
    """(S, 1): the level before and 1, as a share of the levels; 0: none before."""
    bitrate: np.ndarray
    """(S, 1): of the last chunk, as a share of the highest."""
    buffer: np.ndarray
    """(S, 1), 10 s."""
    throughput: np.ndarray
    """(S, 6), Mbyte/s."""
    time: np.ndarray
    """(S, 6), 10 s."""
    sizes: np.ndarray
    """(S, levels) of the next chunk, Mbyte."""
    left: np.ndarray
    """(S, 1): chunks to play, as a share of all."""


SESSION_FEATURES = (
    *("log last bitrate", "utility of it", "buffer", "log buffer", "chunks left", "log chunks left", "log stall"),
    *(
        "log pause",
        "log duration of a chunk",
        "log stall penalty",
        "log harmonic mean throughput",
        "log that of the last 3",
    ),
    *("log least throughput", "mean log throughput", "spread of log throughput", "log throughput to bitrate"),
    *(f"log throughput -{ago}" for ago in range(HISTORY, 0, -1)),
    *(f"log download time -{ago}" for ago in range(HISTORY, 0, -1)),
    *(f"is there -{ago}" for ago in range(HISTORY, 0, -1)),
    *(f"log throughput to mean -{ago}" for ago in range(HISTORY, 0, -1)),
)
"""Names of ``Inputs.session``."""
LEVEL_FEATURES = (
    *("log bitrate", "utility", "log size", "log download time", "log download time at the last 3 throughputs"),
    *(
        "buffer left, 4 s",
        "buffer left, 15 s",
        "buffer left at the last 3 throughputs, 8 s",
        "buffer left after 5 chunks",
    ),
    *("is the last", "utility to the last", "distance of utility to the last", "log bitrate to throughput"),
    *("place in the ladder", "buffer"),
    *(f"log size to nominal +{ahead}" for ahead in range(AHEAD)),
)
"""Names of ``Inputs.levels``."""
SESSION, LEVEL = len(SESSION_FEATURES), len(LEVEL_FEATURES)


class Memory(NamedTuple):
    """What the head needs besides hidden states."""

    levels: Tensor | None
    """float32 (S, l, LEVEL): of the l levels of the longest ladder among them; None of modalities."""
    exists: Tensor
    """bool (S, l)."""
    token: Tensor
    """float32 (S, d_model): the fused token; of modalities the last one."""


class ABRNet(TaskNet):
    """One step of a session as tokens; a score for each level of the ladder.

    ``fused``: one token. Each level is encoded by itself and scored by itself, with weights shared by all levels, so
    that ladders may differ in their number. The action before is the last bitrate, which is encoded anyway. Scores are
    read from the token itself, too: hidden states count nothing at first, so that encoder and head can be trained
    alone before there is anything to be learned about the past.

    ``netllm``: the action, (the return to go,) last bitrate, buffer, past throughputs, past download times, next sizes
    and chunks left, a token each, from the environment's own scales; a linear head (Wu et al., *NetLLM*, SIGCOMM 2024;
    github.com/duowuyms/NetLLM, ``adaptive_bitrate_streaming/plm_special/models``).

    Arguments:
        d_model, tokenisation, returns: see ``TaskNet``.
        levels: of the longest ladder that can be served.
        width: units of the encoders.
    """

    task = "abr"

    def __init__(
        self,
        d_model: int,
        tokenisation: str = "fused",
        returns: bool = False,
        levels: int = LEVELS,
        width: int = 256,
    ):
        super().__init__(d_model, tokenisation, returns)
        if levels < 2 or width < 1:
            raise ValueError(f"levels must be 2 or more and width 1 or more, not {levels} and {width}")
        self.levels, self.width = levels, width
        if tokenisation == "fused":
            half, quarter = max(width // 2, 1), max(width // 4, 1)
            self.level_encoder = _dense(LEVEL, quarter, quarter)
            self.encoder = _dense(SESSION + 3 * quarter + returns, width, width, d_model)
            self.from_token, self.from_level = nn.Linear(d_model, half), nn.Linear(LEVEL, half)
            self.from_hidden = nn.Linear(d_model, half, bias=False)
            nn.init.zeros_(self.from_hidden.weight)
            self.scorer = nn.Sequential(nn.ReLU(), _dense(half, quarter, 1))
        else:
            self.action = nn.Linear(1, d_model)
            self.to_go = nn.Linear(1, d_model) if returns else None
            scalar = [nn.Sequential(nn.Linear(1, width), nn.LeakyReLU()) for _ in range(3)]
            series = [_Series(4, width) for _ in range(2)]
            self.bitrate, self.buffer, self.left = (nn.Sequential(one, nn.Linear(width, d_model)) for one in scalar)
            past = width * (HISTORY - 3)
            self.throughput, self.time = (nn.Sequential(one, nn.Linear(past, d_model)) for one in series)
            self.sizes = nn.Sequential(_Series(levels, width), nn.Linear(width, d_model))
            self.head = nn.Linear(d_model, levels)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "levels": self.levels, "width": self.width}

    def observe(self, observations: np.ndarray, infos: Mapping[str, Any]) -> Steps:
        """Columns of observations, float32 (S, 6, columns), and infos; zeros where nothing is.

        ``bitrates`` (S, levels) in Mbit/s of the ladder and ``utility`` (S, levels) of the next chunk, ``penalty`` of a
        second of stalling; ``sizes`` (S, 5, levels) of the next chunks in Mbit, their ``duration`` in s, ``left``
        chunks to play, of ``chunks``; ``throughput`` in Mbit/s and ``time`` in s of the last downloads, (S, 6), oldest
        first; ``last``, int64, level of the last chunk; ``buffer``, ``stall`` and ``pause`` in s after and during it.
        ``ValueError`` for a ladder that is longer than the network's.
        """
        video: Video = infos["video"]
        qoe: QoE = infos["qoe"]
        steps, ladder = len(observations), video.num_levels
        if ladder > self.levels:
            raise ValueError(f"the network serves up to {self.levels} levels, video {video.name!r} has {ladder}")
        left = video.num_chunks - np.asarray(infos["chunk"]).astype(np.int64)
        utilities = qoe.utilities(video.num_chunks)[np.minimum(video.num_chunks - left, video.num_chunks - 1)]
        listed = np.zeros((video.num_chunks + AHEAD, self.levels), dtype=np.float32)
        listed[: video.num_chunks, :ladder] = video.chunk_sizes[: video.num_chunks] * (MEGABYTE / 1e6)
        columns: dict[str, Any] = {
            "bitrates": np.tile(_padded(video.bitrates_kbps / 1000.0, self.levels), (steps, 1)),
            "utility": np.pad(utilities, ((0, 0), (0, self.levels - ladder))),
            "penalty": np.full(steps, qoe.rebuffer_penalty),
            "sizes": listed[(video.num_chunks - left)[:, None] + np.arange(AHEAD)],
            "duration": np.full(steps, video.chunk_duration_s),
            "left": left,
            "chunks": np.full(steps, video.num_chunks),
            "throughput": MEGABYTE * _past(observations[:, THROUGHPUT]),
            "time": 10.0 * _past(observations[:, DOWNLOAD_TIME]),
            "buffer": infos["buffer_s"],
            "stall": infos["rebuffer_s"],
            "pause": np.asarray(infos["sleep_ms"]) / 1000.0,
        }
        found = {name: np.asarray(values, dtype=np.float32) for name, values in columns.items()}
        last = np.searchsorted(video.bitrates_kbps, np.asarray(infos["bitrate_kbps"]))
        return {**found, "last": last.astype(np.int64)}

    def embed(self, steps: Steps, previous: np.ndarray, returns: Tensor | None) -> Tokens:
        arrays = self.arrays(steps, previous)
        tokens, memory = self.read({name: self._tensor(values) for name, values in arrays.items()}, returns)
        counts = torch.full((len(tokens),), tokens.shape[1], dtype=torch.int64, device=self.device)
        return Tokens(tokens.flatten(0, 1), counts, memory)

    def arrays(self, steps: Steps, previous: np.ndarray) -> dict[str, np.ndarray]:
        """What ``read`` reads of the steps: the fields of ``Inputs``, or those of ``Modalities`` and ``exists``.

        Levels that no ladder among them has are left out.
        """
        inputs = inputs_of(steps)
        longest = max(int(inputs.exists.sum(axis=1).max(initial=0)), 1)
        inputs = inputs._replace(levels=inputs.levels[:, :longest], exists=inputs.exists[:, :longest])
        if self.tokenisation == "fused":
            return inputs._asdict()
        return {**_modalities(steps, previous, self.levels)._asdict(), "exists": inputs.exists}

    def read(self, inputs: Mapping[str, Tensor], returns: Tensor | None) -> tuple[Tensor, Memory]:
        """float32 (S, tokens, d_model) of ``arrays`` as tensors, and what the head needs besides."""
        if self.tokenisation == "fused":
            tokens = self._fused(inputs, returns)[:, None]
        else:
            tokens = self._modalities(inputs, returns)
        return tokens, Memory(inputs.get("levels"), inputs["exists"], tokens[:, -1])

    def logits(self, component: int, hidden: Tensor, memory: Memory, actions: Tensor) -> Tensor:
        if memory.levels is not None:
            session = self.from_token(memory.token) + self.from_hidden(hidden)
            scores = self.scorer(session[:, None] + self.from_level(memory.levels))[:, :, 0]
        else:
            scores = self.head(hidden)[:, : memory.exists.shape[1]]
        scores = scores.masked_fill(~memory.exists, MASKED)
        return nn.functional.pad(scores, (0, self.levels - scores.shape[1]), value=MASKED)

    def collected(self, observations: Any, infos: Mapping[str, Any], before: np.ndarray) -> np.ndarray:
        """See ``TaskNet``; the reward of the chunk that every episode begins with does not count.

        The level before the last chunk's is that of the observation's next to last column.
        """
        video: Video = infos["video"]
        qoe: QoE = infos["qoe"]
        ladder = video.bitrates_kbps
        levels = np.abs(observations[:, BITRATE, -2:, None] * float(ladder[-1]) - ladder).argmin(axis=2)
        played = np.asarray(infos["chunk"]).astype(np.int64) - 1
        reward = qoe.rewards(played, levels[:, 1], levels[:, 0], infos["rebuffer_s"])
        return np.where(np.isnan(before), 0.0, np.nan_to_num(before) + reward)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self.device)

    def _fused(self, inputs: Mapping[str, Tensor], returns: Tensor | None) -> Tensor:
        """float32 (S, d_model)."""
        each = self.level_encoder(inputs["levels"])
        there = inputs["exists"][:, :, None]
        mean = (each * there).sum(dim=1) / there.sum(dim=1)
        highest = each.masked_fill(~there, MASKED).amax(dim=1)
        last = each[torch.arange(each.shape[0], device=self.device), inputs["last"]]
        parts = [inputs["session"], mean, highest, last]
        return self.encoder(torch.cat([*parts, *([] if returns is None else [returns[:, None]])], dim=1))

    def _modalities(self, inputs: Mapping[str, Tensor], returns: Tensor | None) -> Tensor:
        """float32 (S, tokens, d_model)."""
        state = [getattr(self, name)(inputs[name]) for name in Modalities._fields[1:]]
        to_go = [] if self.to_go is None or returns is None else [self.to_go(returns[:, None])]
        return torch.stack([self.action(inputs["action"]), *to_go, *state], dim=1)


class _Series(nn.Module):
    """Series (S, n) as vectors (S, channels x (n - size + 1)): a convolution as in NetLLM."""

    def __init__(self, size: int, channels: int):
        super().__init__()
        self.convolution = nn.Conv1d(1, channels, size)

    def forward(self, series: Tensor) -> Tensor:
        return nn.functional.leaky_relu(self.convolution(series[:, None])).flatten(1)


def inputs_of(steps: Steps) -> Inputs:
    """What the network gets of the columns of ``ABRNet.observe``: logarithms and saturating functions of them."""
    one = {name: np.asarray(values) for name, values in steps.items()}
    throughput, buffer, duration, last = one["throughput"], one["buffer"], one["duration"], one["last"]
    bitrates, utility, sizes = one["bitrates"], one["utility"], one["sizes"]
    rows = np.arange(len(buffer))
    exists = bitrates > 0

    seen = throughput > 0
    count = np.maximum(seen.sum(axis=1), 1)
    slowness = np.where(seen, 1 / np.maximum(throughput, LEAST), 0.0)
    harmonic = count / np.maximum(slowness.sum(axis=1), 1 / 1e6)
    recent = np.maximum(seen[:, -3:].sum(axis=1), 1) / np.maximum(slowness[:, -3:].sum(axis=1), 1 / 1e6)
    logs = np.where(seen, _log(throughput), 0.0)
    mean = logs.sum(axis=1) / count
    spread = np.sqrt((np.where(seen, logs - mean[:, None], 0.0) ** 2).sum(axis=1) / count)
    last_bitrate, last_utility = bitrates[rows, last], utility[rows, last]
    top = exists.sum(axis=1) - 1
    session = [
        _log(last_bitrate),
        last_utility / 2,
        buffer / 20 - 0.5,
        np.log1p(buffer) - 2,
        one["left"] / 24 - 1,
        np.log1p(one["left"]) - 2.5,
        np.log1p(one["stall"]),
        np.log1p(one["pause"]),
        _log(duration) - 1.2,
        _log(one["penalty"]) - 1.5,
        _log(harmonic),
        _log(recent),
        _log(throughput.min(axis=1, initial=np.inf, where=seen)),
        mean,
        spread,
        _log(harmonic) - _log(last_bitrate),
    ]
    history = [logs, np.where(seen, _log(one["time"]), 0.0), seen, np.where(seen, logs - _log(harmonic)[:, None], 0.0)]

    def per_level(values: np.ndarray) -> np.ndarray:
        return np.broadcast_to(values[:, None], bitrates.shape)

    now = sizes[:, 0]
    takes, takes_now = now / harmonic[:, None], now / recent[:, None]
    # Buffer after the next five chunks at one level, if throughput stays as it was
    later = per_level(buffer + (AHEAD - 1) * duration) - sizes.sum(axis=1) / harmonic[:, None]
    levels = [
        _log(bitrates),
        utility / 2,
        _log(now) - 1,
        _log(takes),
        _log(takes_now),
        np.tanh((per_level(buffer) - takes) / 4),
        np.tanh((per_level(buffer) - takes) / 15),
        np.tanh((per_level(buffer) - takes_now) / 8),
        np.tanh(later / 15),
        np.arange(bitrates.shape[1]) == last[:, None],
        (utility - last_utility[:, None]) / 2,
        np.abs(utility - last_utility[:, None]) / 2,
        _log(bitrates) - _log(harmonic)[:, None],
        np.arange(bitrates.shape[1]) / top[:, None],
        per_level(buffer / 20 - 0.5),
    ]
    nominal = np.maximum(bitrates * duration[:, None], LEAST)[:, None]
    relative = np.where(sizes > 0, 4 * (_log(sizes) - _log(nominal)), 0.0)
    of_levels = np.concatenate([np.stack(levels, axis=2), relative.transpose(0, 2, 1)], axis=2) * exists[:, :, None]
    return Inputs(
        _limited(np.concatenate([np.stack(session, axis=1), *history], axis=1)), _limited(of_levels), exists, last
    )


def _modalities(steps: Steps, previous: np.ndarray, levels: int) -> Modalities:
    """See ``Modalities``; ``levels`` are those that the network serves."""
    column = {name: np.asarray(values) for name, values in steps.items()}
    bitrates = column["bitrates"]
    return Modalities(
        (previous.reshape(-1, 1).astype(np.float32) + 1) / levels,
        np.take_along_axis(bitrates, column["last"][:, None], axis=1) / bitrates.max(axis=1, keepdims=True),
        column["buffer"][:, None] / 10,
        column["throughput"] / MEGABYTE,
        column["time"] / 10,
        column["sizes"][:, 0] / MEGABYTE,
        (column["left"] / column["chunks"])[:, None],
    )


def _dense(*sizes: int) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _padded(values: np.ndarray, size: int) -> np.ndarray:
    return np.pad(np.asarray(values, dtype=np.float32), (0, size - len(values)))


def _past(row: np.ndarray) -> np.ndarray:
    """The newest ``HISTORY`` columns of a row of the observation, (S, HISTORY): oldest first, zeros in front."""
    recent = row[:, -HISTORY:]
    return np.pad(recent, ((0, 0), (HISTORY - recent.shape[1], 0)))


def _log(values: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(values, LEAST))


def _limited(values: np.ndarray) -> np.ndarray:
    return np.clip(values, -LIMIT, LIMIT).astype(np.float32)
