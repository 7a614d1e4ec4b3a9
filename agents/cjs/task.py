"""Schedulers, by name; see ``agents.registry``."""

from __future__ import annotations

from agents.registry import AgentTask, Entry

TASK = AgentTask(
    policies={
        "random": Entry("agents.cjs.rules.random_stage:Random", baseline=False),
        "fifo": Entry("agents.cjs.rules.oldest_job_first:FIFO"),
        "fifo-full": Entry("agents.cjs.rules.oldest_job_first:FIFOFull"),
        "fair": Entry("agents.cjs.rules.oldest_job_first:Fair"),
        "weighted-fair": Entry("agents.cjs.rules.weighted_fair:WeightedFair"),
        "sjf-cp": Entry("agents.cjs.rules.smallest_job_first:SJFCP"),
        "cpt": Entry("agents.cjs.rules.smallest_job_first:CPT"),
        "srpt": Entry("agents.cjs.rules.smallest_job_first:SRPT"),
        "capped-srpt": Entry("agents.cjs.rules.capped_srpt:CappedSRPT"),
        "decima-released": Entry("agents.cjs.decima.released:DecimaReleased", dataset="decima-weights"),
        "decima": Entry("agents.cjs.decima.policy:Decima"),
        "netllm": Entry("agents.cjs.sequence:NetLLM"),
        "mamba4net": Entry("agents.cjs.sequence:Mamba4Net"),
    },
    observation_options=frozenset({"observation"}),
    layout="agents.cjs.layout:LAYOUT",
    net="agents.sequence.nets.cjs:CJSNet",
    graph="agents.export.cjs:CJSGraph",
    scores="agents.cjs.scores:SCORING",
)
