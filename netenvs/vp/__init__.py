"""Viewport prediction: recorded head motion, its metrics, and the environment that replays it."""
