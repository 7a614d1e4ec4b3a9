"""Bitrates by sequence models; see ``agents.sequence.shipped``."""

from __future__ import annotations

from agents.sequence.shipped import Shipped


class NetLLM(Shipped):
    """Bitrates by a sequence model of whole sessions."""

    task, registered = "abr", "netllm"


class Mamba4Net(Shipped):
    """Bitrates by a student of ``python -m distill distill``."""

    task, registered = "abr", "mamba4net"
