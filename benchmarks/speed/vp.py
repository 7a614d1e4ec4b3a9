"""Speed of viewport prediction: windows with their metrics, the environment, linear regression, and loading.

``static`` predicts everywhere, so that what is measured is data and metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

import netenvs  # noqa: F401  (registers the environments)
from benchmarks.speed.measurement import Measurement
from benchmarks.speed.record import PolicySpeed, TaskSpeed

if TYPE_CHECKING:
    from netenvs.vp.recordings import Recordings
    from netenvs.vp.sphere import Scores

ENV_ID = "netenvs/VP-v0"
HISTORY, HORIZON = 10, 20


def measurements(dataset: str, num_envs: Sequence[int]) -> list[Measurement]:
    """All that one run measures, the plain loop first. Raises ``ValueError`` for an impossible data set."""
    from benchmarks.speed.yardsticks.vp import PlainWindows
    from netenvs.vp import workload

    recordings = workload.load_recordings(dataset)
    loop, count = PlainWindows(recordings), ("windows",)
    static, regression = scored(recordings, "static"), scored(recordings, "linear-regression")
    test = len(static().mae)
    found = [
        Measurement("plain loop", count, lambda: (loop.run(),)),
        Measurement("arrays", count, lambda: (len(static().mae),)),
        *(Measurement(f"make_vec x {rows}", count, batched_windows(dataset, rows)) for rows in num_envs),
        Measurement("gym.make", count, single_windows(dataset)),
        Measurement(f"linear-regression, {test:,} windows", ("split",), once(regression), inverse=True),
    ]
    if not dataset.startswith("synthetic"):  # a generator's result stays in memory
        found.append(Measurement(f"loading {dataset}", ("load",), once(lambda: load_anew(dataset)), inverse=True))
    return found


def scored(recordings: Recordings, policy_name: str) -> Callable[[], Scores]:
    """Cuts the windows of the test split, predicts them all at once, and scores them."""
    from agents.policy import load_policy
    from netenvs.vp.recordings import windows
    from netenvs.vp.sphere import score_windows

    policy: Any = load_policy(policy_name, "vp")

    def scores() -> Scores:
        cut = windows(recordings, "test", HISTORY, HORIZON)
        predicted = policy.act_batch({"history": cut.history}, {"horizon": HORIZON})
        return score_windows(predicted, cut.future, cut.history[:, -1])

    return scores


def batched_windows(dataset: str, rows: int) -> Callable[[], tuple[int]]:
    """Windows drawn by the environment, with observations and infos; all rows begin the next one together."""
    from agents.policy import load_policy

    policy: Any = load_policy("static", "vp")
    env: Any = gym.make_vec(ENV_ID, num_envs=rows, autoreset_mode="disabled", dataset=dataset)
    shared, everyone, numbers = env.unwrapped.shared_info, np.ones(rows, dtype=np.bool_), np.arange(rows)
    env.reset(seed=0)

    def episodes() -> tuple[int]:
        observations, infos = env.reset(options={"reset_mask": everyone})
        env.step(policy.act_batch(observations, {**infos, **shared, "row": numbers}))
        return (rows,)

    return episodes


def single_windows(dataset: str) -> Callable[[], tuple[int]]:
    from agents.policy import load_policy

    policy, env = load_policy("static", "vp"), gym.make(ENV_ID, dataset=dataset)
    env.reset(seed=0)

    def episodes() -> tuple[int]:
        for _ in range(100):
            observation, info = env.reset()
            env.step(policy.act(observation, info))
        return (100,)

    return episodes


def once(work: Callable[[], object]) -> Callable[[], tuple[int]]:
    """Does ``work``, which counts as one."""

    def counted() -> tuple[int]:
        work()
        return (1,)

    return counted


def load_anew(dataset: str) -> None:
    """From the files, which the operating system has in memory."""
    from netenvs.vp import workload

    workload._read_installed.cache_clear()
    workload.load_recordings(dataset)


SPEED = TaskSpeed(
    measurements=measurements,
    num_envs=(64, 1024),
    yardsticks=("plain loop",),
    published=(
        "For comparison, not measured here: the published linear regression (NetLLM, one scikit-learn fit for each",
        "axis and step) takes 192 s of processor time on another machine for the 1,698 windows of jin2022.",
    ),
    policy=PolicySpeed(
        dataset="jin2022",
        needs="jin2022",
        heads=frozenset(
            {
                *("history_weight", "shrink", "query", "nobody_given_hidden"),
                *("movement_gate", "position_gate", "correction", "log_scale"),
            }
        ),
        context=0,
        chunks=(10, *[1] * 20),  # ten viewports seen, 20 predicted, each fed back
    ),
)
