"""``CJSOptions``: the options of ``netenvs/CJS-v0``; their meanings are in the table of ``netenvs.cjs.env.CJSEnv``."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from netenvs.options import EnvironmentOptions
from netenvs.spec import unknown_name

RNGS = ("native", "netllm")
ENGINES = ("auto", "fast", "simpy")
POISSON, RECORDED = ARRIVALS = ("poisson", "recorded")
OBSERVATIONS = ("graph", "padded")
MOST_JOBS = 64  # default bound of max_jobs
STAGES_PER_JOB = 20  # default max_stages / max_jobs; a TPC-H query has up to 18 stages
EDGES_PER_STAGE = 2  # TPC-H has 187 edges for 202 stages


MOST = {"num_executors": 100_000, "num_jobs": 2**40, "max_jobs": 10_000, "max_stages": 1_000_000}
"""The largest sizes, in names of options: observations and the state of a cluster are made for them."""


@dataclass(frozen=True, kw_only=True)
class CJSOptions(EnvironmentOptions):
    """Checked, but for what depends on the jobs; the environment, its engines and both simulators take it whole."""

    workload: str = "synthetic"
    num_executors: int = 50
    num_jobs: int | None = 200
    arrivals: str = POISSON
    mean_interarrival_ms: float = 25_000.0
    moving_delay_ms: float = 2000.0
    warmup_delay_ms: float = 1000.0
    rng: str = "native"
    engine: str = "auto"
    observation: str = "padded"
    max_jobs: int | None = None
    max_stages: int | None = None
    work_conserving: bool = False
    time_limit_ms: float | None = None
    beta: float = 0.0

    def __post_init__(self) -> None:
        listed = {"rng": RNGS, "engine": ENGINES, "observation": OBSERVATIONS, "arrivals": ARRIVALS}
        for name, known in listed.items():
            if getattr(self, name) not in known:
                raise ValueError(unknown_name(name, str(getattr(self, name)), known))
        self._put_numbers()
        if not isinstance(self.work_conserving, bool | np.bool_):
            raise ValueError(f"work_conserving must be True or False, not {self.work_conserving!r}")
        self._put(work_conserving=bool(self.work_conserving))
        if self.engine == "fast" and self.rng == "netllm":
            raise ValueError(
                "engine='fast' cannot follow rng='netllm', whose numbers depend on the order of events; "
                "use engine='simpy' or 'auto'"
            )
        if self.arrivals == RECORDED and self.rng == "netllm":
            raise ValueError("arrivals='recorded' has no place in rng='netllm', which draws jobs as published")
        if self.num_jobs is None and self.time_limit_ms is None and self.arrivals != RECORDED:
            raise ValueError("num_jobs=None needs a time_limit_ms: jobs would arrive forever")
        if self.work_conserving and not self.moving_delay_ms > 0:  # executors could change jobs for ever at one instant
            raise ValueError(f"work_conserving=True needs a moving_delay_ms above 0, not {self.moving_delay_ms:g}")

    def _put_numbers(self) -> None:
        """As ``int`` and ``float``: numpy's whole numbers are none for Gymnasium, and numba compiles for each kind."""
        for name, most in MOST.items():
            value = getattr(self, name)
            if value is not None or name == "num_executors":
                self._put(**{name: _whole(name, value, most)})
        self._put(mean_interarrival_ms=_number("mean_interarrival_ms", self.mean_interarrival_ms, above=0.0))
        for name in ("moving_delay_ms", "warmup_delay_ms", "beta"):
            self._put(**{name: _number(name, getattr(self, name))})
        if self.time_limit_ms is not None:
            self._put(time_limit_ms=_number("time_limit_ms", self.time_limit_ms, above=0.0))

    @property
    def jobs_in_view(self) -> int:
        """Rows of ``jobs`` in an observation."""
        if self.max_jobs is not None:
            return self.max_jobs
        return MOST_JOBS if self.num_jobs is None else min(self.num_jobs, MOST_JOBS)

    @property
    def stages_in_view(self) -> int:
        """Rows of ``stages`` in an observation."""
        return STAGES_PER_JOB * self.jobs_in_view if self.max_stages is None else self.max_stages

    @property
    def edges_in_view(self) -> int:
        """Rows of ``edges`` in an observation."""
        return EDGES_PER_STAGE * self.stages_in_view

    @property
    def with_view_sizes(self) -> CJSOptions:
        """The same, with ``max_jobs`` and ``max_stages`` as they are in an observation, never None."""
        return replace(self, max_jobs=self.jobs_in_view, max_stages=self.stages_in_view)


def _whole(name: str, value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be a whole number from 1 up, not {value!r}")
    if value > most:
        raise ValueError(f"{name} must be {most} or less, not {value!r}")
    return int(value)


def _number(name: str, value: Any, above: float | None = None) -> float:
    number = not isinstance(value, bool) and isinstance(value, int | float | np.number) and math.isfinite(value)
    if not number or value < 0 or (above is not None and value <= above):
        raise ValueError(f"{name} must be a number {'above 0' if above is not None else 'from 0 up'}, not {value!r}")
    return float(value)
