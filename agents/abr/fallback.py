"""What a network plays outside the worlds that it was trained for: a rule without search, and it says so."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.abr.dynamic import Dynamic
from agents.abr.throughput import ThroughputWindow, harmonic_mean
from agents.policy import BatchPolicy
from netenvs.abr.qoe import QoE
from netenvs.abr.records import Video
from netenvs.spec import unknown_name

NONE = "none"
RULES: dict[str, type[BatchPolicy]] = {"dynamic": Dynamic}
PAST_CHUNKS = 5  # whose harmonic mean is the throughput
LADDER_FACTOR = 1.5  # a ladder is as trained for if no bitrate is further than this from its own
DURATION_FACTOR = 1.5
PENALTY_FACTOR = 2.5  # 4.3 and 10, the two of the literature, are one range

Decide = Callable[[np.ndarray, dict[str, Any]], np.ndarray]


@dataclass(frozen=True)
class TrainingRange:
    """The worlds that a network was trained for. Where a field is None, nothing is known of it and all will do."""

    levels: int
    bitrates_kbps: tuple[int, ...] | None = None
    chunk_duration_s: float | None = None
    throughput_mbps: tuple[float, float] | None = None
    """Lowest and highest harmonic mean of five measured throughputs."""
    penalty: float | None = None
    """Cost of a second of stalling where the utility is the bitrate in Mbit/s, over the range of the ladder."""

    def beyond(self, video: Video, qoe: QoE) -> str | None:
        """What of a session is out of range, for a message; None: nothing is."""
        if video.num_levels != self.levels:
            return f"{self.levels} levels, video {video.name!r} has {video.num_levels}"
        if self.bitrates_kbps is not None and _apart(video.bitrates_kbps, self.bitrates_kbps, LADDER_FACTOR):
            theirs, own = (" ".join(map(str, ladder)) for ladder in (video.bitrates_kbps, self.bitrates_kbps))
            return f"{own} kbit/s, video {video.name!r} has {theirs}"
        if self.chunk_duration_s and _apart(video.chunk_duration_s, self.chunk_duration_s, DURATION_FACTOR):
            return f"chunks of {self.chunk_duration_s:g} s, video {video.name!r} has {video.chunk_duration_s:g}"
        if self.penalty is not None and qoe.kind == "lin":
            penalty = qoe.rebuffer_penalty / max(float(qoe.utility[-1] - qoe.utility[0]), 1e-9)
            if _apart(max(penalty, 1e-9), self.penalty, PENALTY_FACTOR):
                unit = "ladder's range in Mbit/s"
                return f"a stall penalty of {self.penalty:.2g} times the {unit}, here it is {penalty:.2g} times that"
        return None


def _apart(value: Any, trained: Any, factor: float) -> bool:
    return bool(np.any(np.abs(np.log(np.asarray(value) / np.asarray(trained))) > np.log(factor) + 1e-9))


class Fallback:
    """Lets a network decide inside its range, and a rule outside of it, session by session and decision by decision.

    ``rule`` is one of ``RULES``, or ``none``: then the network decides everywhere that it can, and another number of
    levels is a ``ValueError``. The first time that the rule plays there is a warning with range and rule.
    """

    def __init__(self, who: str, trained: TrainingRange, rule: str = "dynamic"):
        if rule != NONE and rule not in RULES:
            raise ValueError(unknown_name("fallback", str(rule), [*RULES, NONE]))
        self.who, self.trained, self.name = who, trained, rule
        self._rule = None if rule == NONE else RULES[rule]()
        self._window = ThroughputWindow(PAST_CHUNKS)
        self._said = False

    @property
    def plays(self) -> bool:
        """Whether there is a rule."""
        return self._rule is not None

    def reset_rows(self, rows: np.ndarray, seeds: Sequence[int | None]) -> None:
        self._window.clear(rows)
        if self._rule is not None:
            self._rule.reset_rows(rows, seeds)

    def act_batch(self, network: Decide, observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
        """The levels (k,), of ``network(observations, infos)`` where it is in its range."""
        video, trained = infos["video"], self.trained
        if self._rule is None:
            if video.num_levels != trained.levels:
                raise ValueError(f"{self.who} was trained for {trained.beyond(video, infos['qoe'])}; train one on it")
            return network(observations, infos)
        new = infos["row"][infos["row"] >= len(self._window.values)]
        if len(new):  # networks without a memory need no reset
            self.reset_rows(new, [None] * len(new))
        levels = self._rule.act_batch(observations, infos)  # it looks on all the time
        mbps = harmonic_mean(self._window.push(infos["row"], infos["throughput_mbps"]))
        beyond = trained.beyond(video, infos["qoe"])
        if beyond is not None:
            self._say(beyond)
            return levels
        if trained.throughput_mbps is None:
            return network(observations, infos)
        low, high = trained.throughput_mbps
        inside = (low <= mbps) & (mbps <= high)
        if inside.all():
            return network(observations, infos)
        self._say(f"{low:g} to {high:g} Mbit/s, here are {mbps[~inside][0]:.3g}")
        if inside.any():
            some = {
                name: value[inside] if isinstance(value, np.ndarray) and value.shape[:1] == inside.shape else value
                for name, value in infos.items()
            }
            levels[inside] = network(observations[inside], some)
        return levels

    def _say(self, beyond: str) -> None:
        if not self._said:
            self._said = True
            warnings.warn(f"{self.who} was trained for {beyond}: there the rule {self.name!r} plays", stacklevel=2)
