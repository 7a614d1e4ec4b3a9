"""The RobustMPC variant that Genet and NetLLM published, for parity."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.abr.mpc import HORIZON, PAST_CHUNKS, best_first_level, thousandths
from agents.policy import Policy


class NetLLMMPC(Policy):
    """The MPC of the published comparisons, decision by decision, handicaps included: for parity.

    ``run_baseline.py`` of NetLLM (and Genet's ``fig_reproduce``) differ from RobustMPC in three ways, all kept
    here: plans change level by at most one a chunk (96 to 209 plans instead of 7,776), the sizes are those of
    the chunk after the right one, and errors and estimates are carried from one video to the next
    (``sequential``), one more of each at every video's end. The first video's throughputs are rounded to float32
    as there. The chunk after the last one played is read, which ``video1`` and ``video2`` list.
    """

    sequential = True

    def __init__(self) -> None:
        self._begun = False

    def reset(self, seed: int | None = None) -> None:
        if seed is not None or not self._begun:  # the stream begins; later episodes go on without a seed
            self._errors: list[float] = []
            self._estimate: float | None = None
            self._measure: type = np.float32
            self._begun = True
        else:
            self._measure = np.float64
        self._throughput: list[Any] = []

    def act(self, observation: np.ndarray, info: dict[str, Any]) -> int:
        bandwidth = self._predict(info)
        video, qoe = info["video"], info["qoe"]
        sizes = video.chunk_sizes
        if len(sizes) == video.num_chunks:  # a manifest without a spare chunk: the last one stands in
            sizes = np.concatenate([sizes, sizes[-1:]])
        return int(
            best_first_level(
                sizes[1:],
                info["chunk"],
                min(HORIZON, video.num_chunks - info["chunk"]),
                info["buffer_s"],
                bandwidth,
                int(np.searchsorted(video.bitrates_kbps, info["bitrate_kbps"])),
                *thousandths(qoe),
                qoe.rebuffer_penalty,
                video.chunk_duration_s,
                1,
            )
        )

    def finish(self, observation: np.ndarray, info: dict[str, Any]) -> None:
        self._predict(info)

    def _predict(self, info: dict[str, Any]) -> float:
        """Note the last chunk's throughput and prediction error; predict the bandwidth in Mbyte/s."""
        measured = self._measure(info["chunk_bytes"] / info["delay_ms"] / 1000.0)
        error = 0.0
        if self._estimate is not None:
            error = abs(self._estimate - measured) / float(measured)
        self._errors = [*self._errors, error][-PAST_CHUNKS:]
        self._throughput = [*self._throughput, measured][-PAST_CHUNKS:]
        inverse = sum(1 / float(value) for value in self._throughput)
        self._estimate = 1.0 / (inverse / len(self._throughput))
        return self._estimate / (1 + float(max(self._errors)))
