"""The yardstick of the speed benchmark: tiled 360-degree streaming in plain Python.

One session after another, one chunk after another: the download of ``PlainLink``, then sets of tiles and loops over
them for each sample of the head, as the published bitrate simulators and MANSY's tile code go about it. Observations
are small numpy arrays, their history is rolled at each step. It follows the same rules as ``netenvs/VPStreaming-v0``
with its defaults to the last bit (tested), so both sides of a speed ratio do the same work.
"""

from __future__ import annotations

import math

import numpy as np

from benchmarks.speed.yardsticks.link import PlainLink
from netenvs.abr.workload import TraceSet
from netenvs.vp.recordings import Recordings, recordings_of
from netenvs.vp_streaming.options import RATES_MBPS
from netenvs.vp_streaming.qoe import make_qoe
from netenvs.vp_streaming.tiles import TileGrid, bytes_at_1_mbps

ROWS, COLUMNS = 8, 8
TILES = ROWS * COLUMNS
HALF_VIEWPORT_DEG = 50.0
SAMPLES = 5  # of the head in a chunk of one second
HISTORY = 10  # samples that are observed
PAST = 8  # chunks that are observed
SCALE = 10.0  # of the bandwidth

Observation = dict[str, np.ndarray]
Box = tuple[int, int, int, int]
"""First row, row after the last, first column, columns."""


