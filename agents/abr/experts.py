"""Whom networks imitate in a world: ``stochastic-mpc``, as careful as the links ask for; at home a clairvoyant.

Nothing but the links to come says how careful a player should be, and a planner has to be told. On most recorded
training sets a long horizon and a dear buffer are best, or close to it. Where links are slow for a minute and from then
on faster than the ladder's top, as ``fcc-hd-train`` is with the published video, whoever saves for later has saved for
nothing (the table: ``python docs/expert_settings.py``). So each world has the planner for its links, and a network
learns to tell by what it sees which one to follow.

On the published links, with the published video, player and objective, a network learns from a table of what is best
for who knows the bandwidth to come. There its decisions, right on average over what may come, are better than the
planner's; anywhere else they are worse, since what comes is more varied than a network can tell (docs/netllm.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from agents.abr.stochastic_mpc import StochasticMPC
from agents.abr.training_worlds import PUBLISHED
from agents.abr.value_table import ValueTable
from netenvs.abr.worlds import World

CAREFUL: dict[str, Any] = {"horizon_s": 64.0, "buffer_value": 0.4, "enough_s": 30.0}
EAGER: dict[str, Any] = {"horizon_s": 20.0, "buffer_value": 0.1, "enough_s": 20.0}
"""Settings of ``StochasticMPC``."""
SLOW_FIRST = ("fcc-hd-train", "fcc-sd-train")
"""Recorded training sets on which the eager settings are best with the published video; else the careful ones are."""

Expert = Callable[[dict[str, Any]], np.ndarray]
"""``infos`` of all sessions -> float64 (S, levels), the value of each level for the next chunk."""


class Experts:
    """Those that are imitated."""

    def __init__(self) -> None:
        self._careful, self._eager = StochasticMPC(**CAREFUL), StochasticMPC(**EAGER)

    def planner(self, world: World) -> StochasticMPC:
        """The planner that is best on the links of a world; one for all of them."""
        return self._eager if world.at_home and world.recorded in SLOW_FIRST else self._careful

    def begin(self, world: World, env: Any) -> Expert:
        """Whom to imitate in the sessions of ``env``, an environment of a world, from their first decisions on."""
        if world.at_home and world.recorded == PUBLISHED:
            table = ValueTable(env)
            return lambda infos: table.action_values(env)
        planner, rows = self.planner(world), np.arange(env.num_envs)
        planner.reset_rows(rows, [None] * len(rows))
        return planner.values
