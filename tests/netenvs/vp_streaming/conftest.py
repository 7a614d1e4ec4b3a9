"""A session small enough to compute by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import pytest

from netenvs.vp_streaming import simulator

ID = "netenvs/VPStreaming-v0"


class Tiny(NamedTuple):
    """One viewer, one trace of constant bandwidth, and tiles without detail of their own."""

    options: dict[str, Any]
    recording: Callable[..., str]

    def make(self, **options: Any) -> gym.Env:
        return gym.make(ID, **{**self.options, **options})


@pytest.fixture
def tiny(tmp_path: Path, trace_file: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """9.5 Mbit/s of payload; 4 x 4 tiles; a viewer who looks at (pitch, yaw) = (10, 10), with a viewport of 80 x 80."""

    def even(grid, video, chunks, seed):
        """Tiles as large as their share of the sphere."""
        return np.tile(grid.shares() * 125_000, (chunks, 1))

    def recording(pitch_yaw, name="recording.csv"):
        """A file of one viewer's angles at 5 Hz, (samples, 2)."""
        angles = np.asarray(pitch_yaw, dtype=float)
        rows = [f"{i / 5},0,{pitch},{yaw}" for i, (pitch, yaw) in enumerate(angles)]
        path = tmp_path / name
        path.write_text("time_s,roll,pitch,yaw\n" + "\n".join(rows) + "\n")
        return str(path)

    monkeypatch.setattr(simulator, "bytes_at_1_mbps", even)
    options = {
        "dataset": recording(np.tile([10.0, 10.0], (40, 1))),
        "traces": trace_file([(float(second), 1.0) for second in range(0, 1001, 10)]),
        "bandwidth_scale": 10.0,
        "tiles": "4x4",
        "fov_deg": [80.0, 80.0],
        "rates_mbps": [1.0, 2.0, 4.0],
        "qoe": "lin",
        "rtt_ms": 100.0,
    }
    return Tiny(options, recording)
