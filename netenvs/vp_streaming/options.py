"""``VPStreamingOptions``: the options of ``netenvs/VPStreaming-v0``.

Their meanings are in the table of ``netenvs.vp_streaming.env.VPStreamingEnv``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netenvs.arguments import check_length
from netenvs.options import EnvironmentOptions
from netenvs.spec import unknown_name
from netenvs.vp.sphere import FOV_DEG
from netenvs.vp_streaming import kernel

ACTION_MODES = {"tiles": kernel.TILES, "zones": kernel.ZONES, "pair": kernel.PAIR}
PREDICTORS = ("line", "static")
STARTS = ("first", "random", "stored")
RATES_MBPS = (1.0, 5.0, 8.0, 16.0, 35.0)
"""Rates of MANSY's videos (``bitrate_selection``)."""
MAX_BUFFER_S = 60.0
"""Predictions have to reach as far."""


@dataclass(frozen=True, kw_only=True)
class VPStreamingOptions(EnvironmentOptions):
    """Checked, but for the grid of ``tiles``, the objective, and what depends on recordings and traces."""

    dataset: str = "synthetic"
    split: str = "test"
    traces: str = "synthetic"
    bandwidth_scale: float = 10.0
    action_mode: str = "tiles"
    predictor: str = "static"
    tiles: str = "8x8"
    fov_deg: Sequence[float] = FOV_DEG
    rates_mbps: Sequence[float] = RATES_MBPS
    qoe: str = "log"
    stall_penalty: float | None = None
    change_penalty: float = 1.0
    spread_penalty: float = 1.0
    history: int = 10
    start: str = "stored"
    rtt_ms: float = 80.0
    buffer_cap_s: float = 3.0
    video_seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (("action_mode", ACTION_MODES), ("predictor", PREDICTORS), ("start", STARTS)):
            value = getattr(self, name)
            if not isinstance(value, str) or value not in known:
                raise ValueError(unknown_name(name, str(value), known))
        self._put(
            fov_deg=_field_of_view(self.fov_deg),
            rates_mbps=_ladder(self.rates_mbps),
            history=check_length("history", _whole("history", self.history, 1, "samples (5 a second)")),
            video_seed=_whole("video_seed", self.video_seed, 0, ""),
            bandwidth_scale=_number("bandwidth_scale", self.bandwidth_scale, 1e-6),
            rtt_ms=_number("rtt_ms", self.rtt_ms, 0.0),
            buffer_cap_s=_number("buffer_cap_s", self.buffer_cap_s, kernel.CHUNK_MS / 1000.0, MAX_BUFFER_S),
        )


def _whole(name: str, value: Any, least: int, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value < 2**63:
        raise ValueError(f"{name} must be a whole number {f'of {what} ' if what else ''}from {least} up, not {value!r}")
    return int(value)


def _number(name: str, value: Any, least: float, most: float = 1e9) -> float:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not least <= value <= most:  # NaN compares as False
        raise ValueError(f"{name} must be a number from {least:g} to {most:g}, not {value!r}")
    return float(value)


def _numbers(name: str, values: Any, what: str) -> np.ndarray:
    try:
        numbers = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.ndim != 1 or not np.isfinite(numbers).all():
        raise ValueError(f"{name} must be {what}, not {values!r}")
    return numbers


def _ladder(rates_mbps: Any) -> tuple[float, ...]:
    what = "at least two rates of the whole sphere in Mbit/s, ascending, above 0"
    rates = _numbers("rates_mbps", rates_mbps, what)
    if len(rates) < 2 or rates[0] <= 0 or np.any(np.diff(rates) <= 0):
        raise ValueError(f"rates_mbps must be {what}, not {rates_mbps!r}")
    return tuple(rates.tolist())


def _field_of_view(fov_deg: Any) -> tuple[float, float]:
    what = "the width and the height of the viewport, from 1 to 360 degrees"
    extents = _numbers("fov_deg", fov_deg, what)
    if len(extents) != 2 or np.any(extents < 1) or np.any(extents > 360):
        raise ValueError(f"fov_deg must be {what}, not {fov_deg!r}")
    return float(extents[0]), float(extents[1])
