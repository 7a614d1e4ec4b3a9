"""Units of a pool's columns, for its manifest."""

from __future__ import annotations

from collections.abc import Mapping

SUFFIXES = {
    "_ms": "ms",
    "_s": "s",
    "_deg": "degrees",
    "_kbps": "kbit/s",
    "_mbps": "Mbit/s",
    "_bytes": "bytes",
}
"""Names of infos end in their unit."""
COMMON = {
    "policy": "number in the manifest's policies, -1 = random action",
    "terminated": "1 at the last step",
    "truncated": "1 at the last step",
    "action_mask": "1 = possible",
    "episode/policy": "number in the manifest's policies",
}
"""Of columns that pools of all tasks have."""


def unit_of(column: str, units: Mapping[str, str]) -> str:
    """Unit or meaning of a column, empty for a plain number; ``units`` are those of a ``netenvs.tasks.Task``."""
    name = column.removeprefix("episode/final_")
    name = {"intended_action": "action", "episode/return": "reward"}.get(name, name)
    for known in (COMMON, units):
        if name in known:
            return known[name]
    if name == "obs" or name.startswith("obs/"):
        return units.get("obs", "")
    return next((unit for suffix, unit in SUFFIXES.items() if name.endswith(suffix)), "")
