"""Generated jobs with the statistics of the TPC-H measurements; template i depends on (seed, i) only.

``synthetic`` draws stage graphs, task counts and task durations from the quantile tables below. They were
measured on the data set ``netllm-tpch`` (154 jobs, 1,414 stages) after cleaning. A *source* stage has no
parents, the *sink* no children, all others are *inner*.

Measured on both, 100 jobs of seed 0 and ``netllm-tpch``: tasks a job 1,067 and 1,155; work a job (tasks x rough
duration) 887 s and 889 s on average, 706 s and 500 s in the median; depth 6.3 and 5.9 stages; samples with
median 162 and 147 ms, mean 832 and 798 ms, 99 % quantile 7.3 and 5.3 s.

* **Graph.** The number of stages is that of one of the 22 queries. All but the source stages have one, two or
  three parents, in the measured proportions, and all but 7 of 202 stages have at most one child; the latest
  stage goes on being joined, as in a left-deep query plan, and one stage is the sink.
* **Tasks.** Source stages follow ``SOURCE_TASKS`` (the input size decides), 93 % of inner stages have 200 tasks
  (Spark's default number of shuffle partitions), sinks have few.
* **Durations.** A stage has a base, the mean of its ``rest`` tasks at 40 executors. At other levels each wave
  follows its median slow-down curve, raised to a strength of the stage's own. ``first`` and ``fresh`` tasks
  are slower by factors that fall as the base grows. Within a list, durations are log-normal.
* **Lists** have the lengths of a measurement: at level n, min(n, tasks) tasks are in the first wave, some of
  them fresh, and all others are ``rest``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from netenvs.cjs.jobs import LEVELS, Job, Stage

PROBABILITIES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Of the quantile tables: lowest, 5, 25, 50, 75, 95 % and highest value."""

STAGE_COUNTS = (4, 18, 6, 6, 14, 2, 13, 18, 14, 9, 11, 6, 7, 4, 7, 9, 6, 8, 4, 12, 16, 8)  # queries 1 to 22
PARENT_COUNTS = (1, 2, 3)
PARENT_SHARES = (64 / 124, 57 / 124, 3 / 124)  # of the 124 stages with parents
EXTRA_CHILD_SHARE = 7 / 202  # stages with a second child

SOURCE_TASKS = (2, 2, 2, 9, 58, 474, 593)
INNER_TASKS = (1, 1, 2, 6, 21, 101, 133)  # of the inner stages that have not 200
INNER_200_SHARE = 0.931
SINK_TASKS = (1, 1, 1, 3, 6, 8, 176)  # of the sinks that have not 200
SINK_200_SHARE = 0.091
SHUFFLE_PARTITIONS = 200

BASE_MS = {  # mean duration at 40 executors of ``rest``, or of what there is, by kind and more than 40 tasks or not
    ("source", False): (105, 160, 1669, 2110, 3462, 4281, 4870),
    ("source", True): (28, 1426, 2095, 2260, 2379, 2590, 3956),
    ("inner", False): (68, 84, 147, 242, 2043, 2716, 3077),
    ("inner", True): (8, 14, 24, 58, 152, 713, 4508),
    ("sink", False): (134, 163, 179, 194, 231, 392, 693),
    ("sink", True): (30, 31, 36, 39, 44, 54, 58),
}
REFERENCE_LEVEL = 40

# Median over stages of the mean duration at each of LEVELS, relative to 40 executors.
REST_SLOWDOWN = (0.57, 0.65, 0.80, 1.0, 1.08, 1.17, 1.37, 1.59)
FIRST_SLOWDOWN = (0.79, 0.82, 0.87, 1.0, 1.04, 1.11, 1.23, 1.36)
FRESH_SLOWDOWN = (0.90, 0.90, 0.92, 1.0, 1.03, 1.07, 1.16, 1.25)
SLOWDOWN_STRENGTH = (0.0, 0.17, 0.45, 1.0, 1.4, 1.96, 2.2)  # exponent of a stage: log(rest at 5) / log(0.57)

