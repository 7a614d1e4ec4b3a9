"""Generated bandwidth traces and videos; every trace depends on its own seed and number only.

* ``synthetic``: piecewise-constant traces with the statistics of the 104 FCC broadband traces in the training split
  ``fcc-train-clean``: mean bandwidth, coefficient of variation and correlation over 5 s drawn from their quantiles
  (``FCC_QUANTILES``); 320 s long; values held for 5 s; rows of 5 s in 34 of 100 traces, of 1 s in the others.
* ``genet``: the trace generator of Genet's released traces (``fig_reproduce`` branch of
  github.com/GenetProject/Genet) over its five-parameter configuration space.
* ``pensieve-markov``: ``sim/synthetic_traces.py`` of github.com/hongzimao/pensieve.
* ``worlds``: links of any speed and kind, each with a player of its own, as policies learn on (``netenvs.abr.worlds``).

Videos: ``synthetic`` is one on Pensieve's ladder, ``synthetic-4k`` one on a ladder up to 35 Mbit/s, ``generated`` is
another ladder for every seed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from netenvs.abr.worlds import world_traces
from netenvs.spec import check_option_types

BITRATES_KBPS = (300, 750, 1200, 1850, 2850, 4300)  # Pensieve's ladder (sim/env.py)


@dataclass(frozen=True)
class Generated:
    """Traces of a generator: (name, time_s, bandwidth_mbps) triples and what comes with each trace."""

    traces: list[tuple[str, np.ndarray, np.ndarray]]
    start_pointer: np.ndarray | None = None
    rtt_ms: np.ndarray | None = None
    buffer_cap_s: np.ndarray | None = None


def call(kind: str, generator: Callable[..., Any], spec: str, options: dict[str, Any]) -> Any:
    """Call a generator with options from a spec string; unknown or mistyped options are a ``ValueError``."""
    parameters = inspect.signature(generator).parameters
    unknown = sorted(set(options) - set(parameters))
    if unknown:
        raise ValueError(f"{kind} {spec!r}: unknown option {unknown[0]!r}; known: {', '.join(parameters)}")
    try:
        check_option_types(generator, options)
        return generator(**options)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{kind} {spec!r}: {error}") from None


# Lowest value, 5, 25, 50, 75, 95 % quantiles and highest over the FCC traces of fcc-train-clean, resampled to 1 s. The
# lowest mean is 0.193; it stands as 0.3 here, the lowest bitrate, so that every trace can carry a video.
FCC_PROBABILITIES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
FCC_QUANTILES = {
    "mean_mbps": (0.300, 0.468, 0.663, 1.039, 1.836, 2.728, 3.424),
    "variation": (0.021, 0.053, 0.132, 0.243, 0.440, 0.702, 1.073),
    "correlation": (-0.189, -0.084, 0.062, 0.228, 0.539, 0.926, 0.951),  # of log bandwidth, 5 s apart
}
FCC_ROWS_OF_5_S = 0.34
FCC_PIECES = 64  # of 5 s


def synthetic_traces(count: int = 100, seed: int = 0) -> Generated:
    """FCC-like traces, see the module docstring. Trace i is drawn from (seed, i)."""
    _check_count(count)
    made, starts = [], []
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        mean, variation, correlation = (
            np.interp(rng.random(), FCC_PROBABILITIES, quantiles) for quantiles in FCC_QUANTILES.values()
        )
        noise = rng.standard_normal(FCC_PIECES)
        level = np.empty(FCC_PIECES)
        level[0] = noise[0]
        for i in range(1, FCC_PIECES):
            level[i] = correlation * level[i - 1] + np.sqrt(1 - correlation**2) * noise[i]
        spread = np.sqrt(np.log1p(variation**2))
        shape = np.exp(spread * level)
        value = np.round(np.maximum(mean * shape / shape.mean(), 0.01), 3)
        row_s = 5 if rng.random() < FCC_ROWS_OF_5_S else 1
        time_s = np.arange(0.0, 5.0 * FCC_PIECES + row_s / 2, row_s)
        bandwidth = value[np.maximum(np.ceil(time_s / 5.0).astype(int) - 1, 0)]
        made.append((f"synthetic-{seed}-{index:03d}", time_s, bandwidth))
        starts.append(rng.integers(1, len(time_s)))
    return Generated(made, np.array(starts))


GENET_SPACES: dict[str, dict[str, tuple[float, float]]] = {
    # (low, high) of each parameter: Genet config/abr/udr{1,2,3}.json; uniform, max_bw_mbps log-uniform
    "udr1": {
        "min_bw_mbps": (0.0, 3.5),
        "max_bw_mbps": (1.0, 5.0),
        "change_interval": (1, 4),
        "rtt_ms": (20.0, 30.0),
        "buffer_cap_s": (5.0, 10.0),
    },
    "udr2": {
        "min_bw_mbps": (0.0, 5.0),
        "max_bw_mbps": (1.0, 20.0),
        "change_interval": (0, 20),
        "rtt_ms": (20.0, 220.0),
        "buffer_cap_s": (5.0, 105.0),
    },
    "udr3": {
        "min_bw_mbps": (0.0, 10.0),
        "max_bw_mbps": (1.0, 100.0),
        "change_interval": (0, 100),
        "rtt_ms": (20.0, 1000.0),
        "buffer_cap_s": (5.0, 500.0),
    },
}
GENET_DURATION_S = 330.0


@dataclass(frozen=True)
class GenetConfig:
    """One point of Genet's configuration space (Genet, SIGCOMM 2022, table 3; ranges in ``GENET_SPACES``)."""

    min_bw_mbps: float
    max_bw_mbps: float
    change_interval: float
    """Largest number of samples (1.8 s each on average) for which a bandwidth is held."""
    rtt_ms: float
    buffer_cap_s: float


