"""Bitrate policies, by name; see ``agents.registry``."""

from __future__ import annotations

from agents.registry import AgentTask, Entry
from netenvs.abr.published_logs import DATASET, POLICIES

TASK = AgentTask(
    policies={
        "random": Entry("agents.abr.random_and_constant:Random", baseline=False),
        "constant": Entry("agents.abr.random_and_constant:Constant"),
        "bba": Entry("agents.abr.bba:BBA"),
        "bola": Entry("agents.abr.bola:BOLA"),
        "throughput": Entry("agents.abr.throughput:Throughput"),
        "netllm-mpc": Entry("agents.abr.netllm_mpc:NetLLMMPC"),
        "dynamic": Entry("agents.abr.dynamic:Dynamic"),
        "bola-e": Entry("agents.abr.bola_e:BolaE"),
        "hyb": Entry("agents.abr.hyb:HYB"),
        "quetra": Entry("agents.abr.quetra:QUETRA"),
        "pensieve-mpc": Entry("agents.abr.pensieve_mpc:PensieveMPC"),
        "robust-mpc": Entry("agents.abr.robust_mpc:RobustMPC"),
        "stochastic-mpc": Entry("agents.abr.stochastic_mpc:StochasticMPC"),
        "oracle": Entry("agents.abr.oracle:Oracle", baseline=False),
        "pensieve": Entry("agents.abr.pensieve:Pensieve"),
        "genet-released": Entry("agents.abr.genet_released:GenetReleased", dataset="genet-weights"),
        "genet": Entry("agents.abr.genet:Genet"),
        "udr": Entry("agents.abr.genet:UDR"),
        "netllm": Entry("agents.abr.sequence:NetLLM"),
        "mamba4net": Entry("agents.abr.sequence:Mamba4Net"),
        **{
            f"published:{name}": Entry("agents.abr.published:Published", DATASET, options=(("policy", name),))
            for name in POLICIES
        },
    },
    observation_options=frozenset({"history"}),
    net="agents.sequence.nets.abr:ABRNet",
    graph="agents.export.abr:ABRGraph",
    scores="agents.abr.scores:SCORING",
    capacity=48,  # chunks of the videos that are shipped
)
