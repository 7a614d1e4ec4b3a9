"""Adaptive bitrate streaming: QoE of each chunk, and what it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from agents.rollout import Episode
from benchmarks.suite.abr import WORLDS
from benchmarks.tasks.setup import Metric, Setup, TaskComparison, Term
from netenvs.abr.qoe import TABLE, QoE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from netenvs.abr.workload import Video

TERMS = (
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


def _setup(env: gym.Env) -> Setup:
    world: Any = env.unwrapped
    traces, qoe = world.traces, world.qoe
    first_bitrate_kbps = []  # of each video: the forced first chunk, which the first decision switches from
    for number in range(len(world.videos)):
        _, info = env.reset(seed=0, options={"trace": 0, "video": number})
        first_bitrate_kbps.append(info["bitrate_kbps"])

    def score(episode: Episode) -> float:
        return episode.total_reward / len(episode.rewards)

    def term_values(episode: Episode) -> dict[str, float]:
        bitrate_mbps = episode.columns["bitrate_kbps"] / 1000.0
        number = int(episode.columns["video_index"][0]) if "video_index" in episode.columns else 0
        steps = np.abs(np.diff(bitrate_mbps, prepend=first_bitrate_kbps[number] / 1000.0))
        return {
            "bitrate_mbps": float(bitrate_mbps.mean()),
            "rebuffer_s_per_chunk": float(episode.columns["rebuffer_s"].mean()),
            "switch_mbps": float(steps.mean()),
        }

    name = f"qoe_{qoe.kind}_per_chunk"
    return Setup(
        dataset=traces.name,
        metric=Metric(name, "QoE", "higher", f"QoE ({qoe.kind}) per chunk"),
        terms=TERMS,
        score=score,
        term_values=term_values,
        details={
            "trace split": f"{traces.name}, {len(traces)} traces",
            "video": "; ".join(map(_described, world.videos)),
            "objective": _objective(world.options.qoe, qoe),
        },
    )


def _objective(given: Any, qoe: QoE) -> str:
    """``given`` is the option that the objective was made from."""
    name = f"{qoe.kind} {given}" if qoe.kind == TABLE and isinstance(given, str) else qoe.kind
    utility = "utility of the level" if qoe.by_chunk is None else "utility of the chunk at its level"
    change = "change" if qoe.switch_penalty == 1 else f"{qoe.switch_penalty:g} x change"
    return (
        f"{name}: {utility} - {qoe.rebuffer_penalty:g} x stall in s - {change} of utility, mean over the chunks that "
        "are decided (the forced first chunk is left out)"
    )


def _described(video: Video) -> str:
    ladder = ", ".join(str(kbps) for kbps in video.bitrates_kbps.tolist())
    return f"{video.name}, {video.num_chunks} chunks of {video.chunk_duration_s:g} s, levels {ladder} kbit/s"


def _example(world: Any) -> tuple[Figure, dict[str, np.ndarray]]:
    return world.episode_figure(), world.episode_log()


TASK = TaskComparison(
    refused={
        "action_mode": "policies choose a bitrate level, so the action is always the level",
        "observation": "a policy says itself whether it reads a matrix or a vector",
    },
    setup=_setup,
    terms_title="what QoE is made of",
    anchors=("bba", "oracle"),
    example=_example,
    example_note="Bandwidth of the trace and bitrate of each chunk, the playback buffer, and the stalls, "
    "over the time of one session.",
    suites={"worlds": WORLDS},
)
