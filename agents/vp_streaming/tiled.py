"""Predict the viewport, then choose its rate: every viewport predictor as a streaming policy."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.policy import BatchPolicy, PolicyError, load_policy
from agents.vp.predictor import PREVIOUS_VIEWERS, Predictor
from agents.vp_streaming.rates import BufferBased, RateBased, sizes_mbyte, zone_levels
from netenvs.vp.recordings import RATE_HZ
from netenvs.vp_streaming.tiles import viewport_rings

CHUNK_SAMPLES = round(RATE_HZ)


class TiledPolicy(BatchPolicy):
    """What tiled policies share: the highest option that the rule for rates allows. Subclasses write ``options``."""

    rates: RateBased | BufferBased

    def options(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        """Levels of all tiles, int64 (k, n, tiles), for n options in ascending order of size."""
        raise NotImplementedError(f"{type(self).__name__} does not define options(observations, infos)")

    def act_batch(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        options = self.options(observations, infos)
        chosen = self.rates.choose(observations, sizes_mbyte(options, observations["tile_mbyte"], infos["rates_mbps"]))
        return options[np.arange(len(options)), chosen]


class Tiled(TiledPolicy):
    """The tiles of the predicted viewport at one rate, a ring around it one level less, all others at the lowest.

    ``predictor`` is any predictor of ``agents.vp``, with its options in brackets; the predicted viewport is the union
    over the five samples of the chunk. The rate is the highest that the whole chunk can have: with
    ``rates="throughput"`` within ``safety`` times the harmonic mean of the last five throughputs, with
    ``rates="buffer"`` by the buffer, linear from ``reservoir_s`` over ``cushion_s``.

    The defaults have the highest QoE on the validation split of the generated recordings, standing still: of margins
    0 to 2, of ``safety`` 0.8, 0.9 and 1.0, and of three pairs of reservoir and cushion for a buffer of at most 3 s.
    """

    def __init__(
        self,
        predictor: str = "static",
        rates: str = "throughput",
        margin: int = 1,
        safety: float = 1.0,
        reservoir_s: float = 1.0,
        cushion_s: float = 2.0,
    ):
        if rates not in ("buffer", "throughput"):
            raise ValueError(f"rates must be throughput or buffer, not {rates!r}")
        if not isinstance(margin, int) or margin < 0:
            raise ValueError(f"margin must be a whole number of tiles from 0 up, not {margin!r}")
        self.margin = margin
        self.rates = RateBased(safety) if rates == "throughput" else BufferBased(reservoir_s, cushion_s)
        self.predictor = load_predictor(predictor)
        self.assumption = self.predictor.assumption
        self.parameters, self.bytes = self.predictor.parameters, self.predictor.bytes
        self.observation_options = self.predictor.observation_options

    def options(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        path = chunk_paths(self.predictor, observations, infos)
        return zone_levels(viewport_rings(infos["grid"], path, infos["fov_deg"]), len(infos["rates_mbps"]), self.margin)


class StaticBuffer(Tiled):
    """The viewer does not move; the rate follows the buffer."""

    def __init__(self, margin: int = 1, reservoir_s: float = 1.0, cushion_s: float = 2.0):
        super().__init__("static", "buffer", margin, reservoir_s=reservoir_s, cushion_s=cushion_s)


class StaticRate(Tiled):
    """The viewer does not move; the rate follows the throughput."""

    def __init__(self, margin: int = 1, safety: float = 1.0):
        super().__init__("static", "throughput", margin, safety)


class LineRate(Tiled):
    """The viewer goes on along a straight line through the last 2 s; the rate follows the throughput."""

    def __init__(self, margin: int = 1, safety: float = 1.0):
        super().__init__("linear-regression-unwrapped", "throughput", margin, safety)


class NeighboursRate(Tiled):
    """The viewer does what similar previous viewers did; the rate follows the throughput."""

    assumption = PREVIOUS_VIEWERS

    def __init__(self, margin: int = 1, safety: float = 1.0):
        super().__init__("neighbours", "throughput", margin, safety)


class ViewersRate(Tiled):
    """The viewport of the learned predictor ``viewers``; the rate follows the throughput."""

    assumption = PREVIOUS_VIEWERS

    def __init__(self, margin: int = 1, safety: float = 1.0):
        super().__init__("viewers", "throughput", margin, safety)


def load_predictor(spec: str) -> Predictor:
    """A viewport predictor by name, file, module or folder. Raises ``PolicyError`` for what is none."""
    predictor = load_policy(spec, "vp")
    if not isinstance(predictor, Predictor):
        raise PolicyError(f"{spec!r} does not predict paths for many viewers at once: subclass agents.vp.Predictor")
    if predictor.privileged:
        raise PolicyError(f"{spec!r} looks into the environment of viewport prediction; it cannot predict here")
    return predictor


def chunk_paths(predictor: Predictor, observations: Any, infos: dict[str, Any]) -> np.ndarray:
    """Where the head is expected while the next chunk is watched, (k, 5, 3) degrees."""
    predicted = predictor.act_batch(observations, infos)
    steps = np.asarray(infos["lead"])[:, None] - 1 + np.arange(CHUNK_SAMPLES)
    return np.take_along_axis(predicted, steps[..., None], axis=1)
