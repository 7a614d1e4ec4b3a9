"""How good a bitrate policy is: mean QoE of each trace, with intervals over traces."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from agents.policy import Policy
from agents.rollout import EpisodeSpec, play
from agents.scoring import Measure, Score, Scoring
from agents.statistics import mean
from netenvs import datasets
from netenvs.abr.installed import INSTALLED_SPLITS
from netenvs.abr.task import TASK as ABR
from netenvs.abr.workload import DATASET, TraceSet, load_traces

VALIDATION = "fcc-valid-clean"
SETTINGS: dict[str, dict[str, Any]] = {
    VALIDATION: {"traces": "fcc-valid-clean"},
    "fcc-test": {"traces": "fcc-test"},
    "fcc-test-clean": {"traces": "fcc-test-clean"},
    "fcc-test x video2": {"traces": "fcc-test", "video": "video2"},
    "synthetic": {"traces": "synthetic"},
}
"""What learned policies are scored on: environment options by the name that cards show.

The first chooses the seed that is shipped."""


def score(
    policy: Policy, traces: str | TraceSet, video: str | None = None, episodes: int | None = None, **options: Any
) -> np.ndarray:
    """Mean QoE per decided chunk of each trace, float64 (traces,), in the order of the split.

    Episode i plays trace i, beginning anew after the last one, with seed i for environment and policy: without
    ``episodes`` every trace once, which is what ``benchmarks.compare --seed 0`` does; with more (and
    ``start="random"``, say) a trace's value is the mean of its episodes; with less the first traces. ``options``
    are the environment's. Raises ``ValueError`` for bad options, ``PolicyError`` for a policy that fails.
    """
    count = len(load_traces(traces))
    episodes = count if episodes is None else episodes
    if episodes < 1:
        raise ValueError(f"episodes must be 1 or more, not {episodes}")
    specs = [EpisodeSpec(number, options={"trace": number % count}) for number in range(episodes)]
    environment = {"traces": traces, **({} if video is None else {"video": video}), **options}
    played = play(policy, ABR.env_id, specs, environment, num_envs=min(episodes, 256))
    values = [episode.total_reward / len(episode.rewards) for episode in played]
    return np.array([mean(values[i::count]) for i in range(min(count, episodes))])


def available(settings: Mapping[str, Mapping[str, Any]] = SETTINGS) -> dict[str, dict[str, Any]]:
    """Those of ``settings`` whose data are installed."""
    here = datasets.installed(DATASET)
    return {name: dict(found) for name, found in settings.items() if here or found["traces"] not in INSTALLED_SPLITS}


def score_all(policy: Policy, settings: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Score]:
    """Score of each trace, rounded to a millionth, for each of ``settings`` (default: those available)."""
    chosen = available() if settings is None else settings
    return {name: _scored(options, policy) for name, options in chosen.items()}


def _scored(options: Mapping[str, Any], policy: Policy) -> Score:
    return Score.of(np.round(score(policy, **options), 6).tolist())


SCORING = Scoring(
    measure=Measure(name="QoE per chunk", item="traces"),
    baselines=("robust-mpc", "stochastic-mpc"),
    settings=lambda: {name: partial(_scored, options) for name, options in available().items()},
)
