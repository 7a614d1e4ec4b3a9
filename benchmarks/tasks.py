"""What a comparison has to know about a task; everything else in this package serves all tasks.

A new task is one ``Task`` in ``TASKS``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import load_env_creator

from agents.policy import ENV_IDS
from agents.rollout import Episode, EpisodeSpec
from netenvs.spec import unknown_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Metric:
    """The number that rows are ranked by; one per episode."""

    name: str
    unit: str
    better: str
    """``higher`` or ``lower``."""
    label: str
    """Axis and column label, with the unit where there is one."""

    def best_first(self, value: float) -> float:
        """Sort key."""
        return -value if self.better == "higher" else value


@dataclass(frozen=True)
class Term:
    """A part of the metric that is shown beside it."""

    name: str
    """Key in the JSON; the unit is in it."""
    label: str
    """With the unit, for plots and the report."""
    heading: str
    """The same, two short lines, for the table."""
    better: str
    """``higher`` or ``lower``."""


@dataclass(frozen=True)
class Choice:
    """A value of ``--dataset``, for ``--list``."""

    name: str
    available: bool
    remedy: str = ""
    """What makes it available."""


@dataclass(frozen=True)
class Setup:
    """A task with its options applied: what one environment, made with them, told about the comparison."""

    dataset: str
    metric: Metric
    terms: tuple[Term, ...]
    score: Callable[[Episode], float]
    """The metric of an episode."""
    term_values: Callable[[Episode], dict[str, float]]
    """The terms of an episode, by name."""
    episode: Callable[[int, int], EpisodeSpec]
    """(number of the episode, seed of the run) -> what to play."""
    default_episodes: int
    available_episodes: int | None
    """How many different ones there are, None if there is no end."""
    details: Mapping[str, str] = field(default_factory=dict)
    """What the options came to, for people: ``{"video": "video1, 48 chunks of 4 s"}``."""


@dataclass(frozen=True)
class Task:
    """One task of ``python -m benchmarks.compare --task``."""

    name: str
    title: str
    env_id: str
    dataset_option: str
    """The environment option that ``--dataset`` sets."""
    dataset_kind: str
    """What that is, for messages."""
    choices: Callable[[], list[Choice]]
    """Values of ``--dataset``, for ``--list``."""
    refused: Mapping[str, str]
    """Environment options that ``--set`` does not take, and why."""
    setup: Callable[[gym.Env], Setup]
    anchors: tuple[str, str] | None = None
    """Registered policies whose means are 0 and 1 of the normalised score."""
    skill: Callable[[Sequence[Episode]], float] | None = None
    """Skill of a policy over its episodes, where the task defines one."""
    example: Callable[[gym.Env, Episode], tuple[Figure, dict[str, np.ndarray]]] | None = None
    """Figure of an episode, replayed in the environment, and the columns it was drawn from."""
    example_note: str = ""
    """One sentence that explains that figure."""

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raise ``ValueError``, one line, for a ``--set`` key that is unknown, refused or no true/false."""
        entry_point = gym.spec(self.env_id).entry_point
        creator = load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point
        assert creator is not None  # every registered environment of ours has one
        parameters = inspect.signature(creator).parameters
        known = [name for name in parameters if name != self.dataset_option and name not in self.refused]
        for name, value in options.items():
            if name == self.dataset_option:
                raise ValueError(f"--set {name}: the {self.dataset_kind} is chosen with --dataset")
            if name in self.refused:
                raise ValueError(f"--set {name}: {self.refused[name]}")
            if name not in known:
                raise ValueError(f"--set: {unknown_name('option', name, known)}")
            if isinstance(parameters[name].default, bool) and not isinstance(value, bool):
                raise ValueError(f"--set {name}: must be true or false, not {value!r}")

    def make(self, options: Mapping[str, Any]) -> gym.Env:
        """The environment; ``ValueError``, one line, whatever is wrong with the options."""
        try:
            return gym.make(self.env_id, **options)
        except Exception as error:
            raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error


