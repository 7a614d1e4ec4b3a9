"""The policies ``mamba4net``: students with a hybrid of Mamba-2 and attention layers.

Mamba4Net (arXiv 2510.17147): what a large sequence policy knows, in one small enough to be deployed. What its Mamba
layers remember does not grow with the episode; keys and values of its attention layers do.
"""

from __future__ import annotations

from agents.netllm.policies import NetLLMABR, NetLLMCJS, NetLLMVP


class Mamba4NetABR(NetLLMABR):
    """Bitrates by a student of ``python -m distill distill``."""

    registered = "mamba4net"


class Mamba4NetCJS(NetLLMCJS):
    """Schedules by a student of ``python -m distill distill``."""

    registered = "mamba4net"


class Mamba4NetVP(NetLLMVP):
    """Viewports by a student of ``python -m distill distill``."""

    registered = "mamba4net"
