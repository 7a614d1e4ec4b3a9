"""Small trainings."""

import pytest

from agents.vp import scores
from distill.recipes.abr import training


@pytest.fixture(autouse=True)
def _small_worlds(monkeypatch):
    """What the commands have no option for: sessions of a warm-up, videos of a validation, data of a card."""
    monkeypatch.setattr(training, "WARM_ROWS", 8)
    monkeypatch.setattr(training, "VALIDATION_VIDEOS", 1)
    monkeypatch.setattr(scores, "SPLITS", [])
