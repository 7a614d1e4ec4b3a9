"""Quality of experience (QoE) of tiled 360-degree streaming, per chunk::

    reward = q - stall_penalty * (stall_s + viewport_stall_s) - change_penalty * |q - previous q| - spread_penalty * s

q is the mean quality u of the tiles in the viewport, s their standard deviation within the viewport, both the mean
over the head's samples during the chunk; ``stall_s`` the time without a frame, ``viewport_stall_s`` the time with a
hole in it.

======  ======================  ================================================================================
name    u(rate)                 source
======  ======================  ================================================================================
log     ln(rate / lowest rate)  the logarithmic utility of Pensieve and BOLA
lin     rate / highest rate     MANSY (github.com/duowuyms/MANSY_ImmersiveVideoStreaming, ``bitrate_selection``)
======  ======================  ================================================================================

A tile that was not fetched has quality 0. The terms - quality in the viewport, rebuffering, variation within the
viewport and from chunk to chunk - are MANSY's; holes cannot occur there. As in Pensieve, a second of stall costs what
the highest rate is worth, unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from netenvs.records import ArrayRecord
from netenvs.spec import unknown_name

KINDS = ("lin", "log")


@dataclass(frozen=True, eq=False)
class ViewportQoE(ArrayRecord):
    """One objective over one ladder of rates."""

    kind: str
    """``log`` or ``lin``."""
    utility: np.ndarray
    """float64 (levels + 1,): u of level 0 (not fetched) and of each rate."""
    stall_penalty: float
    """Cost of a second of stall, of either kind."""
    change_penalty: float
    """Cost of a change of quality from chunk to chunk."""
    spread_penalty: float
    """Cost of unequal quality within the viewport."""

    def reward(self, quality: float, previous: float, stalls_s: float, spread: float) -> float:
        """QoE of one chunk; ``stalls_s`` is the sum of both kinds."""
        change = abs(quality - previous)
        return quality - self.stall_penalty * stalls_s - self.change_penalty * change - self.spread_penalty * spread


def make_qoe(
    kind: str, rates_mbps: np.ndarray, stall_penalty: Any, change_penalty: Any, spread_penalty: Any
) -> ViewportQoE:
    """The objective ``kind`` for ascending rates, float64 (levels,); ``stall_penalty`` None: the highest utility.

    Raises ``ValueError`` for an unknown kind, and for penalties that are no finite numbers from 0 up.
    """
    if kind not in KINDS:
        raise ValueError(unknown_name("qoe", str(kind), KINDS))
    of_rates = np.log(rates_mbps / rates_mbps[0]) if kind == "log" else rates_mbps / rates_mbps[-1]
    utility = np.concatenate([[0.0], of_rates])
    utility.flags.writeable = False
    stall = float(utility[-1]) if stall_penalty is None else _penalty("stall_penalty", stall_penalty)
    change, spread = _penalty("change_penalty", change_penalty), _penalty("spread_penalty", spread_penalty)
    return ViewportQoE(kind, utility, stall, change, spread)


def _penalty(name: str, value: Any) -> float:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not 0 <= value < np.inf:
        raise ValueError(f"{name} must be a finite number from 0 up, not {value!r}")
    return float(value)
