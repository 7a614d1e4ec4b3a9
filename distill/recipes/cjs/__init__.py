"""Job scheduling; see ``distill.recipe``."""

from __future__ import annotations

from distill.recipe import Recipe

RECIPE = Recipe(episodes_per_shard=20, training="distill.recipes.cjs.training:TRAINING")
