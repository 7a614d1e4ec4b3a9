"""Units of a pool's columns, for its manifest."""

from __future__ import annotations

SUFFIXES = {
    "_ms": "ms",
    "_s": "s",
    "_deg": "degrees",
    "_kbps": "kbit/s",
    "_mbps": "Mbit/s",
    "_bytes": "bytes",
}
"""Names of infos end in their unit."""
TASKS = {
    "ABR": {"action": "bitrate level, 0 = lowest", "reward": "QoE", "obs": "rows of netenvs.abr.env.ABREnv"},
    "CJS": {
        "action": "(stage row from 1, 0 = decline; executors - 1)",
        "reward": "- seconds in the system, summed over jobs",
        "obs": "scaled features of netenvs.cjs.env.CJSEnv",
        "obs/stage_job": "row of obs/jobs",
        "obs/edges": "(parent, child) rows of obs/stages",
        "executor_limit": "executors",
    },
    "VP": {
        "action": "degrees (roll, pitch, yaw)",
        "reward": "- 180 degrees of great circle",
        "obs": "degrees (roll, pitch, yaw)",
        "obs/time_s": "s",
        "obs/saliency": "share of the most looked-at cell",
        "obs/features": "image features",
        "actual_path": "degrees (roll, pitch, yaw), as recorded",
        "info/mae": "degrees",
        "info/static_mae": "degrees",
    },
}
"""Of what the environments' docstrings define, by task; ``obs`` stands for all parts that are not named."""
COMMON = {
    "policy": "number in the manifest's policies, -1 = random action",
    "terminated": "1 at the last step",
    "truncated": "1 at the last step",
    "action_mask": "1 = possible",
    "episode/policy": "number in the manifest's policies",
}


def unit_of(column: str, env_id: str) -> str:
    """Unit or meaning of a column; empty for a plain number."""
    task = TASKS.get(env_id.rpartition("/")[2].partition("-")[0], {})
    name = column.removeprefix("episode/final_")
    name = {"intended_action": "action", "episode/return": "reward"}.get(name, name)
    for known in (COMMON, task):
        if name in known:
            return known[name]
    if name == "obs" or name.startswith("obs/"):
        return task.get("obs", "")
    return next((unit for suffix, unit in SUFFIXES.items() if name.endswith(suffix)), "")
