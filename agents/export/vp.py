"""Viewports as an exported function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from agents.export.graph import Port, TaskGraph
from agents.sequence.net import Steps
from agents.sequence.nets.vp import MAP_INSTANTS, VPNet
from agents.vp.viewers_model import HISTORY, HORIZON
from netenvs.vp.heat_maps import COLUMNS, ROWS


class VPGraph(TaskGraph):
    """Viewports."""

    def __init__(self, net: VPNet):
        self.net = net
        own = 2 if net.tokenisation == "fused" else HISTORY
        self.tokens_each = own + bool(net.features) + net.saliency

    def check_context(self, context: int) -> None:
        if context != 1:
            raise ValueError(
                "a predictor of viewports is exported with context 1, in which every decision stands alone"
            )

    def inputs(self) -> tuple[Port, ...]:
        angles = "roll, pitch, yaw in degrees, every 0.2 s"
        ports = [Port("history", "float32", ("batch", HISTORY, 3), f"the last 2 s: {angles}")]
        if self.net.features:
            ports.append(Port("features", "float32", ("batch", self.net.features), "of the frame"))
        if self.net.saliency:
            shape = ("batch", len(MAP_INSTANTS), ROWS, COLUMNS)
            ports.append(Port("heat", "float32", shape, "heat maps of previous viewers, 0 to 1, now and each second"))
        if self.net.tokenisation == "fused":
            seen = f"previous viewers of the video, the same 2 s and 4 s more: {angles}"
            ports.append(Port("viewers", "float32", ("batch", "viewers", HISTORY + HORIZON, 3), seen))
            ports.append(Port("present", "bool", ("batch", "viewers"), "whether this viewer has all of these samples"))
        return tuple(ports)

    def outputs(self) -> tuple[Port, ...]:
        shape = ("batch", HORIZON, 3)
        return (
            Port("path_mean", "float32", shape, "roll, pitch, yaw of the next 4 s in degrees, every 0.2 s"),
            Port("path_log_scale", "float32", shape, "logarithm of the error expected, in degrees"),
        )

    def arrays(self, steps: Steps, previous: np.ndarray) -> dict[str, np.ndarray]:
        found = self.net.arrays(steps)
        if "viewers" in found and not found["present"].shape[1]:  # one who is not there stands for nobody
            found["viewers"] = np.zeros((len(found["viewers"]), 1, HISTORY + HORIZON, 3), dtype=np.float32)
            found["present"] = np.zeros((len(found["viewers"]), 1), dtype=np.bool_)
        return found

    def tokens(self, inputs: Mapping[str, Tensor], returns: Tensor | None) -> tuple[Tensor, Tensor | None, Any]:
        return self.net.read(inputs)

    def heads(self, hidden: Tensor, memory: Any) -> tuple[Tensor, ...]:
        return self.net.path(hidden, memory)

    def choose(self, found: Mapping[str, np.ndarray]) -> np.ndarray:
        return found["path_mean"]

    def apart(self, found: Mapping[str, np.ndarray], expected: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Of angles, in radians, and of log scales; see ``TaskGraph``."""
        names = ("path_mean", "path_log_scale")
        mean, log_scale = (found[name].astype(np.float64) - net for name, net in zip(names, expected, strict=True))
        return [np.deg2rad((mean + 180) % 360 - 180), log_scale]