def sample_genet_config(rng: np.random.Generator, space: str = "udr3", **fixed: float) -> GenetConfig:
    """Draw a configuration from ``udr1``, ``udr2`` or ``udr3`` (Genet's own space); ``fixed`` sets parameters."""
    if space not in GENET_SPACES:
        raise ValueError(f"unknown space {space!r}; known: {', '.join(GENET_SPACES)}")
    drawn = {}
    for name, (low, high) in GENET_SPACES[space].items():
        logarithmic = name == "max_bw_mbps"
        drawn[name] = float(np.exp(rng.uniform(np.log(low), np.log(high)))) if logarithmic else rng.uniform(low, high)
    return GenetConfig(**{**drawn, **fixed})


def genet_trace(config: GenetConfig, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One trace of a configuration: times in s (the first is above 0) and Mbit/s, float64 (rows,).

    A bandwidth uniform in [min, max] is held for a uniform 1..change_interval samples; samples are a uniform
    0.1 to 3.5 s apart; values are rounded to two digits.
    """
    longest = max(int(config.change_interval), 1)
    while True:
        now, hold, value = 0.0, 0, 0.0
        time_s, bandwidth = [], []
        while now < GENET_DURATION_S:
            if hold <= 0:
                # not rng.uniform: the drawn minimum may exceed the maximum, which the published draw allows
                share = rng.random()
                value = round(config.min_bw_mbps + (config.max_bw_mbps - config.min_bw_mbps) * share, 2)
                hold = int(rng.integers(1, longest + 1))
            hold -= 1
            now = round(now + rng.uniform(0.1, 3.5), 2)
            time_s.append(now)
            bandwidth.append(value)
        if max(bandwidth) >= 0.01:  # a trace of zeros only would never deliver a chunk
            return np.array(time_s), np.array(bandwidth)


def genet_traces(
    space: str = "udr3",
    count: int = 100,
    seed: int = 0,
    min_bw_mbps: float | None = None,
    max_bw_mbps: float | None = None,
    change_interval: float | None = None,
    rtt_ms: float | None = None,
    buffer_cap_s: float | None = None,
) -> Generated:
    """Genet's traces, each from a configuration drawn in ``space``; parameters that are given are fixed."""
    _check_count(count)
    given = {
        "min_bw_mbps": min_bw_mbps,
        "max_bw_mbps": max_bw_mbps,
        "change_interval": change_interval,
        "rtt_ms": rtt_ms,
        "buffer_cap_s": buffer_cap_s,
    }
    fixed = {name: float(value) for name, value in given.items() if value is not None}
    for name, value in fixed.items():
        if not (np.isfinite(value) and value >= 0):
            raise ValueError(f"{name} must be a number from 0 up, it is {value}")
    made, configs = [], []
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        config = sample_genet_config(rng, space, **fixed)
        if max(config.min_bw_mbps, config.max_bw_mbps) < 0.02:
            raise ValueError("a largest bandwidth below 0.02 Mbit/s carries no video")
        configs.append(config)
        made.append((f"genet-{space}-{seed}-{index:03d}", *genet_trace(config, rng)))
    return Generated(
        made,
        rtt_ms=np.array([config.rtt_ms for config in configs]),
        buffer_cap_s=np.array([config.buffer_cap_s for config in configs]),
    )


def markov_traces(
    count: int = 100, seed: int = 0, t_l: float = 20.0, t_s: int = 5, cov: float = 0.2, duration_s: int = 320
) -> Generated:
    """Pensieve's Markov chain over ten states from 0.2 to 4.3 Mbit/s, one row per second.

    A state is left with probability 1/``t_l`` a second; Gaussian noise of standard deviation ``cov`` x state
    is held for ``t_s`` seconds, or until the state changes; values are floored at 0.1 Mbit/s. As in the
    published script the distance of a move is uniform over 0 .. (largest possible - 1), at most 7, and up or
    down with equal probability where both fit. The script takes its parameters as arguments; the defaults
    here are ours.
    """
    _check_count(count)
    if not (t_l >= 1 and t_s >= 1 and cov >= 0 and duration_s >= 2):
        raise ValueError("give t_l >= 1, t_s >= 1, cov >= 0 and duration_s >= 2")
    if count * duration_s > MAX_ROWS:
        raise ValueError(
            f"{count} traces of {duration_s:g} s are more than {MAX_ROWS} rows; give fewer, or shorter ones"
        )
    states = np.linspace(0.2, 4.3, 10)
    made = []
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        state, hold, noise = int(rng.integers(len(states))), 0, 0.0
        bandwidth = np.empty(int(duration_s))
        for second in range(len(bandwidth)):
            if hold <= 0:
                noise = rng.normal(0.0, cov * states[state])
                hold = int(t_s)
            bandwidth[second] = max(0.1, states[state] + noise)
            hold -= 1
            if rng.random() >= 1 - 1 / t_l:
                farthest = max(state, len(states) - 1 - state)
                distance = int(rng.integers(min(farthest, 8)))
                up, down = state + distance, state - distance
                if down >= 0 and up < len(states):
                    moved = up if rng.random() < 0.5 else down
                else:
                    moved = down if down >= 0 else up
                if moved != state:
                    hold = 0
                state = moved
        made.append((f"pensieve-markov-{seed}-{index:03d}", np.arange(len(bandwidth), dtype=float), bandwidth))
    return Generated(made)


def synthetic_video(seed: int = 0) -> dict[str, Any]:
    """A variable-bitrate video on Pensieve's ladder as a manifest: 49 chunks of 4 s listed, 48 played.

    The complexity of a scene scales all levels together; the coefficient of variation falls from 0.10 at the
    lowest level to 0.05 at the highest, as in Envivio-Dash3 (``video1``: 0.103 to 0.046).
    """
    rng = np.random.default_rng([seed, 1_000_003])
    chunks = 49
    scene = rng.standard_normal(chunks)
    sizes = []
    for bitrate, variation in zip(BITRATES_KBPS, (0.10, 0.09, 0.08, 0.08, 0.08, 0.05), strict=True):
        factor = np.exp(variation * (0.9 * scene + np.sqrt(1 - 0.9**2) * rng.standard_normal(chunks)))
        sizes.append(np.rint(bitrate * 1000 / 8 * 4 * factor / factor.mean()).astype(int).tolist())
    return {
        "chunk_duration_s": 4.0,
        "num_chunks": 48,
        "bitrates_kbps": list(BITRATES_KBPS),
        "chunk_sizes_bytes": sizes,
    }


BITRATES_4K_KBPS = (1000, 2500, 5000, 8000, 12000, 18000, 26000, 35000)
"""A ladder of ours, as sites that stream 4K have: the highest level is 35 times the lowest, that of Pensieve's 14."""
VARIATION_4K = 0.25


def synthetic_4k_video(seed: int = 0) -> dict[str, Any]:
    """A variable-bitrate video from 1 to 35 Mbit/s as a manifest: 48 chunks of 4 s.

    Sizes are log-normal around bitrate x duration and follow the scene, the correlation of two levels is 0.96. The mean
    rate of each level is its bitrate, and the coefficient of variation over its chunks is 0.25.
    """
    rng = np.random.default_rng([seed, 1_000_037])
    chunks, share = 48, 0.98
    scene = rng.standard_normal(chunks)
    sizes = []
    for bitrate in BITRATES_4K_KBPS:
        factor = np.exp(VARIATION_4K * (share * scene + np.sqrt(1 - share**2) * rng.standard_normal(chunks)))
        factor = 1.0 + VARIATION_4K * (factor - factor.mean()) / factor.std()
        sizes.append(np.rint(bitrate * 1000 / 8 * 4 * factor).astype(int).tolist())
    return {
        "chunk_duration_s": 4.0,
        "num_chunks": chunks,
        "bitrates_kbps": list(BITRATES_4K_KBPS),
        "chunk_sizes_bytes": sizes,
    }


LOWEST_KBPS, HIGHEST_KBPS = (150.0, 700.0), (2000.0, 8000.0)  # of a generated ladder
CHUNK_DURATIONS_S = (2.0, 3.0, 4.0, 4.0, 4.0)
MAX_LEVELS = 20


def generated_video(seed: int = 0, levels: int = 6) -> dict[str, Any]:
    """A video on a ladder of its own as a manifest: 48 chunks of 2, 3 or (mostly) 4 s.

    For policies that should serve any video. All ranges are ours: the lowest bitrate is log-uniform from 150 to
    700 kbit/s, the highest from 2 to 8 Mbit/s, those between are evenly spaced in their logarithm up to a third of the
    step. Sizes are log-normal around bitrate x duration: their variation is uniform from 5 to 30 %, their correlation
    between levels (what the scene decides) from 0.6 to 0.98 and that of successive scenes from 0 to 0.7. The levels'
    mean rates are their bitrates. ``ValueError`` unless levels are 2 to 20.
    """
    if not (isinstance(levels, int) and 2 <= levels <= MAX_LEVELS):
        raise ValueError(f"the number of levels must be a whole number from 2 to {MAX_LEVELS}, it is {levels!r}")
    rng = np.random.default_rng([seed, 1_000_033])
    chunks = 48
    lowest, highest = (np.exp(rng.uniform(*np.log(limits))) for limits in (LOWEST_KBPS, HIGHEST_KBPS))
    shift = rng.uniform(-1 / 3, 1 / 3, levels)
    shift[[0, -1]] = 0.0
    bitrates = np.rint(lowest * (highest / lowest) ** ((np.arange(levels) + shift) / (levels - 1)))
    duration_s = float(rng.choice(CHUNK_DURATIONS_S))
    variation, correlation, successive = rng.uniform(0.05, 0.3), rng.uniform(0.6, 0.98), rng.uniform(0.0, 0.7)
    scene = rng.standard_normal(chunks)
    for i in range(1, chunks):
        scene[i] = successive * scene[i - 1] + np.sqrt(1 - successive**2) * scene[i]
    own = rng.standard_normal((levels, chunks))
    factor = np.exp(variation * (np.sqrt(correlation) * scene + np.sqrt(1 - correlation) * own))
    sizes = np.rint(bitrates[:, None] * 1000 / 8 * duration_s * factor / factor.mean(axis=1, keepdims=True))
    return {
        "chunk_duration_s": duration_s,
        "num_chunks": chunks,
        "bitrates_kbps": bitrates.astype(int).tolist(),
        "chunk_sizes_bytes": sizes.astype(int).tolist(),
    }


MAX_TRACES = 100_000
MAX_ROWS = 20_000_000
"""Of all traces together."""


def _check_count(count: int) -> None:
    if not (isinstance(count, int) and 1 <= count <= MAX_TRACES):
        raise ValueError(f"the number of traces must be a whole number from 1 to {MAX_TRACES}, it is {count!r}")


def links_of_worlds(count: int = 100, seed: int = 0) -> Generated:
    """Links from 0.1 to 1,000 Mbit/s, constant, stationary, stepping, fading, with outages; 320 s in rows of 1 s.

    Each has a round trip of 5 to 300 ms and a buffer of 12 to 120 s; see ``netenvs.abr.worlds``. ``ValueError`` for a
    number of traces that is none.
    """
    _check_count(count)
    traces, rtt_ms, buffer_cap_s = world_traces(count, seed)
    return Generated(traces, rtt_ms=rtt_ms, buffer_cap_s=buffer_cap_s)


TRACES: dict[str, Callable[..., Generated]] = {
    "synthetic": synthetic_traces,
    "genet": genet_traces,
    "pensieve-markov": markov_traces,
    "worlds": links_of_worlds,
}
VIDEOS: dict[str, Callable[..., dict[str, Any]]] = {
    "synthetic": synthetic_video,
    "synthetic-4k": synthetic_4k_video,
    "generated": generated_video,
}
