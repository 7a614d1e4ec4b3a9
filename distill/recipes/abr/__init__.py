"""Bitrate adaptation; see ``distill.recipe``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym

from distill.pools.recorder import ExtraColumn
from distill.recipe import Recipe


def _expert_values(env_id: str, options: Mapping[str, Any]) -> ExtraColumn:
    """Best sums of rewards to the end with each level next, for who knows the bandwidth to come, nearly."""
    from agents.abr.value_table import ValueTable

    env = gym.make(env_id, **options)
    table = ValueTable(env)
    env.close()
    return ExtraColumn(table.action_values, "QoE to the end")


RECIPE = Recipe(episodes_per_shard=1000, expert_values=_expert_values, training="distill.recipes.abr.training:TRAINING")
