"""The RobustMPC behind the published logs of Pensieve's followers, for parity."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.abr.mpc import HORIZON, PAST_CHUNKS, best_first_level, thousandths
from agents.policy import Policy

RTT_MS = 80.0  # LINK_RTT of Pensieve's simulator


class PensieveMPC(Policy):
    """The MPC whose actions ``pensieve-logs`` holds, decision by decision: for parity.

    It makes 6,669 of the 6,674 decisions of that log on ``pensieve-test`` with ``preset=pensieve``; the other five
    follow from equal plans on one trace. From ``robust-mpc`` it differs in three ways: each download of its model
    takes the simulator's round trip, ``rtt_ms``, in addition to size / bandwidth, although the measured throughput
    has it already; the largest of the last five prediction errors looks back into the video before (``sequential``,
    in the order of files; the first error of a video is 0, and there is one more at its end); and near the end it
    plans one chunk beyond the last one played, which ``video1`` lists. All plans are considered, of equal ones the
    last is played, and sizes are those of the chunks that come.

    Arguments:
        rtt_ms: of the model.
        carry_errors: whether prediction errors go over to the next video.
        beyond: whether the chunk after the last one played is planned, where the video lists it.
    """

    sequential = True

    def __init__(self, rtt_ms: float = RTT_MS, carry_errors: bool = True, beyond: bool = True):
        if not rtt_ms >= 0:
            raise ValueError("rtt_ms must be 0 or more")
        self.rtt_ms, self.carry_errors, self.beyond = float(rtt_ms), carry_errors, beyond
        self._errors: list[float] = []

    def reset(self, seed: int | None = None) -> None:
        if seed is not None or not self.carry_errors:  # the stream begins; later episodes go on without a seed
            self._errors = []
        self._throughput: list[float] = []
        self._estimate: float | None = None

    def act(self, observation: np.ndarray, info: dict[str, Any]) -> int:
        bandwidth = self._predict(info)
        video, qoe = info["video"], info["qoe"]
        beyond = self.beyond and qoe.by_chunk is None  # those objectives know the chunks that are played, no other
        listed = min(len(video.chunk_sizes), video.num_chunks + beyond)
        return int(
            best_first_level(
                video.chunk_sizes,
                info["chunk"],
                min(HORIZON, listed - info["chunk"]),
                info["buffer_s"],
                bandwidth,
                int(np.searchsorted(video.bitrates_kbps, info["bitrate_kbps"])),
                *thousandths(qoe),
                qoe.rebuffer_penalty,
                video.chunk_duration_s,
                video.num_levels,
                self.rtt_ms / 1000.0,
            )
        )

    def finish(self, observation: np.ndarray, info: dict[str, Any]) -> None:
        self._predict(info)

    def _predict(self, info: dict[str, Any]) -> float:
        """Note the last chunk's throughput and prediction error; predict the bandwidth in Mbyte/s."""
        measured = info["chunk_bytes"] / info["delay_ms"] / 1000.0
        error = 0.0 if self._estimate is None else abs(self._estimate - measured) / measured
        self._errors = [*self._errors, error][-PAST_CHUNKS:]
        self._throughput = [*self._throughput, measured][-PAST_CHUNKS:]
        inverse = sum(1 / value for value in self._throughput)
        self._estimate = 1.0 / (inverse / len(self._throughput))
        return self._estimate / (1 + max(self._errors))
