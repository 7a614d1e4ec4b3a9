"""Losses that draw a student to its teacher, for imports: see ``distill.training.losses``."""

from distill.recipes.vp.losses import path_divergence as path_divergence
from distill.training.losses import decayed as decayed
from distill.training.losses import decision_divergence as decision_divergence
from distill.training.losses import divergence as divergence
from distill.training.losses import supervised as supervised