class PlainTiles(PlainLink):
    """Session i plays recording i of the test split and trace i, again from the first after the last.

    8 x 8 tiles, a viewport of 100 x 100 degrees, five rates, logarithmic quality, buffer cap 3 s, round trip 80 ms.
    """

    def __init__(self, recordings: Recordings, traces: TraceSet):
        super().__init__(traces, chunk_ms=1000.0, cap_ms=3000.0, scale=SCALE)
        begins = recordings.offset.tolist()
        listed = [
            (begins[number], (begins[number + 1] - begins[number]) // SAMPLES, int(recordings.video[number]))
            for number in recordings_of(recordings, "test").tolist()
        ]
        self.recordings = [(begin, chunks, video) for begin, chunks, video in listed if chunks >= 2]
        self.angles, self.heads = recordings.angles_deg, recordings.angles_deg.tolist()
        self.sample_s = recordings.time_s.tolist()
        longest = {video: max(c for _, c, v in self.recordings if v == video) for _, _, video in self.recordings}
        grid = TileGrid(ROWS, COLUMNS)
        self.sizes = {video: bytes_at_1_mbps(grid, video, most, seed=0).tolist() for video, most in longest.items()}
        self.rates = list(RATES_MBPS)
        qoe = make_qoe("log", np.array(RATES_MBPS), None, 1.0, 1.0)
        self.utility, self.stall_penalty = qoe.utility.tolist(), qoe.stall_penalty
        self.recording = -1
        self.begin_video()

    def begin_video(self) -> tuple[Observation, dict[str, float]]:
        """Go to the next recording and trace; fetch the forced first chunk, all tiles at the lowest rate."""
        self.recording = (self.recording + 1) % len(self.recordings)
        self.begin, self.chunks, self.video = self.recordings[self.recording]
        self.begin_trace()
        self.chunk = 0
        self.quality = 0.0
        self.throughput, self.download_s = np.zeros(PAST, dtype=np.float32), np.zeros(PAST, dtype=np.float32)
        observation, _, _, info = self.step([1] * TILES)
        return observation, info

    def step(self, levels: list[int]) -> tuple[Observation, float, bool, dict[str, float]]:
        """Fetch one chunk at a level for each tile: observation, reward, whether the video is over, and its terms."""
        quality, spread, hole_s, seen = self.watch(levels)
        sizes, size, wasted = self.sizes[self.video][self.chunk], 0.0, 0.0
        for tile, level in enumerate(levels):
            if level > 0:
                tile_size = round(sizes[tile] * self.rates[level - 1])
                size += tile_size
                if tile not in seen:
                    wasted += tile_size
        delay, rebuffer, pause = self.download(size)
        stall_s, change = rebuffer / 1000.0, abs(quality - self.quality)
        reward = quality - self.stall_penalty * (stall_s + hole_s) - 1.0 * change - 1.0 * spread
        if self.chunk == 0:
            reward = change = 0.0  # the forced first chunk
        self.chunk += 1
        self.quality = quality
        highest = max(levels)
        aimed = {tile for tile, level in enumerate(levels) if level == highest > 0}
        throughput = size * 8.0 / delay / 1000.0 if size > 0.0 else 0.0
        info = {
            "quality": quality,
            "stall_s": stall_s,
            "viewport_stall_s": hole_s,
            "quality_change": change,
            "quality_spread": spread,
            "fetched_mbyte": size / 1e6,
            "wasted_mbyte": wasted / 1e6,
            "tile_recall": len(aimed & seen) / len(seen),
            "tile_precision": len(aimed & seen) / len(aimed) if aimed else 0.0,
            "delay_ms": delay,
            "sleep_ms": pause,
            "buffer_s": self.buffer / 1000.0,
            "throughput_mbps": throughput,
        }
        self.throughput, self.download_s = np.roll(self.throughput, -1), np.roll(self.download_s, -1)
        self.throughput[-1], self.download_s[-1] = throughput, delay / 1000.0
        return self.observe(levels), reward, self.chunk >= self.chunks, info

    def watch(self, levels: list[int]) -> tuple[float, float, float, set[int]]:
        """Mean quality in sight, its deviation, seconds with a hole, and the tiles in sight, of the next chunk."""
        seen: set[int] = set()
        quality = spread = hole_s = 0.0
        first = self.begin + SAMPLES * self.chunk
        for _, pitch, yaw in self.heads[first : first + SAMPLES]:
            tiles = tiles_of(box_of(pitch, yaw))
            values = [self.utility[levels[tile]] for tile in tiles]
            total = 0.0
            for value in values:
                total += value
            mean = total / len(values)
            if min(values) == max(values):
                mean = values[0]
            else:
                squares = 0.0
                for value in values:
                    squares += (value - mean) * (value - mean)
                spread += math.sqrt(squares / len(values)) / SAMPLES
            quality += mean / SAMPLES
            hole_s += 0.2 if any(levels[tile] == 0 for tile in tiles) else 0.0
            seen.update(tiles)
        return quality, spread, hole_s, seen

    def observe(self, levels: list[int]) -> Observation:
        """What is known before the next chunk; the viewport is predicted where it was last seen."""
        last = math.floor((self.chunk * 1000.0 - self.buffer) / 200.0 + 1e-6)
        _, pitch, yaw = self.heads[self.begin + last]
        viewport, over = set(tiles_of(box_of(pitch, yaw))), self.chunk >= self.chunks
        sizes = [0.0] * TILES if over else self.sizes[self.video][self.chunk]
        highest = self.rates[-1]
        rows = [self.begin + max(last - HISTORY + 1 + i, 0) for i in range(HISTORY)]
        return {
            "history": self.angles[rows],
            "time_s": np.array([self.sample_s[self.begin + last]], dtype=np.float32),
            "buffer_s": np.array([self.buffer / 1000.0], dtype=np.float32),
            "throughput_mbps": self.throughput.copy(),
            "download_s": self.download_s.copy(),
            "fetched": np.array(
                [self.rates[level - 1] / highest if level > 0 else 0.0 for level in levels], dtype=np.float32
            ),
            "tile_mbyte": np.array([round(size * self.rates[0]) / 1e6 for size in sizes], dtype=np.float32),
            "viewport": np.array([float(tile in viewport) for tile in range(TILES)], dtype=np.float32),
            "chunks_left": np.array([(self.chunks - self.chunk) / self.chunks], dtype=np.float32),
        }

    def run(self, steps: int, rng: np.random.Generator) -> None:
        """Play ``steps`` decisions with random levels, one session after another."""
        self.begin_video()
        for levels in rng.integers(len(self.rates) + 1, size=(steps, TILES)).tolist():
            if self.step(levels)[2]:
                self.begin_video()


def box_of(pitch: float, yaw: float) -> Box:
    """The tiles that a viewport overlaps; over a pole it looks down on the other side."""
    pitch -= 360.0 * round(pitch / 360.0)
    if abs(pitch) > 90.0:
        pitch, yaw = math.copysign(180.0, pitch) - pitch, yaw + 180.0
    top = max(math.floor((pitch - HALF_VIEWPORT_DEG + 90.0) * ROWS / 180.0), 0)
    below = min(math.ceil((pitch + HALF_VIEWPORT_DEG + 90.0) * ROWS / 180.0), ROWS)
    left = math.floor((yaw - HALF_VIEWPORT_DEG + 180.0) * COLUMNS / 360.0)
    width = min(math.ceil((yaw + HALF_VIEWPORT_DEG + 180.0) * COLUMNS / 360.0) - left, COLUMNS)
    return top, below, left, width


def tiles_of(box: Box) -> list[int]:
    """Their numbers, row by row from the left; columns go round."""
    top, below, left, width = box
    return [row * COLUMNS + (left + i) % COLUMNS for row in range(top, below) for i in range(width)]
