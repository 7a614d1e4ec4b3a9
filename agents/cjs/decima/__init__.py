"""Decima: a graph neural network that schedules the stages of Spark jobs, as released and as trained here.

Modules, in the order of reading: ``decisions`` and ``graph`` (what the network sees), ``network``, ``released`` and
``policy`` (the two schedulers), ``rollout``, ``ppo``, ``plan`` and ``training`` (how it learns), ``card``.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name != "Decima":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from agents.cjs.decima.policy import Decima

    return Decima
