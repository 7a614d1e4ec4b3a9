"""``ABROptions``: the options of ``netenvs/ABR-v0``; their meanings are in the table of ``netenvs.abr.env.ABREnv``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netenvs.abr.records import TraceSet, Video
from netenvs.options import EnvironmentOptions
from netenvs.spec import unknown_name

STARTS = ("first", "random", "stored")
ACTION_MODES = ("jump", "quality")
OBSERVATIONS = ("flat", "matrix")
HIGHEST_PENALTY = 1e6
"""Searches compare sums of rewards to 1e-6; with larger ones there are no digits for that."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """What a simulator of the literature does where no option says otherwise."""

    traces: str
    start: str
    history: int
    """Of ladders with no more levels than that."""
    first_quality: int
    """Level of the forced first chunk."""
    rebuffer_penalty: float
    switch_penalty: float = 1.0


PRESETS = {
    # NetLLM adaptive_bitrate_streaming/baseline_special/utils/constants.py
    "netllm": Preset(traces="synthetic", start="stored", history=6, first_quality=0, rebuffer_penalty=4.3),
    # Pensieve sim/fixed_env.py, sim/multi_agent.py
    "pensieve": Preset(traces="synthetic", start="first", history=8, first_quality=1, rebuffer_penalty=4.3),
    # Genet fig_reproduce/sim
    "genet": Preset(traces="genet", start="first", history=6, first_quality=1, rebuffer_penalty=10.0),
}


@dataclass(frozen=True, kw_only=True)
class ABROptions(EnvironmentOptions):
    """Where ``traces``, ``start``, ``history`` and the penalties are None, those of the preset hold.

    A ladder may lengthen ``history``.
    """

    traces: str | TraceSet | None = None
    video: str | Video | Sequence[str | Video] | None = None
    preset: str = "netllm"
    qoe: str | os.PathLike[str] | Sequence[float] | Sequence[Sequence[float]] | np.ndarray = "lin"
    rebuffer_penalty: float | None = None
    switch_penalty: float | None = None
    history: int | None = None
    observation: str = "matrix"
    action_mode: str = "quality"
    delay_noise: bool = False
    start: str | None = None
    rtt_ms: float | None = None
    buffer_cap_s: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.video, list):
            self._put(video=tuple(self.video))
        if not isinstance(self.preset, str) or self.preset not in PRESETS:
            raise ValueError(unknown_name("preset", str(self.preset), PRESETS))
        self._put(qoe=_frozen(self.qoe))
        for name in ("rebuffer_penalty", "switch_penalty"):
            if getattr(self, name) is not None:
                self._put(**{name: _penalty(name, getattr(self, name))})
        if self.start is not None and self.start not in STARTS:
            raise ValueError(unknown_name("start", str(self.start), STARTS))
        if not isinstance(self.delay_noise, bool | np.bool_):
            raise ValueError(f"delay_noise must be True or False, not {self.delay_noise!r}")
        if self.action_mode not in ACTION_MODES:
            raise ValueError(unknown_name("action_mode", str(self.action_mode), ACTION_MODES))
        if self.observation not in OBSERVATIONS:
            raise ValueError(unknown_name("observation", str(self.observation), OBSERVATIONS))

    @property
    def defaults(self) -> Preset:
        """Those of the preset."""
        return PRESETS[self.preset]


def _penalty(name: str, given: Any) -> float:
    """``given`` as a weight of the objective."""
    number = isinstance(given, int | float | np.integer | np.floating) and not isinstance(given, bool)
    if not (number and 0 <= given <= HIGHEST_PENALTY):
        raise ValueError(f"{name} must be a number from 0 to {HIGHEST_PENALTY:,.0f}, not {given!r}")
    return float(given)


def _frozen(given: Any) -> Any:
    """An objective as text, or as nested tuples of numbers: arrays can be written to, and have no equality."""
    if isinstance(given, os.PathLike):
        return os.fspath(given)
    if isinstance(given, np.ndarray | np.generic):
        given = given.tolist()
    return tuple(map(_frozen, given)) if isinstance(given, list | tuple) else given
