"""Predictors of viewports, by name; see ``agents.registry``."""

from __future__ import annotations

from agents.registry import AgentTask, Entry

TASK = AgentTask(
    policies={
        "static": Entry("agents.vp.static:Static"),
        "velocity": Entry("agents.vp.velocity:Velocity"),
        "velocity-unwrapped": Entry("agents.vp.velocity:VelocityUnwrapped"),
        "linear-regression": Entry("agents.vp.linear_regression:LinearRegression"),
        "linear-regression-unwrapped": Entry("agents.vp.linear_regression:LinearRegressionUnwrapped"),
        "damped-velocity": Entry("agents.vp.damped_velocity:DampedVelocity"),
        "lad": Entry("agents.vp.lad:LAD"),
        "neighbours": Entry("agents.vp.neighbours:Neighbours"),
        "saliency-peak": Entry("agents.vp.saliency_peak:SaliencyPeak"),
        "track": Entry("agents.vp.track:Track"),
        "viewers": Entry("agents.vp.viewers:Viewers"),
        "netllm": Entry("agents.vp.sequence:NetLLM"),
        "mamba4net": Entry("agents.vp.sequence:Mamba4Net"),
    },
    observation_options=frozenset({"saliency"}),
    net="agents.sequence.nets.vp:VPNet",
    graph="agents.export.vp:VPGraph",
    scores="agents.vp.scores:SCORING",
)
