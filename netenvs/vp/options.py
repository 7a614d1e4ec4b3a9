"""``VPOptions``: the options of ``netenvs/VP-v0``; their meanings are in the table of ``netenvs.vp.env.VPEnv``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from netenvs.arguments import check_length
from netenvs.options import EnvironmentOptions
from netenvs.spec import unknown_name
from netenvs.vp.recordings import RATE_HZ

MODES = ("replay", "windows")


@dataclass(frozen=True, kw_only=True)
class VPOptions(EnvironmentOptions):
    """Checked, but for what depends on the recordings."""

    dataset: str = "synthetic"
    split: str = "test"
    history: int = 10
    horizon: int = 20
    saliency: bool = False
    features: str | None = None
    mode: str = "windows"
    stride_s: float = 1.0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(unknown_name("mode", str(self.mode), MODES))
        if not isinstance(self.saliency, bool | np.bool_):
            raise ValueError(f"saliency must be True or False, not {self.saliency!r}")
        for name in ("history", "horizon"):
            self._put(**{name: _samples(name, getattr(self, name))})
        if self.mode == "replay":
            _stride(self.stride_s)

    @property
    def stride(self) -> int:
        """Samples from one decision to the next."""
        return self.horizon if self.mode == "windows" else _stride(self.stride_s)


def _samples(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be a whole number of samples (5 a second) from 1 up, not {value!r}")
    return check_length(name, int(value))


def _stride(stride_s: Any) -> int:
    number = isinstance(stride_s, int | float | np.number) and not isinstance(stride_s, bool)
    stride = round(float(stride_s) * RATE_HZ) if number and np.isfinite(stride_s) else 0
    if stride < 1 or abs(stride / RATE_HZ - stride_s) > 1e-9:
        raise ValueError(f"stride_s must be a multiple of 0.2 s, the time between samples, not {stride_s!r}")
    return stride
