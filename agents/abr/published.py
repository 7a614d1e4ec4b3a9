"""What published policies did on ``pensieve-test``: their logged actions, played again here."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from agents.errors import LeftOut
from agents.policy import BatchPolicy, PolicyError
from netenvs.abr.env import ABRVectorEnv
from netenvs.abr.published_logs import PublishedLogs, load_published_logs

SETTING: dict[str, Any] = {"traces": "pensieve-test", "preset": "pensieve"}
"""The environment of the logs."""
ROUNDING = 1e-6
"""Rewards that are further apart are others."""


class Published(BatchPolicy):
    """What a published policy did on ``pensieve-test``, from its log; ``policy`` is its name there, such as ``ppo``.

    It refuses every environment but that of ``traces="pensieve-test", preset="pensieve"``. A log whose rewards are not
    those that its actions earn here, be it in a single chunk, is left out: it was played otherwise.
    """

    recorded = True

    def __init__(self, policy: str = "ppo"):
        self._logs = load_published_logs(policy)
        self._quality = self._logs.quality

    def check_environment(self, env: gym.Env | gym.vector.VectorEnv) -> None:
        logs = self._logs
        own = ABRVectorEnv(len(logs), autoreset_mode="Disabled", **SETTING)
        given: Any = getattr(env.unwrapped, "simulator", None)
        if given is None or not _same(given.world, own.simulator.world):
            raise PolicyError(
                f"{self.name}: a log of pensieve-test in the environment of Pensieve; play it with --dataset "
                "pensieve-test --set preset=pensieve and no other option"
            )
        if logs.names != own.traces.names:
            raise LeftOut(f"{self.name}: its log is of other traces than those that are installed")
        apart = np.abs(_rewards(own, logs) - logs.reward[:, 1:])
        other = int(np.sum(~(apart <= ROUNDING)))
        if other:
            raise LeftOut(
                f"{self.name}: its log does not replay, the rewards of {other:,} of {apart.size:,} decisions differ, "
                f"by up to {apart.max():.3g}"
            )

    def act_batch(self, observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
        levels: np.ndarray = self._quality[infos["trace"], infos["chunk"]]
        return levels


def _same(one: Any, other: Any) -> bool:
    """Whether two worlds of the simulator have the same traces, videos, player and objective."""
    return all(np.array_equal(ours, theirs) for ours, theirs in zip(one, other, strict=True))


def _rewards(env: ABRVectorEnv, logs: PublishedLogs) -> np.ndarray:
    """Of the logged actions, float64 (traces, decisions)."""
    env.reset(seed=0, options={"trace": np.arange(len(logs))})
    return np.stack([env.step(levels)[1] for levels in logs.quality[:, 1:].T], axis=1)
