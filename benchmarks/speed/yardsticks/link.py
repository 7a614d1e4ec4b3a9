"""The link of published bitrate simulators, over lists in Python: what ``sim/env.py`` of Pensieve does for a chunk."""

from __future__ import annotations

import numpy as np

from netenvs.abr.workload import TraceSet


class PlainLink:
    """Downloads over one trace after another, and the playback buffer that they fill.

    Arguments:
        traces: each is kept as lists.
        chunk_ms, cap_ms, rtt_ms: playback time of a chunk, most of it that is fetched ahead, round trip of a chunk.
        scale: factor on the bandwidth.
    """

    def __init__(self, traces: TraceSet, chunk_ms: float, cap_ms: float, rtt_ms: float = 80.0, scale: float = 1.0):
        self.times = [traces.trace(i)[0].tolist() for i in range(len(traces))]
        self.bandwidths = [(traces.trace(i)[1] * scale).tolist() for i in range(len(traces))]
        self.starts = traces.start_pointer.tolist()
        self.chunk_ms, self.cap_ms, self.rtt_ms = chunk_ms, cap_ms, rtt_ms
        self.trace = -1

    def begin_trace(self) -> None:
        """Go to the next trace, empty the buffer."""
        self.trace = (self.trace + 1) % len(self.times)
        self.time, self.bandwidth = self.times[self.trace], self.bandwidths[self.trace]
        self.pointer = self.starts[self.trace]
        self.last_time = self.time[self.pointer - 1]
        self.buffer = 0.0

    def download(self, size: float) -> tuple[float, float, float]:
        """Of one chunk of ``size`` bytes: delay, rebuffering and the pause of a full buffer, ms."""
        delay, sent = 0.0, 0.0
        while True:
            throughput = self.bandwidth[self.pointer] * 1000000.0 / 8.0
            duration = self.time[self.pointer] - self.last_time
            payload = throughput * duration * 0.95
            if sent + payload > size:
                fraction = (size - sent) / throughput / 0.95
                delay += fraction
                self.last_time += fraction
                break
            sent += payload
            delay += duration
            self.next_segment()
        delay = delay * 1000.0 + self.rtt_ms
        rebuffer = np.maximum(delay - self.buffer, 0.0)
        self.buffer = np.maximum(self.buffer - delay, 0.0) + self.chunk_ms
        pause = 0.0
        if self.buffer > self.cap_ms:
            pause = sleep = np.ceil((self.buffer - self.cap_ms) / 500.0) * 500.0
            self.buffer -= sleep
            while True:
                duration = self.time[self.pointer] - self.last_time
                if duration > sleep / 1000.0:
                    self.last_time += sleep / 1000.0
                    break
                sleep -= duration * 1000.0
                self.next_segment()
        return delay, rebuffer, pause

    def next_segment(self) -> None:
        """Cross into the next segment of the trace, round its end if need be."""
        self.last_time = self.time[self.pointer]
        self.pointer += 1
        if self.pointer >= len(self.bandwidth):
            self.pointer = 1
            self.last_time = 0.0
