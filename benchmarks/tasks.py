"""What a comparison has to know about a task; everything else in this package serves all tasks.

A new task is one ``Task`` in ``TASKS``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import load_env_creator

from agents.policy import ENV_IDS
from agents.rollout import Collect, Episode, EpisodeSpec
from benchmarks import formats
from netenvs.spec import unknown_name
from netenvs.vp.recordings import RATE_HZ, STEP

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
    ratio_scale: bool = False
    """Whether one mean is given in percent of another, too; that takes a true zero."""
    decimals: int | None = None
    """Shown; None: as many as the size asks for."""

    def number(self, value: float | None) -> str:
        """A value of it for people."""
        return formats.number(value, decimals=self.decimals)

    def signed(self, value: float | None) -> str:
        """A difference."""
        return formats.signed(value, self.decimals)

    def interval(self, bounds: tuple[float, float] | None) -> str:
        """An interval of either."""
        return formats.interval(bounds, self.decimals)

    def best_first(self, value: float) -> float:
        """Sort key."""
        return -value if self.better == "higher" else value


@dataclass(frozen=True)
class Term:
    """A number that is shown beside the metric: a part of it, or another side of the same episodes."""

    name: str
    """Key in the JSON; the unit is in it."""
    label: str
    """With the unit, for plots and the report."""
    heading: str
    """The same, two short lines, for the table."""
    better: str
    """``higher`` or ``lower``; empty: neither."""
    meaning: str
    """A sentence for the report."""
    decimals: int | None = None
    """Shown; None: as many as the size asks for."""

    def number(self, value: float | None) -> str:
        """A value of it for people."""
        return formats.number(value, small=4, decimals=self.decimals)


@dataclass(frozen=True)
class Distribution:
    """What the plot of the distribution counts, where that is not the metric of whole episodes."""

    name: str
    """Column of the CSV; the unit is in it."""
    label: str
    """Axis label, with the unit."""
    item: str
    """What has a value: ``job``."""
    values: Callable[[Episode], np.ndarray]
    """float64 (items,) of an episode."""


@dataclass(frozen=True)
class Profile:
    """What is drawn over places inside an episode, such as the error of a prediction over the time ahead."""

    name: str
    """Column of the CSV; the unit is in it."""
    label: str
    """Axis label, with the unit."""
    better: str
    """``higher`` or ``lower``."""
    at_name: str
    """Column of the places."""
    at_label: str
    """Their axis label, with the unit."""
    at: np.ndarray
    """float64 (places,), ascending."""
    values: Callable[[Episode], np.ndarray]
    """float64 (places,) of an episode."""
    title: str
    """``error by horizon``."""


@dataclass(frozen=True)
class Groups:
    """Episodes that resemble each other, and are therefore drawn together by every bootstrap."""

    noun: str
    """What a group is: ``viewer-video pair``."""
    key: Callable[[Episode], Hashable]
    """Equal for the episodes of a group."""
    caveat: str
    """What drawing them leaves out, a sentence for the report."""


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
    collect: Collect | None = None
    """What else to keep of each episode, as ``Episode.collected``."""
    distribution: Distribution | None = None
    """None: the metric of the episodes."""
    profile: Profile | None = None
    """None: there is no such plot."""
    groups: Groups | None = None
    """None: episodes do not depend on each other."""
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
    terms_title: str
    """What the terms are, as the title of their plot: ``what QoE is made of``."""
    reference: str | None = None
    """Registered policy that the others are compared with; without it, or where it takes no part, the best baseline."""
    noun: str = "episode"
    """What an episode of this task is called."""
    anchors: tuple[str, str] | None = None
    """Registered policies whose means are 0 and 1 of the normalised score."""
    skill: Callable[[Sequence[Episode]], float] | None = None
    """Skill of a policy over its episodes, where the task defines one."""
    skill_meaning: str = ""
    """Its definition, a sentence for the report."""
    example: Callable[[Any], tuple[Figure, dict[str, np.ndarray]]] | None = None
    """Unwrapped environment in which an episode has just ended -> its figure, and the columns it was drawn from."""
    example_options: Mapping[str, Any] = field(default_factory=dict)
    """Environment options that such a figure needs."""
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


# --- adaptive bitrate streaming -----------------------------------------------------------------------

ABR_TERMS = (
    Term("bitrate_mbps", "bitrate (Mbit/s)", "bitrate\nMbit/s", "higher", "Mean bitrate of the decided chunks."),
    Term(
        "rebuffer_s_per_chunk",
        "rebuffering (s per chunk)",
        "stall\ns/chunk",
        "lower",
        "Time in which the playback buffer was empty, for each decided chunk.",
    ),
    Term(
        "switch_mbps",
        "bitrate change (Mbit/s per chunk)",
        "switch\nMbit/s",
        "lower",
        "Absolute change of the bitrate from chunk to chunk.",
    ),
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


def _abr_example(world: Any) -> tuple[Figure, dict[str, np.ndarray]]:
    return world.episode_figure(), world.episode_log()


# --- Spark cluster job scheduling ---------------------------------------------------------------------

CJS_TERMS = (
    Term(
        "p95_jct_s",
        "p95 of JCT (s)",
        "p95 JCT\ns",
        "lower",
        "The 95th percentile of the job completion times of an episode: what the slowest jobs pay for a good mean.",
        decimals=1,
    ),
    Term("makespan_s", "makespan (s)", "makespan\ns", "lower", "Until the last job of an episode is done.", decimals=0),
    Term(
        "utilisation",
        "executors at work (share of time)",
        "executors\nat work",
        "",
        "Share of all executors' time spent on tasks. More is not better in itself: tasks take longer where many "
        "executors work for one job.",
        decimals=3,
    ),
    Term(
        "decisions",
        "decisions (per episode)",
        "decisions\n/episode",
        "",
        "How often the policy was asked: once for every stage that it gives executors to.",
        decimals=0,
    ),
)
CJS_EPISODES = 10


def _completion_times_s(episode: Episode) -> np.ndarray:
    """float64 (jobs,), in order of completion."""
    jobs = episode.collected
    times: np.ndarray = (jobs["completion_ms"] - jobs["arrival_ms"]) / 1000.0
    return times


def _cjs_setup(env: gym.Env) -> Setup:
    world: Any = env.unwrapped
    options, jobs = world.options, world.jobs
    env.reset(seed=0)  # raises what the options have against each other, before anything is played

    def term_values(episode: Episode) -> dict[str, float]:
        return {
            "p95_jct_s": float(np.percentile(_completion_times_s(episode), 95)),
            "makespan_s": float(episode.columns["time_s"][-1]),
            "utilisation": float(episode.columns["utilisation"][-1]),
            "decisions": float(len(episode.actions)),
        }

    rules = {
        "netllm": "random streams and order of executors of the simulator published with NetLLM",
        "native": "durations depend on (seed, job, stage, task), so all policies meet the same luck",
    }
    return Setup(
        dataset=jobs.name,
        metric=Metric("mean_jct_s", "s", "lower", "mean JCT (s)", ratio_scale=True, decimals=1),
        terms=CJS_TERMS,
        score=lambda episode: float(episode.columns["mean_jct_s"][-1]),
        term_values=term_values,
        episode=lambda number, seed: EpisodeSpec(seed + number, seed + number),
        default_episodes=CJS_EPISODES,
        available_episodes=None,
        collect=lambda world, row: world.jobs_done(row),
        distribution=Distribution("jct_s", "job completion time, JCT (s)", "job", _completion_times_s),
        details={
            "cluster": f"{options.num_executors} executors, {options.moving_delay_ms / 1000:g} s to move to another job"
            + (", work-conserving" if options.work_conserving else ""),
            "jobs": f"{options.num_jobs} an episode out of {len(jobs)} templates, one every "
            f"{options.mean_interarrival_ms / 1000:g} s on average",
            "randomness": f"{options.rng}: {rules[options.rng]}",
            "job completion time": "JCT, from the arrival of a job to the end of its last task; the metric of an "
            "episode is the mean over its jobs",
        },
    )


def _cjs_choices() -> list[Choice]:
    from netenvs import datasets
    from netenvs.cjs import workload

    installed = datasets.installed(workload.DATASET)
    return [
        Choice("synthetic", True),
        Choice("tpch", installed, f"python -m netenvs.datasets install {workload.DATASET}"),
        *(Choice(f"{reader}(path=FILE)", True) for reader in workload.READERS),
        Choice("FILE", True),
    ]


def _cjs_example(world: Any) -> tuple[Figure, dict[str, np.ndarray]]:
    from netenvs.cjs import viewer

    return world.episode_figure(), viewer.gantt_columns(world.tasks())


# --- viewport prediction ------------------------------------------------------------------------------

VP_TERMS = (
    Term(
        "great_circle_deg",
        "great-circle error (degrees)",
        "gr. circle\ndegrees",
        "lower",
        "Angle between predicted and actual viewing direction, mean over the steps of the horizon. Roll does not "
        "count in it, and yaw counts less near the poles.",
        decimals=2,
    ),
    Term(
        "tile_recall",
        "tile recall (share)",
        "tile\nrecall",
        "higher",
        "Share of the tiles in the actual viewport that are in the predicted one, too: 8 x 8 tiles, viewport of "
        "100 x 100 degrees, mean over the steps.",
        decimals=3,
    ),
    Term(
        "tile_iou",
        "tile IoU (share)",
        "tile\nIoU",
        "higher",
        "Tiles in both viewports over tiles in either of them, the same way.",
        decimals=3,
    ),
)
VP_TERM_COLUMNS = {"great_circle_deg": "gc_deg", "tile_recall": "tile_recall", "tile_iou": "tile_iou"}


def _only(episode: Episode, column: str) -> float:
    """A number of an episode of one decision."""
    return float(episode.columns[column][0])


def _vp_skill(episodes: Sequence[Episode]) -> float:
    mae, static_mae = (math.fsum(_only(e, column) for e in episodes) for column in ("mae", "static_mae"))
    return 1.0 - mae / static_mae


def _vp_setup(env: gym.Env) -> Setup:
    world: Any = env.unwrapped
    playback = world.playback
    recordings, windows = playback.recordings, len(playback.recording)
    numbers = {
        "video": recordings.video[playback.recording],
        "viewer": recordings.user[playback.recording],
        "viewer-video pair": playback.recording,
    }
    played = ", ".join(formats.plural(len(np.unique(of)), what) for what, of in numbers.items())
    history, horizon = playback.history, playback.horizon
    name = playback.dataset if playback.dataset.startswith("synthetic") else recordings.name
    return Setup(
        dataset=name if playback.split == "test" else f"{name}, {playback.split}",
        metric=Metric("mae_deg", "degrees", "lower", "MAE (degrees)", decimals=3),
        terms=VP_TERMS,
        score=lambda episode: _only(episode, "mae"),
        term_values=lambda episode: {name: _only(episode, column) for name, column in VP_TERM_COLUMNS.items()},
        episode=lambda number, seed: EpisodeSpec(seed + number, seed + number, {"window": number}),
        default_episodes=windows,
        available_episodes=windows,
        collect=lambda world, row: world.playback.great_circle_deg[row].copy(),
        profile=Profile(
            name="great_circle_deg",
            label="great-circle error (degrees)",
            better="lower",
            at_name="ahead_s",
            at_label="time ahead (s)",
            at=np.arange(1, horizon + 1) / RATE_HZ,
            values=lambda episode: episode.collected,
            title="error by horizon",
        ),
        groups=Groups(
            noun="viewer-video pair",
            key=lambda episode: (_only(episode, "video"), _only(episode, "user")),
            caveat="Pairs share their videos, of which a split has few: on other videos, means can be further away.",
        ),
        details={
            "recordings": f"{recordings.name}, {playback.split} split: {played}",
            "window": f"{history} samples ({history / RATE_HZ:g} s) observed, {horizon} ({horizon / RATE_HZ:g} s) "
            f"predicted; one every {STEP / RATE_HZ:g} s of a recording",
            "mean absolute error": "MAE, over the steps of the horizon and over roll, pitch and yaw, as NetLLM "
            "computes it: angles wrap once, predictions are scored as they are",
        },
    )


def _vp_example(world: Any) -> tuple[Figure, dict[str, np.ndarray]]:
    scene = world.scene()
    paths = {"observed": scene.history, "recorded": scene.actual, "predicted": scene.predicted}
    axes = ("roll_deg", "pitch_deg", "yaw_deg")
    seen, steps = len(scene.history), len(scene.actual)
    ahead = [np.arange(1 - seen, 1) / RATE_HZ, *[np.arange(1, steps + 1) / RATE_HZ] * 2]
    columns = {
        "path": np.repeat(list(paths), [len(path) for path in paths.values()]),
        "ahead_s": np.concatenate(ahead),
        **{name: np.concatenate([path[:, axis] for path in paths.values()]) for axis, name in enumerate(axes)},
    }
    return world.episode_figure(), columns


def _vp_choices() -> list[Choice]:
    from netenvs import datasets
    from netenvs.vp import workload

    return [
        Choice("synthetic", True),
        *(
            Choice(name, datasets.installed(name), f"python -m netenvs.datasets install {name}")
            for name in workload.INSTALLED
        ),
        Choice("FILE or FOLDER", True),
    ]


# --- tiled 360-degree streaming -----------------------------------------------------------------------

VP_STREAMING_TERMS = (
    Term("quality", "quality", "quality\nin sight", "higher", "Mean quality of the tiles in sight.", decimals=2),
    Term(
        "stall_s",
        "stall (s / chunk)",
        "stall\ns/chunk",
        "lower",
        "Rebuffering: time in which the playback buffer was empty, for each decided chunk.",
    ),
    Term(
        "viewport_stall_s",
        "hole (s / chunk)",
        "hole\ns/chunk",
        "lower",
        "Viewport stall: time in which a tile in sight was missing, for each decided chunk.",
    ),
    Term(
        "quality_change",
        "change",
        "change",
        "lower",
        "Temporal variation: absolute change of the quality in sight from chunk to chunk.",
        decimals=2,
    ),
    Term(
        "quality_spread",
        "spread",
        "spread",
        "lower",
        "Spatial variation: standard deviation of the quality of the tiles in sight.",
        decimals=2,
    ),
    Term(
        "wasted_mbyte",
        "wasted (Mbyte)",
        "wasted\nMbyte",
        "lower",
        "Tiles that were fetched and never in sight, sum over an episode.",
        decimals=1,
    ),
    Term(
        "tile_recall",
        "tile recall (share)",
        "tile\nrecall",
        "higher",
        "Share of the tiles in sight that were fetched at the chunk's highest rate: what the prediction was right "
        "about. It is 1 for one rate everywhere.",
        decimals=2,
    ),
)


def _vp_streaming_setup(env: gym.Env) -> Setup:
    world: Any = env.unwrapped
    simulator = world.simulator
    recordings, traces = len(simulator.recording), len(simulator.traces)
    name = simulator.dataset if simulator.dataset.startswith("synthetic") else simulator.recordings.name
    qoe, rates = simulator.qoe, ", ".join(f"{rate:g}" for rate in simulator.rates_mbps)

    def term_values(episode: Episode) -> dict[str, float]:
        means = {term.name: float(episode.columns[term.name].mean()) for term in VP_STREAMING_TERMS}
        return {**means, "wasted_mbyte": float(episode.columns["wasted_mbyte"].sum())}

    utility = {"log": "ln(rate / lowest rate)", "lin": "rate / highest rate"}[qoe.kind]
    return Setup(
        dataset=name if simulator.split == "test" else f"{name}, {simulator.split}",
        metric=Metric(f"qoe_{qoe.kind}_per_chunk", "QoE", "higher", f"QoE ({qoe.kind}) per chunk"),
        terms=VP_STREAMING_TERMS,
        score=lambda episode: episode.total_reward / len(episode.rewards),
        term_values=term_values,
        episode=lambda number, seed: EpisodeSpec(
            seed + number, seed + number, {"recording": number % recordings, "trace": number % traces}
        ),
        default_episodes=max(recordings, traces),
        available_episodes=math.lcm(recordings, traces),
        groups=Groups(
            noun="viewer-video pair",
            key=lambda episode: episode.spec.options["recording"],
            caveat="Pairs share their videos, and the episodes of several pairs may share a trace: on other videos and "
            "traces, means can be further away.",
        ),
        details={
            "episodes": f"number i plays recording i of {recordings} and trace i of {traces}, again from the first "
            "after the last",
            "bandwidth": f"{simulator.traces.name} x {simulator.bandwidth_scale:g}, round trip "
            f"{simulator.rtt_ms:g} ms, buffer of at most {simulator.buffer_cap_s:g} s",
            "video": f"chunks of 1 s, {simulator.grid} tiles, {rates} Mbit/s for the whole sphere",
            "objective": f"{qoe.kind}: mean of {utility} in sight - {qoe.stall_penalty:.3g} x (stall + viewport "
            f"stall) in s - {qoe.change_penalty:g} x change - {qoe.spread_penalty:g} x spread, mean over the chunks "
            "that are decided (the forced first chunk is left out)",
        },
    )


def _vp_streaming_example(world: Any) -> tuple[Figure, dict[str, np.ndarray]]:
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
        terms_title="what QoE is made of",
        anchors=("bba", "oracle"),
        example=_abr_example,
        example_note="Bandwidth of the trace and bitrate of each chunk, the playback buffer, and the stalls, "
        "over the time of one session.",
    ),
    "cjs": Task(
        name="cjs",
        title="Spark cluster job scheduling",
        env_id="netenvs/CJS-small-v0",
        dataset_option="workload",
        dataset_kind="workload",
        choices=_cjs_choices,
        refused={
            "time_limit_ms": "an episode is played until all its jobs are done; one that was cut off would leave out "
            "the slow jobs, and its mean JCT would look better than it is",
            "beta": "it only changes the reward, which a comparison does not show",
            "render_mode": "a comparison draws its own plots",
        },
        setup=_cjs_setup,
        terms_title="tail, makespan, utilisation and decisions",
        reference="fair",
        example=_cjs_example,
        example_options={"render_mode": "rgb_array"},
        example_note="What each executor worked for, a colour and number for each job, and the jobs in the system "
        "over time.",
    ),
    "vp": Task(
        name="vp",
        title="Viewport prediction",
        env_id=ENV_IDS["vp"],
        dataset_option="dataset",
        dataset_kind="data set",
        choices=_vp_choices,
        refused={
            "mode": "a comparison plays the windows of the published protocol; in replay, which windows there are "
            "would depend on stride_s",
            "stride_s": "it belongs to mode=replay, which a comparison does not play",
            "render_mode": "a comparison draws its own plots",
        },
        setup=_vp_setup,
        terms_title="great circles and tiles",
        noun="window",
        reference="static",
        skill=_vp_skill,
        skill_meaning="1 - MAE / MAE of standing still over the same windows: 1 is perfect, 0 is no better than not "
        "moving at all, below 0 is worse.",
        example=_vp_example,
        example_note="Where the viewer looked and was predicted to look, on the map of the video with the heat map of "
        "previous viewers, and the error over the time ahead.",
    ),
    "vp-streaming": Task(
        name="vp-streaming",
        title="Tiled 360-degree streaming",
        env_id=ENV_IDS["vp-streaming"],
        dataset_option="dataset",
        dataset_kind="data set of head motion",
        choices=_vp_choices,
        refused={
            "action_mode": "policies choose a level for each tile",
            "predictor": "policies bring their own prediction; this one serves other action modes",
            "render_mode": "a comparison draws its own plots",
        },
        setup=_vp_streaming_setup,
        terms_title="what QoE is made of, waste and recall",
        reference="static-rate",
        example=_vp_streaming_example,
        example_note="Rates of the tiles of the last chunk with the viewport that was watched, and quality, data and "
        "buffer over the episode.",
    ),
}


def find_task(name: str) -> Task:
    """The task called ``name``; ``ValueError``, one line, for others."""
    if name not in TASKS:
        raise ValueError(unknown_name("task", name, TASKS))
    return TASKS[name]
