"""Viewport predictors. ``Predictor`` is what a predictor of one's own subclasses."""

from agents.vp.predictor import Predictor

__all__ = ["Predictor"]