def replay(env: gym.Env, episode: Episode) -> None:
    """Play the recorded actions of ``episode`` again: the same episode, whatever the policy's state was."""
    env.reset(seed=episode.spec.seed, options=episode.spec.options or None)
    for action in episode.actions:
        env.step(action)


# --- adaptive bitrate streaming -----------------------------------------------------------------------

ABR_TERMS = (
    Term("bitrate_mbps", "bitrate (Mbit/s)", "bitrate\nMbit/s", "higher"),
    Term("rebuffer_s_per_chunk", "rebuffering (s per chunk)", "stall\ns/chunk", "lower"),
    Term("switch_mbps", "bitrate change (Mbit/s per chunk)", "switch\nMbit/s", "lower"),
)


def _abr_setup(env: gym.Env) -> Setup:
    world: Any = env.unwrapped
    traces, video, qoe = world.traces, world.video, world.qoe
    _, info = env.reset(seed=0, options={"trace": 0})
    first_bitrate_kbps = info["bitrate_kbps"]  # the forced first chunk, which the first decision switches from

    def score(episode: Episode) -> float:
        return episode.total_reward / len(episode.rewards)

    def term_values(episode: Episode) -> dict[str, float]:
        bitrate_mbps = episode.columns["bitrate_kbps"] / 1000.0
        steps = np.abs(np.diff(bitrate_mbps, prepend=first_bitrate_kbps / 1000.0))
        return {
            "bitrate_mbps": float(bitrate_mbps.mean()),
            "rebuffer_s_per_chunk": float(episode.columns["rebuffer_s"].mean()),
            "switch_mbps": float(steps.mean()),
        }

    name = f"qoe_{qoe.kind}_per_chunk"
    ladder = ", ".join(str(kbps) for kbps in video.bitrates_kbps.tolist())
    return Setup(
        dataset=traces.name,
        metric=Metric(name, "QoE", "higher", f"QoE ({qoe.kind}) per chunk"),
        terms=ABR_TERMS,
        score=score,
        term_values=term_values,
        episode=lambda number, seed: EpisodeSpec(seed + number, seed + number, {"trace": number}),
        default_episodes=len(traces),
        available_episodes=len(traces),
        details={
            "trace split": f"{traces.name}, {len(traces)} traces",
            "video": f"{video.name}, {video.num_chunks} chunks of {video.chunk_duration_s:g} s, levels {ladder} kbit/s",
            "objective": f"{qoe.kind}: utility of the level - {qoe.rebuffer_penalty:g} x stall in s - change "
            "of utility, mean over the chunks that are decided (the forced first chunk is left out)",
        },
    )


def _abr_choices() -> list[Choice]:
    from netenvs import datasets
    from netenvs.abr import generators, workload

    installed = datasets.installed(workload.DATASET)
    remedy = f"python -m netenvs.datasets install {workload.DATASET}"
    return [
        *(Choice(name, True) for name in generators.TRACES),
        *(Choice(name, installed, remedy) for name in workload.INSTALLED_SPLITS),
        Choice("FILE or FOLDER", True),
    ]


def _abr_example(env: gym.Env, episode: Episode) -> tuple[Figure, dict[str, np.ndarray]]:
    replay(env, episode)
    world: Any = env.unwrapped
    return world.episode_figure(), world.episode_log()


TASKS: dict[str, Task] = {
    "abr": Task(
        name="abr",
        title="Adaptive bitrate streaming",
        env_id=ENV_IDS["abr"],
        dataset_option="traces",
        dataset_kind="trace split",
        choices=_abr_choices,
        refused={
            "action_mode": "policies choose a bitrate level, so the action is always the level",
            "render_mode": "a comparison draws its own plots",
        },
        setup=_abr_setup,
        anchors=("bba", "oracle"),
        example=_abr_example,
        example_note="Bandwidth of the trace and bitrate of each chunk, the playback buffer, and the stalls, "
        "over the time of one session.",
    ),
}


def find_task(name: str) -> Task:
    """The task called ``name``; ``ValueError``, one line, for others."""
    if name not in TASKS:
        raise ValueError(unknown_name("task", name, TASKS))
    return TASKS[name]
