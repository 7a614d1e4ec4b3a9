"""The MPC of the published logs: against their actions, and against a plain search over all plans."""

import itertools
from collections import deque

import gymnasium as gym
import numpy as np
import pytest

from agents.abr.pensieve_mpc import PensieveMPC
from agents.policy import load_policy
from agents.rollout import EpisodeSpec, play
from netenvs import datasets
from netenvs.abr.published_logs import load_published_logs
from netenvs.abr.workload import load_videos

ABR = "netenvs/ABR-v0"
GOLDEN = (
    "22222222222222222222222222233333222222222222233",
    "12222333444433333333333333333333333333335554444",
)
"""Levels on traces 0 and 1 of ``synthetic`` with its own video and the preset ``pensieve``, played in this order."""


def searched(sizes, chunk, buffer_s, bandwidth, last, ladder):
    """All plans at once, in lexicographic order; of equal ones the last."""
    plans = np.array(list(itertools.product(range(len(ladder)), repeat=min(5, len(sizes) - chunk))))
    buffer, stalled = np.full(len(plans), buffer_s), np.zeros(len(plans))
    for position, levels in enumerate(plans.T):
        download = sizes[chunk + position][levels] / 1000000.0 / bandwidth + 0.08
        stalled += np.maximum(download - buffer, 0)
        buffer = np.maximum(buffer - download, 0) + 4
    path = ladder[np.column_stack([np.full(len(plans), last), plans])]
    value = path[:, 1:].sum(axis=1) / 1000.0 - 4.3 * stalled - np.abs(np.diff(path)).sum(axis=1) / 1000.0
    return plans[len(plans) - 1 - np.argmax(value[::-1]), 0]


def test_all_plans_are_searched_and_errors_go_over_to_the_next_video():
    (video,) = load_videos("synthetic")
    ladder = video.bitrates_kbps.astype(np.int64)
    options = {"traces": "synthetic", "preset": "pensieve"}
    episodes = play(PensieveMPC(), ABR, [EpisodeSpec(0, options={"trace": trace}) for trace in (0, 1)], options)
    assert tuple("".join(map(str, episode.actions)) for episode in episodes) == GOLDEN

    errors: deque[float] = deque(maxlen=5)
    env = gym.make(ABR, **options)
    for trace, episode in enumerate(episodes):
        _, info = env.reset(seed=0, options={"trace": trace})
        measured: list[float] = []
        for action in [*episode.actions, None]:
            measured.append(info["chunk_bytes"] / info["delay_ms"] / 1000)
            before = measured[-6:-1]
            predicted = len(before) / sum(1 / m for m in before) if before else measured[-1]
            errors.append(abs(predicted - measured[-1]) / measured[-1])
            if action is None:
                break
            mean = len(measured[-5:]) / sum(1 / m for m in measured[-5:])
            last = int(np.searchsorted(ladder, info["bitrate_kbps"]))
            wanted = searched(
                video.chunk_sizes, info["chunk"], info["buffer_s"], mean / (1 + max(errors)), last, ladder
            )
            assert action == wanted
            info = env.step(action)[4]
    assert max(errors) > 0


def test_it_makes_every_decision_of_the_published_log():
    for name in ("pensieve-logs", "pensieve", "netllm-abr"):
        if not datasets.installed(name):
            pytest.skip(f"{name} is not installed; python -m netenvs.datasets install {name}")
    quality = load_published_logs("mpc").quality
    specs = [EpisodeSpec(0, options={"trace": trace}) for trace in range(len(quality))]
    options = {"traces": "pensieve-test", "preset": "pensieve"}
    actions = np.stack([episode.actions for episode in play(load_policy("pensieve-mpc"), ABR, specs, options)])
    same = actions == quality[:, 1:]
    assert same.sum() >= 6669 and same.size == 6674
    assert same.all(axis=1).sum() >= 141, "all but five decisions on one trace, where plans are equal"


def test_without_its_three_ways_it_is_robust_mpc():
    specs = [EpisodeSpec(0, options={"trace": trace}) for trace in range(4)]
    plain = play(PensieveMPC(rtt_ms=0, carry_errors=False, beyond=False), ABR, specs)
    robust = play(load_policy("robust-mpc", "abr"), ABR, specs)
    assert all(np.array_equal(a.actions, b.actions) for a, b in zip(plain, robust, strict=True))
    for options in ({"rtt_ms": 0}, {"carry_errors": False}):
        other = play(PensieveMPC(**options), ABR, specs)
        assert any(np.any(a.actions != b.actions) for a, b in zip(other, play(PensieveMPC(), ABR, specs), strict=True))
    with pytest.raises(ValueError, match="rtt_ms must be 0 or more"):
        PensieveMPC(rtt_ms=-1)
