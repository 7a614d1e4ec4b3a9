"""``python -m benchmarks.speed --env abr``: steps and decisions per second, each against the published structure.

Every run measures both sides, the plain loop first, so that a ratio holds when the machine's speed drifts; medians
over the runs are what counts. Everything here runs on one core.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import tyro

import netenvs  # noqa: F401  (registers the environments)
from agents.abr.oracle import best_plan, session_state
from agents.policy import load_policy
from benchmarks.plain_loop import PlainLoop


@dataclass
class Args:
    """Measure environment and policy speed on one core."""

    env: Literal["abr"] = "abr"
    """Task whose environment is measured."""
    dataset: str = "synthetic"
    """Traces, as in ``gym.make(..., traces=...)``."""
    num_envs: tuple[int, ...] = (64, 1024, 4096)
    """Batch sizes of the vector environment."""
    runs: int = 3
    """Paired runs; medians are reported."""
    seconds: float = 1.0
    """Time given to each measurement of a run."""
    json: Path | None = None
    """Write the figures of every run to this file."""


def rate(work: Callable[[], int], seconds: float) -> float:
    """Units per second of ``work``, which does some units and returns how many; repeated for ``seconds``."""
    units, begin = 0, time.perf_counter()
    while True:
        units += work()
        spent = time.perf_counter() - begin
        if spent >= seconds:
            return units / spent


def abr_measurements(args: Args) -> dict[str, Callable[[], float]]:
    """What one run measures, by name; each call returns units per second (the oracle: seconds per trace)."""
    rng = np.random.default_rng(0)
    single = gym.make("netenvs/ABR-v0", traces=args.dataset)
    traces, video = single.unwrapped.traces, single.unwrapped.video  # type: ignore[attr-defined]
    if traces.rtt_ms is not None:
        raise ValueError(f"--dataset {args.dataset}: the plain loop has one round-trip time for all traces")
    loop = PlainLoop(traces, video)
    levels = rng.integers(video.num_levels, size=5_000)

    def loop_steps() -> int:
        loop.run(2_000, rng)
        return 2_000

    def single_steps() -> int:
        single.reset(seed=0)
        for level in levels:
            if single.step(level)[2]:
                single.reset()
        return len(levels)

    def vector_steps(count: int) -> Callable[[], int]:
        env = gym.make_vec("netenvs/ABR-v0", num_envs=count, traces=args.dataset)
        env.reset(seed=0)
        actions = rng.integers(video.num_levels, size=(64, count))

        def steps() -> int:
            for row in actions:
                env.step(row)
            return actions.size

        return steps

    def batched_decisions(policy_name: str) -> Callable[[], int]:
        policy: Any = load_policy(policy_name, "abr")
        env: Any = gym.make_vec("netenvs/ABR-v0", num_envs=256, traces=args.dataset)
        rows = np.arange(256)
        observation, infos = env.reset(seed=0)
        policy.reset_rows(rows, [None] * 256)

        def decisions() -> int:
            """Decide and step; rows whose video ended are reset by the environment and decided for, too."""
            nonlocal observation, infos
            for _ in range(8):
                actions = policy.act_batch(observation, {**infos, **env.unwrapped.shared_info, "row": rows})
                observation, _, _, _, infos = env.step(actions)
            return 8 * 256

        return decisions

    def single_decisions(policy_name: str) -> Callable[[], int]:
        policy = load_policy(policy_name, "abr")
        observation, info = single.reset(seed=0, options={"trace": 0})
        policy.reset(seed=0)

        def decisions() -> int:
            for _ in range(200):
                policy.act(observation, info)
            return 200

        return decisions

    def oracle_seconds() -> float:
        spent = []
        for trace in range(min(10, len(traces))):
            single.reset(seed=0, options={"trace": trace})
            begin = time.perf_counter()
            best_plan(session_state(single))
            spent.append(time.perf_counter() - begin)
        return statistics.mean(spent)

    measurements: dict[str, Callable[[], float]] = {}

    def add(name: str, work: Callable[[], int]) -> None:
        work()  # compile, fill caches
        measurements[name] = lambda: rate(work, args.seconds)

    add("plain loop (steps/s)", loop_steps)
    add("gym.make (steps/s)", single_steps)
    for count in args.num_envs:
        add(f"make_vec x {count} (steps/s)", vector_steps(count))
    for name in ("bba", "robust-mpc"):
        add(f"{name} act_batch x 256 with environment (decisions/s)", batched_decisions(name))
        add(f"{name} act (decisions/s)", single_decisions(name))
    oracle_seconds()
    measurements["oracle (s/trace)"] = oracle_seconds
    return measurements


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    args = tyro.cli(Args, args=argv, prog="python -m benchmarks.speed", description=__doc__)
    try:
        if args.runs < 1 or not args.seconds > 0 or min(args.num_envs, default=0) < 1:
            raise ValueError("--runs, --seconds and --num-envs must be positive")
        if args.json is not None and not args.json.absolute().parent.is_dir():
            raise ValueError(f"--json {args.json}: there is no folder {args.json.absolute().parent}")
        measurements = abr_measurements(args)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    runs = [{name: measure() for name, measure in measurements.items()} for _ in range(args.runs)]
    yardstick = next(iter(measurements))
    width = max(map(len, measurements))
    print(f"{args.dataset}, {args.runs} runs, {os.cpu_count()} cores; median (lowest .. highest), ratio to plain loop")
    for name in measurements:
        values = [run[name] for run in runs]
        ratios = [run[name] / run[yardstick] for run in runs]
        number = ",.3f" if max(values) < 100 else ",.0f"
        text = " .. ".join(format(value, number) for value in (min(values), max(values)))
        line = f"{name:{width}}  {statistics.median(values):>12{number}}  ({text})"
        if "steps/s" in name and name != yardstick:
            line += f"  {statistics.median(ratios):.1f} x"
        print(line)
    if args.json is not None:
        figures = {"schema": 1, "env": args.env, "dataset": args.dataset, "runs": runs}
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
