"""QUETRA: the bitrate for which a queue with the player's capacity would be as full as the buffer is empty."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from agents.abr.ewma import EwmaThroughput
from agents.policy import BatchPolicy

LOADS = np.geomspace(0.01, 100.0, 801)  # throughput over bitrate; beyond them the queue is empty or full


@cache
def expected_slack(capacity: int) -> np.ndarray:
    """Mean free places in an M/D/1/K queue, float64 (loads,), at each of ``LOADS``; K is ``capacity``.

    Arrivals in a service time are Poisson with mean rho. At departures the queue is a Markov chain whose states
    0 ... K - 1 have probabilities in proportion to pi_j: as many steps lead up over j as down to it, so that
    P(0 arrivals) pi_{j+1} = pi_0 P(more than j) + sum_{i=1..j} pi_i P(more than j + 1 - i). At any time
    P_j = pi_j / (pi_0 + rho) for j < K (Gross, Harris, *Fundamentals of Queueing Theory*, M/G/1/K).
    """
    rho = LOADS
    arrivals = np.empty((capacity + 1, len(rho)))
    arrivals[0] = np.exp(-rho)
    for k in range(1, capacity + 1):
        arrivals[k] = arrivals[k - 1] * rho / k
    more = 1.0 - np.cumsum(arrivals, axis=0)
    pi = np.zeros((capacity, len(rho)))
    pi[0] = 1.0
    for j in range(capacity - 1):
        up = pi[0] * more[j] + (pi[1 : j + 1] * more[j:0:-1]).sum(axis=0)
        pi[j + 1] = up / arrivals[0]
        pi /= pi[: j + 2].sum(axis=0)  # loads of 100 would overflow
    pi /= pi.sum(axis=0)
    there = pi / (pi[0] + rho)
    slack: np.ndarray = ((capacity - np.arange(capacity))[:, None] * there).sum(axis=0)
    slack.flags.writeable = False
    return slack


class QUETRA(BatchPolicy):
    """QUETRA: the level whose expected free buffer, in an M/D/1/K queue, is nearest to what is buffered.

    Yadav, Shafiei, Ooi, *QUETRA: A Queuing Theory Approach to DASH Rate Adaptation*, ACM MM 2017. Chunks arrive at
    throughput / bitrate a chunk duration, one is played in each, K fit into the buffer. The slack that a level would
    leave in the long run grows with its bitrate; where the buffer is as full as the slack of the level, buffer and
    link are in balance. It has no parameter. The throughput is dash.js' (``EwmaThroughput``), whose rule set it was
    written for.
    """

    def __init__(self) -> None:
        self._throughput = EwmaThroughput()

    def reset_rows(self, rows: np.ndarray, seeds: Sequence[int | None]) -> None:
        self._throughput.clear(rows)

    def act_batch(self, observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
        video, buffer_s = infos["video"], np.asarray(infos["buffer_s"])
        mbps = self._throughput.push(infos["row"], infos["throughput_mbps"], infos["delay_ms"] / 1000.0)
        capacity = np.maximum(np.round(infos["buffer_cap_s"] / video.chunk_duration_s), 1).astype(np.int64)
        load = np.log(mbps[:, None] * 1000.0 / video.bitrates_kbps)
        slack = np.empty(load.shape)
        for places in np.unique(capacity).tolist():
            slack[capacity == places] = np.interp(load[capacity == places], np.log(LOADS), expected_slack(places))
        distance = np.abs(slack - (buffer_s / video.chunk_duration_s)[:, None])
        return video.num_levels - 1 - np.argmin(distance[:, ::-1], axis=1)  # of equal levels the higher one
