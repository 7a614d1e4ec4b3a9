"""Policies of tiled streaming, by name; see ``agents.registry``."""

from __future__ import annotations

from agents.registry import AgentTask, Entry

TASK = AgentTask(
    policies={
        "random-tiles": Entry("agents.vp_streaming.bounds:RandomTiles", baseline=False),
        "whole-sphere": Entry("agents.vp_streaming.bounds:WholeSphere"),
        "static-buffer": Entry("agents.vp_streaming.tiled:StaticBuffer"),
        "static-rate": Entry("agents.vp_streaming.tiled:StaticRate"),
        "line-rate": Entry("agents.vp_streaming.tiled:LineRate"),
        "neighbours-rate": Entry("agents.vp_streaming.tiled:NeighboursRate"),
        "viewers-rate": Entry("agents.vp_streaming.tiled:ViewersRate"),
        "crowd-rate": Entry("agents.vp_streaming.crowd:CrowdRate"),
        "oracle-viewport": Entry("agents.vp_streaming.bounds:OracleViewport", baseline=False),
    },
    observation_options=frozenset({"history"}),
)