FIRST_FACTOR = {  # mean of first over mean of rest, at 40 executors
    "source": (0.9, 1.03, 1.08, 1.14, 1.37, 1.84, 5.27),
    "other": (1.09, 1.25, 2.31, 3.85, 6.03, 15.8, 39.96),
}
FIRST_FACTOR_RANK_CORRELATION = {"source": -0.56, "other": -0.70}  # with the base
FRESH_FACTOR = {  # mean of fresh over mean of first, at 40 executors
    "source": (0.62, 0.98, 1.18, 1.63, 1.98, 10.95, 16.19),
    "other": (0.75, 0.89, 1.13, 1.72, 2.55, 4.65, 6.82),
}
FRESH_STAGE_SHARE = {"source": 0.61, "other": 0.15}  # stages with fresh durations at 40 executors
ALL_FRESH_SHARE = {"source": 0.70, "other": 0.10}  # of these: the whole first wave is fresh
FRESH_PART = (0.02, 0.04, 0.21, 0.55, 0.72, 0.9, 1.0)  # of these otherwise: part of the first wave that is fresh

SPREAD = (0.0, 0.09, 0.18, 0.30, 0.42, 0.66, 0.9)  # standard deviation of log duration inside a list of rest
SPREAD_OF_FIRST, SPREAD_OF_FRESH = 0.53, 0.27  # relative to that of rest, medians


MAX_JOBS = 10_000
"""Templates take about 0.1 MB each."""


def call(generator: Callable[..., Any], spec: str, options: dict[str, Any]) -> Any:
    """Call a generator with options from a spec string; unknown or mistyped options are a ``ValueError``."""
    parameters = inspect.signature(generator).parameters
    unknown = sorted(set(options) - set(parameters))
    if unknown:
        raise ValueError(f"workload {spec!r}: unknown option {unknown[0]!r}; known: {', '.join(parameters)}")
    try:
        return generator(**options)
    except TypeError as error:
        raise ValueError(f"workload {spec!r}: {error}") from None


