"""The released Decima under the path that weights of one's own are used by; see ``agents.cjs.decima``."""

from agents.cjs.decima.network import SHAPES, DecimaNet
from agents.cjs.decima.released import DecimaReleased, DecimaScheduler

__all__ = ["SHAPES", "DecimaNet", "DecimaReleased", "DecimaScheduler"]
