"""Schedules by sequence models; see ``agents.sequence.shipped``."""

from __future__ import annotations

from agents.sequence.shipped import Shipped


class NetLLM(Shipped):
    """Schedules by a sequence model of the last decisions."""

    task, registered = "cjs", "netllm"


class Mamba4Net(Shipped):
    """Schedules by a student of ``python -m distill distill``."""

    task, registered = "cjs", "mamba4net"
