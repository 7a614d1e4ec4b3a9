"""Small trainings."""

import pytest

from agents.vp import scores
from distill.recipes.abr import training


@pytest.fixture(autouse=True)
def _small_worlds(short_video, monkeypatch):
    """What the commands have no option for: length and number of videos, sessions of a warm-up, data of a card."""
    monkeypatch.setattr(training, "_known", lambda: short_video)
    monkeypatch.setattr(training, "VALIDATION_VIDEOS", 1)
    monkeypatch.setattr(training, "WARM_ROWS", 8)
    monkeypatch.setattr(scores, "SPLITS", [])
