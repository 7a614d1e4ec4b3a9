"""Policies: baselines, learned baselines, teachers and students."""

from netenvs import moved

moved.keep(
    {
        "agents.abr.simple": "agents.abr.random_and_constant",
        "agents.cjs.by_arrival": "agents.cjs.rules.oldest_job_first",
        "agents.cjs.by_size": "agents.cjs.rules.smallest_job_first",
        "agents.cjs.capped_srpt": "agents.cjs.rules.capped_srpt",
        "agents.cjs.decima_network": "agents.cjs.decima.network",
        "agents.cjs.decima_rollout": "agents.cjs.decima.rollout",
        "agents.cjs.simple": "agents.cjs.rules.random_stage",
        "agents.cjs.weighted_fair": "agents.cjs.rules.weighted_fair",
        "agents.mamba4net.policies": {
            "Mamba4NetABR": "agents.abr.sequence:Mamba4Net",
            "Mamba4NetCJS": "agents.cjs.sequence:Mamba4Net",
            "Mamba4NetVP": "agents.vp.sequence:Mamba4Net",
        },
        "agents.netllm.policies": {
            "NetLLMABR": "agents.abr.sequence:NetLLM",
            "NetLLMCJS": "agents.cjs.sequence:NetLLM",
            "NetLLMVP": "agents.vp.sequence:NetLLM",
        },
        "agents.sequence.abr": "agents.sequence.nets.abr",
        "agents.sequence.cjs": "agents.sequence.nets.cjs",
        "agents.sequence.deployed": "agents.export.deployed",
        "agents.sequence.task": "agents.sequence.net",
        "agents.sequence.vp": "agents.sequence.nets.vp",
        "agents.vp_streaming.simple": "agents.vp_streaming.bounds",
    }
)
