"""Schedulers, by name; see ``agents.registry``."""

from __future__ import annotations

from agents.registry import AgentTask, Entry

TASK = AgentTask(
    policies={
        "random": Entry("agents.cjs.simple:Random", baseline=False),
        "fifo": Entry("agents.cjs.by_arrival:FIFO"),
        "fifo-full": Entry("agents.cjs.by_arrival:FIFOFull"),
        "fair": Entry("agents.cjs.by_arrival:Fair"),
        "weighted-fair": Entry("agents.cjs.weighted_fair:WeightedFair"),
        "sjf-cp": Entry("agents.cjs.by_size:SJFCP"),
        "cpt": Entry("agents.cjs.by_size:CPT"),
        "srpt": Entry("agents.cjs.by_size:SRPT"),
        "capped-srpt": Entry("agents.cjs.capped_srpt:CappedSRPT"),
        "decima-released": Entry("agents.cjs.decima_released:DecimaReleased", dataset="decima-weights"),
        "decima": Entry("agents.cjs.decima:Decima"),
        "netllm": Entry("agents.cjs.sequence:NetLLM"),
        "mamba4net": Entry("agents.cjs.sequence:Mamba4Net"),
    },
    observation_options=frozenset({"observation"}),
    layout="agents.cjs.layout:LAYOUT",
    net="agents.sequence.nets.cjs:CJSNet",
    graph="agents.export.cjs:CJSGraph",
    scores="agents.cjs.scoring:SCORING",
)
