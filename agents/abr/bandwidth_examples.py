"""Examples for ``throughput_quantiles``: what players saw of their downloads, and the bandwidth that followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from agents.abr.throughput import ThroughputWindow
from agents.abr.throughput_quantiles import PAST, WINDOWS_S, features, reference
from agents.abr.training_worlds import TrainingWorlds, environment
from agents.policy import load_policy
from netenvs.abr.task import TASK as ABR
from netenvs.abr.workload import TraceSet

RULES = ("bba", "bola", "throughput", "robust-mpc")
"""Policies whose sessions are watched; in a fifth of the sessions levels are drawn."""
SESSIONS = 8
"""Of a world."""


class Downloads:
    """The last ``PAST`` downloads of every row, oldest first, zeros where there are none yet."""

    def __init__(self) -> None:
        self._throughput, self._delay = ThroughputWindow(PAST), ThroughputWindow(PAST)

    def clear(self, rows: np.ndarray) -> None:
        """New sessions begin in ``rows``."""
        self._throughput.clear(rows)
        self._delay.clear(rows)

    def push(self, rows: np.ndarray, infos: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Append the downloads of ``infos``: throughputs in Mbit/s and times in s, float64 (k, PAST) each."""
        throughput = self._throughput.push(rows, infos["throughput_mbps"])
        return throughput, self._delay.push(rows, infos["delay_ms"] / 1000.0)


@dataclass(frozen=True)
class Examples:
    """One for each decision of the sessions watched."""

    features: Tensor
    """float32 (n, FEATURES)."""
    target: Tensor
    """float32 (n, windows): log(mean bandwidth that followed / reference throughput)."""

    def __len__(self) -> int:
        return len(self.features)


def collect(traces: str, video: str | None, sessions: int, seed: int) -> Examples:
    """Examples of sessions with random starts, a fifth by each of ``RULES`` and a fifth with levels drawn.

    The same arguments give the same examples. ``ValueError`` for traces or a video that cannot be had, and for fewer
    sessions than five.
    """
    share = sessions // (len(RULES) + 1)
    if share < 1:
        raise ValueError(f"sessions must be {len(RULES) + 1} or more, not {sessions}")
    options: dict[str, Any] = {"traces": traces, "start": "random", **({} if video is None else {"video": video})}
    env: Any = gym.make_vec(ABR.env_id, num_envs=share, autoreset_mode="disabled", **options)
    found: list[tuple[np.ndarray, np.ndarray]] = []
    try:
        for number, rule in enumerate((*RULES, None)):
            seeds = np.random.default_rng([seed, number]).integers(2**31, size=share).tolist()
            found += _watch(env, None if rule is None else load_policy(rule, "abr"), seeds)
    finally:
        env.close()
    return _examples(found)


def collect_in_worlds(worlds: int, seed: int) -> Examples:
    """Examples of sessions in so many ``TrainingWorlds``, ``SESSIONS`` in each, which begin as the world says.

    In a world one of ``RULES`` plays, or levels are drawn, in turn. The same arguments give the same examples.
    """
    found: list[tuple[np.ndarray, np.ndarray]] = []
    here, players = TrainingWorlds(), [*(load_policy(rule, "abr") for rule in RULES), None]
    for number in range(worlds):
        env = environment(here.make([seed, number]), SESSIONS)
        seeds = np.random.default_rng([seed, number]).integers(2**31, size=SESSIONS).tolist()
        try:
            found += _watch(env, players[number % len(players)], seeds)
        finally:
            env.close()
    return _examples(found)


def joined(several: Sequence[Examples]) -> Examples:
    """All of them, in their order."""
    return Examples(*(torch.cat([getattr(some, name) for some in several]) for name in ("features", "target")))


def _examples(found: Sequence[tuple[np.ndarray, np.ndarray]]) -> Examples:
    inputs, targets = (torch.from_numpy(np.concatenate(parts).astype(np.float32)) for parts in zip(*found, strict=True))
    return Examples(inputs, targets)


def _watch(env: Any, rule: Any, seeds: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Features and targets of each decision of one batch of sessions; without a rule levels are drawn."""
    rows, downloads, world = np.arange(env.num_envs), Downloads(), env.unwrapped
    levels = np.random.default_rng(seeds)
    observations, infos = env.reset(seed=seeds)
    downloads.clear(rows)
    if rule is not None:
        rule.reset_rows(rows, seeds)
    found = []
    for _ in range(world.video.num_chunks - 1):
        throughput, delay_s = downloads.push(rows, infos)
        session = world.simulator.batch.session
        followed = [
            mean_bandwidth(world.traces, session["trace"], session["clock_s"], window_s) for window_s in WINDOWS_S
        ]
        ratio = np.stack(followed, axis=1) / reference(throughput)[:, None]
        found.append((features(throughput, delay_s), np.log(np.maximum(ratio, 1e-3))))
        if rule is None:
            actions = levels.integers(world.video.num_levels, size=len(rows))
        else:
            columns = {name: value for name, value in infos.items() if not name.startswith("_")}
            actions = rule.act_batch(observations, {**columns, **world.shared_info, "row": rows})
        observations, _, _, _, infos = env.step(actions)
    return found


def mean_bandwidth(traces: TraceSet, trace: np.ndarray, clock_s: np.ndarray, window_s: float) -> np.ndarray:
    """Mean of the bandwidth, Mbit/s (k,), over ``window_s`` seconds from ``clock_s`` (k,) on in traces ``trace`` (k,).

    By the rules of ``netenvs.abr.kernel``: a trace that ends goes on from time 0 with its second segment.
    """
    means = np.empty(len(trace))
    for number in np.unique(trace):
        time_s, bandwidth = traces.trace(number)
        time_s = np.concatenate([[0.0], time_s[1:]])
        sent = np.concatenate([[0.0], np.cumsum(np.diff(time_s) * bandwidth[1:])])
        rows = trace == number
        laps, within = np.divmod(clock_s[rows] + window_s, time_s[-1])
        after = laps * sent[-1] + np.interp(within, time_s, sent)
        means[rows] = (after - np.interp(clock_s[rows], time_s, sent)) / window_s
    return means
