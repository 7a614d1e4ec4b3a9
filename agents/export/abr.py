"""Bitrates as an exported function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.export.graph import Port, TaskGraph
from agents.sequence.net import MASKED, Steps
from agents.sequence.nets.abr import LEVEL, LEVEL_FEATURES, SESSION, SESSION_FEATURES, ABRNet, Modalities


class ABRGraph(TaskGraph):
    """Bitrates."""

    def __init__(self, net: ABRNet):
        self.net = net
        if net.tokenisation != "fused":
            self.tokens_each = len(Modalities._fields) + net.returns

    def inputs(self) -> tuple[Port, ...]:
        there = "whether the ladder has this level"
        if self.net.tokenisation == "fused":
            session, level = ", ".join(SESSION_FEATURES), ", ".join(LEVEL_FEATURES)
            return (
                Port("session", "float32", ("batch", SESSION), f"player and link: {session}"),
                Port("levels", "float32", ("batch", "levels", LEVEL), f"each level: {level}"),
                Port("exists", "bool", ("batch", "levels"), there),
                Port("last", "int64", ("batch",), "level of the last chunk"),
            )
        return (
            Port("action", "float32", ("batch", 1), "the level before and 1, as a share of the levels; 0: none"),
            Port("bitrate", "float32", ("batch", 1), "of the last chunk, as a share of the highest"),
            Port("buffer", "float32", ("batch", 1), "10 s"),
            Port("throughput", "float32", ("batch", 6), "of the last chunks, oldest first, Mbyte/s"),
            Port("time", "float32", ("batch", 6), "their downloads took, 10 s"),
            Port("sizes", "float32", ("batch", self.net.levels), "of the next chunk, Mbyte; 0: no such level"),
            Port("left", "float32", ("batch", 1), "chunks to play, as a share of all"),
            Port("exists", "bool", ("batch", self.net.levels), there),
        )

    def outputs(self) -> tuple[Port, ...]:
        return (Port("logits", "float32", ("batch", self.net.levels), f"of each level; {MASKED:g}: there is none"),)

    def arrays(self, steps: Steps, previous: np.ndarray) -> dict[str, np.ndarray]:
        found = self.net.arrays(steps, previous)
        if self.net.tokenisation != "fused":
            missing = self.net.levels - found["exists"].shape[1]
            found["exists"] = np.pad(found["exists"], ((0, 0), (0, missing)))
        return found

    def tokens(self, inputs: Mapping[str, Tensor], returns: Tensor | None) -> tuple[Tensor, Tensor | None, Any]:
        tokens, memory = self.net.read(inputs, returns)
        return tokens, None, memory

    def heads(self, hidden: Tensor, memory: Any) -> tuple[Tensor, ...]:
        return (self.net.logits(0, hidden, memory, torch.zeros(0)),)

    def choose(self, found: Mapping[str, np.ndarray]) -> np.ndarray:
        return found["logits"].argmax(axis=1)[:, None]
