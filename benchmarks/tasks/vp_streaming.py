"""Tiled 360-degree streaming: QoE in sight, stalls, holes and waste."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from agents.rollout import Episode
from benchmarks.tasks.setup import Groups, Metric, Setup, TaskComparison, Term

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TERMS = (
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


def _setup(env: gym.Env) -> Setup:
    world: Any = env.unwrapped
    simulator = world.simulator
    recordings, traces = len(simulator.recording), len(simulator.traces)
    name = simulator.dataset if simulator.dataset.startswith("synthetic") else simulator.recordings.name
    qoe, rates = simulator.qoe, ", ".join(f"{rate:g}" for rate in simulator.rates_mbps)

    def term_values(episode: Episode) -> dict[str, float]:
        means = {term.name: float(episode.columns[term.name].mean()) for term in TERMS}
        return {**means, "wasted_mbyte": float(episode.columns["wasted_mbyte"].sum())}

    utility = {"log": "ln(rate / lowest rate)", "lin": "rate / highest rate"}[qoe.kind]
    return Setup(
        dataset=name if simulator.split == "test" else f"{name}, {simulator.split}",
        metric=Metric(f"qoe_{qoe.kind}_per_chunk", "QoE", "higher", f"QoE ({qoe.kind}) per chunk"),
        terms=TERMS,
        score=lambda episode: episode.total_reward / len(episode.rewards),
        term_values=term_values,
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


def _example(world: Any) -> tuple[Figure, dict[str, np.ndarray]]:
    return world.episode_figure(), world.episode_log()


TASK = TaskComparison(
    refused={
        "action_mode": "policies choose a level for each tile",
        "predictor": "policies bring their own prediction; this one serves other action modes",
    },
    setup=_setup,
    terms_title="what QoE is made of, waste and recall",
    reference="static-rate",
    example=_example,
    example_note="Rates of the tiles of the last chunk with the viewport that was watched, and quality, data and "
    "buffer over the episode.",
)
