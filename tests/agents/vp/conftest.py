"""Small recordings for the predictors."""

from collections.abc import Callable

import numpy as np
import pytest

from netenvs.vp.recordings import Recordings, Split


def make_recordings(
    videos: int = 3, users: int = 7, samples: int = 130, seed: int = 0, angles: np.ndarray | None = None
) -> Recordings:
    """Random walks around an attraction that moves: video 0 for training, 1 for validation, 2 for the test."""
    rng = np.random.default_rng(seed)
    attraction = np.cumsum(rng.normal(0, 4, (videos, samples)), axis=1)
    walks = np.cumsum(rng.normal(0, 1, (videos, users, samples, 3)), axis=2)
    walks[..., 2] += attraction[:, None] + rng.normal(0, 30, (videos, users, 1))
    walks[..., 1] = walks[..., 1].clip(-80, 80)
    count = videos * users
    return Recordings(
        name="small",
        offset=np.arange(count + 1) * samples,
        angles_deg=((walks + 180) % 360 - 180).reshape(-1, 3).astype(np.float32) if angles is None else angles,
        time_s=np.tile(np.arange(samples) / 5.0, count),
        video=np.repeat(np.arange(videos), users).astype(np.int32),
        user=np.tile(np.arange(users), videos).astype(np.int32),
        splits={"train": Split((0,), (0, 1, 2, 3)), "valid": Split((1,), (4, 5)), "test": Split((2,), (6,))},
    )


@pytest.fixture
def recordings_of() -> Callable[..., Recordings]:
    return make_recordings


@pytest.fixture
def small() -> Recordings:
    return make_recordings()
