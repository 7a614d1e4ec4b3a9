"""Policies of tiled 360-degree streaming: any viewport predictor with a rule for the rates, and bounds."""
