"""What a policy sees at one decision, made by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agents.abr.throughput_quantiles import PAST
from netenvs.abr.qoe import make_qoe
from netenvs.abr.workload import Video

LADDER = (300, 750, 1200, 1850, 2850, 4300)


def frozen(values) -> np.ndarray:
    """int32, read-only as the arrays of a video that was read: numba compiles again for another kind."""
    array = np.array(values, dtype=np.int32)
    array.flags.writeable = False
    return array


@pytest.fixture
def make_video() -> Callable[..., Video]:
    """A video of constant bitrate, or of the given sizes (chunks, levels)."""

    def make(ladder=LADDER, sizes=None, num_chunks=48, chunk_duration_s=4.0) -> Video:
        bitrates = frozen(ladder)
        if sizes is None:
            sizes = np.tile(bitrates * int(125 * chunk_duration_s), (num_chunks + 1, 1))
        return Video("made", chunk_duration_s, num_chunks, bitrates, frozen(sizes))

    return make


@pytest.fixture
def decide(make_video) -> Callable[..., Any]:
    """One decision of ``policy`` after a chunk with these columns; the others have harmless values."""

    def act(policy, video=None, qoe="lin", penalty=4.3, **columns):
        video = make_video() if video is None else video
        info = {"buffer_s": 10.0, "bitrate_kbps": 300.0, "chunk": 1, "chunk_bytes": 150_000.0, "delay_ms": 1000.0}
        info |= {"sleep_ms": 0.0, "rebuffer_s": 0.0, "buffer_cap_s": 60.0}
        info.update(columns)
        info["throughput_mbps"] = info["chunk_bytes"] * 8 / info["delay_ms"] / 1000
        info |= {"video": video, "qoe": make_qoe(qoe, video.bitrates_kbps, penalty)}
        return policy.act(np.zeros((6, 6), dtype=np.float32), info)

    return act


@pytest.fixture
def past() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Throughputs and times of ``known`` downloads, in a window of PAST, oldest first, float64 (1, PAST)."""

    def make(known):
        rng = np.random.default_rng(0)
        throughput, delay = np.zeros((1, PAST)), np.zeros((1, PAST))
        throughput[0, PAST - known :] = rng.uniform(0.2, 8.0, known)
        delay[0, PAST - known :] = rng.uniform(0.1, 9.0, known)
        return throughput, delay

    return make
