"""The yardstick of the speed benchmark: a bitrate simulator with the structure of the published ones.

Python lists for the trace, one while loop a chunk, a numpy state matrix that is rolled at each step: what Pensieve's
``sim/env.py`` and its descendants do, with random actions and without logging. It follows the same rules as
``netenvs/ABR-v0`` to the last bit (tested), so both sides of a speed ratio do the same work.
"""

from __future__ import annotations

import numpy as np

from benchmarks.speed.yardsticks.link import PlainLink
from netenvs.abr.workload import TraceSet, Video

M_IN_K = 1000.0


class PlainLoop(PlainLink):
    """One session after another over the traces of a set, as published: 48 chunks, buffer cap 60 s, RTT 80 ms."""

    def __init__(self, traces: TraceSet, video: Video):
        super().__init__(traces, chunk_ms=4000.0, cap_ms=60000.0)
        self.sizes = [video.chunk_sizes[:, level].tolist() for level in range(video.num_levels)]
        self.bitrates = video.bitrates_kbps.tolist()
        self.chunks = video.num_chunks
        self.begin_video()

    def begin_video(self) -> None:
        """Go to the next trace, empty the buffer."""
        self.begin_trace()
        self.chunk = 0
        self.last_quality = 0
        self.state = np.zeros((6, 6))

    def get_chunk(self, quality: int) -> tuple[float, float, float, int]:
        """Download one chunk: delay in ms, rebuffering in s, buffer in s, size in bytes."""
        size = self.sizes[quality][self.chunk]
        delay, rebuffer, _ = self.download(size)
        self.chunk += 1
        return delay, rebuffer / 1000.0, self.buffer / 1000.0, size

    def step(self, quality: int) -> tuple[np.ndarray, float, bool]:
        """One decision: the rolled state matrix (6, 6), the reward and whether the video is over."""
        delay, rebuffer_s, buffer_s, size = self.get_chunk(quality)
        bitrate, last = self.bitrates[quality], self.bitrates[self.last_quality]
        reward = bitrate / M_IN_K - 4.3 * rebuffer_s - 1.0 * np.abs(bitrate - last) / M_IN_K
        self.last_quality = quality
        over = self.chunk >= self.chunks
        sizes = [0] * len(self.sizes) if over else [level[self.chunk] for level in self.sizes]
        self.state = np.roll(self.state, -1, axis=1)
        self.state[0, -1] = bitrate / float(np.max(self.bitrates))
        self.state[1, -1] = buffer_s / 10.0
        self.state[2, -1] = float(size) / float(delay) / M_IN_K
        self.state[3, -1] = float(delay) / M_IN_K / 10.0
        self.state[4, : len(sizes)] = np.array(sizes) / M_IN_K / M_IN_K
        self.state[5, -1] = np.minimum(self.chunks - self.chunk, self.chunks) / float(self.chunks)
        return self.state, reward, over

    def run(self, steps: int, rng: np.random.Generator) -> None:
        """Play ``steps`` decisions with random levels, one video after another."""
        levels = rng.integers(len(self.sizes), size=steps).tolist()
        self.begin_video()
        self.step(0)
        for level in levels:
            if self.step(level)[2]:
                self.begin_video()
                self.step(0)
