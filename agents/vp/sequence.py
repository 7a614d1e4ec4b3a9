"""Viewports by sequence models; see ``agents.sequence.shipped``."""

from __future__ import annotations

from agents.sequence.nets.vp import VPNet
from agents.sequence.shipped import Shipped


class ShippedPredictor(Shipped):
    """Predictors that may look at previous viewers.

    Arguments:
        folder, mode, backbone, device: see ``Shipped``.
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
        self.assumption = net.assumption


class NetLLM(ShippedPredictor):
    """Viewports by a sequence model that sees the last 2 s and, if there are any, previous viewers of the same video.

    Arguments: see ``ShippedPredictor``.
    """

    registered = "netllm"


class Mamba4Net(ShippedPredictor):
    """Viewports by a student of ``python -m distill distill``.

    Arguments: see ``ShippedPredictor``.
    """

    registered = "mamba4net"