def synthetic_jobs(count: int = 100, seed: int = 0) -> list[Job]:
    """``count`` TPC-H-like jobs, see the module docstring. Job i is drawn from (seed, i)."""
    for name, value, least in (("count", count, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"synthetic workload: {name} must be a whole number from {least} up, it is {value!r}")
    if count > MAX_JOBS:
        raise ValueError(f"synthetic workload: count must be {MAX_JOBS} or less, it is {count!r}")
    return [
        synthetic_job(np.random.default_rng([seed, index]), f"synthetic-{seed}-{index:03d}") for index in range(count)
    ]


def synthetic_job(rng: np.random.Generator, name: str) -> Job:
    """One TPC-H-like job."""
    parents = _draw_graph(rng, int(rng.choice(STAGE_COUNTS)))
    kinds = ["inner" if own else "source" for own in parents]
    kinds[-1] = "sink"
    return Job(name, [_draw_stage(rng, kind, tuple(own)) for kind, own in zip(kinds, parents, strict=True)])


def _draw_graph(rng: np.random.Generator, num_stages: int) -> list[list[int]]:
    """Parents of each stage: sources first, then each stage joins what is left; the last one is the sink."""
    joined: list[int] = []  # number of parents of each stage that has any
    num_sources = 1
    while num_sources + len(joined) < num_stages:
        room = num_stages - num_sources - len(joined)
        number = min(int(rng.choice(PARENT_COUNTS, p=PARENT_SHARES)), room)
        joined.append(number)
        num_sources += number - 1
    rng.shuffle(joined)
    parents: list[list[int]] = [[] for _ in range(num_sources)]
    waiting = list(range(num_sources))  # stages without a child
    for number in joined:
        own = []
        if parents[-1]:
            own.append(waiting.pop())  # the latest stage
        while len(own) < number:
            own.append(waiting.pop(int(rng.integers(len(waiting)))))
        waiting.append(len(parents))
        parents.append(sorted(own))
    for stage in range(num_stages - 2):
        if rng.random() < EXTRA_CHILD_SHARE:
            child = int(rng.integers(max(stage + 1, num_sources), num_stages))
            parents[child] = sorted({*parents[child], stage})
    return parents


def _quantile(table: tuple[float, ...], probability: float) -> float:
    return float(np.interp(probability, PROBABILITIES, table))


def _log_quantile(table: tuple[float, ...], probability: float) -> float:
    return float(np.exp(np.interp(probability, PROBABILITIES, np.log(table))))


def _draw_tasks(rng: np.random.Generator, kind: str) -> int:
    shuffled = rng.random() < {"source": 0.0, "inner": INNER_200_SHARE, "sink": SINK_200_SHARE}[kind]
    table = {"source": SOURCE_TASKS, "inner": INNER_TASKS, "sink": SINK_TASKS}[kind]
    number = round(_log_quantile(table, rng.random()))
    return SHUFFLE_PARTITIONS if shuffled else number


def _draw_stage(rng: np.random.Generator, kind: str, parents: tuple[int, ...]) -> Stage:
    num_tasks = _draw_tasks(rng, kind)
    factors = "source" if kind == "source" else "other"
    rank = rng.random()
    base = _log_quantile(BASE_MS[kind, num_tasks > REFERENCE_LEVEL], rank)
    # a factor's rank follows the base's with the measured correlation, and is drawn anew otherwise
    followed = rng.random() < -FIRST_FACTOR_RANK_CORRELATION[factors]
    first_factor = _log_quantile(FIRST_FACTOR[factors], 1.0 - rank if followed else rng.random())
    fresh_factor = _log_quantile(FRESH_FACTOR[factors], rng.random())
    if num_tasks <= REFERENCE_LEVEL:  # the base is of the first wave then
        first_ms, rest_ms = base, base / first_factor
    else:
        first_ms, rest_ms = base * first_factor, base
    fresh_part = 0.0
    if rng.random() < FRESH_STAGE_SHARE[factors]:
        fresh_part = 1.0 if rng.random() < ALL_FRESH_SHARE[factors] else _quantile(FRESH_PART, rng.random())
        if fresh_part == 1.0 and num_tasks <= REFERENCE_LEVEL:
            first_ms = base / fresh_factor
    means = (first_ms * fresh_factor, first_ms, rest_ms)
    strength = _quantile(SLOWDOWN_STRENGTH, rng.random())
    spread = _quantile(SPREAD, rng.random())
    return _draw_durations(rng, num_tasks, means, fresh_part, strength, spread, parents)


def _draw_durations(
    rng: np.random.Generator,
    num_tasks: int,
    means: tuple[float, float, float],
    fresh_part: float,
    strength: float,
    spread: float,
    parents: tuple[int, ...],
) -> Stage:
    """The lists of a stage; ``means`` (ms) are those of fresh, first and rest at 40 executors."""
    curves = (FRESH_SLOWDOWN, FIRST_SLOWDOWN, REST_SLOWDOWN)
    spreads = (SPREAD_OF_FRESH * spread, SPREAD_OF_FIRST * spread, spread)
    noise = rng.standard_normal((len(LEVELS), num_tasks))
    waves: tuple[dict[int, np.ndarray], ...] = ({}, {}, {})
    for row, level in enumerate(LEVELS):
        in_first_wave = min(level, num_tasks)
        num_fresh = int(np.ceil(fresh_part * in_first_wave))
        ends = (0, num_fresh, in_first_wave, num_tasks)
        for wave in range(3):
            mean = means[wave] * curves[wave][row] ** strength
            sigma = spreads[wave]
            values = mean * np.exp(sigma * noise[row, ends[wave] : ends[wave + 1]] - sigma**2 / 2)
            waves[wave][level] = np.maximum(np.rint(values), 1.0)
    return Stage(num_tasks=num_tasks, fresh=waves[0], first=waves[1], rest=waves[2], parents=parents)
